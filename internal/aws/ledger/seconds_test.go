package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// relay is a fleet "front" of so many servers, each with its successor in the second slot.
func (b *bundle) relay(g jobs.Guard, count int) []l.Swap {
	b.t.Helper()
	var swaps []l.Swap
	var holders, seconds []l.Server
	for ordinal := range count {
		s := l.Swap{Old: l.Server{Fleet: "front", Ordinal: ordinal, InstanceID: fmt.Sprint("i-old-", ordinal), Incarnation: "A"},
			New: l.Server{Fleet: "front", Ordinal: ordinal, InstanceID: fmt.Sprint("i-new-", ordinal), Incarnation: "B"}}
		swaps, holders, seconds = append(swaps, s), append(holders, s.Old), append(seconds, s.New)
	}
	if err := errors.Join(b.PutServers(b.t.Context(), g, holders), b.PutSeconds(b.t.Context(), g, seconds)); err != nil {
		b.t.Fatal(err)
	}
	return swaps
}

// slots tells who holds an ordinal and who is second, in the order of the ordinals.
func (b *bundle) slots() (all []string) {
	b.t.Helper()
	holders, err := b.Servers(b.t.Context(), "front")
	if err != nil {
		b.t.Fatal(err)
	}
	seconds, err := b.Seconds(b.t.Context(), "front")
	if err != nil {
		b.t.Fatal(err)
	}
	second := map[int]string{}
	for _, s := range seconds {
		second[s.Ordinal] = s.InstanceID
	}
	for _, s := range holders {
		all = append(all, s.InstanceID+" "+second[s.Ordinal])
	}
	return all
}

// want checks that so many of the first ordinals are swapped, and the others are not.
func (b *bundle) want(swaps []l.Swap, swapped int) {
	b.t.Helper()
	slots := b.slots()
	if len(slots) != len(swaps) {
		b.t.Fatalf("%d ordinals, want %d", len(slots), len(swaps))
	}
	for i, s := range swaps {
		want := s.Old.InstanceID + " " + s.New.InstanceID
		if i < swapped {
			want = s.New.InstanceID + " " + s.Old.InstanceID
		}
		if slots[i] != want {
			b.t.Errorf("ordinal %d has %q, want %q", i, slots[i], want)
		}
	}
}

func (b *bundle) loseAnswers(n int) {
	b.wire.mu.Lock()
	defer b.wire.mu.Unlock()
	b.wire.lose = n
}

func TestASwapNamesBothServersThroughoutAndMayBeRepeatedAndTakenBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.claim("rollout")
	swaps := b.relay(g, 100)
	b.want(swaps, 0)
	before := b.wire.calls["TransactWriteItems"]
	for range 2 { // the second time is one whose answers were lost
		if err := b.Swap(t.Context(), g, swaps); err != nil {
			t.Fatal(err)
		}
		b.want(swaps, 100)
	}
	if calls := b.wire.calls["TransactWriteItems"] - before; calls != 6 {
		t.Errorf("%d transactions for twice 100 ordinals, want 6", calls)
	}
	var back []l.Swap
	for _, s := range swaps {
		back = append(back, l.Swap{New: s.Old, Old: s.New})
	}
	if err := b.Swap(t.Context(), g, back); err != nil {
		t.Fatal(err)
	}
	b.want(swaps, 0)
}

func TestASwapWhoseAnswerWasLostIsDoneOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.claim("rollout")
	swaps := b.relay(g, 60)
	b.loseAnswers(1)
	if err := b.Swap(t.Context(), g, swaps); err != nil && !jobs.IsClass(err, jobs.Retry) {
		t.Fatal(err)
	}
	if err := b.Swap(t.Context(), g, swaps); err != nil {
		t.Fatal(err)
	}
	b.want(swaps, 60)
}

