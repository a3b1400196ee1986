package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	run := flag.String("run", "", "try only the mutants whose name matches")
	list := flag.Bool("list", false, "list the mutants and what they break")
	quick := flag.Bool("quick", false, "don't run the tests without any mutant first")
	share := flag.String("share", "0/1", "try every n-th mutant from the k-th on: k/n")
	jobs := flag.Int("jobs", max(runtime.NumCPU(), 1), "how many to try at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	caught, err := try(ctx, choice{*run, flag.Args(), *share}, *list, *quick, *jobs)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || !caught {
		os.Exit(1)
	}
}

// choice says which mutants are meant: those that the pattern matches, of them those that are named, if any are, and of those
// the share k/n.
type choice struct {
	pattern string
	names   []string
	share   string
}

func (c choice) of(every []mutant) ([]mutant, error) {
	pattern, err := regexp.Compile(c.pattern)
	if err != nil {
		return nil, err
	}
	var k, n int
	if _, err := fmt.Sscanf(c.share, "%d/%d", &k, &n); err != nil || n < 1 || k < 0 || k >= n {
		return nil, fmt.Errorf("-share is %q; expected k/n, such as 0/2", c.share)
	}
	for _, name := range c.names {
		if !slices.ContainsFunc(every, func(m mutant) bool { return m.name == name }) {
			return nil, fmt.Errorf("there is no mutant %q; -list names them", name)
		}
	}
	var chosen []mutant
	for i, m := range every {
		if i%n == k && pattern.MatchString(m.name) && (len(c.names) == 0 || slices.Contains(c.names, m.name)) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no mutant's name matches %q; -list names them", c.pattern)
	}
	return chosen, nil
}

// try reports whether all chosen mutants were caught.
func try(ctx context.Context, meant choice, list, quick bool, jobs int) (bool, error) {
	chosen, err := meant.of(all())
	if err != nil {
		return false, err
	}
	if list {
		for _, m := range chosen {
			fmt.Printf("%-34s %s\n", m.name, m.breaks)
		}
		return true, nil
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return false, err
	}
	for _, m := range chosen {
		if _, err := m.mutated(root); err != nil {
			return false, err
		}
	}
	folder, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	t := &trial{ctx: ctx, root: root, folder: folder, jobs: jobs, caches: make(chan *cache, jobs)}
	if !quick && !t.sound(chosen) {
		return false, ctx.Err()
	}
	for i := range jobs {
		c, err := linkedCache(ctx, filepath.Join(folder, fmt.Sprintf("cache-%d", i)))
		if err != nil {
			return false, err
		}
		t.caches <- c
	}
	return t.catch(chosen), ctx.Err()
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module's root; run it from the repository: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// trial tries mutants, several at a time.
type trial struct {
	ctx    context.Context //nolint:containedctx // a trial lives as long as one command
	root   string
	folder string
	jobs   int
	caches chan *cache // one a job

	print sync.Mutex
}

// each calls do for 0 to n-1, as many at a time as there are jobs, until the context ends.
func (t *trial) each(n int, do func(i int)) {
	next := make(chan int)
	var all sync.WaitGroup
	for range t.jobs {
		all.Go(func() {
			for i := range next {
				if t.ctx.Err() == nil {
					do(i)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

func (t *trial) say(format string, args ...any) {
	t.print.Lock()
	defer t.print.Unlock()
	fmt.Printf(format+"\n", args...)
}

// sound reports whether the tests that are to catch the mutants pass without them. Those of one package run together.
func (t *trial) sound(mutants []mutant) bool {
	together := merged(mutants)
	failures := make([]bool, len(together))
	t.each(len(together), func(i int) {
		begun := time.Now()
		o := goTest(t.ctx, t.root, together[i], "", "")
		if o.verdict != passed {
			failures[i] = true
			t.say("UNSOUND   %s: without any mutant: %s", together[i], o.reason)
			return
		}
		t.say("sound     %-34s %5.1f s", strings.TrimSpace(together[i].env+" "+together[i].pkg), time.Since(begun).Seconds())
	})
	return !slices.Contains(failures, true)
}

// merged makes one selection of all that have package and environment in common.
func merged(mutants []mutant) []selection {
	runs := map[selection][]string{}
	var order []selection
	for _, m := range mutants {
		for _, s := range m.tests {
			at := selection{pkg: s.pkg, env: s.env}
			if runs[at] == nil {
				order = append(order, at)
			}
			if !slices.Contains(runs[at], s.run) {
				runs[at] = append(runs[at], s.run)
			}
		}
	}
	for i, at := range order {
		slices.Sort(runs[at])
		order[i].run = strings.Join(runs[at], "|")
	}
	return order
}

// catch tries the mutants, a line each, and reports whether all were caught.
func (t *trial) catch(mutants []mutant) bool {
	begun := time.Now()
	caught := make([]bool, len(mutants))
	t.each(len(mutants), func(i int) { caught[i] = t.one(mutants[i]) })
	n := 0
	for _, c := range caught {
		if c {
			n++
		}
	}
	fmt.Printf("minutes=%.1f\ncaught=%d of %d\n", time.Since(begun).Minutes(), n, len(mutants))
	return n == len(mutants)
}

func (t *trial) one(m mutant) bool {
	begun := time.Now()
	folder := filepath.Join(t.folder, m.name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.say("BROKEN    %-34s %v", m.name, err)
		return false
	}
	overlay, err := m.overlay(t.root, folder)
	if err != nil {
		t.say("BROKEN    %-34s %v", m.name, err)
		return false
	}
	builds := <-t.caches
	defer func() {
		if err := builds.prune(); err != nil {
			t.say("the build cache is not pruned: %v", err)
		}
		t.caches <- builds
	}()
	for _, s := range m.tests {
		switch o := goTest(t.ctx, t.root, s, overlay, builds.folder); o.verdict {
		case failed:
			t.say("caught    %-34s %5.1f s  %s %s", m.name, time.Since(begun).Seconds(), s.pkg, o.reason)
			return true
		case broken:
			t.say("BROKEN    %-34s %5.1f s  %s: %s", m.name, time.Since(begun).Seconds(), s, o.reason)
			return false
		case passed:
		}
	}
	t.say("SURVIVED  %-34s %5.1f s  %s; %v", m.name, time.Since(begun).Seconds(), m.breaks, m.tests)
	return false
}
