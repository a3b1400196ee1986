package dynamodb

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int) types.AttributeValue { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }

type attributes = map[string]types.AttributeValue

func keyOf(pk string, sk int) attributes { return attributes{"pk": str(pk), "sk": num(sk)} }

func with(item attributes, more attributes) attributes {
	maps.Copy(item, more)
	return item
}

func put(t *testing.T, client *dynamodb.Client, item attributes) {
	t.Helper()
	if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("tab"), Item: item}); err != nil {
		t.Fatal(err)
	}
}

func TestAFailedConditionShowsTheItemThatStoodInItsWay(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	item := with(keyOf("a", 1), attributes{"seq": num(7)})
	put(t, client, item)
	_, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String("tab"), Key: keyOf("a", 1),
		UpdateExpression: aws.String("SET seq = :next"), ConditionExpression: aws.String("seq = :seen"),
		ExpressionAttributeValues:           attributes{":next": num(7), ":seen": num(6)},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	if !ok || !reflect.DeepEqual(failed.Item, item) {
		t.Fatalf("got %v with %v, want the item", err, failed)
	}
}

func TestReturnValuesGiveWhatTheyName(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	old := with(keyOf("a", 1), attributes{"n": num(1), "s": str("x"), "m": &types.AttributeValueMemberM{Value: attributes{"a": num(1), "b": num(2)}}})
	updated := with(keyOf("a", 1), attributes{"n": num(2), "m": &types.AttributeValueMemberM{Value: attributes{"a": num(5), "b": num(2)}}})
	inner := func(n int) types.AttributeValue { return &types.AttributeValueMemberM{Value: attributes{"a": num(n)}} }
	for wanted, expected := range map[types.ReturnValue]attributes{
		types.ReturnValueNone:       nil,
		types.ReturnValueAllOld:     old,
		types.ReturnValueAllNew:     updated,
		types.ReturnValueUpdatedOld: {"n": num(1), "s": str("x"), "m": inner(1)},
		types.ReturnValueUpdatedNew: {"n": num(2), "m": inner(5)},
	} {
		put(t, client, old)
		out, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("tab"), Key: keyOf("a", 1), ReturnValues: wanted,
			UpdateExpression: aws.String("SET n = n + :one, m.a = :five REMOVE s"), ExpressionAttributeValues: attributes{":one": num(1), ":five": num(5)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(out.Attributes, expected) {
			t.Errorf("%s: got %v, want %v", wanted, out.Attributes, expected)
		}
	}
}

func TestAnUpdateOfNothingMakesTheItem(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	out, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String("tab"), Key: keyOf("new", 1), ReturnValues: types.ReturnValueAllNew,
		UpdateExpression: aws.String("ADD tries :one"), ExpressionAttributeValues: attributes{":one": num(1)},
	})
	if err != nil || !reflect.DeepEqual(out.Attributes, with(keyOf("new", 1), attributes{"tries": num(1)})) {
		t.Fatalf("got %v, %v", out, err)
	}
}

