package dynamodb

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type updateTableInput struct {
	TableName                   string
	AttributeDefinitions        []attributeDefinition
	BillingMode                 string
	ProvisionedThroughput       *throughput
	DeletionProtectionEnabled   *bool
	GlobalSecondaryIndexUpdates []struct {
		Create *indexInput
		Delete *struct{ IndexName string }
	}
}

func (c *call) updateTable() error {
	var in updateTableInput
	if err := api.DecodeJSON(c.request.Body, &in); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := c.named(in.TableName)
	if err != nil {
		return err
	}
	now := time.Now()
	if !t.active(now) {
		return failure("ResourceInUseException", "Attempt to change a resource which is still in use: Table is being created: %s", t.Name)
	}
	schema := t.tableSchema
	schema.Indexes = slices.Clone(t.Indexes)
	if err := in.change(&schema, now.Add(c.Delays.Index)); err != nil {
		return err
	}
	t.tableSchema = schema
	t.resetIndexes()
	c.schemas.Put(t.id(), schema)
	description := t.describe()
	description["TableStatus"] = "UPDATING"
	return c.answer(map[string]any{"TableDescription": description})
}

func (in *updateTableInput) change(schema *tableSchema, active time.Time) error {
	if in.BillingMode == "" && in.ProvisionedThroughput == nil && in.DeletionProtectionEnabled == nil && in.GlobalSecondaryIndexUpdates == nil {
		return invalid("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required")
	}
	if in.BillingMode != "" || in.ProvisionedThroughput != nil {
		mode := in.BillingMode
		if mode == "" && schema.OnDemand {
			mode = "PAY_PER_REQUEST"
		}
		if err := checkBilling(mode, in.ProvisionedThroughput); err != nil {
			return err
		}
		schema.OnDemand, schema.Throughput = mode == "PAY_PER_REQUEST", in.ProvisionedThroughput
	}
	if in.DeletionProtectionEnabled != nil {
		schema.DeletionProtection = *in.DeletionProtectionEnabled
	}
	return in.changeIndexes(schema, active)
}

func (in *updateTableInput) changeIndexes(schema *tableSchema, active time.Time) error {
	types := schema.types()
	given, err := attributeTypes(in.AttributeDefinitions)
	if err != nil {
		return err
	}
	maps.Copy(types, given)
	if len(in.GlobalSecondaryIndexUpdates) > 1 {
		return failure("LimitExceededException", "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table")
	}
	for _, u := range in.GlobalSecondaryIndexUpdates {
		building := slices.ContainsFunc(schema.Indexes, func(x indexSchema) bool { return time.Now().Before(x.Active) })
		switch {
		case (u.Create == nil) == (u.Delete == nil):
			return invalid("One or more parameter values were invalid: expected either Create or Delete in GlobalSecondaryIndexUpdates")
		case u.Create != nil && building:
			return failure("LimitExceededException", "Subscriber limit exceeded: Only 1 online index can be created simultaneously per table")
		case u.Create != nil:
			if err := schema.addIndex(*u.Create, types); err != nil {
				return err
			}
			schema.Indexes[len(schema.Indexes)-1].Active = active
		default:
			before := len(schema.Indexes)
			schema.Indexes = slices.DeleteFunc(schema.Indexes, func(x indexSchema) bool { return x.Name == u.Delete.IndexName })
			if len(schema.Indexes) == before {
				return failure("ResourceNotFoundException", "Requested resource not found: Index: %s not found", u.Delete.IndexName)
			}
		}
	}
	if in.AttributeDefinitions != nil {
		return schema.checkDefinitions(in.AttributeDefinitions)
	}
	return nil
}

func (c *call) updateTimeToLive() error {
	var in struct {
		TableName               string
		TimeToLiveSpecification *struct {
			AttributeName string
			Enabled       *bool
		}
	}
	if err := api.DecodeJSON(c.request.Body, &in); err != nil {
		return err
	}
	wanted := in.TimeToLiveSpecification
	switch {
	case wanted == nil:
		return constraint("null", "timeToLiveSpecification", "Member must not be null")
	case wanted.Enabled == nil:
		return constraint("null", "timeToLiveSpecification.enabled", "Member must not be null")
	case len(wanted.AttributeName) < 1 || len(wanted.AttributeName) > 255:
		return constraint(wanted.AttributeName, "timeToLiveSpecification.attributeName", "Member must have length between 1 and 255")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := c.named(in.TableName)
	switch {
	case err != nil:
		return err
	case *wanted.Enabled && t.ExpiryAttribute == wanted.AttributeName:
		return invalid("TimeToLive is already enabled")
	case *wanted.Enabled && t.ExpiryAttribute != "":
		return invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.ExpiryAttribute)
	case !*wanted.Enabled && t.ExpiryAttribute == "":
		return invalid("TimeToLive is already disabled")
	}
	c.noteAllExpiries(t, false)
	t.ExpiryAttribute = ""
	if *wanted.Enabled {
		t.ExpiryAttribute = wanted.AttributeName
	}
	c.noteAllExpiries(t, true)
	c.schemas.Put(t.id(), t.tableSchema)
	return c.answer(map[string]any{"TimeToLiveSpecification": map[string]any{"AttributeName": wanted.AttributeName, "Enabled": *wanted.Enabled}})
}

