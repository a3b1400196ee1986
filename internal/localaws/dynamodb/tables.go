package dynamodb

import (
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type attributeDefinition struct{ AttributeName, AttributeType string }

type keyElement struct{ AttributeName, KeyType string }

type projectionInput struct {
	ProjectionType   string
	NonKeyAttributes []string `json:",omitempty"`
}

type indexInput struct {
	IndexName             string
	KeySchema             []keyElement
	Projection            *projectionInput
	ProvisionedThroughput *throughput
}

type tagInput struct{ Key, Value string }

type createTableInput struct {
	TableName                 string
	AttributeDefinitions      []attributeDefinition
	KeySchema                 []keyElement
	BillingMode               string
	ProvisionedThroughput     *throughput
	GlobalSecondaryIndexes    []indexInput
	LocalSecondaryIndexes     []indexInput
	DeletionProtectionEnabled bool
	Tags                      []tagInput
	TableClass                string
	StreamSpecification       *struct {
		StreamEnabled  bool
		StreamViewType string
	}
	SSESpecification *struct {
		Enabled        bool
		SSEType        string
		KMSMasterKeyId string
	}
}

type tableNameInput struct{ TableName string }

func (c *call) createTable() error {
	var in createTableInput
	if err := api.DecodeJSON(c.request.Body, &in); err != nil {
		return err
	}
	schema, err := in.schema()
	if err != nil {
		return err
	}
	schema.Account, schema.Region = c.request.Account, c.request.Region
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tables[schema.id()] != nil {
		return failure("ResourceInUseException", "Table already exists: %s", in.TableName)
	}
	schema.ID = api.UUID(c.env.Rand("dynamodb", "CreateTable", schema.Account, schema.Region, schema.Name))
	schema.Created = time.Now()
	schema.Active = schema.Created.Add(c.Delays.Table)
	for i := range schema.Indexes {
		schema.Indexes[i].Active = schema.Active
	}
	t := newTable(schema)
	c.tables[schema.id()] = t
	c.schemas.Put(schema.id(), schema)
	return c.answer(map[string]any{"TableDescription": t.describe()})
}

// schema checks the input and makes the table's description of it.
func (in *createTableInput) schema() (tableSchema, error) {
	schema := tableSchema{Name: in.TableName, OnDemand: in.BillingMode == "PAY_PER_REQUEST", DeletionProtection: in.DeletionProtectionEnabled}
	if err := checkTableName(in.TableName); err != nil {
		return schema, err
	}
	switch {
	case strings.HasPrefix(in.TableName, "arn:"):
		return schema, constraint(in.TableName, "tableName", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	case len(in.LocalSecondaryIndexes) > 0:
		return schema, invalid("local secondary indexes are not supported by this endpoint: use a global secondary index")
	case in.StreamSpecification != nil && in.StreamSpecification.StreamEnabled:
		return schema, invalid("streams are not supported by this endpoint: leave StreamSpecification out")
	}
	if err := checkBilling(in.BillingMode, in.ProvisionedThroughput); err != nil {
		return schema, err
	}
	schema.Throughput = in.ProvisionedThroughput
	types, err := attributeTypes(in.AttributeDefinitions)
	if err != nil {
		return schema, err
	}
	if schema.Key, err = keySchemaOf(in.KeySchema, types); err != nil {
		return schema, err
	}
	for _, x := range in.GlobalSecondaryIndexes {
		if err := schema.addIndex(x, types); err != nil {
			return schema, err
		}
	}
	if err := schema.checkDefinitions(in.AttributeDefinitions); err != nil {
		return schema, err
	}
	schema.Tags, err = withTags(nil, in.Tags)
	return schema, err
}

func checkBilling(mode string, given *throughput) error {
	switch mode {
	case "PAY_PER_REQUEST":
		if given != nil {
			return parameter("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
	case "", "PROVISIONED":
		if given == nil {
			return parameter("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
		}
		if given.ReadCapacityUnits < 1 || given.WriteCapacityUnits < 1 {
			return parameter("ReadCapacityUnits and WriteCapacityUnits must be at least 1")
		}
	default:
		return constraint(mode, "billingMode", "Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]")
	}
	return nil
}

func attributeTypes(definitions []attributeDefinition) (map[string]string, error) {
	types := map[string]string{}
	for _, d := range definitions {
		if !slices.Contains([]string{"S", "N", "B"}, d.AttributeType) {
			return nil, constraint(d.AttributeType, "attributeDefinitions.member.attributeType", "Member must satisfy enum value set: [B, N, S]")
		}
		if types[d.AttributeName] != "" {
			return nil, parameter("Duplicate AttributeName in AttributeDefinitions: %s", d.AttributeName)
		}
		types[d.AttributeName] = d.AttributeType
	}
	return types, nil
}

func keySchemaOf(elements []keyElement, types map[string]string) (keySchema, error) {
	var k keySchema
	switch {
	case len(elements) == 0 || len(elements) > 2:
		return k, constraint("[...]", "keySchema", "Member must have length between 1 and 2")
	case elements[0].KeyType != "HASH":
		return k, invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
	case len(elements) == 2 && elements[1].KeyType != "RANGE":
		return k, invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
	case len(elements) == 2 && elements[0].AttributeName == elements[1].AttributeName:
		return k, invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	for _, e := range elements {
		if types[e.AttributeName] == "" {
			return k, parameter("Some index key attributes are not defined in AttributeDefinitions. Keys: [%s]", e.AttributeName)
		}
	}
	k.Hash, k.HashType = elements[0].AttributeName, types[elements[0].AttributeName]
	if len(elements) == 2 {
		k.Range, k.RangeType = elements[1].AttributeName, types[elements[1].AttributeName]
	}
	return k, nil
}

const maxIndexes = 20

func (t *tableSchema) addIndex(in indexInput, types map[string]string) error {
	x := indexSchema{Name: in.IndexName}
	if len(in.IndexName) < 3 || len(in.IndexName) > 255 || !nameCharacters(in.IndexName) {
		return constraint(in.IndexName, "globalSecondaryIndexes.member.indexName", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	}
	if slices.ContainsFunc(t.Indexes, func(other indexSchema) bool { return other.Name == in.IndexName }) {
		return parameter("Duplicate index name: %s", in.IndexName)
	}
	if len(t.Indexes) == maxIndexes {
		return parameter("GlobalSecondaryIndex count exceeds the per-table limit of %d", maxIndexes)
	}
	var err error
	if x.Key, err = keySchemaOf(in.KeySchema, types); err != nil {
		return err
	}
	if in.Projection == nil {
		return constraint("null", "globalSecondaryIndexes.member.projection", "Member must not be null")
	}
	x.Projection, x.Include = in.Projection.ProjectionType, in.Projection.NonKeyAttributes
	switch x.Projection {
	case "ALL", "KEYS_ONLY":
		if len(x.Include) > 0 {
			return parameter("ProjectionType is %s, but NonKeyAttributes is specified", x.Projection)
		}
	case "INCLUDE":
		if len(x.Include) == 0 {
			return parameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
		}
	default:
		return parameter("Unknown ProjectionType: %s", x.Projection)
	}
	if t.OnDemand && in.ProvisionedThroughput != nil {
		return parameter("ProvisionedThroughput should not be specified for index: %s when BillingMode is PAY_PER_REQUEST", x.Name)
	}
	t.Indexes = append(t.Indexes, x)
	return nil
}

// checkDefinitions refuses definitions of attributes that no key uses.
func (t *tableSchema) checkDefinitions(definitions []attributeDefinition) error {
	used := t.Key.attributes()
	for _, x := range t.Indexes {
		used = append(used, x.Key.attributes()...)
	}
	var names []string
	for _, d := range definitions {
		names = append(names, d.AttributeName)
	}
	if slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(used, name) }) {
		slices.Sort(used)
		return parameter("Some AttributeDefinitions are not used. AttributeDefinitions: [%s], keys used: [%s]",
			strings.Join(names, ", "), strings.Join(slices.Compact(used), ", "))
	}
	return nil
}

// named finds the caller's table of the request; a table that is being made is found, too.
func (c *call) named(name string) (*table, error) {
	if err := checkTableName(name); err != nil {
		return nil, err
	}
	t := c.tables[c.tableID(name)]
	if t == nil {
		return nil, failure("ResourceNotFoundException", "Requested resource not found: Table: %s not found", name)
	}
	return t, nil
}

func (c *call) describeTable() error {
	var in tableNameInput
	if err := api.DecodeJSON(c.request.Body, &in); err != nil {
		return err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, err := c.named(in.TableName)
	if err != nil {
		return err
	}
	return c.answer(map[string]any{"Table": t.describe()})
}

func (c *call) deleteTable() error {
	var in tableNameInput
	if err := api.DecodeJSON(c.request.Body, &in); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := c.named(in.TableName)
	switch {
	case err != nil:
		return err
	case !t.active(time.Now()):
		return failure("ResourceInUseException", "Attempt to change a resource which is still in use: Table is being created: %s", t.Name)
	case t.DeletionProtection:
		return invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	c.noteAllExpiries(t, false)
	t.rows.Scan(func(place string, _ *row) bool {
		c.items.Delete(itemKey(t, place))
		return true
	})
	delete(c.tables, t.id())
	c.schemas.Delete(t.id())
	description := t.describe()
	description["TableStatus"] = "DELETING"
	return c.answer(map[string]any{"TableDescription": description})
}

func (c *call) listTables() error {
	var in struct {
		ExclusiveStartTableName string
		Limit                   *int
	}
	if err := api.DecodeJSON(c.request.Body, &in); err != nil {
		return err
	}
	limit := 100
	if in.Limit != nil {
		if limit = *in.Limit; limit < 1 || limit > 100 {
			return constraint(NumberOf(int64(limit)).String(), "limit", "Member must have value between 1 and 100")
		}
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	names := []string{}
	for _, t := range c.tables {
		if t.Account == c.request.Account && t.Region == c.request.Region && t.Name > in.ExclusiveStartTableName {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	answer := map[string]any{}
	if len(names) > limit {
		names = names[:limit]
		answer["LastEvaluatedTableName"] = names[limit-1]
	}
	answer["TableNames"] = names
	return c.answer(answer)
}
