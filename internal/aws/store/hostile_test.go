package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// table is a DynamoDB whose reads answer with the same items, whatever stands in them.
type table struct {
	API
	items []map[string]types.AttributeValue
}

func (t *table) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for name := range in.RequestItems {
		out.Responses[name] = t.items
	}
	return out, nil
}

func (t *table) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	if shard, ok := in.ExpressionAttributeValues[":shard"].(*types.AttributeValueMemberS); ok && shard.Value != "0" {
		return &dynamodb.QueryOutput{}, nil
	}
	return &dynamodb.QueryOutput{Items: t.items}, nil
}

func (t *table) Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	return &dynamodb.ScanOutput{Items: t.items}, nil
}

func goodItem(t testing.TB, id string) item {
	t.Helper()
	it, err := encodeJob(&jobs.Job{ID: id, Schema: 1, Kind: "Ping", Name: "web", Incarnation: "inc", Run: 1, State: jobs.Open})
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// tooLarge is the bad item that grows over what is read.
const tooLarge = "a document that expands"

// badItems are items that something else than this version wrote.
func badItems(t testing.TB) map[string]item {
	t.Helper()
	with := func(name string, value types.AttributeValue) item {
		it := goodItem(t, "ping-bad")
		it[name] = value
		return it
	}
	bomb, err := pack([]byte(`{"k":"` + strings.Repeat("a", maxDocument) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]item{
		"no document":            {"id": text("ping-bad"), "t": text(sortJob)},
		"a document of text":     with("b", text("x")),
		"not JSON":               with("b", binary([]byte("j{"))),
		"another packing":        with("b", binary([]byte("\xff"))),
		"cut":                    with("b", binary([]byte("z\x00\x01"))),
		tooLarge:                 with("b", binary(bomb)),
		"a member of wrong type": with("b", binary([]byte(`j{"k":1}`))),
		"a spec that is cut":     with("spec", binary([]byte("z\x00"))),
	}
}

func TestOneUnreadableItemDoesNotTakeTheOthersAlong(t *testing.T) {
	t.Parallel()
	for name, bad := range badItems(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(&table{items: []map[string]types.AttributeValue{goodItem(t, "ping-a"), bad, goodItem(t, "ping-b")}}, "jobs")
			rows, err := s.Rows(t.Context(), []string{"ping-a", "ping-bad", "ping-b"})
			if err != nil {
				t.Fatal(err)
			}
			if rows["ping-a"].Job == nil || rows["ping-b"].Job == nil {
				t.Error("the readable rows are not given")
			}
			if row := rows["ping-bad"]; row == nil || row.Unreadable == nil || !strings.Contains(row.Unreadable.Error(), "ping-bad") {
				t.Errorf("the unreadable row is %+v; want one that names itself", row)
			}
			list, err := s.List(t.Context(), Filter{})
			unread, rest := jobs.Unread(err)
			if len(list) != 2 || rest != nil || unread == nil || !strings.Contains(unread.Error(), "ping-bad") {
				t.Errorf("the list has %d jobs, and %v", len(list), err)
			}
			page, _, err := s.Page(t.Context(), "", 10)
			if unread, rest := jobs.Unread(err); len(page) != 2 || rest != nil || unread == nil {
				t.Errorf("the page has %d jobs, and %v", len(page), err)
			}
		})
	}
}

func TestADueJobWithNoLaneOfOursIsWokenByTheLaneOfWakes(t *testing.T) {
	t.Parallel()
	for _, lane := range []types.AttributeValue{nil, text(""), text("dead"), text("x"), number(1)} {
		it := item{"id": text("ping-a"), "due": number(1)}
		if lane != nil {
			it["lane"] = lane
		}
		due, err := New(&table{items: []map[string]types.AttributeValue{it}}, "jobs").Due(t.Context(), time.Now(), 10)
		if err != nil || len(due) != 1 || due[0].Lane != jobs.LaneWake {
			t.Errorf("%v gives %+v, %v", lane, due, err)
		}
	}
}
