package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

const (
	succeeded = jobs.Succeeded
	failed    = jobs.Failed
	cancelled = jobs.Cancelled
)

// change is what a job does to a fleet when it succeeds: exactly one of its fields says what.
type change struct {
	count int          // Launch: the desired total
	gone  ordinals.Set // Terminate: these ordinals
	to    *int         // Terminate: the total
	all   bool         // Terminate: every server
	roll  roll         // Rollout or Restamp: the same ordinals, with new servers
}

// roll is how a fleet is brought to another image.
type roll string

const (
	byRollout roll = "Rollout"
	byRestamp roll = "Restamp" // which renews the image first
)

// drawChange mostly grows a fleet by some servers, now and then by many, and cuts it down again.
func drawChange(dice *rand.Rand, held ordinals.Set) change {
	roll, size, more, many, at, run := dice.IntN(100), dice.IntN(100), 1+dice.IntN(20), 5+dice.IntN(most-5), dice.IntN(most), dice.IntN(8)
	share := dice.Float64()
	switch rolls := dice.IntN(100); {
	case held.Len() > 0 && rolls < 30:
		return change{roll: byRollout}
	case held.Len() > 0 && rolls < 45:
		return change{roll: byRestamp}
	}
	switch {
	case held.Len() == 0, held.Len() < most && roll < 55:
		if size >= 80 {
			return change{count: many} // fewer than there are, perhaps: then nothing is to be done
		}
		return change{count: min(held.Len()+more, most)}
	case roll < 72:
		first := held.List()[at%held.Len()]
		return change{gone: ordinals.Between(first, first+run)}
	case roll < 93:
		to := int(share * float64(held.Len()))
		return change{to: &to}
	}
	return change{all: true}
}

// shrinks: it is a termination.
func (c change) shrinks() bool { return c.count == 0 && c.roll == "" }

// spec is how a Terminate says it.
func (c change) spec() string {
	switch {
	case c.all:
		return "all: true"
	case c.to != nil:
		return fmt.Sprintf("to: %d", *c.to)
	}
	return fmt.Sprintf("ordinals: [%s]", c.gone)
}

func (c change) String() string {
	switch {
	case c.roll != "":
		return "by " + string(c.roll)
	case !c.shrinks():
		return fmt.Sprintf("count: %d", c.count)
	}
	return c.spec()
}

// applied is what the fleet has after the change.
func (c change) applied(held ordinals.Set) ordinals.Set {
	switch {
	case c.roll != "":
		return held
	case c.all:
		return ordinals.Set{}
	case c.to != nil:
		return held.Lowest(*c.to)
	case c.shrinks():
		return held.Minus(c.gone)
	case c.count <= held.Len():
		return held
	}
	return held.Plus(ordinals.Between(0, c.count-1).Minus(held).Lowest(c.count - held.Len()))
}

// possible is what a fleet may be: at least these ordinals, at most those.
type possible struct{ least, most ordinals.Set }

func (p possible) fits(has ordinals.Set) bool {
	return p.least.Minus(has).Empty() && has.Minus(p.most).Empty()
}

func (p possible) String() string {
	if p.least.String() == p.most.String() {
		return orNone(p.least)
	}
	return fmt.Sprintf("between %s and %s", orNone(p.least), orNone(p.most))
}

// outcomes is what a round's jobs, all ended, may have made of the fleet, in whichever order they got hold of it.
func outcomes(held ordinals.Set, round []*request) []possible {
	if len(round) == 1 {
		return after(held, round[0])
	}
	var all []possible
	for i, r := range round {
		rest := slices.Delete(slices.Clone(round), i, i+1)
		for _, p := range after(held, r) {
			all = append(all, outcomes(p.least, rest)...)
		}
	}
	return all
}

// after is what one job may have made of the fleet; nothing, if it cannot have ended so.
func after(held ordinals.Set, r *request) []possible {
	same := possible{held, held}
	done := r.change.applied(held)
	switch last := r.last(); {
	case last == succeeded:
		return []possible{{done, done}}
	case !r.change.shrinks(), last == failed && held.Empty(): // there may be no fleet any more
		return []possible{same}
	case last == cancelled:
		return []possible{{done, held}} // what was terminated stays so
	}
	return nil
}

// last is the state in which the last run ended.
func (r *request) last() jobs.State {
	run := 0
	var state jobs.State
	for number, ended := range r.ended {
		if number > run {
			run, state = number, ended
		}
	}
	return state
}

func orNone(set ordinals.Set) string {
	if set.Empty() {
		return "none"
	}
	return set.String()
}

func tell(round []*request) string {
	var parts []string
	for _, r := range round {
		parts = append(parts, fmt.Sprintf("%s (%s, %s)", r.id, r.change, r.last()))
	}
	return strings.Join(parts, " and ")
}

func tellAll(wanted []possible) string {
	var parts []string
	for _, w := range wanted {
		parts = append(parts, w.String())
	}
	if len(parts) == 0 {
		return "that none of them ended so"
	}
	return strings.Join(parts, ", or ")
}

// mayLackItsFleet: a roll may come to its turn when the fleet was terminated.
func (r *request) mayLackItsFleet() bool { return r.change.roll != "" && r.besideATermination }
