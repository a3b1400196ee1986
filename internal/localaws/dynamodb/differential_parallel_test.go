package dynamodb

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// TestDifferentialParallelWritersEndAsOnDynamoDBLocal lets writers race here and on AWS's own engine, in ways whose outcome does not
// depend on who comes first: counters, creations that only one may win, fenced steps and transactions.
func TestDifferentialParallelWritersEndAsOnDynamoDBLocal(t *testing.T) {
	t.Parallel()
	r := &run{T: t, url: engineURL(t), seed: -1}
	s := r.sides()
	defer s.drop()
	ours := s.race(func(action, text string) (int, string) { return post(s.ours, action, text) })
	theirs := s.race(func(action, text string) (int, string) { return postTo(t, s.url, action, text) })
	if !reflect.DeepEqual(ours, theirs) {
		t.Errorf("\n got %v\nwant %v", ours, theirs)
	}
}

const (
	writers = 8
	rounds  = 12
)

// race lets all writers work at once, and gives how often each sort of call succeeded and what the tables hold then.
func (s *sides) race(post func(action, text string) (int, string)) map[string]any {
	calls := map[string]func(writer, round int) (action, text string){
		"count": func(int, int) (string, string) {
			return "UpdateItem", `{"TableName":"@main","Key":{"pk":{"S":"count"},"sk":{"N":"0"}},"UpdateExpression":"ADD n :one","ExpressionAttributeValues":{":one":{"N":"1"}}}`
		},
		"create": func(_, round int) (string, string) {
			return "PutItem", fmt.Sprintf(`{"TableName":"@main","Item":{"pk":{"S":"create"},"sk":{"N":"%d"}},"ConditionExpression":"attribute_not_exists(pk)"}`, round)
		},
		"step": func(_, round int) (string, string) {
			return "UpdateItem", fmt.Sprintf(`{"TableName":"@main","Key":{"pk":{"S":"step"},"sk":{"N":"%d"}},"UpdateExpression":"SET fence = :new","ConditionExpression":"attribute_not_exists(fence) OR fence < :new","ExpressionAttributeValues":{":new":{"N":"1"}}}`, round)
		},
		"both": func(_, round int) (string, string) {
			return "TransactWriteItems", fmt.Sprintf(`{"TransactItems":[{"Put":{"TableName":"@main","Item":{"pk":{"S":"both"},"sk":{"N":"%[1]d"}},"ConditionExpression":"attribute_not_exists(pk)"}},`+
				`{"Update":{"TableName":"@main","Key":{"pk":{"S":"both-count"},"sk":{"N":"%[1]d"}},"UpdateExpression":"ADD n :one","ExpressionAttributeValues":{":one":{"N":"1"}}}}]}`, round)
		},
		"token": func(_, round int) (string, string) {
			return "TransactWriteItems", fmt.Sprintf(`{"ClientRequestToken":"race%d-@token","TransactItems":[{"Update":{"TableName":"@main","Key":{"pk":{"S":"token"},"sk":{"N":"%[1]d"}},"UpdateExpression":"ADD n :one","ExpressionAttributeValues":{":one":{"N":"1"}}}}]}`, round)
		},
	}
	outcome := map[string]any{}
	for name, call := range calls {
		outcome[name] = s.raceOf(call, post)
	}
	_, answer := post("Scan", s.named(`{"TableName":"@main"}`))
	outcome["items"] = normal(operation{action: "Scan"}, decoded(s.T, answer))
	return outcome
}

// raceOf makes one sort of call from all writers, each round's calls at once, and counts what they were answered. A call that met
// another transaction, or one with its token, is made again.
func (s *sides) raceOf(call func(writer, round int) (action, text string), post func(action, text string) (int, string)) map[string]int {
	counts := map[string]int{}
	var mu sync.Mutex
	for round := range rounds {
		var all sync.WaitGroup
		for writer := range writers {
			all.Go(func() {
				action, text := call(writer, round)
				status, answer := post(action, s.named(text))
				for strings.Contains(answer, "TransactionConflict") || strings.Contains(answer, "TransactionInProgress") {
					status, answer = post(action, s.named(text))
				}
				code := "ok"
				if status != 200 {
					code = fmt.Sprint(errorEssence(decoded(s.T, answer))["code"])
				}
				mu.Lock()
				counts[code]++
				mu.Unlock()
			})
		}
		all.Wait()
	}
	return counts
}
