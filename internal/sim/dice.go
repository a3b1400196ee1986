package sim

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// dice draws what happens: each draw is a function of the seed and of what it is for.
type dice struct{ seed uint64 }

// at is a source of its own for the given purpose.
func (d dice) at(purpose ...string) *draw {
	hash := fnv.New64a()
	hash.Write(strconv.AppendUint(nil, d.seed, 10)) // a hash never fails to write
	for _, p := range purpose {
		hash.Write([]byte{0})
		hash.Write([]byte(p))
	}
	return &draw{rand.New(rand.NewPCG(hash.Sum64(), d.seed))}
}

// draw is a sequence of draws.
type draw struct{ *rand.Rand }

// chance is true with the probability.
func (d *draw) chance(p float64) bool { return p > 0 && d.Float64() < p }

// between is evenly from a to b.
func (d *draw) between(a, b time.Duration) time.Duration {
	return a + time.Duration(d.Int64N(int64(b-a)+1))
}

// seldom is a probability between low and high, small ones as often as large ones, in the given share of schedules; else 0.
func (d *draw) seldom(share, low, high float64) float64 {
	p := low * math.Pow(high/low, d.Float64())
	if !d.chance(share) {
		return 0
	}
	return p
}

func pick[T any](d *draw, list ...T) T { return list[d.IntN(len(list))] }
