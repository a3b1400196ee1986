package dynamodb

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func TestOfManyClaimsOfOneFenceOneWins(t *testing.T) {
	t.Parallel()
	s := tab(t)
	const rounds, workers = 50, 8
	must(t, s, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"a"},"sk":{"N":"1"},"fence":{"N":"0"}}}`)
	var won atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for fence := range rounds {
				status, _ := post(s, "UpdateItem", fmt.Sprintf(`{"TableName":"tab"%s,"UpdateExpression":"SET fence = fence + :one, gh = :x, gr = :seen","ConditionExpression":"fence = :seen",
"ExpressionAttributeValues":{":one":{"N":"1"},":seen":{"N":"%d"},":x":{"S":"x"}}}`, recordedKey, fence))
				if status == 200 {
					won.Add(1)
				}
				post(s, "Query", `{"TableName":"tab","IndexName":"gsi","KeyConditionExpression":"gh = :x","ExpressionAttributeValues":{":x":{"S":"x"}}}`)
			}
		})
	}
	group.Wait()
	want := fmt.Sprintf(`{"Item":{"fence":{"N":"%d"}}}`, won.Load())
	if got := must(t, s, "GetItem", `{"TableName":"tab","ProjectionExpression":"fence"`+recordedKey+`}`); got != want || won.Load() == 0 {
		t.Fatalf("%d claims won, the item says %s", won.Load(), got)
	}
}
