package dynamodb

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	maxActions      = 100
	maxTransaction  = 4 << 20
	tokenLife       = 10 * time.Minute
	maxTokenLength  = 36
	manyActionsText = "Transaction request cannot include multiple operations on one item"
)

// transactAction is one element of TransactItems.
type transactAction struct {
	sort string // Put, Update, Delete, ConditionCheck, Get
	in   *input
}

// usedToken is what is remembered of a transaction with a ClientRequestToken.
type usedToken struct {
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
}

func (r *reader) transactItems(in *input, structure string) error {
	in.actions = []transactAction{}
	sorts := []string{"Put", "Update", "Delete", "ConditionCheck"}
	if structure == "TransactGetItems" {
		sorts = []string{"Get"}
	}
	return r.array(func() error {
		var a transactAction
		err := r.object(func(sort string) error {
			if !slices.Contains(sorts, sort) {
				return invalid("unknown parameter %q: expected one of %s", sort, strings.Join(sorts, ", "))
			}
			if a.in != nil {
				return invalid("TransactItems can only contain one of Check, Put, Update or Delete")
			}
			a.sort = sort
			var err error
			a.in, err = r.input(sort)
			return err
		})
		if err == nil && a.in == nil {
			err = invalid("Invalid Request: TransactWriteRequest should contain Delete or Put or Update request")
		}
		in.actions = append(in.actions, a)
		return err
	})
}

func (in *input) checkActions() error {
	switch {
	case in.actions == nil:
		return constraint("null", "transactItems", "Member must not be null")
	case len(in.actions) == 0:
		return constraint("[]", "transactItems", "Member must have length greater than or equal to 1")
	case len(in.actions) > maxActions:
		return constraint("[...]", "transactItems", "Member must have length less than or equal to 100")
	}
	if t := in.ClientRequestToken; t != nil && (len(*t) > maxTokenLength || *t == "") {
		return constraint(*t, "clientRequestToken", "Member must have length between 1 and 36")
	}
	return nil
}