// described runs a call that only looks at one table.
func (c *call) described(answer func(t *table) any) error {
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
	return c.answer(answer(t))
}

func (c *call) describeTimeToLive() error {
	return c.described(func(t *table) any {
		description := map[string]any{"TimeToLiveStatus": "DISABLED"}
		if t.ExpiryAttribute != "" {
			description = map[string]any{"TimeToLiveStatus": "ENABLED", "AttributeName": t.ExpiryAttribute}
		}
		return map[string]any{"TimeToLiveDescription": description}
	})
}

func (c *call) describeContinuousBackups() error {
	return c.described(func(t *table) any { return t.describeBackups() })
}

func (t *table) describeBackups() any {
	recovery := map[string]any{"PointInTimeRecoveryStatus": "DISABLED"}
	if t.Backups {
		recovery = map[string]any{
			"PointInTimeRecoveryStatus":  "ENABLED",
			"EarliestRestorableDateTime": seconds(t.Created),
			"LatestRestorableDateTime":   seconds(time.Now()),
		}
	}
	return map[string]any{"ContinuousBackupsDescription": map[string]any{
		"ContinuousBackupsStatus":        "ENABLED",
		"PointInTimeRecoveryDescription": recovery,
	}}
}

func (c *call) updateContinuousBackups() error {
	var in struct {
		TableName                        string
		PointInTimeRecoverySpecification *struct {
			PointInTimeRecoveryEnabled bool
			RecoveryPeriodInDays       *int
		}
	}
	if err := api.DecodeJSON(c.request.Body, &in); err != nil {
		return err
	}
	if in.PointInTimeRecoverySpecification == nil {
		return constraint("null", "pointInTimeRecoverySpecification", "Member must not be null")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t, err := c.named(in.TableName)
	if err != nil {
		return err
	}
	t.Backups = in.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled
	c.schemas.Put(t.id(), t.tableSchema)
	return c.answer(t.describeBackups())
}

func withTags(tags map[string]string, added []tagInput) (map[string]string, error) {
	all := maps.Clone(tags)
	for _, tag := range added {
		if tag.Key == "" || len(tag.Key) > 128 || len(tag.Value) > 256 || strings.HasPrefix(tag.Key, "aws:") {
			return nil, invalid("the tag %q is invalid: expected a key of 1 to 128 characters that does not begin with aws:, and a value of 256 at most", tag.Key)
		}
		if all == nil {
			all = map[string]string{}
		}
		all[tag.Key] = tag.Value
	}
	if len(all) > 50 {
		return nil, failure("LimitExceededException", "a table has 50 tags at most, this one would have %d", len(all))
	}
	return all, nil
}

func (c *call) tagged(in any, arn *string, change func(t *table) error) error {
	if err := api.DecodeJSON(c.request.Body, in); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.HasPrefix(*arn, "arn:aws:dynamodb:") {
		return invalid("Invalid TableArn: Invalid ResourceArn provided as input %s", *arn)
	}
	t, err := c.named(*arn)
	if err != nil {
		return err
	}
	return change(t)
}

func (c *call) tagResource() error {
	var in struct {
		ResourceArn string
		Tags        []tagInput
	}
	return c.tagged(&in, &in.ResourceArn, func(t *table) error {
		tags, err := withTags(t.Tags, in.Tags)
		if err != nil {
			return err
		}
		t.Tags = tags
		c.schemas.Put(t.id(), t.tableSchema)
		return nil
	})
}

func (c *call) untagResource() error {
	var in struct {
		ResourceArn string
		TagKeys     []string
	}
	return c.tagged(&in, &in.ResourceArn, func(t *table) error {
		t.Tags = maps.Clone(t.Tags)
		for _, key := range in.TagKeys {
			delete(t.Tags, key)
		}
		c.schemas.Put(t.id(), t.tableSchema)
		return nil
	})
}

func (c *call) listTagsOfResource() error {
	var in struct{ ResourceArn, NextToken string }
	return c.tagged(&in, &in.ResourceArn, func(t *table) error {
		tags := []tagInput{}
		for _, key := range slices.Sorted(maps.Keys(t.Tags)) {
			tags = append(tags, tagInput{Key: key, Value: t.Tags[key]})
		}
		return c.answer(map[string]any{"Tags": tags})
	})
}
