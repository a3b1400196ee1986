package store

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// desk is a store with one job, the open run 2 of ping-web-a.
type desk struct {
	*Store
	t *testing.T
}

const ordersFor = "ping-web-a"

func newDesk(t *testing.T, change func(item)) *desk {
	t.Helper()
	d := &desk{New(endpointTable(t), "jobs"), t}
	it, err := encodeJob(&jobs.Job{ID: ordersFor, Schema: 1, Kind: "Ping", Name: "web", Incarnation: "inc", Run: 2, State: jobs.Open, Fence: 7, Seq: 3})
	if err != nil {
		t.Fatal(err)
	}
	it["lease"] = number(time.Now().Add(time.Minute).UnixMilli()) // a worker holds it: an order does not wait for that
	if change != nil {
		change(it)
	}
	if _, err := d.api.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("jobs"), Item: it}); err != nil {
		t.Fatal(err)
	}
	return d
}

// order gives an order after so long, and tells whether it was kept and what stands there.
func (d *desk) order(run int, incarnation string, verb jobs.Verb, value string, after time.Duration) (kept bool, row *jobs.Row) {
	d.t.Helper()
	row, kept, err := d.Order(d.t.Context(), ordersFor, run, incarnation, verb, jobs.Order{Value: value, At: began.Add(after)})
	if err != nil {
		d.t.Fatal(err)
	}
	return kept, row
}

var began = time.Date(2026, 11, 21, 22, 0, 0, 0, time.UTC)

func TestAnOrderIsKeptOfALeasedJobAndChangesNothingElse(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	for _, verb := range jobs.Verbs {
		kept, row := d.order(2, "inc", verb, "canary", time.Second)
		if stands := row.Job.Orders[verb]; !kept || stands.Value != "canary" || !stands.At.Equal(began.Add(time.Second)) {
			t.Errorf("%s: kept %v, %+v stands", verb, kept, stands)
		}
	}
	kept, row := d.order(2, "inc", jobs.Approve, "canary", time.Second) // its answer was lost
	if kept || len(row.Job.Orders) != len(jobs.Verbs) || row.Job.Fence != 7 || row.Job.Seq != 3 {
		t.Errorf("kept %v: %+v", kept, row.Job)
	}
}

func TestAnOrderForAnotherRunOrAnotherJobOfTheKeyChangesNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	for name, given := range map[string]struct {
		run         int
		incarnation string
	}{"an earlier run": {1, "inc"}, "a later run": {3, "inc"}, "another incarnation": {2, "other"}} {
		if kept, row := d.order(given.run, given.incarnation, jobs.Revert, "", time.Hour); kept || len(row.Job.Orders) > 0 {
			t.Errorf("%s: kept %v, %v stands", name, kept, row.Job.Orders)
		}
	}
	if kept, _ := d.order(2, "", jobs.Revert, "", time.Second); !kept {
		t.Error("an order that names no incarnation means whichever there is")
	}
}

func TestAFinishedJobTakesNoOrders(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(it item) { it["state"] = text(string(jobs.Failed)) })
	if kept, row := d.order(2, "inc", jobs.Resume, "", time.Second); kept || row.Job.State != jobs.Failed {
		t.Errorf("kept %v: %+v", kept, row.Job)
	}
	if row, kept, err := d.Order(t.Context(), "ping-nobody", 1, "", jobs.Resume, jobs.Order{At: began}); kept || row != nil || err != nil {
		t.Errorf("of a job that is not there: %+v, %v, %v", row, kept, err)
	}
}

func TestOrdersOfAnEarlierRunAreOver(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.order(2, "inc", jobs.Pause, "", time.Hour)
	_, err := d.api.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("jobs"), Key: key(ordersFor),
		UpdateExpression: aws.String("SET #run = :run"), ExpressionAttributeNames: map[string]string{"#run": "run"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":run": number(3)}})
	if err != nil {
		t.Fatal(err)
	}
	if row, err := d.Load(t.Context(), ordersFor); err != nil || row.Job.Run != 3 || len(row.Job.Orders) > 0 {
		t.Errorf("%+v, %v", row, err)
	}
	if kept, row := d.order(3, "inc", jobs.Pause, "", time.Second); !kept || len(row.Job.Orders) != 1 {
		t.Errorf("an order for the new run that is older than one for the old run: kept %v, %v stands", kept, row.Job.Orders)
	}
}
