package budget

import (
	"math"
	"slices"
)

// Class is a priority, most urgent first.
type Class int

// The three classes.
const (
	High Class = iota
	Normal
	Low
	classes
)

// shares are the parts of the tokens that a class gets while it waits; what the classes that don't wait would get goes to
// the most urgent one that does. So an urgent call passes the others' line, and they never starve.
var shares = [classes]float64{13. / 16, 2. / 16, 1. / 16}

// tiny is less than any token; sums of refills are exact to that.
const tiny = 1e-6

// maxHoles bounds what a line remembers of places that were given back; those beyond are wasted.
const maxHoles = 64

// Line is the line of one class, counted in tokens: places are handed out at its end, and served from its beginning. It
// never holds its places themselves: a place is where it ends.
type Line struct {
	Issued float64 `json:"i,omitempty"`
	Served float64 `json:"s,omitempty"`
	// Holes are the parts ahead that were given back, each from and to, in order.
	Holes [][2]float64 `json:"h,omitempty"`
}

// gap is how many tokens lead to the line's next hole or its end; 0: nobody waits.
func (l *Line) gap() float64 {
	for len(l.Holes) > 0 && l.Holes[0][0] <= l.Served+tiny {
		l.Served = max(l.Served, l.Holes[0][1])
		l.Holes = l.Holes[1:]
	}
	end := l.Issued
	if len(l.Holes) > 0 {
		end = l.Holes[0][0]
	}
	if end-l.Served <= tiny {
		return 0
	}
	return end - l.Served
}

// serve moves on by so many tokens, and to the next boundary if it is that near.
func (l *Line) serve(tokens, gap float64) {
	if gap-tokens <= tiny {
		tokens = gap
	}
	l.Served += tokens
}

// Waiting is how many tokens are waited for.
func (l *Line) Waiting() float64 {
	waiting := l.Issued - l.Served
	for _, hole := range l.Holes {
		waiting -= max(hole[1]-max(hole[0], l.Served), 0)
	}
	return max(waiting, 0)
}

// giveBack takes a place that ends there out of the line. It gives the tokens that were served to it already.
func (l *Line) giveBack(end, tokens float64) (served float64) {
	from := end - tokens
	served = min(max(l.Served-from, 0), tokens)
	from += served
	switch {
	case end-from <= tiny:
	case end >= l.Issued-tiny:
		l.Issued = from
		if n := len(l.Holes); n > 0 && l.Holes[n-1][1] >= from-tiny { // the hole before it is at the end now
			l.Issued = max(l.Holes[n-1][0], l.Served)
			l.Holes = l.Holes[:n-1]
		}
	default:
		l.addHole(from, end)
	}
	return served
}

func (l *Line) addHole(from, end float64) {
	at, _ := slices.BinarySearchFunc(l.Holes, from, func(hole [2]float64, from float64) int {
		if hole[0] < from {
			return -1
		}
		return 1
	})
	holes := slices.Insert(slices.Clone(l.Holes), at, [2]float64{from, end})
	merged := holes[:1]
	for _, hole := range holes[1:] {
		if last := &merged[len(merged)-1]; hole[0] <= last[1]+tiny {
			last[1] = max(last[1], hole[1])
		} else {
			merged = append(merged, hole)
		}
	}
	if len(merged) <= maxHoles {
		l.Holes = merged
	}
}

// flow is how the next tokens are shared: what each line gets of one, and after how many tokens that changes.
func flow(lines *[classes]Line) (parts, gaps [classes]float64, step float64) {
	first, given := -1, 0.
	for class := range lines {
		if gaps[class] = lines[class].gap(); gaps[class] == 0 {
			continue
		}
		if first < 0 {
			first = class
		}
		parts[class] = shares[class]
		given += shares[class]
	}
	if first < 0 {
		return parts, gaps, 0
	}
	parts[first] += 1 - given
	step = math.Inf(1)
	for class, part := range parts {
		if part > 0 {
			step = min(step, gaps[class]/part)
		}
	}
	return parts, gaps, step
}

// hand serves tokens to the lines and gives those that nobody waits for.
func hand(lines *[classes]Line, tokens float64) float64 {
	for tokens > tiny {
		parts, gaps, step := flow(lines)
		if step == 0 {
			break
		}
		step = min(step, tokens)
		for class := range lines {
			lines[class].serve(parts[class]*step, gaps[class])
		}
		tokens -= step
	}
	return tokens
}

// ahead is how many tokens have to come until the class's line has served up to end, if nobody else joins a line.
func ahead(lines [classes]Line, class Class, end float64) float64 {
	tokens := 0.
	for lines[class].gap() > 0 && lines[class].Served < end-tiny {
		parts, gaps, step := flow(&lines)
		step = min(step, (end-lines[class].Served)/parts[class])
		for i := range lines {
			lines[i].serve(parts[i]*step, gaps[i])
		}
		tokens += step
	}
	return tokens
}
