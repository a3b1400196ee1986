package dynamodb

import "slices"

// keyCondition is what a key condition asks of one attribute.
type keyCondition struct {
	attribute string
	operator  string // =, <, <=, >, >=, BETWEEN, begins_with
	values    []Value
}

// keyConditions takes a KeyConditionExpression apart into its conditions on attributes.
func keyConditions(b bound) ([]keyCondition, error) {
	if b.node.kind == nodeAnd {
		var all []keyCondition
		for _, part := range b.arguments {
			conditions, err := keyConditions(part)
			if err != nil {
				return nil, err
			}
			for _, c := range conditions {
				if slices.ContainsFunc(all, func(other keyCondition) bool { return other.attribute == c.attribute }) {
					return nil, invalid("KeyConditionExpressions must only contain one condition per key")
				}
				all = append(all, c)
			}
		}
		return all, nil
	}
	c, err := keyConditionOf(b)
	return []keyCondition{c}, err
}

var mirrored = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

func keyConditionOf(b bound) (keyCondition, error) {
	operator := b.node.text
	switch {
	case b.node.kind == nodeOr, b.node.kind == nodeNot, b.node.kind == nodeIn, operator == "<>",
		b.node.kind == nodeFunction && operator != "begins_with":
		return keyCondition{}, invalid("Invalid operator used in KeyConditionExpression: %s", operator)
	}
	c := keyCondition{operator: operator}
	for i, argument := range b.arguments {
		switch argument.node.kind {
		case nodeFunction:
			return c, invalid("KeyConditionExpressions cannot contain nested operations")
		case nodeValue:
			c.values = append(c.values, argument.value)
			continue
		}
		if i > 0 && b.node.kind != nodeCompare {
			return c, invalid("Invalid condition in KeyConditionExpression: %s operator must have the key attribute as its first operand", operator)
		}
		if c.attribute != "" {
			return c, invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
		}
		if len(argument.path) > 1 {
			return c, invalid("KeyConditionExpressions cannot have conditions on nested attributes")
		}
		c.attribute = argument.path[0].name
		if i > 0 {
			c.operator = mirrored[operator]
		}
	}
	if c.attribute == "" {
		return c, invalid("Invalid condition in KeyConditionExpression: No key attribute specified")
	}
	return c, nil
}
