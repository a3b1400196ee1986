package store

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// Whatever stands in an item, reading it ends in a row or in an error that names it. What was read can be written, and is
// then read as the same job.
func FuzzItems(f *testing.F) {
	for name, it := range badItems(f) {
		if name == tooLarge {
			continue // each change of it takes long, and finds no more
		}
		f.Add(bytesOf(it, "b"), bytesOf(it, "spec"), "1", false)
	}
	f.Add(bytesOf(goodItem(f, "ping-a"), "b"), []byte(`j{"a":1}`), "9223372036854775807", false)
	f.Add([]byte(`j{"r":1,"k":"Ping","n":"a","wu":1,"wf":"x","h":[{"t":1,"m":"a"}],"fa":{},"pa":{},"lo":-1}`), []byte{}, "1e300", true)
	f.Fuzz(func(t *testing.T, document, spec []byte, count string, wrong bool) {
		if len(document) > 64<<10 || len(spec) > 64<<10 {
			t.Skip("larger than what is of use here")
		}
		it := item{"id": text("ping-a"), "t": text(sortJob), "b": binary(document), "spec": binary(spec), "state": text(string(jobs.Open))}
		for _, name := range []string{"v", "run", "seq", "fence", "lease", "claims", "cancel", "at", "rescues", "due"} {
			it[name] = &types.AttributeValueMemberN{Value: count}
			if wrong {
				it[name] = &types.AttributeValueMemberL{Value: []types.AttributeValue{text(count)}}
			}
		}
		rows, err := New(&table{items: []map[string]types.AttributeValue{it}}, "jobs").Rows(t.Context(), []string{"ping-a"})
		if err != nil {
			t.Fatal(err)
		}
		row := rows["ping-a"]
		if row == nil || (row.Job == nil) == (row.Unreadable == nil) {
			t.Fatalf("the row is %+v", row)
		}
		if row.Job == nil {
			return
		}
		checkSaves(t, row.Job)
	})
}

func checkSaves(t *testing.T, job *jobs.Job) {
	t.Helper()
	it, err := encodeJob(job)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	again, err := decodeJob(it)
	if err != nil {
		t.Fatalf("what was written cannot be read: %v", err)
	}
	first, err := json.Marshal(job.Data)
	if err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(again.Data)
	if err != nil {
		t.Fatal(err)
	}
	if again.Kind != job.Kind || again.Step != job.Step || !bytes.Equal(again.Spec, job.Spec) || !bytes.Equal(first, second) || len(again.History) != len(job.History) {
		t.Fatalf("%+v is read back as %+v", job, again)
	}
}
