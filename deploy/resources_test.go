package deploy_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/aws/setup"
)

func TestTheTemplateMakesTheQueuesOfSetup(t *testing.T) {
	t.Parallel()
	type queue struct {
		name                                     string
		retention, visibility, longPoll, redrive time.Duration
		deadLetters                              bool
	}
	var expected, got []queue
	for _, q := range setup.Queues(prefix) {
		e := queue{name: q.Name, retention: q.Retention, visibility: setup.Visibility, longPoll: setup.LongPoll}
		if q.DeadLetters != "" {
			e.deadLetters, e.redrive = true, setup.Redrive
		}
		expected = append(expected, e)
	}
	for _, q := range ofType(t, "AWS::SQS::Queue") {
		g := queue{name: at[string](t, q, "QueueName"), retention: seconds(t, q, "MessageRetentionPeriod"),
			visibility: seconds(t, q, "VisibilityTimeout"), longPoll: seconds(t, q, "ReceiveMessageWaitTimeSeconds")}
		if policy := optional[object](t, q, "RedrivePolicy"); policy != nil {
			g.deadLetters = at[string](t, policy, "deadLetterTargetArn") == "DeadLetters.Arn"
			g.redrive = time.Duration(at[uint64](t, policy, "maxReceiveCount"))
		}
		if !at[bool](t, q, "SqsManagedSseEnabled") {
			t.Errorf("%s is not encrypted", g.name)
		}
		got = append(got, g)
	}
	same(t, expected, got)
}

func TestTheTemplateMakesTheTablesOfSetup(t *testing.T) {
	t.Parallel()
	var got []setup.Table
	for _, properties := range ofType(t, "AWS::DynamoDB::Table") {
		got = append(got, table(t, properties))
		if mode := at[string](t, properties, "BillingMode"); mode != "PAY_PER_REQUEST" {
			t.Errorf("billing mode %s", mode)
		}
		if !at[bool](t, properties, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") {
			t.Error("a table without point-in-time recovery")
		}
	}
	same(t, setup.Tables(prefix), got)
}

// table reads a table as setup describes one.
func table(t *testing.T, properties object) setup.Table {
	t.Helper()
	types := map[string]string{}
	for _, d := range at[list](t, properties, "AttributeDefinitions") {
		types[at[string](t, d, "AttributeName")] = at[string](t, d, "AttributeType")
	}
	keys := func(of object) (hash setup.Attribute, sort *setup.Attribute) {
		for _, k := range at[list](t, of, "KeySchema") {
			a := setup.Attribute{Name: at[string](t, k, "AttributeName")}
			a.Type = types[a.Name]
			switch at[string](t, k, "KeyType") {
			case "HASH":
				hash = a
			case "RANGE":
				sort = &a
			}
		}
		return hash, sort
	}
	made := setup.Table{Name: at[string](t, properties, "TableName")}
	made.Hash, made.Range = keys(properties)
	for _, index := range optional[list](t, properties, "GlobalSecondaryIndexes") {
		made.Indexes = append(made.Indexes, tableIndex(t, index.(object), keys))
	}
	if ttl := optional[object](t, properties, "TimeToLiveSpecification"); ttl != nil && at[bool](t, ttl, "Enabled") {
		made.ExpiresBy = at[string](t, ttl, "AttributeName")
	}
	return made
}

func tableIndex(t *testing.T, index object, keys func(object) (setup.Attribute, *setup.Attribute)) setup.Index {
	t.Helper()
	hash, sort := keys(index)
	if sort == nil {
		t.Fatalf("index %v has no range key", index["IndexName"])
	}
	made := setup.Index{Name: at[string](t, index, "IndexName"), Hash: hash, Range: *sort}
	switch kind := at[string](t, index, "Projection", "ProjectionType"); kind {
	case "KEYS_ONLY":
	case "INCLUDE":
		for _, name := range at[list](t, index, "Projection", "NonKeyAttributes") {
			made.Includes = append(made.Includes, name.(string))
		}
	default:
		t.Errorf("index %s: projection %s", made.Name, kind)
	}
	return made
}

