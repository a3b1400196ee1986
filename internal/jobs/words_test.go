package jobs_test

import (
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestOneThingIsSaidInTheSingular(t *testing.T) {
	t.Parallel()
	for want, one := range map[string]struct {
		n     int
		thing string
	}{"0 servers": {0, "server"}, "1 server": {1, "server"}, "2 servers": {2, "server"}, "1 child": {1, "child"}, "3 children": {3, "child"}} {
		if got := jobs.Count(one.n, one.thing); got != want {
			t.Errorf("%d %s is said as %q, want %q", one.n, one.thing, got, want)
		}
	}
}
