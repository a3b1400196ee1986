package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/policy"
)

// policyOf is a new policy that bakes, with a spec of so many bytes.
func (b *bundle) policyOf(name string, size int) policy.Policy {
	b.t.Helper()
	p := policy.Policy{Head: policy.Head{Name: name}, Labels: map[string]string{"team": "edge"}}
	text := `{"when":{"every":"1h"},"do":{"name":"web","bake":{"description":"` + strings.Repeat("x", size) + `"}}}`
	if err := json.Unmarshal([]byte(text), &p.Spec); err != nil {
		b.t.Fatal(err)
	}
	p, err := policy.Apply(nil, p, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	if p, err = b.KeepPolicy(b.t.Context(), p); err != nil {
		b.t.Fatal(err)
	}
	return p
}

func orders(n int) []*jobs.Message {
	var all []*jobs.Message
	for i := range n {
		all = append(all, &jobs.Message{Schema: 1, Type: jobs.Submit, Kind: "Bake", Name: fmt.Sprintf("web-%d", i), Key: "k", Spec: json.RawMessage(`{"a":1}`)})
	}
	return all
}

func TestOfTwoWhoReadAPolicyOneWritesIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.policyOf("nightly", 10)
	one, found, err := b.Policy(ctx, "nightly")
	if err != nil || !found {
		t.Fatal(found, err)
	}
	other := one
	one.Note, other.Note = "one", "other"
	if _, err := b.PutPolicy(ctx, one, orders(3)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PutPolicy(ctx, other, orders(1)); !errors.Is(err, policy.ErrChanged) {
		t.Errorf("the second one: %v", err)
	}
	if _, err := b.SentPending(ctx, other); !errors.Is(err, policy.ErrChanged) {
		t.Errorf("the second one's end: %v", err)
	}
	if err := b.DeletePolicy(ctx, other); !errors.Is(err, policy.ErrChanged) {
		t.Errorf("the second one's end of it: %v", err)
	}
	stands, _, err := b.Policy(ctx, "nightly")
	if err != nil || stands.Note != "one" || stands.Pending != 3 {
		t.Errorf("what stands: %+v, %v", stands.Head, err)
	}
	if pending, err := b.Pending(ctx, "nightly"); err != nil || len(pending) != 3 || pending[2].Name != "web-2" {
		t.Errorf("pending: %v, %v", pending, err)
	}
}

func TestWhatIsPendingStaysUntilItIsSentWhateverAPersonChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	p, err := b.PutPolicy(ctx, b.policyOf("nightly", 10), orders(60))
	if err != nil {
		t.Fatal(err)
	}
	p.Spec.Overlap = policy.Skip
	if p, err = b.KeepPolicy(ctx, p); err != nil || p.Pending != 60 {
		t.Fatalf("%d pending, %v", p.Pending, err)
	}
	if p, err = b.SentPending(ctx, p); err != nil {
		t.Fatal(err)
	}
	stands, _, err := b.Policy(ctx, "nightly")
	if err != nil || stands.Pending != 0 || stands.Spec.Overlap != policy.Skip || stands.Revision != p.Revision {
		t.Errorf("what stands: %+v, %v", stands.Head, err)
	}
	if pending, err := b.Pending(ctx, "nightly"); err != nil || len(pending) != 0 {
		t.Errorf("pending: %d, %v", len(pending), err)
	}
	if err := b.DeletePolicy(ctx, stands); err != nil {
		t.Fatal(err)
	}
	if err := b.DeletePolicy(ctx, stands); err != nil {
		t.Errorf("deleting it again: %v", err)
	}
	if left := b.everything(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPoliciesAreListedByTheirHeadsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 20 {
		b.policyOf(fmt.Sprintf("policy-%02d", i), 100_000)
	}
	before := b.wire.calls["Query"]
	heads, err := b.Policies(t.Context())
	if err != nil || len(heads) != 20 || heads[7].Name != "policy-07" {
		t.Errorf("%d heads, %v", len(heads), err)
	}
	if n := b.wire.calls["Query"] - before; n != 1 {
		t.Errorf("a look at 20 policies with 2 MB of specs took %d calls, want 1", n)
	}
}

func TestAHeadAndABodyThatDoNotBelongTogetherAreNotGiven(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.policyOf("nightly", 10)
	p.Spec.Overlap = policy.Skip
	stray, err := bodyItem(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.transact(t.Context(), "stray", b.put(stray, condition{})); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Policy(t.Context(), "nightly"); !jobs.IsClass(err, jobs.Retry) {
		t.Errorf("the answer is %v", err)
	}
}

func TestAnAnswerThatWasLostIsNoChangeByAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.policyOf("nightly", 10)
	for about, write := range map[string]func() error{
		"PutPolicy":   func() (err error) { p, err = b.PutPolicy(t.Context(), p, orders(2)); return err },
		"SentPending": func() (err error) { p, err = b.SentPending(t.Context(), p); return err },
		"KeepPolicy":  func() (err error) { p, err = b.KeepPolicy(t.Context(), p); return err },
	} {
		b.wire.mu.Lock()
		b.wire.lose = 1
		b.wire.mu.Unlock()
		if err := write(); err != nil {
			t.Errorf("%s: %v", about, err)
		}
	}
}
