package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The texts must match now, not only when somebody tries the mutants.
func TestEveryMutantFitsTheCode(t *testing.T) {
	t.Parallel()
	var names []string
	for _, m := range all() {
		files, err := m.mutated("..")
		if err != nil {
			t.Error(err)
		}
		if len(files) == 0 || m.breaks == "" || len(m.tests) == 0 || slices.Contains(names, m.name) {
			t.Errorf("mutant %q: expected edits, what it breaks, tests, and a name of its own", m.name)
		}
		names = append(names, m.name)
		for _, s := range m.tests {
			if _, err := regexp.Compile(s.run); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
		for _, e := range m.edits {
			if strings.HasSuffix(e.file, "_test.go") {
				t.Errorf("%s changes a test", m.name)
			}
		}
	}
}

func TestOnlyAFailedTestCatchesAMutant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code   int
		output string
		want   verdict
	}{
		"a test fails": {1, "--- FAIL: TestA (0.01s)\n    a_test.go:7: no\nFAIL\nFAIL\texample.com/a\t0.1s\n", failed},
		"a subtest fails, and prints another panic": {1, "--- FAIL: TestA (0.01s)\n    --- FAIL: TestA/x (0.01s)\n        panic: in a history\nFAIL\n", failed},
		"all pass":             {0, "ok  \texample.com/a\t0.1s\n", passed},
		"it does not compile":  {1, "# example.com/a\n./a.go:3: no\nFAIL\texample.com/a [build failed]\n", broken},
		"it panics":            {1, "--- FAIL: TestA (0.01s)\npanic: index out of range\n\ngoroutine 7\n", broken},
		"its time is up":       {1, "panic: test timed out after 1m30s\n", broken},
		"nothing ran":          {0, "ok  \texample.com/a\t0.1s [no tests to run]\n", broken},
		"it ended by a signal": {2, "signal: killed\nFAIL\n", broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := judge(c.code, c.output); got.verdict != c.want {
				t.Errorf("verdict %d (%s), want %d", got.verdict, got.reason, c.want)
			}
		})
	}
}

func TestTestsOfOnePackageRunTogether(t *testing.T) {
	t.Parallel()
	got := merged([]mutant{{tests: []selection{{"a", "TestB", ""}, {"b", "TestA", ""}}}, {tests: []selection{{"a", "TestA", ""}, {"a", "TestB", ""}, {"a", "TestA", "X=1"}}}})
	want := []selection{{"a", "TestA|TestB", ""}, {"b", "TestA", ""}, {"a", "TestA", "X=1"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