func TestTheTemplateMakesThePrivateBucketOfSetup(t *testing.T) {
	t.Parallel()
	buckets := ofType(t, "AWS::S3::Bucket")
	if len(buckets) != 1 {
		t.Fatalf("%d buckets", len(buckets))
	}
	bucket := buckets[0]
	if name := at[string](t, bucket, "BucketName"); name != setup.Bucket(prefix, account, region) {
		t.Errorf("the bucket is %s, expected %s", name, setup.Bucket(prefix, account, region))
	}
	for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		if !at[bool](t, bucket, "PublicAccessBlockConfiguration", block) {
			t.Errorf("%s is off", block)
		}
	}
	if at[string](t, bucket, "BucketEncryption", "ServerSideEncryptionConfiguration", "0", "ServerSideEncryptionByDefault", "SSEAlgorithm") != "AES256" {
		t.Error("the bucket is not encrypted")
	}
	var rules []string
	for _, rule := range at[list](t, bucket, "LifecycleConfiguration", "Rules") {
		rules = append(rules, fmt.Sprintf("%s %d %s", at[string](t, rule, "Prefix"), at[uint64](t, rule, "ExpirationInDays"), at[string](t, rule, "Status")))
	}
	expected := []string{fmt.Sprintf("logs/ %d Enabled", setup.LogDays), fmt.Sprintf("reports/ %d Enabled", setup.LogDays),
		fmt.Sprintf("files/ %d Enabled", setup.FileDays), fmt.Sprintf("launches/ %d Enabled", setup.LaunchDays)}
	if !slices.Equal(rules, expected) {
		t.Errorf("lifecycle %v, expected %v", rules, expected)
	}
}

func seconds(t *testing.T, properties object, name string) time.Duration {
	t.Helper()
	return time.Duration(at[uint64](t, properties, name)) * time.Second
}

// same compares without order.
func same[T any](t *testing.T, expected, got []T) {
	t.Helper()
	texts := func(all []T) []string {
		var list []string
		for _, v := range all {
			list = append(list, text(v))
		}
		slices.Sort(list)
		return list
	}
	e, g := texts(expected), texts(got)
	if !reflect.DeepEqual(e, g) {
		t.Errorf("the template makes\n%v\nsetup makes\n%v", g, e)
	}
}

// text is a value with what its pointers point to.
func text(v any) string {
	if made, ok := v.(setup.Table); ok {
		sort := ""
		if made.Range != nil {
			sort = fmt.Sprintf(" %+v", *made.Range)
			made.Range = nil
		}
		return fmt.Sprintf("%+v%s\n", made, sort)
	}
	return fmt.Sprintf("%+v\n", v)
}

func TestTheTemplateMakesTheRulesOfSetupAndOnlyTheyMaySendToTheWakeQueue(t *testing.T) {
	t.Parallel()
	var got []setup.Rule
	for _, rule := range ofType(t, "AWS::Events::Rule") {
		got = append(got, setup.Rule{Name: at[string](t, rule, "Name"), Description: at[string](t, rule, "Description"),
			Pattern: plain(t, at[object](t, rule, "EventPattern"))})
		if targets := at[list](t, rule, "Targets"); len(targets) != 1 || at[string](t, targets[0], "Arn") != "WakeQueue.Arn" || at[string](t, targets[0], "Id") != setup.RuleTarget {
			t.Errorf("%s sends to %v", rule["Name"], targets)
		}
	}
	var expected []setup.Rule
	for _, rule := range setup.Rules(prefix) {
		rule.Pattern = plain(t, rule.Pattern)
		expected = append(expected, rule)
	}
	same(t, expected, got)
	policies := ofType(t, "AWS::SQS::QueuePolicy")
	if len(policies) != 1 {
		t.Fatalf("%d queue policies", len(policies))
	}
	statement := at[object](t, policies[0], "PolicyDocument", "Statement", "0")
	sources := at[list](t, statement, "Condition", "ArnEquals", "aws:SourceArn")
	if at[string](t, statement, "Principal", "Service") != "events.amazonaws.com" || at[string](t, statement, "Action") != "sqs:SendMessage" || len(sources) != len(expected) {
		t.Errorf("the wake queue admits %v", statement)
	}
}

// plain is a value as JSON decodes it.
func plain(t *testing.T, value map[string]any) (decoded map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(printed(t, value)), &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}
