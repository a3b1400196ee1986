package dynamodb

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestATableServesOnlyWhenItIsActive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, "")
		s.Delays = Delays{Table: 2 * time.Second, Index: 5 * time.Second}
		must(t, s, "CreateTable", tabDefinition)
		status := func(want string) {
			t.Helper()
			if got := must(t, s, "DescribeTable", `{"TableName":"tab"}`); !strings.Contains(got, `"TableStatus":"`+want+`"`) {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
		status("CREATING")
		if code, answer := post(s, "Scan", `{"TableName":"tab"}`); code != 400 || !strings.Contains(answer, "ResourceNotFoundException") {
			t.Fatalf("a scan of a table that is being made: %d %s", code, answer)
		}
		if code, answer := post(s, "CreateTable", tabDefinition); code != 400 || !strings.Contains(answer, "ResourceInUseException") {
			t.Fatalf("a second creation: %d %s", code, answer)
		}
		time.Sleep(2 * time.Second)
		status("ACTIVE")
		must(t, s, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"a"},"sk":{"N":"1"},"kind":{"S":"x"}}}`)
		must(t, s, "UpdateTable", `{"TableName":"tab","AttributeDefinitions":[{"AttributeName":"kind","AttributeType":"S"},{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"N"},
{"AttributeName":"gh","AttributeType":"S"},{"AttributeName":"gr","AttributeType":"N"}],
"GlobalSecondaryIndexUpdates":[{"Create":{"IndexName":"kinds","KeySchema":[{"AttributeName":"kind","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}}]}`)
		status("UPDATING")
		query := `{"TableName":"tab","IndexName":"kinds","KeyConditionExpression":"kind = :x","ExpressionAttributeValues":{":x":{"S":"x"}},"Select":"COUNT"}`
		if code, answer := post(s, "Query", query); code != 400 || !strings.Contains(answer, "Cannot read from backfilling global secondary index: kinds") {
			t.Fatalf("a query of an index that is being made: %d %s", code, answer)
		}
		time.Sleep(5 * time.Second)
		if got := must(t, s, "Query", query); got != `{"Count":1,"ScannedCount":1}` {
			t.Fatalf("the new index gives %s", got)
		}
		must(t, s, "UpdateTable", `{"TableName":"tab","GlobalSecondaryIndexUpdates":[{"Delete":{"IndexName":"kinds"}}]}`)
		if code, answer := post(s, "Query", query); code != 400 || !strings.Contains(answer, "does not have the specified index: kinds") {
			t.Fatalf("a query of a deleted index: %d %s", code, answer)
		}
		must(t, s, "DeleteTable", `{"TableName":"tab"}`)
		if code, answer := post(s, "DescribeTable", `{"TableName":"tab"}`); code != 400 || !strings.Contains(answer, "Requested resource not found: Table: tab not found") {
			t.Fatalf("a deleted table: %d %s", code, answer)
		}
	})
}

func TestTableDefinitionsAreChecked(t *testing.T) {
	t.Parallel()
	s := newService(t, "")
	for _, c := range []struct{ replace, by, want string }{
		{`"tab"`, `"t"`, "Table/index names must be between 3 and 255 characters"},
		{`"tab"`, `"a b c"`, "Table/index names must be between 3 and 255 characters"},
		{`"KeyType":"RANGE"`, `"KeyType":"HASH"`, "The second KeySchemaElement is not a RANGE key type"},
		{`"AttributeName":"gh","AttributeType":"S"`, `"AttributeName":"other","AttributeType":"S"`, "Some index key attributes are not defined in AttributeDefinitions. Keys: [gh]"},
		{`"AttributeType":"N"`, `"AttributeType":"L"`, "Member must satisfy enum value set: [B, N, S]"},
		{`"KEYS_ONLY"`, `"INCLUDE"`, "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"},
		{`"PAY_PER_REQUEST"`, `"PROVISIONED"`, "ReadCapacityUnits and WriteCapacityUnits must both be specified"},
		{`"BillingMode"`, `"LocalSecondaryIndexes":[{"IndexName":"lsi"}],"BillingMode"`, "local secondary indexes are not supported"},
		{`"BillingMode"`, `"Blling":1,"BillingMode"`, "unknown parameter"},
		{`"AttributeDefinitions":[`, `"AttributeDefinitions":[{"AttributeName":"more","AttributeType":"S"},`, "Some AttributeDefinitions are not used"},
	} {
		if status, answer := post(s, "CreateTable", strings.Replace(tabDefinition, c.replace, c.by, 1)); status != 400 || !strings.Contains(answer, c.want) {
			t.Errorf("%s: got %d %s, want %s", c.by, status, answer, c.want)
		}
	}
}

func TestSettingsAreKept(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	name, ctx := aws.String("tab"), t.Context()
	described, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: name})
	if err != nil {
		t.Fatal(err)
	}
	arn := described.Table.TableArn
	if _, err := client.TagResource(ctx, &dynamodb.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}); err != nil {
		t.Fatal(err)
	}
	if tags, err := client.ListTagsOfResource(ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: arn}); err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "b" {
		t.Errorf("tags: %v, %v", tags, err)
	}
	if _, err := client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{TableName: name,
		PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)}}); err != nil {
		t.Fatal(err)
	}
	backups, err := client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: name})
	if err != nil || backups.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled {
		t.Errorf("backups: %+v, %v", backups, err)
	}
	if _, err := client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: name,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("ttl"), Enabled: aws.Bool(true)}}); err != nil {
		t.Fatal(err)
	}
	ttl, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: name})
	if err != nil || *ttl.TimeToLiveDescription.AttributeName != "ttl" {
		t.Errorf("TTL: %+v, %v", ttl, err)
	}
	tables, err := client.ListTables(ctx, &dynamodb.ListTablesInput{})
	if err != nil || len(tables.TableNames) != 1 || tables.TableNames[0] != "tab" {
		t.Errorf("tables: %+v, %v", tables, err)
	}
}

func TestBatchesWriteAndReadManyItems(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	var writes []types.WriteRequest
	var keys []attributes
	for i := range 25 {
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: keyOf("a", i)}})
		keys = append(keys, keyOf("a", i))
	}
	if _, err := client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"tab": writes}}); err != nil {
		t.Fatal(err)
	}
	out, err := client.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"tab": {Keys: append(keys, keyOf("none", 1))}}})
	if err != nil || len(out.Responses["tab"]) != 25 || len(out.UnprocessedKeys) != 0 {
		t.Fatalf("got %v, %v", out, err)
	}
}

func TestMembersThatACallDoesNotHaveAreRefused(t *testing.T) {
	t.Parallel()
	s := tab(t)
	for action, member := range map[string]string{
		"PutItem": "UpdateExpression", "GetItem": "ConditionExpression", "Query": "Segment", "Scan": "KeyConditionExpression", "DeleteItem": "Item", "UpdateItem": "Itme",
	} {
		status, answer := post(s, action, fmt.Sprintf(`{"TableName":"tab",%q:"x"}`, member))
		if status != 400 || !strings.Contains(answer, `unknown parameter \"`+member+`\"`) {
			t.Errorf("%s with %s: got %d %s", action, member, status, answer)
		}
	}
	if status, answer := post(s, "PutItem", `{"TableName":"tab","Expected":{}}`); status != 400 || !strings.Contains(answer, "legacy parameter Expected") {
		t.Errorf("got %d %s", status, answer)
	}
}
