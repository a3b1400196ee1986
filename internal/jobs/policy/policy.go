package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/policy/cron"
)

// Head is what is read of every policy at every look: small.
type Head struct {
	Name string `json:"name"`
	// Incarnation is random and made with the policy, Generation counts its specs: both are in the keys of its jobs.
	Incarnation string `json:"incarnation"`
	Generation  int    `json:"generation"`
	// Revision is raised by every write and is the condition of the next.
	Revision int       `json:"revision"`
	Applied  time.Time `json:"applied"`
	Paused   bool      `json:"paused,omitempty"`
	// Ticked is the last instant of the clock that was acted on, Checked when images were looked at last, Asked the instant of
	// the last tick message.
	Ticked  time.Time `json:"ticked"`
	Checked time.Time `json:"checked,omitzero"`
	Asked   time.Time `json:"asked,omitzero"`
	// Due is when the policy is to be looked at; zero: not by itself.
	Due time.Time `json:"due,omitzero"`
	// Pending is how many submissions are stored and may not have been sent.
	Pending int `json:"pending,omitempty"`
	// Note is what a person should know of the last look.
	Note string `json:"note,omitempty"`
	// Runs are the last ones, newest first.
	Runs []Run `json:"runs,omitempty"`
}

// Run is one time that a policy acted.
type Run struct {
	At    time.Time `json:"at"`
	Cause string    `json:"cause"`
	Jobs  []Sent    `json:"jobs"`
}

// Sent is a job that a policy submitted.
type Sent struct {
	Job  string `json:"job"`
	Name string `json:"name"`
}

// Policy is a kept policy.
type Policy struct {
	Head
	// Target, Labels and Priority are the document's.
	Target   jobs.Target       `json:"target"`
	Labels   map[string]string `json:"labels,omitempty"`
	Priority jobs.Priority     `json:"priority,omitempty"`
	Spec     Spec              `json:"spec"`
	// Tries are what was last done about an image.
	Tries map[string]Try `json:"tries,omitempty"`
}

// Try is what was last done about an image, and why.
type Try struct {
	Cause string    `json:"cause"`
	At    time.Time `json:"at"`
	Times int       `json:"times"`
}

// ErrChanged says that somebody else has written the policy since it was read.
var ErrChanged = errors.New("somebody else has changed the policy")

// Store keeps policies. Its writes are on condition of the revision that was read, and answer ErrChanged where it has passed;
// a write that is already there is done.
type Store interface {
	// Policies reads the heads of all policies, by one query where they fit a page.
	Policies(ctx context.Context) ([]Head, error)
	// Policy reads one as it is now.
	Policy(ctx context.Context, name string) (Policy, bool, error)
	// PutPolicy writes the policy, a new one where Revision is 0, and stores the submissions that are to be sent.
	PutPolicy(ctx context.Context, p Policy, pending []*jobs.Message) (Policy, error)
	// Pending reads the stored submissions; SentPending forgets them.
	Pending(ctx context.Context, name string) ([]*jobs.Message, error)
	SentPending(ctx context.Context, p Policy) (Policy, error)
	DeletePolicy(ctx context.Context, p Policy) error
}

// ErrSame says that a policy stands as it is applied.
var ErrSame = errors.New("the policy is kept already, just so")

// Apply gives the policy that a document makes of the one that stands, nil where none does. Times before it are not made up
// for: where the occasions change, they count from now on.
func Apply(stands *Policy, next Policy, now time.Time) (Policy, error) {
	before, err := next.digest()
	if err != nil {
		return Policy{}, err
	}
	if stands == nil {
		next.Head = Head{Name: next.Name, Incarnation: jobs.NewIncarnation(), Generation: 1, Applied: now, Ticked: now}
		return next.rescheduled(now), nil
	}
	same, err := stands.digest()
	if err != nil {
		return Policy{}, err
	}
	if same == before {
		return *stands, ErrSame
	}
	next.Head, next.Tries = stands.Head, stands.Tries
	next.Generation, next.Applied, next.Note = stands.Generation+1, now, ""
	if next.Spec.When != stands.Spec.When {
		next.Ticked, next.Checked, next.Asked = now, time.Time{}, time.Time{}
	}
	return next.rescheduled(now), nil
}

// Resume gives the policy that is no longer paused: what it missed meanwhile is not made up for.
func Resume(p Policy, now time.Time) Policy {
	p.Paused, p.Ticked, p.Note = false, now, ""
	return p.rescheduled(now)
}

// Pause gives the policy that does nothing until it is resumed.
func Pause(p Policy) Policy {
	p.Paused, p.Due, p.Note = true, time.Time{}, ""
	return p
}

// digest is of what a document says.
func (p Policy) digest() (string, error) {
	p.Head, p.Tries = Head{}, nil
	raw, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	return jobs.Digest(raw)
}

// rescheduled sets when the policy is looked at next.
func (p Policy) rescheduled(now time.Time) Policy {
	p.Due = p.next(now)
	return p
}

// next is when an occasion can come next.
func (p Policy) next(now time.Time) time.Time {
	var due time.Time
	sooner := func(at time.Time) {
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	if at, ok := p.NextTick(now); ok {
		sooner(at)
	}
	if p.Spec.When.Message && p.Asked.After(p.Ticked) {
		sooner(p.Asked)
	}
	if p.Spec.When.watches() {
		sooner(p.Checked.Add(p.Spec.When.Check.Or(DefaultCheck)))
	}
	return due
}

// NextTick is when the clock makes an occasion next.
func (p Policy) NextTick(now time.Time) (next time.Time, ok bool) {
	w := p.Spec.When
	if w.Schedule != "" {
		if schedule, zone, err := w.clock(); err == nil {
			next, ok = schedule.Next(now.In(zone))
		}
	}
	if every := time.Duration(w.Every); every > 0 {
		if at := now.UTC().Truncate(every).Add(every); !ok || at.Before(next) {
			next, ok = at, true
		}
	}
	return next, ok
}

// tick is the last instant of the clock, up to now, that was not acted on.
func (p Policy) tick(now time.Time) (latest time.Time, ok bool) {
	w := p.Spec.When
	later := func(at time.Time) {
		if at.After(p.Ticked) && (!ok || at.After(latest)) {
			latest, ok = at, true
		}
	}
	if w.Schedule != "" {
		if schedule, zone, err := w.clock(); err == nil {
			if at, due := schedule.Latest(p.Ticked, now.In(zone)); due {
				later(at)
			}
		}
	}
	if every := time.Duration(w.Every); every > 0 {
		later(now.UTC().Truncate(every))
	}
	if w.Message && !p.Asked.After(now) {
		later(p.Asked)
	}
	return latest.UTC(), ok
}

func (w When) clock() (cron.Schedule, *time.Location, error) {
	schedule, err := cron.Parse(w.Schedule)
	if err != nil {
		return schedule, nil, err
	}
	zone, err := Zone(w.Zone)
	return schedule, zone, err
}

// key is the key of a job that the policy submits for the cause.
func (p Policy) key(cause string) string {
	return fmt.Sprintf("%s.%s.%d.%s", p.Name, p.Incarnation, p.Generation, cause)
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}
