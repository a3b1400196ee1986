package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// busy is a DynamoDB whose requests take 100 ms each. It notes which items each one wrote.
type busy struct {
	API

	mu      sync.Mutex
	alone   []string
	batches [][]string
	hangs   bool
	// answer, if not nil, changes what a batch is answered with.
	answer func(*dynamodb.BatchExecuteStatementOutput) (*dynamodb.BatchExecuteStatementOutput, error)
}

func (b *busy) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	b.mu.Lock()
	b.alone = append(b.alone, str(in.Key, "id"))
	b.mu.Unlock()
	time.Sleep(b.took())
	return &dynamodb.UpdateItemOutput{}, nil
}

func (b *busy) BatchExecuteStatement(_ context.Context, in *dynamodb.BatchExecuteStatementInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchExecuteStatementOutput, error) {
	out := &dynamodb.BatchExecuteStatementOutput{}
	var ids []string
	for _, statement := range in.Statements {
		for _, parameter := range statement.Parameters {
			if s, ok := parameter.(*types.AttributeValueMemberS); ok && strings.HasPrefix(s.Value, "bake-") {
				ids = append(ids, s.Value)
			}
		}
		out.Responses = append(out.Responses, types.BatchStatementResponse{})
	}
	b.mu.Lock()
	b.batches = append(b.batches, ids)
	b.mu.Unlock()
	time.Sleep(b.took())
	if b.answer != nil {
		return b.answer(out)
	}
	return out, nil
}

func (b *busy) took() time.Duration {
	if b.hangs {
		return 9 * time.Second
	}
	return 100 * time.Millisecond
}

func (b *busy) sizes() (sizes []int) {
	for _, ids := range b.batches {
		sizes = append(sizes, len(ids))
	}
	return sizes
}

// saveAll saves the jobs at once, and waits for all.
func saveAll(t *testing.T, s *Store, ids ...string) {
	t.Helper()
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			job := &jobs.Job{ID: id, State: jobs.Open, Run: 1, Seq: 1, Fence: 1}
			if _, err := s.Save(t.Context(), job, jobs.Saving{}); err != nil {
				t.Errorf("save %s: %v", id, err)
			}
		})
		synctest.Wait() // so that they come in this order
	}
	all.Wait()
}

func bakes(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("bake-", i))
	}
	return ids
}

func TestWritesOfABusyWorkerShareRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &busy{}
		saveAll(t, New(api, "jobs"), bakes(60)...)
		if want := []int{25, 25, 8}; len(api.alone) != aloneWrites || !slices.Equal(api.sizes(), want) {
			t.Errorf("%d went alone, batches of %v; expected %d and %v", len(api.alone), api.sizes(), aloneWrites, want)
		}
	})
}

func TestWritesOfAnIdleWorkerGoAloneAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &busy{}
		store, begun := New(api, "jobs"), time.Now()
		for _, id := range bakes(10) {
			saveAll(t, store, id)
		}
		if took := time.Since(begun); len(api.alone) != 10 || len(api.batches) > 0 || took != time.Second {
			t.Errorf("%d went alone, %d batches, in %s", len(api.alone), len(api.batches), took)
		}
	})
}

func TestARequestIsBelievedOnlyWhereItSaysThatAWriteWasMade(t *testing.T) {
	t.Parallel()
	refused := &types.BatchStatementError{Code: types.BatchStatementErrorCodeEnumConditionalCheckFailed}
	for name, c := range map[string]struct {
		answer func(*dynamodb.BatchExecuteStatementOutput) (*dynamodb.BatchExecuteStatementOutput, error)
		again  []string // what goes alone after it
	}{
		"one statement refused": {func(out *dynamodb.BatchExecuteStatementOutput) (*dynamodb.BatchExecuteStatementOutput, error) {
			out.Responses[1].Error = refused
			return out, nil
		}, []string{"bake-3"}},
		"answers missing": {func(out *dynamodb.BatchExecuteStatementOutput) (*dynamodb.BatchExecuteStatementOutput, error) {
			out.Responses = out.Responses[:1]
			return out, nil
		}, []string{"bake-3", "bake-4"}},
		"the request failed": {func(*dynamodb.BatchExecuteStatementOutput) (*dynamodb.BatchExecuteStatementOutput, error) {
			return nil, errors.New("AccessDeniedException")
		}, []string{"bake-2", "bake-3", "bake-4"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := &busy{answer: c.answer}
				saveAll(t, New(api, "jobs"), bakes(5)...)
				again := slices.Sorted(slices.Values(api.alone[aloneWrites:]))
				if want := [][]string{{"bake-2", "bake-3", "bake-4"}}; !reflect.DeepEqual(api.batches, want) || !slices.Equal(again, c.again) {
					t.Errorf("batches %v, then alone %v; expected %v", api.batches, again, c.again)
				}
			})
		})
	}
}

