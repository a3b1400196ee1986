package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestOnlyYesIsYes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typed  string
		person bool
		flag   bool
		goes   bool
	}{
		{"yes\n", true, false, true},
		{" yes ", true, false, true},
		{"y\n", true, false, false},
		{"\n", true, false, false},
		{"", true, false, false},
		{"no\nyes\n", true, false, false},
		{"yes\n", false, false, false}, // a pipe is no person
		{"", false, true, true},
	} {
		var out, errs bytes.Buffer
		command := &command{IO: IO{In: strings.NewReader(c.typed), Out: &out, Err: &errs}, asks: func(io.Reader) bool { return c.person }}
		err := command.confirm(c.flag, "3 orphans\x1b[2J can be removed")
		if (err == nil) != c.goes {
			t.Errorf("%q of a person (%t) with --yes (%t): %v", c.typed, c.person, c.flag, err)
		}
		if !strings.HasPrefix(errs.String(), "3 orphans [2J can be removed\n") || out.Len() > 0 {
			t.Errorf("the count is not shown first: %q, %q", errs.String(), out.String())
		}
	}
}
