package policy

import (
	"encoding/json"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

func TestARestampIsNarrowedAndNeverWidened(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		`{"images":{"select":{"labels":{"team":"edge"}}}}`:                                                     `{"images":{"select":{"labels":{"team":"edge"},"names":["a","b"]}}}`,
		`{"images":{"select":{"all":true},"exclude":["c"]}}`:                                                   `{"images":{"select":{"names":["a","b"]},"exclude":["c"]}}`,
		`{"images":{"select":{"parent":"base","olderThan":"30d"}}}`:                                            `{"images":{"select":{"parent":"base","olderThan":"30d","names":["a","b"]}}}`,
		`{"images":{"select":{"names":["b","z"]}},"fleets":{"select":{"all":true}}}`:                           `{"images":{"select":{"names":["b"]}},"fleets":{"select":{"all":true}}}`,
		`{"images":{"select":{"any":[{"parent":"base"},{"names":["z"]},{"names":["a"],"labels":{"x":"y"}}]}}}`: `{"images":{"select":{"any":[{"parent":"base","names":["a","b"]},{"names":["a"],"labels":{"x":"y"}}]}}}`,
	} {
		got, err := Selections{}.Only(json.RawMessage(written), []string{"a", "b"})
		if err != nil {
			t.Fatal(err)
		}
		one, err := jobs.Digest(got)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := jobs.Digest(json.RawMessage(want)); err != nil || one != other {
			t.Errorf("%s becomes %s, want %s (%v)", written, got, want, err)
		}
		if _, err := spec.Decode[restamp.Spec](got); err != nil {
			t.Errorf("%s is no restamp: %v", got, err)
		}
	}
}
