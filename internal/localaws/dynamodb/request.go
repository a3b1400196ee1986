package dynamodb

import (
	"slices"
	"strings"
)

// input is what a call on items can say; each call allows some of it.
type input struct {
	TableName, IndexName             string
	Item, Key, ExclusiveStartKey     Item
	Keys                             []Item
	condition, update, keyCondition  expression
	filter, projection               expression
	placeholders                     placeholders
	ReturnValues, OnConditionFailure string
	ReturnConsumedCapacity, Select   string
	ReturnItemCollectionMetrics      string
	ConsistentRead, Backward         bool
	Limit, Segment, TotalSegments    *int
	ClientRequestToken               *string
	actions                          []transactAction
	batch                            map[string][]*input
	batchOrder                       []string
	isPut                            bool
	statements                       []*input
	statement                        expression
	parameters                       []Value
}

// expression is an expression's text, if the request has it.
type expression struct {
	given bool
	text  string
}

const (
	commonMembers      = "TableName ReturnConsumedCapacity "
	placeholderMembers = "ExpressionAttributeNames ExpressionAttributeValues "
	writeMembers       = commonMembers + placeholderMembers + "ConditionExpression ReturnValues ReturnValuesOnConditionCheckFailure ReturnItemCollectionMetrics "
	readMembers        = commonMembers + placeholderMembers + "IndexName Select Limit ConsistentRead FilterExpression ProjectionExpression ExclusiveStartKey "
	actionMembers      = "TableName ConditionExpression ReturnValuesOnConditionCheckFailure " + placeholderMembers
	legacyMembers      = "AttributesToGet AttributeUpdates Expected ConditionalOperator KeyConditions QueryFilter ScanFilter"
)

// allowed are the members of each call and of each structure inside of one.
var allowed = func() map[string][]string {
	m := map[string]string{
		"PutItem":            writeMembers + "Item",
		"UpdateItem":         writeMembers + "Key UpdateExpression",
		"DeleteItem":         writeMembers + "Key",
		"GetItem":            commonMembers + "Key ConsistentRead ProjectionExpression ExpressionAttributeNames",
		"Query":              readMembers + "KeyConditionExpression ScanIndexForward",
		"Scan":               readMembers + "Segment TotalSegments",
		"BatchGetItem":       "RequestItems ReturnConsumedCapacity",
		"KeysAndAttributes":  "Keys ConsistentRead ProjectionExpression ExpressionAttributeNames",
		"BatchWriteItem":     "RequestItems ReturnConsumedCapacity ReturnItemCollectionMetrics",
		"PutRequest":         "Item",
		"DeleteRequest":      "Key",
		"TransactWriteItems": "TransactItems ClientRequestToken ReturnConsumedCapacity ReturnItemCollectionMetrics",
		"Put":                actionMembers + "Item",
		"Update":             actionMembers + "Key UpdateExpression",
		"Delete":             actionMembers + "Key",
		"ConditionCheck":     actionMembers + "Key",
		"TransactGetItems":   "TransactItems ReturnConsumedCapacity",
		"Get":                "TableName Key ProjectionExpression ExpressionAttributeNames",

		"BatchExecuteStatement": "Statements ReturnConsumedCapacity",
		"BatchStatementRequest": "Statement Parameters ConsistentRead ReturnValuesOnConditionCheckFailure",
	}
	sets := map[string][]string{}
	for structure, members := range m {
		sets[structure] = strings.Fields(members)
	}
	return sets
}()

// decode reads the body of a call on items and checks what can be checked without a table.
func decode(body []byte, structure string) (*input, error) {
	r := &reader{data: body}
	in, err := r.input(structure)
	if err == nil {
		err = r.end()
	}
	return in, err
}

func (r *reader) input(structure string) (*input, error) {
	in := &input{}
	members := allowed[structure]
	err := r.object(func(name string) error {
		if !slices.Contains(members, name) {
			if slices.Contains(strings.Fields(legacyMembers), name) {
				return invalid("the legacy parameter %s is not supported by this endpoint: use an expression", name)
			}
			return invalid("unknown parameter %q: the call does not have it, or this endpoint does not support it", name)
		}
		return r.member(in, structure, name)
	})
	if err != nil {
		return nil, err
	}
	return in, in.placeholders.check()
}

func (r *reader) member(in *input, structure, name string) (err error) {
	switch name {
	case "TableName":
		in.TableName, err = r.string()
	case "IndexName":
		in.IndexName, err = r.string()
	case "Item":
		in.Item, err = r.item()
	case "Key":
		in.Key, err = r.item()
	case "ExclusiveStartKey":
		in.ExclusiveStartKey, err = r.item()
	case "Keys":
		err = r.array(func() error {
			key, err := r.item()
			in.Keys = append(in.Keys, key)
			return err
		})
	case "ConditionExpression":
		err = r.expression(&in.condition)
	case "UpdateExpression":
		err = r.expression(&in.update)
	case "KeyConditionExpression":
		err = r.expression(&in.keyCondition)
	case "FilterExpression":
		err = r.expression(&in.filter)
	case "ProjectionExpression":
		err = r.expression(&in.projection)
	case "ExpressionAttributeNames":
		in.placeholders.names = map[string]string{}
		err = r.object(func(placeholder string) error {
			name, err := r.string()
			in.placeholders.names[placeholder] = name
			return err
		})
	case "ExpressionAttributeValues":
		err = r.values(in)
	default:
		err = r.option(in, structure, name)
	}
	return err
}

