package dynamodb

import (
	"encoding/base64"
	"errors"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// write is one change of one item, ready to be made: a put, an update, a delete or a mere check.
type write struct {
	in        *input
	sort      string // Put, Update, Delete, ConditionCheck
	condition *bound
	actions   []boundAction
	table     *table
	place     string
	old, new  *row
	// fault is what is wrong with the key or the item, where one action's fault lets the others be looked at.
	fault error
	// insert allows no item to be there.
	insert bool
}

// prepare parses what a write says, without looking at tables.
func (c *call) prepare(sort string, in *input) (*write, error) {
	w := &write{in: in, sort: sort}
	if err := checkTableName(in.TableName); err != nil {
		return nil, err
	}
	if sort == "Put" && in.Item == nil {
		return nil, constraint("null", "item", "Member must not be null")
	}
	if sort != "Put" && in.Key == nil {
		return nil, constraint("null", "key", "Member must not be null")
	}
	var updates, conditions *mentions
	var err error
	if w.actions, updates, err = c.updateOn(in); err != nil {
		return nil, err
	}
	if w.condition, conditions, err = c.conditionOn(in, in.condition, "ConditionExpression"); err != nil {
		return nil, err
	}
	which := "ConditionExpression"
	if sort == "Update" {
		which = "UpdateExpression and ConditionExpression"
	}
	return w, in.checkPlaceholders(which, updates, conditions)
}

// locate finds the table and the item's place in it. The lock is held.
func (c *call) locate(w *write) error {
	t, err := c.table(w.in.TableName)
	if err != nil {
		return err
	}
	w.table = t
	key := w.in.Key
	if w.sort == "Put" {
		key = w.in.Item
		if err = t.checkItem(key); err == nil && key.itemSize() > maxItem {
			err = invalid("Item size has exceeded the maximum allowed size")
		}
		if err == nil && key.levels() > maxDepth+1 {
			err = invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")
		}
	} else {
		err = t.checkKey(key)
	}
	if err != nil {
		return err
	}
	w.place = t.placeOf(key)
	return t.checkKeyPaths(w.paths())
}

// paths are all that the expressions name, but for key attributes to be set, which are another fault.
func (w *write) paths() []path {
	var all []path
	if w.condition != nil {
		all = w.condition.paths(all)
	}
	for _, a := range w.actions {
		if a.section == "SET" {
			all = a.value.paths(all)
		}
		if !w.table.isKey(a.path[0].name) {
			all = append(all, a.path)
		}
	}
	return all
}

var errConditionFailed = errors.New("the condition is not fulfilled")

// decide looks at the item, checks the condition and makes the new row. Nothing is stored yet.
func (w *write) decide() error {
	if w.fault != nil {
		return w.fault
	}
	w.old = w.table.at(w.place)
	var item Item
	if w.old != nil {
		item = w.old.item
	}
	if w.condition != nil && !w.condition.holds(item) || w.insert && item != nil {
		return errConditionFailed
	}
	switch w.sort {
	case "ConditionCheck":
		w.new = w.old
		return nil
	case "Delete":
		return nil
	case "Put":
		w.new = &row{place: w.place, item: w.in.Item, size: w.in.Item.itemSize()}
		return nil
	}
	for _, a := range w.actions {
		if name := a.path[0].name; w.table.isKey(name) {
			return parameter("Cannot update attribute %s. This attribute is part of the key", name)
		}
	}
	if item == nil {
		item = w.in.Key
	}
	updated, err := apply(w.actions, item)
	if err != nil {
		return err
	}
	if err := w.table.checkIndexKeys(updated, true); err != nil {
		return err
	}
	if updated.levels() > maxDepth+1 {
		return invalid("Nesting Levels have exceeded supported limits")
	}
	size := updated.itemSize()
	if size > maxItem {
		return invalid("Item size to update has exceeded the maximum allowed size")
	}
	w.new = &row{place: w.place, item: updated, size: size}
	return nil
}

// store puts one row in another one's place, in memory and in the log, for the caller with the access key.
func (s *Service) store(by string, t *table, old, new *row) writeUnits {
	units := t.replace(old, new)
	s.noteExpiry(t, old, new)
	s.tell(by, t, old, new)
	switch {
	case new != nil:
		s.items.Put(itemKey(t, new.place), new.item)
	case old != nil:
		s.items.Delete(itemKey(t, old.place))
	}
	return units
}

// itemKey names an item in the state's table, which wants text.
func itemKey(t *table, place string) string {
	key := append([]byte(t.id()), '|')
	return string(base64.RawStdEncoding.AppendEncode(key, []byte(place)))
}

// conditionFailure is the answer to a write whose condition is not fulfilled.
func (w *write) conditionFailure() error {
	e := failure("ConditionalCheckFailedException", "The conditional request failed")
	if w.in.OnConditionFailure == "ALL_OLD" && w.old != nil {
		e.Fields = map[string]any{"Item": w.old.item}
	}
	return e
}

func (c *call) putItem() error    { return c.write("Put") }
func (c *call) updateItem() error { return c.write("Update") }
func (c *call) deleteItem() error { return c.write("Delete") }

func (c *call) write(sort string) error {
	in, err := decode(c.request.Body, sort+"Item")
	if err != nil {
		return err
	}
	w, err := c.prepare(sort, in)
	if err != nil {
		return err
	}
	units, err := c.execute(w)
	if err != nil {
		return err
	}
	c.reply = append(c.reply, '{')
	if attributes := w.returned(); attributes != nil {
		c.reply = appendItem(append(c.reply, `"Attributes":`...), attributes)
	}
	used := consumed{table: w.table.Name}
	used.add(units)
	return c.finish(used.answer(in.ReturnConsumedCapacity))
}

// execute makes the write alone.
func (c *call) execute(w *write) (writeUnits, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.locate(w); err != nil {
		return writeUnits{}, err
	}
	if err := w.decide(); err != nil {
		if !errors.Is(err, errConditionFailed) {
			return writeUnits{}, err
		}
		// A failed condition is billed by the item that is there.
		c.countWrite(writeUnits{table: unitsOf(w.old.bytesOf())})
		return writeUnits{}, w.conditionFailure()
	}
	units := c.store(c.request.AccessKey, w.table, w.old, w.new)
	c.countWrite(units)
	return units, nil
}

// finish closes the reply's object, with the consumed capacity if it was asked for.
func (c *call) finish(capacity any) error {
	if m, ok := capacity.(map[string]any); ok && m == nil {
		capacity = nil
	}
	if l, ok := capacity.([]map[string]any); ok && l == nil {
		capacity = nil
	}
	if capacity != nil {
		text, err := api.Marshal(capacity)
		if err != nil {
			return err
		}
		if len(c.reply) > 1 {
			c.reply = append(c.reply, ',')
		}
		c.reply = append(append(c.reply, `"ConsumedCapacity":`...), text...)
	}
	c.reply = append(c.reply, '}')
	return nil
}

// returned are the attributes that ReturnValues asks for, nil if there are none.
func (w *write) returned() Item {
	from, whole := w.old, true
	switch w.in.ReturnValues {
	case "ALL_OLD":
	case "ALL_NEW":
		from = w.new
	case "UPDATED_OLD":
		whole = false
	case "UPDATED_NEW":
		from, whole = w.new, false
	default:
		return nil
	}
	if from == nil {
		return nil
	}
	if whole {
		return from.item
	}
	if len(w.actions) == 0 {
		return nil
	}
	paths := make([]path, len(w.actions))
	for i, a := range w.actions {
		paths[i] = a.path
	}
	if part := project(from.item, paths); len(part) > 0 {
		return part
	}
	return nil
}

func (c *call) getItem() error {
	in, err := decode(c.request.Body, "GetItem")
	if err != nil {
		return err
	}
	g, err := c.prepareGet(in)
	if err != nil {
		return err
	}
	c.mu.RLock()
	t, r, err := c.get(in, in.Key, g)
	c.mu.RUnlock()
	if err != nil {
		return err
	}
	used := consumed{table: t.Name, own: readUnits(r.bytesOf(), in.ConsistentRead)}
	c.countRead(used.own)
	c.reply = append(c.reply, '{')
	if r != nil {
		c.reply = appendItem(append(c.reply, `"Item":`...), g.part(r.item))
	}
	return c.finish(used.answer(in.ReturnConsumedCapacity))
}

// part is what the projection, if there is one, leaves of the item.
type getProjection []path

func (g getProjection) part(item Item) Item {
	if g == nil {
		return item
	}
	return project(item, g)
}

func (c *call) prepareGet(in *input) (getProjection, error) {
	if err := checkTableName(in.TableName); err != nil {
		return nil, err
	}
	if in.Key == nil && in.Keys == nil {
		return nil, constraint("null", "key", "Member must not be null")
	}
	paths, mentioned, err := c.projectionOn(in)
	if err != nil {
		return nil, err
	}
	return paths, in.checkPlaceholders("", mentioned)
}

// get finds an item. The lock is held.
func (c *call) get(in *input, key Item, g getProjection) (*table, *row, error) {
	t, err := c.table(in.TableName)
	if err != nil {
		return nil, nil, err
	}
	if err := t.checkKey(key); err != nil {
		return nil, nil, err
	}
	if err := t.checkKeyPaths(g); err != nil {
		return nil, nil, err
	}
	return t, t.at(t.placeOf(key)), nil
}
