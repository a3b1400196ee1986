// Package sim tries the whole system on random schedules, in virtual time.
//
// A schedule is a function of its seed: an installation with several workers, a user who submits, repeats, cancels and
// retries, and faults before and after every call, through the real SDK to the embedded endpoint. Workers die, freeze and
// lose answers; calls take effect late; the endpoint throttles, conflicts and breaks; queues deliver twice and out of
// order; events get lost; capacity comes and goes. What befalls a call is drawn from the seed and the call's identity (worker, call, how
// many-th), not from when it comes, so that a failing seed fails again.
//
// After some time all faults end. Then every job must end, and what is left in EC2 must be what the jobs asked for. What
// must hold always is checked at every change. See Run.
package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/rig"
)

// Result is how a schedule went.
type Result struct {
	Seed uint64
	// Calls is how many calls reached the endpoint, Faults how many of them something befell.
	Calls  int64
	Faults int
	// Jobs is how many the user submitted.
	Jobs int
	// Rollouts is how many rollouts were measured, and Floor the least share of a fleet that served meanwhile, less the promised.
	Rollouts int
	Floor    float64
	// Violations are the promises that were broken; empty: none.
	Violations []string
	// Story is the schedule in a few lines: what the user did and what befell whom, in order.
	Story []string
}

// Broken reports whether a promise was broken.
func (r *Result) Broken() bool { return len(r.Violations) > 0 }

// Options change what a schedule is judged by; the zero value is what make sim runs.
type Options struct {
	// Sabotage, if not nil, may break the installation after it was set up: a test sees by it that violations are found.
	Sabotage func(*rig.Rig)
	// Trace tells every call of a worker in the story.
	Trace bool
	// Only, if not empty, plays the named one of Stories in every schedule, and no other jobs.
	Only string
	// Calm leaves all faults out: then a job that needs none of them must succeed.
	Calm bool
}

// Limits of a schedule, in the bubble's time.
const (
	stormy   = 30 * time.Minute // until then something may befall calls
	patience = 40 * time.Hour   // by then all jobs must have ended: an undo that cannot go on is given up after a day
)

// Run plays the seed's schedule. It must run in a testing/synctest bubble.
func Run(ctx context.Context, seed uint64, o Options) (*Result, error) {
	s := &schedule{dice: dice{seed}, trace: o.Trace, begun: time.Now(), result: Result{Seed: seed}}
	s.plan = drawPlan(s.dice, o.Only)
	s.weather = drawWeather(s.dice)
	if o.Calm {
		s.weather = weather{workers: s.weather.workers}
		s.plan.calm()
	}
	r, err := rig.New(s.config())
	if err != nil {
		return nil, err
	}
	s.rig = r
	err = s.play(ctx, o)
	if closed := r.Close(); err == nil {
		err = closed
	}
	s.result.Calls = s.calls()
	return &s.result, err
}

// schedule is one run.
type schedule struct {
	dice
	plan    *plan
	weather weather
	rig     *rig.Rig
	begun   time.Time
	trace   bool

	mu      sync.Mutex
	result  Result
	met     map[string]int // how many-th call of its identity
	claimer map[string]string
	turns   map[string]int // when a job last came to own its fleet
	taken   int
	slots   map[string]*slots
	held    map[string]time.Duration // since when the ledger names a server
	rolls   bool                     // the wheel's rollout owns its fleet
	base    base                     // as it stood then
	deaths  int
	freezes int
	backs   []back
	killed  map[string]bool // servers that EC2 ended by itself
	foreign map[string]bool
	known   map[string]bool // violations told already
}

func (s *schedule) play(ctx context.Context, o Options) error {
	s.killed = map[string]bool{}
	s.held = map[string]time.Duration{}
	s.met, s.claimer, s.known, s.turns = map[string]int{}, map[string]string{}, map[string]bool{}, map[string]int{}
	foreign, err := s.settle(ctx)
	if err != nil {
		return fmt.Errorf("what is not ours cannot be made: %w", err)
	}
	s.watch()
	if o.Sabotage != nil {
		o.Sabotage(s.rig)
	}
	crew, over := s.hire(), make(chan struct{})
	var parts sync.WaitGroup
	parts.Go(func() { s.troubles(ctx, over) })
	done := s.user(ctx)
	err = errors.Join(done, s.finish(ctx, foreign))
	close(over)
	parts.Wait()
	crew.dismiss()
	return err
}

// now is how long the schedule has run.
func (s *schedule) now() time.Duration { return time.Since(s.begun) }

// tell adds a line to the schedule's story.
func (s *schedule) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLocked(format, args...)
}

func (s *schedule) tellLocked(format string, args ...any) {
	at := s.now()
	s.result.Story = append(s.result.Story, fmt.Sprintf("%02d:%02d:%06.3f  %s", int(at.Hours()), int(at.Minutes())%60, (at%time.Minute).Seconds(), fmt.Sprintf(format, args...)))
}

// violate notes a broken promise, once.
func (s *schedule) violate(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if s.known[text] || len(s.result.Violations) >= 20 {
		return
	}
	s.known[text] = true
	s.result.Violations = append(s.result.Violations, text)
	s.tellLocked("VIOLATION: %s", text)
}

func (s *schedule) calls() (total int64) {
	for _, c := range s.rig.Endpoint.Calls() {
		total += c.Calls
	}
	return total
}

// Short is the story's last lines before and at the first violation, few enough to read.
func (r *Result) Short(lines int) []string {
	first := slices.IndexFunc(r.Story, func(l string) bool { return len(l) > 12 && slices.Contains([]string{"VIOL"}, l[14:min(18, len(l))]) })
	if first < 0 {
		first = len(r.Story) - 1
	}
	return r.Story[max(0, first+1-lines) : first+1]
}
