package main

import (
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

func ended(c change, runs ...jobs.State) *request {
	r := &request{change: c, ended: map[int]jobs.State{}}
	for n, state := range runs {
		r.ended[n+1] = state
	}
	return r
}

func TestAFleetIsWhatItsEndedJobsSay(t *testing.T) {
	t.Parallel()
	two := 2
	grow, cut := change{count: 5}, change{to: &two}
	without := change{gone: ordinals.Between(1, 2)}
	for _, c := range []struct {
		name  string
		held  ordinals.Set
		round []*request
		fits  []ordinals.Set
		not   []ordinals.Set
	}{
		{"a launch fills gaps first", ordinals.Of(0, 2, 7), []*request{ended(grow, succeeded)}, []ordinals.Set{ordinals.Of(0, 1, 2, 3, 7)}, []ordinals.Set{ordinals.Between(0, 4)}},
		{"a launch never shrinks", ordinals.Between(0, 6), []*request{ended(grow, succeeded)}, []ordinals.Set{ordinals.Between(0, 6)}, []ordinals.Set{ordinals.Between(0, 4)}},
		{"a cancelled launch leaves nothing", ordinals.Of(0), []*request{ended(grow, cancelled)}, []ordinals.Set{ordinals.Of(0)}, []ordinals.Set{ordinals.Between(0, 4), {}}},
		{"a retried one counts", ordinals.Of(0), []*request{ended(grow, cancelled, succeeded)}, []ordinals.Set{ordinals.Between(0, 4)}, []ordinals.Set{ordinals.Of(0)}},
		{"the highest go", ordinals.Between(0, 4), []*request{ended(cut, succeeded)}, []ordinals.Set{ordinals.Between(0, 1)}, []ordinals.Set{ordinals.Between(0, 2), ordinals.Of(0)}},
		{"these go", ordinals.Between(0, 4), []*request{ended(without, succeeded)}, []ordinals.Set{ordinals.Of(0, 3, 4)}, []ordinals.Set{ordinals.Of(0, 2, 3, 4)}},
		{"all go", ordinals.Between(0, 4), []*request{ended(change{all: true}, succeeded)}, []ordinals.Set{{}}, []ordinals.Set{ordinals.Of(4)}},
		{"a cancelled termination may have got anywhere", ordinals.Between(0, 4), []*request{ended(without, cancelled)},
			[]ordinals.Set{ordinals.Between(0, 4), ordinals.Of(0, 2, 3, 4), ordinals.Of(0, 3, 4)}, []ordinals.Set{ordinals.Of(0, 3)}},
		{"a termination may fail without a fleet", ordinals.Set{}, []*request{ended(cut, failed)}, []ordinals.Set{{}}, []ordinals.Set{ordinals.Of(0)}},
		{"and not with one", ordinals.Of(0), []*request{ended(cut, failed)}, nil, []ordinals.Set{{}, ordinals.Of(0)}},
		{"two in either order", ordinals.Between(0, 3), []*request{ended(grow, succeeded), ended(cut, succeeded)},
			[]ordinals.Set{ordinals.Between(0, 4), ordinals.Between(0, 1)}, []ordinals.Set{ordinals.Between(0, 3), ordinals.Between(0, 2)}},
	} {
		fits := func(has ordinals.Set) bool {
			for _, p := range outcomes(c.held, c.round) {
				if p.fits(has) {
					return true
				}
			}
			return false
		}
		for _, has := range c.fits {
			if !fits(has) {
				t.Errorf("%s: %q does not fit", c.name, orNone(has))
			}
		}
		for _, has := range c.not {
			if fits(has) {
				t.Errorf("%s: %q fits", c.name, orNone(has))
			}
		}
	}
}
