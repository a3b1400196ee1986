package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
)

// endpointTable makes a jobs table on the embedded endpoint.
func endpointTable(t *testing.T) API {
	t.Helper()
	server, err := localaws.New(localaws.Config{Seed: 1, Speed: 1e9})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	client := dynamodb.New(dynamodb.Options{Region: "eu-west-1", BaseEndpoint: aws.String("http://aws.test"), HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	_, err = client.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: aws.String("jobs"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// anyJob is an item as it may stand there: of another run, seq, fence, lease, cancel flag or end.
func anyJob(random *rand.Rand, id string) item {
	it := item{"id": text(id), "t": text(sortJob), "v": number(jobs.SchemaVersion), "inc": text("inc"), "run": number(1 + random.Int64N(2)),
		"state": text(string(jobs.Open)), "seq": number(random.Int64N(2)), "fence": number(1 + random.Int64N(2)), "claims": number(1),
		"b": binary([]byte{'j', '{', '}'})}
	some := func(name string, value types.AttributeValue) {
		if random.IntN(2) == 0 {
			it[name] = value
		}
	}
	some("lease", number(time.Now().UnixMilli()+random.Int64N(2)*2000-1000))
	some("cancel", number(1))
	some("aw", &types.AttributeValueMemberSS{Value: []string{"here/i-1", "here/i-2"}})
	some("due", number(5))
	some("ds", text("1"))
	if random.IntN(3) == 0 {
		it["state"], it["exp"] = text(string(jobs.Failed)), number(time.Now().Unix()+random.Int64N(2)*200-100)
	}
	return it
}

// anyChange is a claim, a save or a flag.
func anyChange(random *rand.Rand, id string) *change {
	switch random.IntN(4) {
	case 0:
		return saved(&jobs.Job{ID: id, State: jobs.Open, Seq: 1, Fence: 1 + random.Int64N(2), Awaits: []string{"here/i-3"},
			Wait: &jobs.Waiting{Until: time.Now(), Due: random.IntN(2) == 0}}, jobs.Saving{}, random.IntN(2), []byte("jdocument"))
	case 1:
		return saved(&jobs.Job{ID: id, State: jobs.Succeeded, Seq: 1, Fence: 1, Expires: time.Now()}, jobs.Saving{Seq: random.Int64N(2)}, 0, []byte("j{}"))
	case 2:
		c := jobs.Claim{ID: id, Delivery: "this", Now: time.Now(), Until: time.Now().Add(time.Minute), Reopen: random.IntN(2), HasSeq: random.IntN(2) == 0}
		if c.Reopen == 0 && random.IntN(2) == 0 {
			c.Run, c.Await, c.Incarnation = 1, "here/i-1", "inc"
		}
		return claimed(c)
	}
	return flagged(id, 1, []string{"", "inc", "other"}[random.IntN(3)])
}

func TestAStatementChangesWhatTheUpdateChanges(t *testing.T) {
	t.Parallel()
	alone, shared := endpointTable(t), endpointTable(t)
	random := rand.New(rand.NewPCG(1, 2))
	made := 0
	for i := range 600 {
		id := fmt.Sprint("bake-", i)
		w := anyChange(random, id)
		if random.IntN(20) > 0 { // else nothing stands there
			it := anyJob(random, id)
			for _, table := range []API{alone, shared} {
				if _, err := table.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("jobs"), Item: it}); err != nil {
					t.Fatal(err)
				}
			}
		}
		now, err := New(alone, "jobs").updateItem(t.Context(), w)
		_, failed := failedOn(err)
		if err != nil && !failed {
			t.Fatal(err)
		}
		out, err := shared.BatchExecuteStatement(t.Context(), &dynamodb.BatchExecuteStatementInput{Statements: []types.BatchStatementRequest{w.statement("jobs")}})
		if err != nil {
			t.Fatal(err)
		}
		response := out.Responses[0]
		if refused := response.Error != nil; refused != failed || refused && response.Error.Code != types.BatchStatementErrorCodeEnumConditionalCheckFailed {
			t.Fatalf("%s: alone failed %v, shared %+v", *w.statement("jobs").Statement, failed, response.Error)
		}
		if !failed {
			made++
		}
		if !reflect.DeepEqual(now, response.Item) {
			t.Fatalf("%s: alone %v, shared %v", *w.statement("jobs").Statement, now, response.Item)
		}
		if one, other := standing(t, alone, id), standing(t, shared, id); !reflect.DeepEqual(one, other) {
			t.Fatalf("%s: alone %v, shared %v stands there", *w.statement("jobs").Statement, one, other)
		}
	}
	if made < 60 || made > 540 {
		t.Errorf("%d of 600 changes were made: both ends must be tried", made)
	}
}

func standing(t *testing.T, table API, id string) item {
	t.Helper()
	out, err := table.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("jobs"), Key: key(id)})
	if err != nil {
		t.Fatal(err)
	}
	if aw, ok := out.Item["aw"].(*types.AttributeValueMemberSS); ok {
		slices.Sort(aw.Value)
	}
	return out.Item
}

func TestAnInsertionPutsTheWholeItemWhereNoneStands(t *testing.T) {
	t.Parallel()
	table := endpointTable(t)
	insert := func(it item) *types.BatchStatementError {
		t.Helper()
		out, err := table.BatchExecuteStatement(t.Context(), &dynamodb.BatchExecuteStatementInput{Statements: []types.BatchStatementRequest{inserting("jobs", it)}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Responses[0].Error
	}
	first := goodItem(t, "ping-web-a")
	if failed := insert(first); failed != nil {
		t.Fatal(*failed.Message)
	}
	second := maps.Clone(first)
	second["inc"] = text("another")
	if failed := insert(second); failed == nil || failed.Code != types.BatchStatementErrorCodeEnumDuplicateItem {
		t.Errorf("the second insertion: %+v", failed)
	}
	if stands := standing(t, table, "ping-web-a"); !reflect.DeepEqual(stands, first) {
		t.Errorf("%v stands there, inserted was %v", stands, first)
	}
}
