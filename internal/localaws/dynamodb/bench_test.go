package dynamodb

import (
	"fmt"
	"testing"
)

const benchUpdate = "SET #fence = :fence, #lease = :lease, claims = claims + :one, history = list_append(if_not_exists(history, :none), :line) REMOVE error"

const benchCondition = "#fence = :seen AND (attribute_not_exists(#lease) OR #lease < :now) AND #state <> :finished"

func BenchmarkUpdateItemWithCondition(b *testing.B) {
	s := tab(b)
	body := func(i int) string {
		return fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":"job-%d"},"sk":{"N":"0"}},"UpdateExpression":%q,"ConditionExpression":"attribute_not_exists(#fence) OR #fence = :seen",
"ExpressionAttributeNames":{"#fence":"fence","#lease":"lease"},"ReturnValues":"ALL_NEW","ReturnValuesOnConditionCheckFailure":"ALL_OLD",
"ExpressionAttributeValues":{":fence":{"N":"7"},":seen":{"N":"7"},":lease":{"N":"1767225600"},":state":{"S":"running"}}}`, i, "SET #fence = :fence, #lease = :lease, gh = :state, gr = :lease")
	}
	bodies := make([]string, 1000)
	for i := range bodies {
		bodies[i] = body(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		must(b, s, "UpdateItem", bodies[i%len(bodies)])
		i++
	}
}

func BenchmarkPutItem(b *testing.B) {
	s := tab(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		must(b, s, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"job-%d"},"sk":{"N":"0"},"gh":{"S":"one"},"gr":{"N":"%d"},"spec":{"S":"0123456789012345678901234567890123456789"}}}`, i, i))
		i++
	}
}

func BenchmarkParseUpdate(b *testing.B) {
	for b.Loop() {
		if _, err := parseUpdate(benchUpdate); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseCondition(b *testing.B) {
	for b.Loop() {
		if _, err := parseCondition(benchCondition); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBatchExecuteStatement(b *testing.B) {
	s := tab(b)
	const text = `UPDATE \"tab\" SET b=? SET seq=? REMOVE lease WHERE pk=? AND sk=? AND fence=? AND seq=? AND cancel IS MISSING`
	var statements []string
	for i := range 25 {
		must(b, s, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"job-%d"},"sk":{"N":"0"},"fence":{"N":"7"},"seq":{"N":"1"}}}`, i))
		statements = append(statements, fmt.Sprintf(`{"Statement":"%s","Parameters":[{"B":"AQIDBAUGBwg="},{"N":"1"},{"S":"job-%d"},{"N":"0"},{"N":"7"},{"N":"1"}]}`, text, i))
	}
	body := batchOf(statements...)
	b.ReportAllocs()
	for b.Loop() {
		must(b, s, "BatchExecuteStatement", body)
	}
}
