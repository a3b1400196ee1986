// Package kindtest holds the specs of all kinds to what the loader promises: every example is right, and what is wrong with
// each of the files in testdata/bad is found at its exact line and column.
package kindtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/distribute"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ping"
	"github.com/stampmill/stampmill/internal/jobs/policy"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/jobs/terminate"
)

func kinds() spec.Registry {
	all := spec.Registry{}
	all.Register("Bake", bake.Spec{})
	all.Register("Distribute", distribute.Spec{})
	all.Register("Launch", launch.Spec{})
	all.Register("Ping", ping.Spec{})
	all.Register("Rollout", rollout.Spec{})
	all.Register("Restamp", restamp.Spec{})
	all.Register("Policy", policy.Spec{})
	all.Register("Terminate", terminate.Spec{})
	return all
}

// Each file begins with its problems, one a line: # want: line:column path.
func TestEveryProblemIsFoundAtItsLineAndColumn(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatalf("found %d bad specs, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(content)) {
			if place, ok := strings.CutPrefix(strings.TrimSpace(line), "# want: "); ok {
				want = append(want, place)
			}
		}
		_, err = spec.Load([]string{file}, nil, kinds())
		found, ok := errors.AsType[*spec.Errors](err)
		if !ok {
			t.Errorf("%s: got %v, want its problems", file, err)
			continue
		}
		var got []string
		for _, p := range found.Problems {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Path)))
			if p.File != file || p.Message == "" {
				t.Errorf("%s: %+v says too little", file, p)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q\n%v", file, got, want, err)
		}
	}
}

// What the examples become is a message that the worker and the published schema take.
func TestEveryExampleIsRight(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../../examples/*/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d examples, %v", len(files), err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		documents, err := spec.Load([]string{file}, nil, kinds())
		if err != nil {
			t.Error(err)
			continue
		}
		for _, d := range documents {
			seen[d.Kind] = true
			message := jobs.Message{Type: jobs.Submit, Kind: d.Kind, Name: d.Name, Role: d.Role, Region: d.Region, Key: "k", Labels: d.Labels, Spec: d.Spec}
			body, err := message.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jobs.ParseMessage(body); err != nil && !kinds().IsKept(d.Kind) {
				t.Errorf("%s: %v", file, err)
			}
			if err := decode(d.Kind, d.Spec); err != nil {
				t.Errorf("%s: the worker says %v", file, err)
			}
		}
	}
	for _, kind := range []string{"Bake", "Launch", "Terminate", "Rollout", "Policy"} {
		if !seen[kind] {
			t.Errorf("no example shows %s", kind)
		}
	}
}

func decode(kind string, raw json.RawMessage) error {
	var err error
	switch kind {
	case "Bake":
		_, err = spec.Decode[bake.Spec](raw)
	case "Launch":
		_, err = spec.Decode[launch.Spec](raw)
	case "Terminate":
		_, err = spec.Decode[terminate.Spec](raw)
	case "Rollout":
		_, err = spec.Decode[rollout.Spec](raw)
	case "Policy":
		_, err = spec.Decode[policy.Spec](raw)
	case "Ping":
		_, err = spec.Decode[ping.Spec](raw)
	}
	return err
}

func TestTheDemoGivesEachServerItsOwnSettings(t *testing.T) {
	t.Parallel()
	documents, err := spec.Load([]string{"../../../../examples/demo/launch.yaml"}, nil, kinds())
	if err != nil {
		t.Fatal(err)
	}
	s, err := spec.Read[launch.Spec](documents[0].Spec)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := spec.ByOrdinal(s.Settings.Each.Rows, 0)
	if err != nil {
		t.Fatal(err)
	}
	different := map[string]bool{}
	for ordinal := range s.Count {
		different[fmt.Sprint(rows[ordinal])] = true
	}
	if s.Count != 200 || len(different) != 200 || len(rows) != 200 {
		t.Errorf("%d servers have %d different settings in %d rows", s.Count, len(different), len(rows))
	}
}
