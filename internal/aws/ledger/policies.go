package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/policy"
)

// Policies stand in the same table:
//
//	policies     NAME     the head: what every look reads
//	policy#NAME  #        what it says, and what was done about each image
//	policy#NAME  out#017  a submission that is to be sent
//
// No job holds a policy: each write is on condition of the head's revision instead.
const allPolicies = "policies"

func policyKey(name string) string { return "policy#" + name }
func pendingKey(n int) string      { return fmt.Sprintf("out#%03d", n) }

// headItem is the head with the digest of what the policy says, so that a head and a body that do not belong together show.
type headItem struct {
	policy.Head
	Body string `json:"body"`
}

var _ policy.Store = (*Ledger)(nil)

// Policies implements policy.Store.
func (t *Ledger) Policies(ctx context.Context) ([]policy.Head, error) {
	return all[policy.Head](ctx, t, allPolicies, "")
}

// Policy implements policy.Store.
func (t *Ledger) Policy(ctx context.Context, name string) (policy.Policy, bool, error) {
	for range rounds {
		var head, body item
		err := t.batchGet(ctx, t.table, []item{key(allPolicies, name), key(policyKey(name), own)}, func(it item) {
			if textOf(it, "pk") == allPolicies {
				head = it
			} else {
				body = it
			}
		})
		if err != nil || head == nil {
			return policy.Policy{}, false, err
		}
		h, err := loaded[headItem](head)
		if err != nil {
			return policy.Policy{}, true, err
		}
		p, err := loaded[policy.Policy](body)
		if err != nil {
			return policy.Policy{}, true, err
		}
		digest, err := bodyDigest(p)
		if err != nil {
			return policy.Policy{}, true, err
		}
		if digest == h.Body {
			p.Head = h.Head
			return p, true, nil
		} // it was written between the two reads
	}
	return policy.Policy{}, true, &jobs.Error{Class: jobs.Retry, Op: "ledger", Thing: "policy " + name, Message: "others keep changing it"}
}

// PutPolicy implements policy.Store.
func (t *Ledger) PutPolicy(ctx context.Context, p policy.Policy, pending []*jobs.Message) (policy.Policy, error) {
	p.Pending = len(pending)
	var actions []types.TransactWriteItem
	for i, m := range pending {
		it, err := document(policyKey(p.Name), pendingKey(i), m, nil)
		if err != nil {
			return p, err
		}
		actions = append(actions, t.put(it, condition{}))
	}
	return t.putPolicy(ctx, p, actions)
}

// KeepPolicy writes what a person makes of a policy. What is pending stays so.
func (t *Ledger) KeepPolicy(ctx context.Context, p policy.Policy) (policy.Policy, error) {
	return t.putPolicy(ctx, p, nil)
}

func (t *Ledger) putPolicy(ctx context.Context, p policy.Policy, actions []types.TransactWriteItem) (policy.Policy, error) {
	stands, err := t.get(ctx, policyKey(p.Name), own)
	if err != nil {
		return p, err
	}
	body, err := bodyItem(p)
	if err != nil {
		return p, err
	}
	if !sameDocument(body, stands) { // it is the large part, and seldom another
		actions = append(actions, t.put(body, condition{}))
	}
	return t.putHead(ctx, p, p.Revision, actions)
}

// Pending implements policy.Store.
func (t *Ledger) Pending(ctx context.Context, name string) ([]*jobs.Message, error) {
	return all[*jobs.Message](ctx, t, policyKey(name), "out#")
}

// SentPending implements policy.Store.
func (t *Ledger) SentPending(ctx context.Context, p policy.Policy) (policy.Policy, error) {
	actions := t.removePending(p)
	p.Pending = 0
	return t.putHead(ctx, p, p.Revision, actions)
}

// DeletePolicy implements policy.Store. One that is gone is no error.
func (t *Ledger) DeletePolicy(ctx context.Context, p policy.Policy) error {
	actions := append([]types.TransactWriteItem{t.remove(allPolicies, p.Name, unchanged(p.Revision)), t.remove(policyKey(p.Name), own, condition{})}, t.removePending(p)...)
	err := t.transact(ctx, "policy "+p.Name, actions...)
	if _, lost := errors.AsType[*lostRace](err); !lost {
		return err
	}
	if stands, err := t.get(ctx, allPolicies, p.Name); err != nil || stands == nil {
		return err
	}
	return policy.ErrChanged
}

func (t *Ledger) removePending(p policy.Policy) []types.TransactWriteItem {
	var actions []types.TransactWriteItem
	for i := range p.Pending {
		actions = append(actions, t.remove(policyKey(p.Name), pendingKey(i), condition{}))
	}
	return actions
}

// putHead writes the head on condition of the revision that was read, and what goes with it.
func (t *Ledger) putHead(ctx context.Context, p policy.Policy, before int, actions []types.TransactWriteItem) (policy.Policy, error) {
	p.Revision = before + 1
	digest, err := bodyDigest(p)
	if err != nil {
		return p, err
	}
	head, err := document(allPolicies, p.Name, headItem{Head: p.Head, Body: digest}, item{"rev": integer(p.Revision)})
	if err != nil {
		return p, err
	}
	revision := absent()
	if before > 0 {
		revision = unchanged(before)
	}
	err = t.transact(ctx, "policy "+p.Name, append([]types.TransactWriteItem{t.put(head, revision)}, actions...)...)
	if lost, ok := errors.AsType[*lostRace](err); ok {
		if sameDocument(head, lost.stands) {
			return p, nil // the answer to this very write was lost
		}
		return p, policy.ErrChanged
	}
	return p, err
}

// transact carries actions out that no job's claim guards.
func (t *Ledger) transact(ctx context.Context, thing string, actions ...types.TransactWriteItem) error {
	_, err := t.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: actions})
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return awserr.From(err, thing)
	}
	return refusal(cancelled, 0, thing, err)
}

// bodyItem is what the policy says, without its head.
func bodyItem(p policy.Policy) (item, error) {
	name := p.Name
	p.Head = policy.Head{}
	return document(policyKey(name), own, p, nil)
}

func bodyDigest(p policy.Policy) (string, error) {
	p.Head = policy.Head{}
	raw, err := json.Marshal(p)
	if err != nil {
		return "", jobs.Fatalf("ledger", "policy "+p.Name, err.Error(), "")
	}
	return jobs.Digest(raw)
}

func sameDocument(a, b item) bool {
	one, ok := a["b"].(*types.AttributeValueMemberB)
	other, there := b["b"].(*types.AttributeValueMemberB)
	return ok && there && bytes.Equal(one.Value, other.Value)
}