func (r *reader) values(in *input) error {
	in.placeholders.values = map[string]Value{}
	return r.object(func(placeholder string) error {
		value, err := r.value()
		in.placeholders.values[placeholder] = value
		if e := asValidation(err); e != nil {
			return invalid("ExpressionAttributeValues contains invalid value: %s for key %s", e.Message, placeholder)
		}
		return err
	})
}

func (r *reader) expression(e *expression) (err error) {
	e.given = true
	e.text, err = r.string()
	return err
}

func (r *reader) option(in *input, structure, name string) (err error) {
	switch name {
	case "ReturnValues":
		in.ReturnValues, err = r.choice(name, "NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW")
		if err == nil && structure != "UpdateItem" && in.ReturnValues != "NONE" && in.ReturnValues != "ALL_OLD" {
			err = invalid("Return values set to invalid value")
		}
	case "ReturnValuesOnConditionCheckFailure":
		in.OnConditionFailure, err = r.choice(name, "ALL_OLD", "NONE")
	case "ReturnConsumedCapacity":
		in.ReturnConsumedCapacity, err = r.choice(name, "INDEXES", "TOTAL", "NONE")
	case "ReturnItemCollectionMetrics":
		in.ReturnItemCollectionMetrics, err = r.choice(name, "SIZE", "NONE")
	case "Select":
		in.Select, err = r.choice(name, "SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES")
	case "ConsistentRead":
		in.ConsistentRead, err = r.boolean()
	case "ScanIndexForward":
		in.Backward, err = r.boolean()
		in.Backward = !in.Backward
	case "Limit":
		in.Limit, err = r.pointer()
	case "Segment":
		in.Segment, err = r.pointer()
	case "TotalSegments":
		in.TotalSegments, err = r.pointer()
	case "ClientRequestToken":
		var token string
		token, err = r.string()
		in.ClientRequestToken = &token
	case "RequestItems":
		err = r.requestItems(in, structure)
	case "TransactItems":
		err = r.transactItems(in, structure)
	case "Statements":
		err = r.statements(in)
	case "Statement":
		err = r.expression(&in.statement)
	case "Parameters":
		err = r.parameters(in)
	}
	return err
}

func (r *reader) pointer() (*int, error) {
	n, err := r.integer()
	return &n, err
}

func (r *reader) choice(name string, values ...string) (string, error) {
	value, err := r.string()
	if err == nil && !slices.Contains(values, value) {
		err = constraint(value, lowerFirst(name), "Member must satisfy enum value set: ["+strings.Join(values, ", ")+"]")
	}
	return value, err
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// conditionOn parses and binds the expression, which may be absent; which names it in errors.
func (c *call) conditionOn(in *input, e expression, which string) (*bound, *mentions, error) {
	if !e.given {
		return nil, nil, nil
	}
	parsed, err := c.conditions.get(e.text)
	if err == nil {
		err = parsed.fault
	}
	if err != nil {
		return nil, nil, in.wrong(which, err)
	}
	b, err := parsed.root.bind(&in.placeholders)
	return &b, &parsed.mentions, in.wrong(which, err)
}

func (c *call) updateOn(in *input) ([]boundAction, *mentions, error) {
	if !in.update.given {
		return nil, nil, nil
	}
	parsed, err := c.updates.get(in.update.text)
	if err == nil {
		err = parsed.fault
	}
	if err != nil {
		return nil, nil, in.wrong("UpdateExpression", err)
	}
	actions, err := parsed.bind(&in.placeholders)
	return actions, &parsed.mentions, in.wrong("UpdateExpression", err)
}

func (c *call) projectionOn(in *input) ([]path, *mentions, error) {
	if !in.projection.given {
		return nil, nil, nil
	}
	parsed, err := c.projections.get(in.projection.text)
	if err == nil {
		err = parsed.fault
	}
	if err != nil {
		return nil, nil, in.wrong("ProjectionExpression", err)
	}
	paths, err := parsed.bind(&in.placeholders)
	return paths, &parsed.mentions, in.wrong("ProjectionExpression", err)
}

// wrong says which of the request's expressions is wrong.
func (in *input) wrong(which string, err error) error {
	if err == nil {
		return nil
	}
	return invalid("Invalid %s: %s", which, err.Error())
}

// checkPlaceholders refuses placeholders without an expression and those that the expressions do not mention.
func (in *input) checkPlaceholders(valueExpressions string, used ...*mentions) error {
	if !slices.ContainsFunc(used, func(m *mentions) bool { return m != nil }) {
		if in.placeholders.names != nil {
			return invalid("ExpressionAttributeNames can only be specified when using expressions")
		}
		if in.placeholders.values != nil {
			return invalid("ExpressionAttributeValues can only be specified when using expressions: %s is null", valueExpressions)
		}
	}
	return in.placeholders.unused(used...)
}

// checkTableName checks a table's name or ARN.
func checkTableName(name string) error {
	if name == "" {
		return constraint("null", "tableName", "Member must not be null")
	}
	if at := strings.LastIndexByte(name, '/'); at >= 0 && strings.HasPrefix(name, "arn:") {
		name = name[at+1:]
	}
	if len(name) < 3 || len(name) > 255 || !nameCharacters(name) {
		return invalid("Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'")
	}
	return nil
}

func nameCharacters(name string) bool {
	for i := range len(name) {
		if c := name[i]; !letter(c) && !digit(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// tableID is where the caller's table of that name or ARN is kept.
func (c *call) tableID(name string) string {
	if parts := strings.SplitN(name, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		return tableID(parts[4], parts[3], strings.TrimPrefix(parts[5], "table/"))
	}
	return tableID(c.request.Account, c.request.Region, name)
}
