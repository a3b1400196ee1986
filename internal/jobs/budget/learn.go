package budget

import "time"

const (
	// backOff is what a throttle leaves of the rate, leastFactor where that ends. It has to fall below what somebody else leaves,
	// or the next call is refused as well: a bucket that is taken from is nearly empty, and forgives nothing.
	backOff     = 0.5
	leastFactor = 0.1
	// once is how long the throttles of calls that were under way together count as one.
	once = 5 * time.Second
	// proven is the part of the rate that must have been there, for at least provenFor, for a throttle to be a stray one:
	// somebody took many servers at once. A throttle so soon after a stray one is of the same doing.
	proven            = 0.75
	provenFor, relate = time.Minute, 2 * time.Minute
)

// recovery is how long a rate takes to come back after a throttle: several times what fills the bucket, since what somebody
// else takes of it shows that late, and each attempt at the whole rate costs a refusal; at least a minute and at most two hours.
// After a stray one it is the time that fills the bucket, and some.
func recovery(r Rate, stray bool) time.Duration {
	fills := 14.
	if stray {
		fills = 1.2
	}
	return min(max(time.Duration(fills*r.Size/r.Refill*float64(time.Second)), time.Minute), 2*time.Hour)
}

// Throttle takes in that EC2 refused a call though its tokens were there: somebody else takes of them too. The bucket is
// empty then, and refills slower. All workers' refusals of one moment move it once.
func (b *Bucket) Throttle(limit Limit, now time.Time, ask Ask) (moved bool) {
	b.Advance(limit, now)
	if !b.Throttled.IsZero() && now.Sub(b.Throttled) < once {
		return false
	}
	b.Throttles++
	b.Throttled = now
	if b.Resources == nil || ask.Resources == 0 {
		b.Requests.throttle(limit.Requests, now, ask.Requests)
		return true
	}
	// EC2 does not say which of the two was empty. Requests are suspected where they are short by our own count, servers
	// otherwise: if that was wrong the next refusal tells, when requests have come back. A call for one server takes as
	// much of both.
	requests, single := b.Requests.Level < limit.Requests.Size/4, ask.Resources <= 1
	if requests || single {
		b.Requests.throttle(limit.Requests, now, ask.Requests)
	}
	if !requests || single {
		b.Resources.throttle(limit.Resources, now, ask.Resources)
	} else { // EC2 took none of the servers' tokens: they are there for the next try
		b.Resources.Level = min(hand(&b.Resources.Lines, b.Resources.Level+ask.Resources), limit.Resources.Size)
	}
	return true
}

func (t *Tokens) throttle(r Rate, now time.Time, asked float64) {
	stray := t.stray(r, now, asked)
	t.Factor = max(t.rate(r, now)/r.Refill*backOff, leastFactor)
	t.Learned, t.Known, t.Stray, t.Level = now, now, stray, 0
}

// stray reports whether until the refusal of a call for so many tokens most of the rate was there: nobody takes of it
// steadily. What came by our count, but for the tokens that are left and the refused ones, EC2 has granted.
func (t *Tokens) stray(r Rate, now time.Time, asked float64) bool {
	if t.Stray && now.Sub(t.Learned) < relate {
		return true
	}
	since := now.Sub(t.Known)
	if t.Known.IsZero() || since < provenFor {
		return false
	}
	granted := t.come(r, t.Known, now) - t.Level - asked
	return granted >= proven*r.Refill*since.Seconds()
}

// rate is the refill a second at an instant. It recovers slowly first: the bucket is likely to be as contended as it was.
func (t *Tokens) rate(r Rate, now time.Time) float64 {
	if t.Factor == 0 {
		return r.Refill
	}
	x := min(float64(max(now.Sub(t.Learned), 0))/float64(recovery(r, t.Stray)), 1)
	return r.Refill * (t.Factor + (1-t.Factor)*x*x)
}

// come is how many tokens come between two instants: the rate's integral.
func (t *Tokens) come(r Rate, from, to time.Time) float64 {
	seconds := to.Sub(from).Seconds()
	if t.Factor == 0 || seconds <= 0 {
		return max(seconds, 0) * r.Refill
	}
	span := recovery(r, t.Stray).Seconds()
	upTo := func(at time.Time) float64 { // since Learned
		s := max(at.Sub(t.Learned).Seconds(), 0)
		x := min(s/span, 1)
		return t.Factor*min(s, span) + (1-t.Factor)*x*x*x/3*span + max(s-span, 0)
	}
	return r.Refill * (upTo(to) - upTo(from))
}
