package jobs

import (
	"fmt"
	"regexp"
	"time"
)

// Verb is what an order wants of a job that is under way.
type Verb string

// The verbs. What a job does about one is its kind's to say; most do nothing.
const (
	Approve Verb = "approve"
	Pause   Verb = "pause"
	Resume  Verb = "resume"
	Revert  Verb = "rollback"
)

// Verbs lists the verbs.
var Verbs = []Verb{Approve, Pause, Resume, Revert}

// Order is what somebody asked of a run of a job, and when. Of two with the same verb the newer one counts; of two that were given
// at the same instant the one whose value sorts last, whichever comes first.
type Order struct {
	// Value narrows the verb down: the wave that is approved. It may be empty.
	Value string    `json:"value,omitempty"`
	At    time.Time `json:"at"`
}

// After reports whether the order counts before another of its verb.
func (o Order) After(other Order) bool {
	return o.At.After(other.At) || o.At.Equal(other.At) && o.Value > other.Value
}

// Paused reports whether the job was ordered to pause, and neither to go on nor to go back since. Orders may come in another
// order than they were given in.
func (j *Job) Paused() bool {
	pause := j.Orders[Pause].At
	return pause.After(j.Orders[Resume].At) && pause.After(j.Orders[Revert].At)
}

var valuePattern = regexp.MustCompile(`^[\x20-\x7e]{0,200}$`)

func (m *Message) order() Order {
	return Order{Value: m.Value, At: m.At.UTC().Truncate(time.Millisecond)}
}

func (m *Message) checkOrder() error {
	known := false
	for _, verb := range Verbs {
		known = known || m.Verb == verb
	}
	switch {
	case !known:
		return fmt.Errorf(`"verb" is %q; expected one of %v`, clip(string(m.Verb)), Verbs)
	case m.At.IsZero() || m.At.Year() > 9999:
		return fmt.Errorf(`"at" is %s; expected when the order was given`, m.At)
	case !valuePattern.MatchString(m.Value):
		return fmt.Errorf(`"value" is %q; expected at most 200 printable ASCII characters`, clip(m.Value))
	}
	return nil
}

// ordered: the message brings an order for the job's run that is newer than the one known.
func (m *Message) ordered(job *Job) bool {
	return m.Type == Ordering && m.Run == job.Run && m.order().After(job.Orders[m.Verb])
}
