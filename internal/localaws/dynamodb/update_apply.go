package dynamodb

import (
	"cmp"
	"maps"
	"slices"
)

var (
	errWrongOperand = invalid("An operand in the update expression has an incorrect data type")
	errNoAttribute  = invalid("The provided expression refers to an attribute that does not exist in the item")
	errInvalidPath  = invalid("The document path provided in the update expression is invalid for update")
)

// change is what an action does at its path; a nil value removes.
type change struct {
	path  path
	value Value
}

// apply gives the item as the actions make it; the old one stays as it is. All values are taken from the old item, and
// list indexes count in the old lists: what lies behind a list's end is appended in the order of the indexes.
func apply(actions []boundAction, old Item) (Item, error) {
	changes := make([]change, 0, len(actions))
	for _, a := range actions {
		c, effective, err := a.on(old)
		if err != nil {
			return nil, err
		}
		if effective {
			changes = append(changes, c)
		}
	}
	slices.SortStableFunc(changes, inOrder)
	item := make(Item, len(old)+len(changes))
	maps.Copy(item, old)
	for _, c := range changes {
		value, err := c.in(item, c.path)
		if err != nil {
			return nil, err
		}
		if len(c.path) == 1 && value == nil {
			delete(item, c.path[0].name)
		} else {
			item[c.path[0].name] = value
		}
	}
	return item, nil
}

// inOrder puts removals last, from the lists' ends to their starts, so that no change moves another one's place.
func inOrder(a, b change) int {
	if removalA, removalB := a.value == nil, b.value == nil; removalA != removalB {
		if removalA {
			return 1
		}
		return -1
	}
	order := slices.CompareFunc(a.path, b.path, func(x, y step) int { return cmp.Compare(x.index, y.index) })
	if a.value == nil {
		return -order
	}
	return order
}

// on computes the action's change of the old item; effective is false if it changes nothing.
func (a boundAction) on(old Item) (c change, effective bool, err error) {
	if len(a.path) > 1 && !a.path.hasParent(old) {
		return c, false, errInvalidPath
	}
	c.path = a.path
	if a.section == "SET" {
		c.value, err = a.value.setFrom(old)
		return c, true, err
	}
	present := a.path.look(old)
	if a.section == "REMOVE" {
		return c, present != nil, nil
	}
	operand := a.value.value
	if present == nil {
		c.value = operand
		return c, a.section == "ADD", nil
	}
	var fits bool
	if a.section == "DELETE" {
		c.value, fits = without(present, operand)
	} else if n, ok := present.(Number); ok {
		var amount Number
		if amount, fits = operand.(Number); fits {
			c.value, err = valueOrError(n.Add(amount))
		}
	} else {
		c.value, fits = union(present, operand)
	}
	if !fits {
		err = errWrongOperand
	}
	return c, true, err
}

// hasParent says whether there is a map or list in which the path's last step can stand.
func (p path) hasParent(item Item) bool {
	last := p[len(p)-1]
	switch p[:len(p)-1].look(item).(type) {
	case Item:
		return !last.isIndex()
	case List:
		return last.isIndex()
	}
	return false
}

// in gives the container with the change made; the path starts at the container's own step.
func (c change) in(container Value, p path) (Value, error) {
	first := p[0]
	var inner Value
	if item, ok := container.(Item); ok {
		inner = item[first.name]
	} else if list, ok := container.(List); ok && first.index < len(list) {
		inner = list[first.index]
	}
	if len(p) == 1 {
		return c.value, nil
	}
	value, err := c.in(inner, p[1:])
	if err != nil {
		return nil, err
	}
	second := p[1]
	switch inner := inner.(type) {
	case Item:
		changed := maps.Clone(inner)
		if len(p) == 2 && value == nil {
			delete(changed, second.name)
		} else {
			changed[second.name] = value
		}
		return changed, nil
	case List:
		return listWith(inner, second.index, value), nil
	}
	return nil, errInvalidPath
}

func listWith(list List, index int, value Value) List {
	switch {
	case value == nil && index < len(list):
		return slices.Delete(slices.Clone(list), index, index+1)
	case value == nil:
		return list
	case index >= len(list):
		return append(slices.Clip(list), value)
	}
	changed := slices.Clone(list)
	changed[index] = value
	return changed
}

// setFrom is the value that a SET gives.
func (b bound) setFrom(old Item) (Value, error) {
	switch b.node.kind {
	case nodeValue:
		return b.value, nil
	case nodePath:
		if value := b.path.look(old); value != nil {
			return value, nil
		}
		return nil, errNoAttribute
	}
	if b.node.text == "if_not_exists" {
		if value := b.arguments[0].path.look(old); value != nil {
			return value, nil
		}
		return b.arguments[1].setFrom(old)
	}
	left, err := b.arguments[0].setFrom(old)
	if err != nil {
		return nil, err
	}
	right, err := b.arguments[1].setFrom(old)
	if err != nil {
		return nil, err
	}
	if b.node.text == "list_append" {
		head, isList := left.(List)
		tail, areBoth := right.(List)
		if !isList || !areBoth {
			return nil, errWrongOperand
		}
		return slices.Concat(head, tail), nil
	}
	x, isNumber := left.(Number)
	y, areBoth := right.(Number)
	if !isNumber || !areBoth {
		return nil, errWrongOperand
	}
	if b.node.text == "-" {
		y = y.Negate()
	}
	return valueOrError(x.Add(y))
}
