package ledger

import (
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// line bakes so many versions of web; the last one is current.
func (b *bundle) line(n int) {
	b.t.Helper()
	for i := range n {
		g, v := b.reserve("bake-" + string(rune('a'+i)))
		b.publish(g, v)
	}
}

func (b *bundle) order(how string, to int) (jobs.Guard, l.Move) {
	b.t.Helper()
	g := b.claim(how + "-" + string(rune('0'+to)))
	return g, l.Move{Image: "web", To: to, How: how, Job: g.Job, Incarnation: g.Incarnation, Run: 1}
}

func (b *bundle) version(number int) l.Version {
	b.t.Helper()
	v, found, err := b.GetVersion(b.t.Context(), "web", number)
	if err != nil || !found {
		b.t.Fatal(found, err)
	}
	return v
}

func TestCurrentMovesByOrderOnlyToWhatIsVerifiedAndAvailable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.line(3)
	b.reserve("bake-x") // web@4 is a candidate
	g, v5 := b.reserve("bake-y")
	if err := b.SetVersionState(ctx, g, "web", v5.Number, l.Abandoned); err != nil {
		t.Fatal(err)
	}
	if err := b.SetVersionState(ctx, g, "web", 1, l.Retiring); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		how, says string
		to        int
	}{
		{"rollback", "retiring", 1}, {"promote", "candidate", 4}, {"promote", "abandoned", 5}, {"promote", "no such version", 9},
		{"promote", "is newer", 2}, {"rollback", "", 2}, {"rollback", "is older", 3}, {"promote", "", 3},
	} {
		was := b.current()
		g, m := b.order(c.how, c.to)
		m.Incarnation += c.says
		_, err := b.MoveCurrent(ctx, g, m)
		switch {
		case c.says == "":
			if err != nil || b.current() != c.to {
				t.Errorf("%s to %d: %v, current is %d", c.how, c.to, err, b.current())
			}
		case !jobs.IsClass(err, jobs.Fatal, jobs.NotFound) || !strings.Contains(err.Error(), c.says) || b.current() != was:
			t.Errorf("%s to %d: %v, expected a word of %q; current went from %d to %d", c.how, c.to, err, c.says, was, b.current())
		}
	}
}

func TestAnOrderMovesCurrentOnceWhateverHappensSince(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.line(3)
	g, m := b.order("rollback", 2)
	b.wire.lose = 2
	if _, err := b.MoveCurrent(ctx, g, m); !jobs.IsAmbiguous(err) {
		t.Fatalf("the answer was lost, got %v", err)
	}
	g4, v4 := b.reserve("bake-x")
	b.publish(g4, v4)
	done, err := b.MoveCurrent(ctx, g, m)
	if err != nil || done.From != 3 || done.To != 2 || b.current() != 4 {
		t.Errorf("repeated, it answers %+v, %v; current is %d, expected 4", done, err, b.current())
	}
	if moves, err := b.Moves(ctx, "web"); err != nil || len(moves) != 1 {
		t.Errorf("%d moves, %v", len(moves), err)
	}
}

func TestARecallMovesCurrentBackToTheNewestGoodVersionInTheSameWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.line(4)
	recallOf := func(number int) (l.Move, error) {
		g, m := b.order("recall", number)
		return b.RecallVersion(ctx, g, m, number, l.Recall{Reason: "CVE", Shares: map[string][]string{"us-east-1": {"222222222222"}}})
	}
	if m, err := recallOf(3); err != nil || m.To != 4 || b.current() != 4 || b.version(3).State != l.Recalled {
		t.Fatalf("an old one: %+v, %v", m, err)
	}
	if m, err := recallOf(4); err != nil || m.From != 4 || m.To != 2 || b.current() != 2 {
		t.Fatalf("the current one, its neighbour being recalled: %+v, %v", m, err)
	}
	if v := b.version(4); v.Recall == nil || v.Recall.Reason != "CVE" || v.Recall.Shares["us-east-1"][0] != "222222222222" {
		t.Errorf("web@4 says %+v", v.Recall)
	}
	g, m := b.order("promote", 4)
	if _, err := b.MoveCurrent(ctx, g, m); !jobs.IsClass(err, jobs.Fatal) || !strings.Contains(err.Error(), "image restore web@4") {
		t.Errorf("a recalled version was promoted: %v", err)
	}
	if err := b.RestoreVersion(ctx, g, "web", 4); err != nil || b.version(4).State != l.Available || b.current() != 2 {
		t.Errorf("restored: %v, current %d", err, b.current())
	}
	if _, err := b.MoveCurrent(ctx, g, m); err != nil || b.current() != 4 {
		t.Errorf("promoted after that: %v, current %d", err, b.current())
	}
}

func TestTheLastGoodVersionIsNotRecalled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.line(1)
	g, m := b.order("recall", 1)
	_, err := b.RecallVersion(t.Context(), g, m, 1, l.Recall{})
	if !jobs.IsClass(err, jobs.Fatal) || !strings.Contains(err.Error(), "bake a good version first") || b.current() != 1 || b.version(1).State != l.Available {
		t.Errorf("got %v, current %d", err, b.current())
	}
}

func TestAPublishOfAHeldVersionLeavesCurrent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.line(1)
	g, v := b.reserve("bake-x")
	v.Held = true
	if got := b.publish(g, v); got != 1 || b.version(2).State != l.Available || b.version(2).Standing(1) != "candidate" {
		t.Errorf("current is %d, web@2 is %s", got, b.version(2).State)
	}
}

func TestWhatIsBeingRemovedIsNotRestored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.line(2)
	g := b.claim("retire")
	if err := b.SetVersionState(ctx, g, "web", 1, l.Retiring); err != nil {
		t.Fatal(err)
	}
	if err := b.RestoreVersion(ctx, g, "web", 1); !jobs.IsClass(err, jobs.Fatal) {
		t.Errorf("one that goes at once: %v", err)
	}
	staged := func(v *l.Version) error { v.Retirement = &l.Retirement{}; return nil }
	if _, err := b.ChangeVersion(ctx, g, "web", 1, staged); err != nil {
		t.Fatal(err)
	}
	if err := b.RestoreVersion(ctx, g, "web", 1); err != nil || b.version(1).State != l.Available || b.version(1).Retirement != nil {
		t.Errorf("one that is disabled for now: %v", err)
	}
	if _, err := b.ChangeVersion(ctx, g, "web", 1, func(v *l.Version) error { v.State = l.Retired; return nil }); !jobs.IsClass(err, jobs.Fatal) {
		t.Errorf("a change of the state passed: %v", err)
	}
}