func TestNothingIsSharedForAWhileAfterARequestFailed(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*dynamodb.BatchExecuteStatementOutput) (*dynamodb.BatchExecuteStatementOutput, error){
		"as a whole": func(*dynamodb.BatchExecuteStatementOutput) (*dynamodb.BatchExecuteStatementOutput, error) {
			return nil, errors.New("UnknownOperationException")
		},
		"in each statement": func(out *dynamodb.BatchExecuteStatementOutput) (*dynamodb.BatchExecuteStatementOutput, error) {
			for i := range out.Responses {
				out.Responses[i].Error = &types.BatchStatementError{Code: types.BatchStatementErrorCodeEnumAccessDenied}
			}
			return out, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rests(t, &busy{answer: answer})
		})
	}
}

func rests(t *testing.T, api *busy) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := New(api, "jobs")
		saveAll(t, store, bakes(5)...)
		saveAll(t, store, bakes(20)...)
		if len(api.batches) != 1 {
			t.Errorf("%d batches right after a refusal, expected none more than the refused one", len(api.batches))
		}
		time.Sleep(batchRest)
		saveAll(t, store, bakes(5)...)
		if len(api.batches) != 2 {
			t.Errorf("%d batches after the rest, expected another try", len(api.batches))
		}
	})
}

func TestABatchHasOneWriteOfAnItem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &busy{}
		saveAll(t, New(api, "jobs"), "bake-0", "bake-1", "bake-2", "bake-3", "bake-2", "bake-4")
		if want := [][]string{{"bake-2", "bake-3", "bake-4"}}; !reflect.DeepEqual(api.batches, want) {
			t.Errorf("batches %v, expected %v", api.batches, want)
		}
		if want := []string{"bake-0", "bake-1", "bake-2"}; !slices.Equal(api.alone, want) {
			t.Errorf("%v went alone, expected %v", api.alone, want)
		}
	})
}

func TestALargeDocumentHoldsUpNobodyElses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &busy{}
		s, begun := New(api, "jobs"), time.Now()
		var all sync.WaitGroup
		for _, id := range bakes(5) {
			all.Go(func() {
				_, err := s.writes.write(t.Context(), id, largestShared+1, nil, func() (item, error) {
					_, err := api.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{Key: key(id)})
					return nil, err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(begun); took != 100*time.Millisecond || len(api.batches) > 0 {
			t.Errorf("they took %s and %d batches; expected each alone at once", took, len(api.batches))
		}
	})
}

func TestAClaimThatIsToldNothingAsksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &busy{} // its batches return no items
		s := New(api, "jobs")
		var all sync.WaitGroup
		for _, id := range bakes(4) {
			all.Go(func() {
				if _, _, err := s.Claim(t.Context(), jobs.Claim{ID: id, Until: time.Now().Add(time.Minute)}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if count := map[string]int{}; len(api.batches) == 1 {
			for _, id := range api.alone {
				count[id]++
			}
			for _, id := range api.batches[0] {
				if count[id] == 0 {
					t.Errorf("%s was claimed by an answer that does not show it", id)
				}
			}
		} else {
			t.Errorf("%d batches, expected one", len(api.batches))
		}
	})
}

func TestRequestsThatHangHoldUpNobodyElses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &busy{hangs: true}
		begun := time.Now()
		saveAll(t, New(api, "jobs"), bakes(60)...)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("60 saves took %s while each request took 9 s", took)
		}
	})
}
