// Command bench measures how fast and how lean Stampmill is, always through the real SDK.
//
// Counts are taken in virtual time, with the embedded endpoint and a worker in this process and AWS's own throttling
// buckets. CPU, memory and rates are taken of real processes over loopback sockets: bench builds localaws and the worker,
// starts them, and ends them. Each case is a JSON object on a line.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
)

func main() {
	table := flag.Bool("table", false, "print a table for people instead of a JSON object a line")
	flag.Usage = func() { usage() }
	flag.Parse()
	if flag.NArg() == 0 {
		usage()
		return
	}
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	inTest(func(t *testing.T) {
		if err := measureAll(t, chosen, *table); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			t.FailNow()
		}
	})
}

// inTest runs f as a test: only a test may enter the virtual time of testing/synctest. It ends the process, with 1 if the
// test failed. What package testing prints goes to standard error.
func inTest(f func(t *testing.T)) {
	results = os.Stdout
	os.Stdout = os.Stderr
	os.Args = os.Args[:1]
	flag.CommandLine = flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	everything := func(string, string) (bool, error) { return true, nil }
	testing.Main(everything, []testing.InternalTest{{Name: "bench", F: f}}, nil, nil)
}

// choose gives the measures that the arguments name; all is every one.
func choose(names []string) ([]measure, error) {
	var chosen []measure
	for _, name := range names {
		if name == "all" {
			chosen = append(chosen, measures...)
			continue
		}
		found := false
		for _, m := range measures {
			if m.name == name {
				chosen, found = append(chosen, m), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no measure %q; without arguments bench lists them", name)
		}
	}
	return chosen, nil
}

func measureAll(t *testing.T, chosen []measure, table bool) (err error) {
	end, err := profile()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ended
		cleanUp()
		_ = end() // it ends without a result
		os.Exit(1)
	}()
	defer endProcesses()
	out := &printer{table: table}
	for _, m := range chosen {
		if err := m.take(&taking{t: t, measure: m, out: out}); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", m.name, err), out.flush())
		}
	}
	return out.flush()
}

func usage() {
	fmt.Print("usage: go run ./bench [-table] MEASURE… | all\n\n")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, m := range measures {
		fmt.Fprintf(w, "%s\t%s\n", m.name, m.what)
		fmt.Fprintf(w, "\tbound: %s\n", m.bound)
		fmt.Fprintf(w, "\tbar: %s\n", strings.Join(m.barTexts(), "; "))
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	fmt.Printf("\nThis machine has %d cores; rates are meant for two.\n", runtime.NumCPU())
}
