package spec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Whatever a file holds, loading it ends in documents or in problems. What was loaded, the worker accepts unchanged.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		head, head + "  timeout: 20m\n  size: 20GiB\n  subnets: [a]\n", head + "  steps: [reboot, {run: ls}]\n---\n" + head,
		head + "  volumes: &a {x: {size: 1}}\n  labels: *a\n", "kind: Toy\nvars: {a: b}\nname: \"${var.a}\"\nspec: {from: \"$${var.a}\"}\n",
		`{"kind": "Toy", "name": "a", "spec": {"from": "b", "rows": [{"ordinal": 3}]}}`, "a: |\n  b\n", "? a\n: b\n", "- - - a", "a: 'x\n\n y'",
		head + "  anything: {a: 0x10, b: 1e99, c: .inf, d: ~, e: 0o7, f: 1_0}\n", "%YAML 1.2\n---\na: b\n...\n", "\xef\xbb\xbfa: b",
	} {
		f.Add([]byte(seed))
	}
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		documents, err := spec.Parse("x.yaml", content, folder, nil, toys())
		if err != nil {
			checkProblems(t, err)
			return
		}
		for _, d := range documents {
			full, err := spec.Normalize[toy](d.Spec)
			if err != nil {
				t.Fatalf("the worker refuses what was loaded: %v\n%s", err, d.Spec)
			}
			if !bytes.Equal(full, d.Spec) {
				t.Fatalf("the worker reads\n%s\nwhere this was loaded:\n%s", full, d.Spec)
			}
		}
	})
}

// Whatever a message holds, decoding it ends in a spec or in problems.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"from": "a"}`, `{"from": {"image": "a"}, "steps": ["reboot", {"run": "ls"}], "accept": 95, "surge": "10%"}`,
		`{"from": "a", "rows": {"rows": [{"ordinal": "3"}]}, "volumes": {"a": null}}`, `[[]]`, `"a"`, `{"a": {"a": 1e400}}`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		full, err := spec.Normalize[toy](raw)
		if err != nil {
			checkProblems(t, err)
			return
		}
		if again, err := spec.Normalize[toy](full); err != nil || !bytes.Equal(again, full) {
			t.Fatalf("%s is not canonical: %s, %v", full, again, err)
		}
		if !json.Valid(full) {
			t.Fatalf("%q is not JSON", full)
		}
	})
}

func checkProblems(t *testing.T, err error) {
	t.Helper()
	all, ok := errors.AsType[*spec.Errors](err)
	if !ok || len(all.Problems) == 0 || len(all.Problems) > spec.MaxProblems {
		t.Fatalf("expected 1 to %d problems, found %v", spec.MaxProblems, err)
	}
}