func TestAQueryPagesInTheOrderOfItsKeys(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	// Orders in which bytes, digits and signs would mislead.
	numbers := []string{"-100", "-20.5", "-3", "-0.01", "0", "0.001", "0.5", "1", "1.5", "2", "10", "99", "100", "12345678901234567890123456789"}
	for _, n := range numbers {
		put(t, client, attributes{"pk": str("a"), "sk": &types.AttributeValueMemberN{Value: n}, "gh": str("g"), "gr": num(len(n) % 3)})
		put(t, client, attributes{"pk": str("other"), "sk": &types.AttributeValueMemberN{Value: n}})
	}
	for _, forward := range []bool{true, false} {
		var got []string
		pages := dynamodb.NewQueryPaginator(client, &dynamodb.QueryInput{
			TableName: aws.String("tab"), KeyConditionExpression: aws.String("pk = :a"), ExpressionAttributeValues: attributes{":a": str("a")},
			Limit: aws.Int32(3), ScanIndexForward: aws.Bool(forward),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				got = append(got, item["sk"].(*types.AttributeValueMemberN).Value)
			}
		}
		want := slices.Clone(numbers)
		if !forward {
			slices.Reverse(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("forward %t: got %v, want %v", forward, got, want)
		}
	}
	total := 0
	pages := dynamodb.NewQueryPaginator(client, &dynamodb.QueryInput{
		TableName: aws.String("tab"), IndexName: aws.String("gsi"), Limit: aws.Int32(4), ScanIndexForward: aws.Bool(false),
		KeyConditionExpression: aws.String("gh = :g AND gr BETWEEN :low AND :high"), ExpressionAttributeValues: attributes{":g": str("g"), ":low": num(0), ":high": num(2)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		total += len(page.Items)
	}
	if total != len(numbers) {
		t.Errorf("the index gave %d items of %d", total, len(numbers))
	}
}

func TestKeyConditionsSelectTheirRange(t *testing.T) {
	t.Parallel()
	s := newService(t, "")
	must(t, s, "CreateTable", `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],
"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"S"}]}`)
	client := newClient(s)
	keys := []string{"a", "a\x00", "a\x00b", "a\x01", "aa", "ab", "b", "b\xc3\xbf", "c"}
	for _, k := range keys {
		put(t, client, attributes{"pk": str("p"), "sk": str(k)})
		put(t, client, attributes{"pk": str("p2"), "sk": str(k)})
	}
	for condition, holds := range map[string]func(k string) bool{
		"sk = :x":              func(k string) bool { return k == "a\x00" },
		"sk < :y":              func(k string) bool { return k < "ab" },
		"sk <= :y":             func(k string) bool { return k <= "ab" },
		"sk > :x":              func(k string) bool { return k > "a\x00" },
		"sk >= :x":             func(k string) bool { return k >= "a\x00" },
		"sk BETWEEN :x AND :y": func(k string) bool { return k >= "a\x00" && k <= "ab" },
		"begins_with(sk, :x)":  func(k string) bool { return strings.HasPrefix(k, "a\x00") },
		"begins_with(sk, :b)":  func(k string) bool { return strings.HasPrefix(k, "b") },
	} {
		values := attributes{":p": str("p")}
		bounds := attributes{":x": str("a\x00"), ":y": str("ab"), ":b": str("b")}
		for name, value := range bounds {
			if strings.Contains(condition, name) {
				values[name] = value
			}
		}
		out, err := client.Query(t.Context(), &dynamodb.QueryInput{
			TableName: aws.String("tab"), KeyConditionExpression: aws.String("pk = :p AND " + condition), ExpressionAttributeValues: values,
		})
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, item := range out.Items {
			got = append(got, item["sk"].(*types.AttributeValueMemberS).Value)
		}
		for _, k := range keys {
			if holds(k) {
				want = append(want, k)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", condition, got, want)
		}
	}
}

func TestSegmentsOfAScanShareTheItemsOut(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	for i := range 300 {
		put(t, client, with(keyOf(fmt.Sprint("p", i), 1), nil))
	}
	seen := map[string]int{}
	for segment := range int32(7) {
		inSegment := 0
		pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: aws.String("tab"), Segment: &segment, TotalSegments: aws.Int32(7), Limit: aws.Int32(10)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				seen[item["pk"].(*types.AttributeValueMemberS).Value]++
				inSegment++
			}
		}
		if inSegment < 15 || inSegment > 85 {
			t.Errorf("segment %d has %d of 300 items", segment, inSegment)
		}
	}
	for pk, times := range seen {
		if times != 1 {
			t.Errorf("%s was seen %d times", pk, times)
		}
	}
	if len(seen) != 300 {
		t.Errorf("%d items of 300 were seen", len(seen))
	}
}

func TestAPageEndsBeforeItPassesAMegabyte(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	for i := range 5 {
		put(t, client, with(keyOf("a", i), attributes{"v": str(strings.Repeat("x", 300*1024))}))
	}
	out, err := client.Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String("tab"), KeyConditionExpression: aws.String("pk = :a"), ExpressionAttributeValues: attributes{":a": str("a")},
	})
	if err != nil || len(out.Items) != 3 || out.LastEvaluatedKey == nil {
		t.Fatalf("got %d items and %v, %v; want 3 and a key", len(out.Items), out.LastEvaluatedKey, err)
	}
}

func TestExpiredItemsStayUntilTheSweeperComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := tab(t)
		s.Delays.Expiry = 10 * time.Minute
		must(t, s, "UpdateTimeToLive", `{"TableName":"tab","TimeToLiveSpecification":{"AttributeName":"ttl","Enabled":true}}`)
		soon, later := time.Now().Add(time.Minute).Unix(), time.Now().Add(time.Hour).Unix()
		for i, expiry := range []int64{soon, later, 1} {
			must(t, s, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"a"},"sk":{"N":"%d"},"ttl":{"N":"%d"}}}`, i, expiry))
		}
		count := func() string { return must(t, s, "Scan", `{"TableName":"tab","Select":"COUNT"}`) }
		for _, c := range []struct {
			sleep time.Duration
			want  string
		}{
			{10 * time.Minute, `{"Count":3,"ScannedCount":3}`},
			{2 * time.Minute, `{"Count":2,"ScannedCount":2}`},
			{time.Hour, `{"Count":1,"ScannedCount":1}`}, // what expired more than five years ago stays
		} {
			time.Sleep(c.sleep)
			synctest.Wait()
			if got := count(); got != c.want {
				t.Fatalf("after %v: %s, want %s", c.sleep, got, c.want)
			}
		}
	})
}

func TestTablesAndItemsSurviveARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	s := newService(t, path)
	must(t, s, "CreateTable", tabDefinition)
	must(t, s, "PutItem", `{"TableName":"tab","Item":`+recordedItem+`}`)
	must(t, s, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"gone"},"sk":{"N":"1"}}}`)
	must(t, s, "DeleteItem", `{"TableName":"tab","Key":{"pk":{"S":"gone"},"sk":{"N":"1"}}}`)
	if err := s.env.Store.Flush(); err != nil {
		t.Fatal(err)
	}
	before, description := must(t, s, "Scan", `{"TableName":"tab"}`), must(t, s, "DescribeTable", `{"TableName":"tab"}`)
	again := newService(t, path)
	if after := must(t, again, "Scan", `{"TableName":"tab"}`); after != before {
		t.Errorf("got %s, want %s", after, before)
	}
	if after := must(t, again, "DescribeTable", `{"TableName":"tab"}`); after != description {
		t.Errorf("got %s, want %s", after, description)
	}
}
