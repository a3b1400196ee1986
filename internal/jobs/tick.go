package jobs

import (
	"context"
	"fmt"
	"time"
)

// Ticker looks at a policy when a message asks for it. Refused, if not empty, is why the message goes to the dead letters.
type Ticker interface {
	Tick(ctx context.Context, policy string, at time.Time) (refused string, err error)
}

// tick carries a tick message out. It has no claim: whoever looks at a policy at the same time, one of them acts.
func (e *Engine) tick(ctx context.Context, d *Delivery, m *Message) Outcome {
	if e.Ticker == nil {
		return hidden(strangerHide) // for a worker that knows policies
	}
	ctx, cancel := context.WithTimeout(ctx, e.Times.Lease)
	defer cancel()
	reason, err := e.Ticker.Tick(ctx, m.Policy, m.At)
	switch {
	case err != nil:
		e.Log.Warn("cannot look at a policy", "policy", m.Policy, "error", err)
		return hidden(d.patience())
	case reason != "":
		return refused(reason)
	}
	return deleted()
}

func (m *Message) checkTick() error {
	switch {
	case !namePattern.MatchString(m.Policy):
		return fmt.Errorf(`"policy" is %q; expected the name of a policy`, clip(m.Policy))
	case m.At.IsZero():
		return fmt.Errorf(`"at" is missing; expected the instant that is meant, such as 2026-11-10T02:00:00Z`)
	}
	return nil
}