func (c *call) transactWriteItems() error {
	in, err := decode(c.request.Body, "TransactWriteItems")
	if err != nil {
		return err
	}
	if err := in.checkActions(); err != nil {
		return err
	}
	writes := make([]*write, len(in.actions))
	for i, a := range in.actions {
		if a.sort == "ConditionCheck" && !a.in.condition.given {
			return constraint("null", "transactItems."+NumberOf(int64(i+1)).String()+".member.conditionCheck.conditionExpression", "Member must not be null")
		}
		if a.sort == "Update" && !a.in.update.given {
			return constraint("null", "transactItems."+NumberOf(int64(i+1)).String()+".member.update.updateExpression", "Member must not be null")
		}
		if writes[i], err = c.prepare(a.sort, a.in); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	done, err := c.doneBefore(in)
	if err != nil {
		return err
	}
	if err := c.locateAll(writes); err != nil {
		return err
	}
	used := usage{}
	if done {
		// A repetition writes nothing; it is billed as a read of the items.
		for _, w := range writes {
			units := 2 * readUnits(w.table.at(w.place).bytesOf(), true)
			used.of(w.table, "Read").own += units
			c.countRead(units)
		}
	} else if err := c.commit(in, writes, used); err != nil {
		return err
	}
	c.reply = append(c.reply, '{')
	return c.finish(used.answer(in.ReturnConsumedCapacity))
}

func (c *call) locateAll(writes []*write) error {
	seen := map[[2]string]bool{}
	for _, w := range writes {
		if err := c.locate(w); asValidation(err) != nil {
			w.fault = err
			continue
		} else if err != nil {
			return err
		}
		item := [2]string{w.table.id(), w.place}
		if seen[item] {
			return invalid(manyActionsText)
		}
		seen[item] = true
	}
	return nil
}

// commit decides all writes and, if none of them fails, makes them.
func (c *call) commit(in *input, writes []*write, used usage) error {
	reasons := make([]reason, len(writes))
	failed, bytes := false, 0
	for i, w := range writes {
		err := w.decide()
		bytes += max(w.new.bytesOf(), w.old.bytesOf())
		if err == nil {
			continue
		}
		failed = true
		reasons[i] = reason{Code: "ValidationError", Message: err.Error()}
		if errors.Is(err, errConditionFailed) {
			reasons[i] = reason{Code: "ConditionalCheckFailed", Message: "The conditional request failed"}
			if w.in.OnConditionFailure == "ALL_OLD" && w.old != nil {
				reasons[i].Item = w.old.item
			}
		} else if e := asValidation(err); e != nil {
			reasons[i].Message = e.Message
		}
	}
	if failed {
		for _, w := range writes {
			c.countWrite(writeUnits{table: 2 * unitsOf(w.old.bytesOf())})
		}
		return cancelled(reasons)
	}
	if bytes > maxTransaction {
		return invalid("Transaction payload size cannot exceed 4MB. Payload Size: %d", bytes)
	}
	for _, w := range writes {
		units := writeUnits{table: unitsOf(w.old.bytesOf())}
		if w.sort != "ConditionCheck" {
			units = c.store(c.request.AccessKey, w.table, w.old, w.new)
		}
		units = units.doubled()
		c.countWrite(units)
		used.of(w.table, "Write").add(units)
	}
	if in.ClientRequestToken != nil {
		c.tokens.Put(c.tokenKey(*in.ClientRequestToken), usedToken{Digest: in.digest(), At: time.Now()})
	}
	return nil
}

// reason is one element of CancellationReasons; without a code the action was not at fault.
type reason struct {
	Code    string
	Message string `json:",omitempty"`
	Item    Item   `json:",omitempty"`
}

func cancelled(reasons []reason) error {
	codes := make([]string, len(reasons))
	for i := range reasons {
		if reasons[i].Code == "" {
			reasons[i].Code = "None"
		}
		codes[i] = reasons[i].Code
	}
	e := failure("TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(codes, ", "))
	e.Fields = map[string]any{"CancellationReasons": reasons}
	return e
}

func (c *call) tokenKey(token string) string {
	return c.request.Account + "/" + c.request.Region + "/" + token
}

// doneBefore says whether the transaction was made already under its token.
func (c *call) doneBefore(in *input) (bool, error) {
	if in.ClientRequestToken == nil {
		return false, nil
	}
	c.forgetTokens()
	used, ok := c.tokens.Get(c.tokenKey(*in.ClientRequestToken))
	if !ok || time.Since(used.At) >= tokenLife {
		return false, nil
	}
	if used.Digest != in.digest() {
		return false, failure("IdempotentParameterMismatchException", "The request uses the same client token as a previous, but non-identical request")
	}
	return true, nil
}

// forgetTokens drops old tokens, once in a token's life.
func (c *call) forgetTokens() {
	now := time.Now()
	if now.Sub(c.forgotten) < tokenLife {
		return
	}
	c.forgotten = now
	var old []string
	for key, used := range c.tokens.All() {
		if now.Sub(used.At) >= tokenLife {
			old = append(old, key)
		}
	}
	for _, key := range old {
		c.tokens.Delete(key)
	}
}

// digest identifies the transaction's content, whatever the order of the members in its text.
func (in *input) digest() string {
	var text []byte
	for _, a := range in.actions {
		text = appendString(text, a.sort)
		for _, part := range []string{a.in.TableName, a.in.condition.text, a.in.update.text, a.in.OnConditionFailure} {
			text = appendString(text, part)
		}
		for _, item := range []Item{a.in.Item, a.in.Key, a.in.placeholders.values} {
			text = appendItem(text, item)
		}
		for _, placeholder := range slices.Sorted(maps.Keys(a.in.placeholders.names)) {
			text = appendString(appendString(text, placeholder), a.in.placeholders.names[placeholder])
		}
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (c *call) transactGetItems() error {
	in, err := decode(c.request.Body, "TransactGetItems")
	if err != nil {
		return err
	}
	if err := in.checkActions(); err != nil {
		return err
	}
	projections := make([]getProjection, len(in.actions))
	for i, a := range in.actions {
		if projections[i], err = c.prepareGet(a.in); err != nil {
			return err
		}
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	used := usage{}
	seen := map[[2]string]bool{}
	responses := make([]map[string]Item, len(in.actions))
	for i, a := range in.actions {
		t, r, err := c.get(a.in, a.in.Key, projections[i])
		if e := asValidation(err); e != nil {
			reasons := make([]reason, len(in.actions))
			reasons[i] = reason{Code: "ValidationError", Message: e.Message}
			return cancelled(reasons)
		}
		if err != nil {
			return err
		}
		item := [2]string{t.id(), t.placeOf(a.in.Key)}
		if seen[item] {
			return invalid(manyActionsText)
		}
		seen[item] = true
		responses[i] = map[string]Item{}
		if r != nil {
			responses[i]["Item"] = projections[i].part(r.item)
		}
		units := 2 * readUnits(r.bytesOf(), true)
		used.of(t, "Read").own += units
		c.countRead(units)
	}
	answer := map[string]any{"Responses": responses}
	return c.answerBatch(answer, used.answer(in.ReturnConsumedCapacity))
}