func TestASwapOverAnotherServerChangesNoneOfItsTransaction(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		meddle func(b *bundle, g jobs.Guard) error
		stands string
	}{
		"another server holds the ordinal": {func(b *bundle, g jobs.Guard) error {
			return errors.Join(b.DeleteServers(b.t.Context(), g, "front", []int{7}),
				b.PutServers(b.t.Context(), g, []l.Server{{Fleet: "front", Ordinal: 7, InstanceID: "i-healed"}}))
		}, "i-healed"},
		"nobody holds the ordinal": {func(b *bundle, g jobs.Guard) error {
			return b.DeleteServers(b.t.Context(), g, "front", []int{7})
		}, `""`},
		"another successor is second": {func(b *bundle, g jobs.Guard) error {
			return errors.Join(b.DeleteSeconds(b.t.Context(), g, "front", []int{7}),
				b.PutSeconds(b.t.Context(), g, []l.Server{{Fleet: "front", Ordinal: 7, InstanceID: "i-other"}}))
		}, "i-other"},
		"no successor is named": {func(b *bundle, g jobs.Guard) error {
			return b.DeleteSeconds(b.t.Context(), g, "front", []int{7})
		}, `""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			g := b.claim("rollout")
			swaps := b.relay(g, 10)
			if err := tc.meddle(b, g); err != nil {
				t.Fatal(err)
			}
			before := b.everything()
			err := b.Swap(t.Context(), g, swaps)
			if !jobs.IsClass(err, jobs.Duplicate) || !strings.Contains(err.Error(), "ordinal 7") || !strings.Contains(err.Error(), tc.stands) {
				t.Errorf("the answer is %v, want one of class Duplicate that names ordinal 7 and %s", err, tc.stands)
			}
			if after := b.everything(); after != before {
				t.Errorf("the ledger changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

func TestAnOrdinalHasAtMostOneSuccessor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.claim("rollout")
	swaps := b.relay(g, 3)
	other := swaps[1].New
	other.InstanceID, other.Incarnation = "i-third", "C"
	if err := b.PutSeconds(t.Context(), g, []l.Server{other}); !jobs.IsClass(err, jobs.Duplicate) || !strings.Contains(err.Error(), "i-new-1") {
		t.Errorf("a third server of ordinal 1: %v", err)
	}
	b.want(swaps, 0)
	for range 2 { // once more, its answer was lost
		if err := b.DeleteSeconds(t.Context(), g, "front", []int{0, 1, 2}); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := b.Seconds(t.Context(), "front"); err != nil || len(left) > 0 {
		t.Errorf("second are %+v, %v", left, err)
	}
	if holders, err := b.Servers(t.Context(), "front"); err != nil || len(holders) != 3 {
		t.Errorf("the holders went with them: %+v, %v", holders, err)
	}
}

func TestSecondsAreWrittenByWhoeverHoldsTheJobOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.claim("rollout")
	swaps := b.relay(g, 2)
	before := b.everything()
	next := g
	next.Fence++
	b.job(next, jobs.Open)
	for name, write := range map[string]func() error{
		"PutSeconds":    func() error { return b.PutSeconds(t.Context(), g, []l.Server{swaps[0].New}) },
		"DeleteSeconds": func() error { return b.DeleteSeconds(t.Context(), g, "front", []int{0}) },
		"Swap":          func() error { return b.Swap(t.Context(), g, swaps) },
	} {
		if err := write(); !errors.Is(err, jobs.ErrFenced) {
			t.Errorf("%s of a claim that has passed on: %v", name, err)
		}
	}
	if after := b.everything(); after != before {
		t.Errorf("the ledger changed from\n%s\nto\n%s", before, after)
	}
}

func TestASwapThatMetAnotherWriteOrAThrottleIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, reasons := range map[string][]string{
		"a conflict":                        {"None", "TransactionConflict", "None"},
		"a throttle":                        {"None", "None", "ThrottlingError"},
		"the table's capacity":              {"None", "ProvisionedThroughputExceeded", "None"},
		"a conflict beside a condition":     {"None", "ConditionalCheckFailed", "TransactionConflict"},
		"a conflict beside the fence's own": {"TransactionConflict", "None", "None"},
		"a condition beside a conflict":     {"None", "TransactionConflict", "ConditionalCheckFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			g := b.claim("rollout")
			swaps := b.relay(g, 1)
			b.wire.mu.Lock()
			b.wire.cancels = reasons
			b.wire.mu.Unlock()
			if err := b.Swap(t.Context(), g, swaps); !jobs.IsClass(err, jobs.Retry) {
				t.Errorf("the answer is %v, want one of class Retry", err)
			}
			b.want(swaps, 0)
		})
	}
}

func TestASwapWhoseClaimAndConditionsBothFailIsAStaleWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.claim("rollout")
	swaps := b.relay(g, 1)
	b.wire.mu.Lock()
	b.wire.cancels = []string{"ConditionalCheckFailed", "ConditionalCheckFailed", "None"}
	b.wire.mu.Unlock()
	if err := b.Swap(t.Context(), g, swaps); !errors.Is(err, jobs.ErrFenced) {
		t.Errorf("the answer is %v, want that the claim has passed on", err)
	}
}
