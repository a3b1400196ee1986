package integration

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// skips remembers what was skipped, so that an endpoint that serves too little is no ground truth.
var skips = skipped{tests: map[string]bool{}}

type skipped struct {
	mu    sync.Mutex
	tests map[string]bool
}

// unserved skips the test where the endpoint cannot serve it: faults gives an endpoint's known fault by its name.
func unserved(t *testing.T, faults map[string]string) {
	t.Helper()
	for name, fault := range faults {
		if !slices.Contains([]string{embedded, localstack, independent}, name) {
			t.Fatalf("a fault of %q; expected embedded, localstack or independent", name)
		}
		if queueOrTable.MatchString(fault) {
			t.Fatalf("%q: nothing that concerns SQS or DynamoDB is skipped", fault)
		}
	}
	if fault, is := faults[endpointName()]; is {
		skips.add(t.Name())
		t.Skipf("%s: %s", endpointName(), fault)
	}
}

var queueOrTable = regexp.MustCompile(`(?i)\b(sqs|dynamodb|queues?|tables?)\b`)

// add counts a test once, whatever part of it was skipped.
func (s *skipped) add(test string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	test, _, _ = strings.Cut(test, "/")
	s.tests[test] = true
}

// judge fails where more than a third of the suite was skipped. It leaves a part of the suite (-run) alone.
func (s *skipped) judge() error {
	if run := flag.Lookup("test.run"); run != nil && run.Value.String() != "" {
		return nil
	}
	all, err := declared()
	if err != nil {
		return err
	}
	fmt.Printf("endpoint=%s tests=%d skipped=%d\n", endpointName(), len(all), len(s.tests))
	if 3*len(s.tests) > len(all) {
		return fmt.Errorf("%d of %d tests were skipped on %s, more than a third: %s", len(s.tests), len(all), endpointName(),
			strings.Join(slices.Sorted(maps.Keys(s.tests)), ", "))
	}
	return nil
}

var declaration = regexp.MustCompile(`(?m)^func (Test\w+)\(\w+ \*testing\.T\)`)

// declared lists the suite's tests from its source, since package testing does not tell.
func declared() ([]string, error) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		return nil, err
	}
	var all []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, match := range declaration.FindAllSubmatch(source, -1) {
			all = append(all, string(match[1]))
		}
	}
	return all, nil
}
