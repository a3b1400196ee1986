package dynamodb

import (
	"maps"
	"slices"
)

const (
	maxBatchGet   = 100
	maxBatchWrite = 25
	maxPage       = 1 << 20
	maxBatchBytes = 16 << 20
)

// requestItems reads BatchGetItem's or BatchWriteItem's requests: by table, in the order given.
func (r *reader) requestItems(in *input, structure string) error {
	in.batch = map[string][]*input{}
	return r.object(func(table string) error {
		in.batchOrder = append(in.batchOrder, table)
		if structure == "BatchGetItem" {
			keys, err := r.input("KeysAndAttributes")
			if err == nil {
				keys.TableName = table
				in.batch[table] = []*input{keys}
			}
			return err
		}
		in.batch[table] = []*input{}
		return r.array(func() error {
			request, err := r.writeRequest()
			if err == nil {
				request.TableName = table
				in.batch[table] = append(in.batch[table], request)
			}
			return err
		})
	})
}

func (r *reader) writeRequest() (*input, error) {
	var request *input
	err := r.object(func(name string) error {
		if name != "PutRequest" && name != "DeleteRequest" {
			return invalid("unknown parameter %q: a write request has PutRequest or DeleteRequest", name)
		}
		if request != nil {
			return invalid(manyText)
		}
		var err error
		if request, err = r.input(name); err == nil {
			request.isPut = name == "PutRequest"
		}
		return err
	})
	if err == nil && request == nil {
		err = invalid(manyText)
	}
	return request, err
}

func (c *call) batchGetItem() error {
	in, err := decode(c.request.Body, "BatchGetItem")
	if err != nil {
		return err
	}
	if len(in.batch) == 0 {
		return constraint("{}", "requestItems", "Member must have length greater than or equal to 1")
	}
	total := 0
	projections := map[string]getProjection{}
	for _, table := range in.batchOrder {
		keys := in.batch[table][0]
		if len(keys.Keys) == 0 {
			return constraint("[]", "requestItems."+table+".member.keys", "Member must have length greater than or equal to 1")
		}
		if projections[table], err = c.prepareGet(keys); err != nil {
			return err
		}
		total += len(keys.Keys)
	}
	if total > maxBatchGet {
		return invalid("Too many items requested for the BatchGetItem call")
	}
	return c.readBatch(in, projections)
}

func (c *call) readBatch(in *input, projections map[string]getProjection) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	responses, unprocessed := map[string][]Item{}, map[string]any{}
	var capacity []map[string]any
	bytes := 0
	for _, name := range in.batchOrder {
		request := in.batch[name][0]
		used := consumed{table: name}
		responses[name] = []Item{}
		seen := map[string]bool{}
		var left []Item
		for _, key := range request.Keys {
			t, r, err := c.get(request, key, projections[name])
			if err != nil {
				return err
			}
			place := t.placeOf(key)
			if seen[place] {
				return invalid("Provided list of item keys contains duplicates")
			}
			seen[place] = true
			if bytes += r.bytesOf(); bytes > maxBatchBytes {
				left = append(left, key)
				continue
			}
			used.own += readUnits(r.bytesOf(), request.ConsistentRead)
			if r != nil {
				responses[name] = append(responses[name], projections[name].part(r.item))
			}
		}
		if left != nil {
			unprocessed[name] = request.remaining(left)
		}
		c.countRead(used.own)
		if answer := used.answer(in.ReturnConsumedCapacity); answer != nil {
			capacity = append(capacity, answer)
		}
	}
	return c.answerBatch(map[string]any{"Responses": responses, "UnprocessedKeys": unprocessed}, capacity)
}

// remaining is the request for the keys that are left, as the caller can send it again.
func (in *input) remaining(keys []Item) map[string]any {
	again := map[string]any{"Keys": keys, "ConsistentRead": in.ConsistentRead}
	if in.projection.given {
		again["ProjectionExpression"] = in.projection.text
	}
	if in.placeholders.names != nil {
		again["ExpressionAttributeNames"] = in.placeholders.names
	}
	return again
}

func (c *call) answerBatch(answer map[string]any, capacity []map[string]any) error {
	if capacity != nil {
		answer["ConsumedCapacity"] = capacity
	}
	return c.answer(answer)
}

func (c *call) batchWriteItem() error {
	in, err := decode(c.request.Body, "BatchWriteItem")
	if err != nil {
		return err
	}
	if len(in.batch) == 0 {
		return constraint("{}", "requestItems", "Member must have length greater than or equal to 1")
	}
	var writes []*write
	for _, table := range in.batchOrder {
		if len(in.batch[table]) == 0 {
			return invalid("The batch write request list for a table cannot be null or empty: %s", table)
		}
		for _, request := range in.batch[table] {
			sort := "Delete"
			if request.isPut {
				sort = "Put"
			}
			w, err := c.prepare(sort, request)
			if err != nil {
				return err
			}
			writes = append(writes, w)
		}
	}
	if len(writes) > maxBatchWrite {
		return invalid("Too many items requested for the BatchWriteItem call")
	}
	return c.writeBatch(in, writes)
}

func (c *call) writeBatch(in *input, writes []*write) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.decideAll(writes, "Provided list of item keys contains duplicates"); err != nil {
		return err
	}
	used := usage{}
	for _, w := range writes {
		units := c.store(c.request.AccessKey, w.table, w.old, w.new)
		c.countWrite(units)
		used.of(w.table, "").add(units)
	}
	return c.answerBatch(map[string]any{"UnprocessedItems": map[string]any{}}, used.answer(in.ReturnConsumedCapacity))
}

// decideAll locates and decides writes that have no conditions; twins is what to say of two writes to one item.
func (c *call) decideAll(writes []*write, twins string) error {
	seen := map[[2]string]bool{}
	for _, w := range writes {
		if err := c.locate(w); err != nil {
			return err
		}
		item := [2]string{w.table.id(), w.place}
		if seen[item] {
			return invalid("%s", twins)
		}
		seen[item] = true
		if err := w.decide(); err != nil {
			return err
		}
	}
	return nil
}

// usage is what a call consumes of several tables.
type usage map[string]*consumed

func (u usage) of(t *table, sort string) *consumed {
	if u[t.id()] == nil {
		u[t.id()] = &consumed{table: t.Name, sort: sort}
	}
	return u[t.id()]
}

func (u usage) answer(detail string) []map[string]any {
	var all []map[string]any
	for _, id := range slices.Sorted(maps.Keys(u)) {
		if answer := u[id].answer(detail); answer != nil {
			all = append(all, answer)
		}
	}
	return all
}
