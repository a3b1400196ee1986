package budget

import "time"

// Forecast is how long so many requests, and servers, of a class would wait for the last of them, if all came now and nobody
// came after them. It takes nothing.
func (b Bucket) Forecast(limit Limit, now time.Time, ask Ask) (requests, resources time.Duration) {
	b = b.Clone()
	b.Advance(limit, now)
	requests = b.Requests.forecast(limit.Requests, b.At, ask.Class, ask.Requests)
	if b.Resources != nil {
		resources = b.Resources.forecast(limit.Resources, b.At, ask.Class, ask.Resources)
	}
	return requests, resources
}

// forecast finds when the line's new end is served. The rate can only recover, so that it is no later than at the rate of now.
func (t Tokens) forecast(r Rate, at time.Time, class Class, tokens float64) time.Duration {
	if tokens <= 0 {
		return 0
	}
	end := t.join(class, tokens)
	early, late := time.Duration(0), t.until(r, at, class, end)
	if late == 0 {
		return 0
	}
	for late-early > time.Millisecond {
		middle := early + (late-early)/2
		then := t.clone()
		then.advance(r, at, at.Add(middle))
		if then.Lines[class].Served < end-tiny {
			early = middle
		} else {
			late = middle
		}
	}
	return late
}

// Ahead is how many tokens are waited for by those whom a newcomer of the class does not pass.
func (t Tokens) Ahead(class Class) (tokens float64) {
	for _, line := range t.Lines[:class+1] {
		tokens += line.Waiting()
	}
	return tokens
}
