package ledger

import (
	"maps"
	"math"
	"time"
)

// Usual is how long something took for the last versions of an image: an exponential mean, and the mean deviation from it,
// in seconds. The zero value knows nothing.
type Usual struct {
	Mean      float64 `json:"mean"`
	Deviation float64 `json:"deviation"`
}

// The weights are those with which TCP learns round trips: a quarter for the newest. What is always the same may still
// change, so that the deviation never counts for less than a sixteenth of the mean.
const (
	newest         = 0.25
	leastDeviation = 0.0625
)

// With is what is usual after it took so many seconds once more.
func (u Usual) With(took float64) Usual {
	x := max(took, 0)
	if u.Mean <= 0 {
		return Usual{Mean: tenths(x), Deviation: tenths(x / 4)}
	}
	off := x - u.Mean
	return Usual{Mean: tenths(u.Mean + newest*off), Deviation: tenths(u.Deviation + newest*(math.Abs(off)-u.Deviation))}
}

// Early is after how long it is likely to be done soon: one deviation before the mean. Known is false where nothing is known.
func (u Usual) Early() (after time.Duration, known bool) {
	if u.Mean <= 0 {
		return 0, false
	}
	early := u.Mean - max(u.Deviation, leastDeviation*u.Mean)
	return time.Duration(max(early, 0) * float64(time.Second)), true
}

// Learnt is what is usual of each thing after these took so many seconds.
func Learnt(usual map[string]Usual, took map[string]float64) map[string]Usual {
	if len(took) == 0 {
		return usual
	}
	all := make(map[string]Usual, len(usual)+len(took))
	maps.Copy(all, usual)
	for thing, seconds := range took {
		all[thing] = all[thing].With(seconds)
	}
	return all
}

func tenths(x float64) float64 { return math.Round(x*10) / 10 }
