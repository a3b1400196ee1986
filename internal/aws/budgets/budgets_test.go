package budgets_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/budgets"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// table is items with a version each, as DynamoDB keeps them.
type table struct {
	mu     sync.Mutex
	items  map[string]map[string]types.AttributeValue
	writes atomic.Int64
	// twice: each write is sent again, since its answer was lost.
	twice bool
}

func newTable() *table { return &table{items: map[string]map[string]types.AttributeValue{}} }

func (t *table) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	time.Sleep(5 * time.Millisecond)
	err := t.write(in)
	if err == nil && t.twice {
		err = t.write(in)
	}
	time.Sleep(5 * time.Millisecond)
	return &dynamodb.UpdateItemOutput{}, err
}

func (t *table) write(in *dynamodb.UpdateItemInput) error {
	t.writes.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	id := in.Key["id"].(*types.AttributeValueMemberS).Value
	item, values := t.items[id], in.ExpressionAttributeValues
	expected, conditional := values[":ver"]
	if conditional != (item != nil) || conditional && number(item["ver"]) != number(expected) {
		return &types.ConditionalCheckFailedException{Item: item}
	}
	t.items[id] = map[string]types.AttributeValue{"id": in.Key["id"], "b": values[":b"], "ver": values[":next"], "by": values[":by"]}
	return nil
}

func number(v types.AttributeValue) string {
	if n, ok := v.(*types.AttributeValueMemberN); ok {
		return n.Value
	}
	return ""
}

func (t *table) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	time.Sleep(5 * time.Millisecond)
	t.mu.Lock()
	defer t.mu.Unlock()
	return &dynamodb.GetItemOutput{Item: t.items[in.Key["id"].(*types.AttributeValueMemberS).Value]}, nil
}

func (t *table) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := &dynamodb.QueryOutput{}
	for _, item := range t.items {
		out.Items = append(out.Items, item)
	}
	return out, nil
}

// worker is one of several that share the table.
func worker(t *testing.T, api budgets.API, limits ...string) *budgets.Budgets {
	t.Helper()
	l, err := budget.ParseLimits(limits, 0)
	if err != nil {
		t.Fatal(err)
	}
	return budgets.New(budgets.Config{API: api, Table: "jobs", Limits: l})
}

// asker is a job that makes one call through its worker's middleware again and again, as its engine would let it.
type asker struct {
	job *jobs.Job
	ctx context.Context
}

func newAsker(priority jobs.Priority) asker {
	job := &jobs.Job{Priority: priority}
	return asker{job, jobs.Book(context.Background(), job)}
}

const run = "own/eu-west-1/RunInstances"

// The resource limit of 1,010 is a bucket of 1,000: what comes back in five seconds is left out of it.
func TestWorkersThatAskTogetherGetWhatIsThereAndNoMore(t *testing.T) {
	t.Parallel()
	for _, twice := range []bool{false, true} {
		t.Run(fmt.Sprintf("each answer lost %t", twice), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := newTable()
				api.twice = twice
				var granted, waiting atomic.Int64
				var all sync.WaitGroup
				for range 8 {
					w := worker(t, api, "RunInstances=1000/1", "RunInstances:resources=1010/2")
					for range 25 {
						all.Go(func() {
							switch err := w.Ask(newAsker(jobs.Normal).ctx, run, 100); {
							case err == nil:
								granted.Add(1)
							case jobs.IsClass(err, jobs.InLine):
								waiting.Add(1)
							default:
								t.Error(err)
							}
						})
					}
				}
				all.Wait()
				if granted.Load() != 10 || waiting.Load() != 190 {
					t.Errorf("%d launches of 100 were granted and %d wait; want 10 of a bucket of 1,000 and 190", granted.Load(), waiting.Load())
				}
				if n := api.writes.Load(); n > 150 {
					t.Errorf("200 asks of 8 workers took %d writes; those of a worker that come together share one", n)
				}
				entries, err := worker(t, api, "RunInstances=1000/1", "RunInstances:resources=1010/2").List(context.Background())
				if err != nil || len(entries) != 1 {
					t.Fatalf("%d budgets: %v", len(entries), err)
				}
				if left := entries[0].State.Resources.Lines[budget.Normal].Waiting(); left < 18_990 || left > 19_000 {
					t.Errorf("%.0f servers are waited for, want 19,000", left)
				}
			})
		})
	}
}

func TestAPlaceIsKeptUntilItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := worker(t, newTable(), "RunInstances=1000/1", "RunInstances:resources=1010/2")
		if err := w.Ask(newAsker(jobs.Normal).ctx, run, 1000); err != nil {
			t.Fatal(err)
		}
		a, begun := newAsker(jobs.Normal), time.Now()
		for tries := 0; ; tries++ {
			err := w.Ask(a.ctx, run, 50)
			if err == nil {
				break
			}
			later, ok := errors.AsType[*jobs.Error](err)
			if !ok || tries > 20 {
				t.Fatalf("after %d tries: %v", tries, err)
			}
			time.Sleep(time.Until(later.Until) / 2) // too early, as a nudge would
			if len(a.job.Grants) != 1 {
				t.Fatalf("the job holds %d places", len(a.job.Grants))
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(begun); took < 25*time.Second || took > 40*time.Second {
			t.Errorf("50 servers at two a second took %s", took)
		}
		if len(a.job.Grants) > 0 {
			t.Errorf("the job still holds %v", a.job.Grants)
		}
	})
}

func TestAGrantThatIsUsedLongAfterItsTurnTakesItsTokensAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := worker(t, newTable(), "RunInstances=1000/1000")
		if err := w.Ask(newAsker(jobs.Normal).ctx, run, 900); err != nil {
			t.Fatal(err)
		}
		late := newAsker(jobs.Normal)
		if err := w.Ask(late.ctx, run, 400); !jobs.IsClass(err, jobs.InLine) {
			t.Fatalf("400 servers of a hundred: %v", err)
		}
		time.Sleep(time.Hour) // EC2's bucket is full again, and holds no 400 more than that
		if err := w.Ask(late.ctx, run, 400); err != nil {
			t.Fatal(err)
		}
		if err := w.Ask(newAsker(jobs.Normal).ctx, run, 700); !jobs.IsClass(err, jobs.InLine) {
			t.Errorf("1,100 servers were granted of a bucket of 1,000: %v", err)
		}
	})
}

func TestRequestsAreTakenInBlocksWhileThereArePlenty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newTable()
		w := worker(t, api)
		for range 40 {
			if err := w.Ask(newAsker(jobs.Normal).ctx, "own/eu-west-1/CreateTags", 0); err != nil {
				t.Fatal(err)
			}
		}
		if n := api.writes.Load(); n > 10 {
			t.Errorf("40 requests of a bucket of 100 took %d writes", n)
		}
	})
}

func TestAnItemThatNobodyCanReadIsAnErrorAndIsNotOverwritten(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"no JSON":  "{",
		"a NaN":    `{"at":"2026-11-01T00:00:00Z","q":{"l":NaN}}`,
		"too many": `{"at":"2026-11-01T00:00:00Z","q":{"l":1e300}}`,
		"a line that has served more than it issued": `{"at":"2026-11-01T00:00:00Z","q":{"l":1,"w":[{"i":1,"s":9},{},{}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := newTable()
				api.items["budget/"+run] = map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "budget/" + run},
					"b": &types.AttributeValueMemberB{Value: []byte(document)}, "ver": &types.AttributeValueMemberN{Value: "3"}}
				err := worker(t, api).Ask(newAsker(jobs.Normal).ctx, run, 1)
				if !jobs.IsClass(err, jobs.Retry) || !strings.Contains(err.Error(), run) {
					t.Errorf("the answer is %v", err)
				}
				if string(api.items["budget/"+run]["b"].(*types.AttributeValueMemberB).Value) != document {
					t.Error("it was overwritten")
				}
			})
		})
	}
}
