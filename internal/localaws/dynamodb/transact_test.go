package dynamodb

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestATransactionIsAllOrNothingAndSaysWhy(t *testing.T) {
	t.Parallel()
	client := newClient(tab(t))
	taken := with(keyOf("taken", 1), attributes{"owner": str("x")})
	put(t, client, taken)
	actions := []types.TransactWriteItem{
		{Put: &types.Put{TableName: aws.String("tab"), Item: keyOf("new", 1)}},
		{Put: &types.Put{TableName: aws.String("tab"), Item: keyOf("taken", 1), ConditionExpression: aws.String("attribute_not_exists(pk)"),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}},
		{Update: &types.Update{TableName: aws.String("tab"), Key: keyOf("none", 1), UpdateExpression: aws.String("SET a = b")}},
	}
	_, err := client.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: actions})
	cancelled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	want := []types.CancellationReason{
		{Code: aws.String("None")},
		{Code: aws.String("ConditionalCheckFailed"), Message: aws.String("The conditional request failed"), Item: taken},
		{Code: aws.String("ValidationError"), Message: aws.String("The provided expression refers to an attribute that does not exist in the item")},
	}
	if !reflect.DeepEqual(cancelled.CancellationReasons, want) {
		t.Errorf("got %+v, want %+v", cancelled.CancellationReasons, want)
	}
	if out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("tab"), Key: keyOf("new", 1)}); err != nil || out.Item != nil {
		t.Errorf("a cancelled transaction left %v, %v", out.Item, err)
	}
}

func TestAClientTokenMakesOneTransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := tab(t)
		transact := func(amount int) (int, string) {
			return post(s, "TransactWriteItems", fmt.Sprintf(`{"ClientRequestToken":"token","TransactItems":[{"Update":{"TableName":"tab"%s,
"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"%d"}}}}]}`, recordedKey, amount))
		}
		for _, c := range []struct {
			pause  time.Duration
			amount int
			status int
			total  string
		}{
			{0, 1, 200, "1"},
			{9 * time.Minute, 1, 200, "1"},
			{0, 2, 400, "1"},
			{2 * time.Minute, 2, 200, "3"},
		} {
			time.Sleep(c.pause)
			if status, answer := transact(c.amount); status != c.status || status == 400 && !strings.Contains(answer, "IdempotentParameterMismatchException") {
				t.Fatalf("%+v: got %d %s", c, status, answer)
			}
			if got := must(t, s, "GetItem", `{"TableName":"tab","ProjectionExpression":"n"`+recordedKey+`}`); got != `{"Item":{"n":{"N":"`+c.total+`"}}}` {
				t.Fatalf("%+v: got %s", c, got)
			}
		}
	})
}

func TestTransactionsRefuseWhatAWSRefuses(t *testing.T) {
	t.Parallel()
	s := tab(t)
	one := `{"Put":{"TableName":"tab","Item":{"pk":{"S":"a"},"sk":{"N":"1"}}}}`
	for body, want := range map[string]string{
		`{"TransactItems":[]}`:                                           "Member must have length greater than or equal to 1",
		`{"TransactItems":[{}]}`:                                         "should contain Delete or Put or Update request",
		`{"TransactItems":[` + one + `,` + one + `]}`:                    "Transaction request cannot include multiple operations on one item",
		`{"TransactItems":[` + strings.Repeat(one+",", 100) + one + `]}`: "Member must have length less than or equal to 100",
		`{"TransactItems":[` + one + `],"ClientRequestToken":"` + strings.Repeat("x", 37) + `"}`: "Member must have length between 1 and 36",
		`{"TransactItems":[{"ConditionCheck":{"TableName":"tab"` + recordedKey + `}}]}`:          "conditionExpression' failed to satisfy constraint: Member must not be null",
		`{"TransactItems":[{"Update":{"TableName":"tab"` + recordedKey + `}}]}`:                  "updateExpression' failed to satisfy constraint: Member must not be null",
		`{"TransactItems":[{"Put":{"TableName":"nope","Item":{}}}]}`:                             "Requested resource not found",
		`{"TransactItems":[` + one + `],"Token":"x"}`:                                            `unknown parameter \"Token\"`,
	} {
		if status, answer := post(s, "TransactWriteItems", body); status != 400 || !strings.Contains(answer, want) {
			t.Errorf("%.200s\n got %d %s\nwant %s", body, status, answer, want)
		}
	}
}
