package store

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// document is the part of a job that no condition looks at. Short names keep a one-step job's item under 1 KB.
type document struct {
	Run        int               `json:"r"`
	Kind       string            `json:"k"`
	Name       string            `json:"n"`
	Role       string            `json:"ro,omitempty"`
	Region     string            `json:"re,omitempty"`
	Key        string            `json:"ke,omitempty"`
	Digest     string            `json:"dg"`
	Labels     map[string]string `json:"l,omitempty"`
	Priority   jobs.Priority     `json:"p,omitempty"`
	Parent     *jobs.Parent      `json:"pa,omitempty"`
	Phase      jobs.Phase        `json:"ph,omitempty"`
	Step       string            `json:"s,omitempty"`
	Attempts   map[string]int    `json:"a,omitempty"`
	Data       json.RawMessage   `json:"d,omitempty"`
	Result     json.RawMessage   `json:"rs,omitempty"`
	Failure    string            `json:"f,omitempty"`
	End        jobs.State        `json:"e,omitempty"`
	Lost       int64             `json:"lo,omitempty"`
	Error      string            `json:"er,omitempty"`
	Errors     int               `json:"ec,omitempty"`
	ErrorSince int64             `json:"es,omitempty"`
	StepSince  int64             `json:"ss,omitempty"`
	Warnings   []string          `json:"w,omitempty"`
	WaitFor    string            `json:"wf,omitempty"`
	WaitUntil  int64             `json:"wu,omitempty"`
	WaitDue    bool              `json:"wd,omitempty"`
	Grants     []jobs.Grant      `json:"g,omitempty"`
	Fan        *jobs.Fan         `json:"fa,omitempty"`
	Fans       int               `json:"fs,omitempty"`
	History    []line            `json:"h,omitempty"`
	Updated    int64             `json:"u"`
	Ended      int64             `json:"en,omitempty"`
	// Waited by bucket.
	Waited map[string]float64 `json:"wb,omitempty"`
}

type line struct {
	Time    int64  `json:"t"`
	Run     int    `json:"r,omitempty"`
	Step    string `json:"s,omitempty"`
	Text    string `json:"m"`
	Attempt int    `json:"a,omitempty"`
}

// shards is how many partitions the indexes are spread over: one hot key throttles the whole table.
const shards = 8

func shard(id string) string {
	hash := fnv.New32a()
	hash.Write([]byte(id)) // a hash never fails to write
	return strconv.Itoa(int(hash.Sum32() % shards))
}

func encodeDocument(j *jobs.Job) ([]byte, error) {
	d := document{
		Run: j.Run, Kind: j.Kind, Name: j.Name, Role: j.Target.Role, Region: j.Target.Region, Key: j.Key, Digest: j.Digest,
		Labels: j.Labels, Priority: j.Priority, Parent: j.Parent, Phase: j.Phase, Step: j.Step, Attempts: j.Attempts, Data: j.Data,
		Result: j.Result, Failure: j.Failure, End: j.End, Lost: millis(j.Lost), Error: j.Error, Errors: j.Errors,
		ErrorSince: millis(j.ErrorSince), StepSince: millis(j.StepSince), Warnings: j.Warnings, Grants: j.Grants, Fan: j.Fan, Fans: j.Fans,
		Updated: millis(j.Updated), Ended: millis(j.Ended), Waited: j.Waited,
	}
	if j.Wait != nil {
		d.WaitFor, d.WaitUntil, d.WaitDue = j.Wait.For, millis(j.Wait.Until), j.Wait.Due
	}
	for _, l := range j.History {
		d.History = append(d.History, line{millis(l.Time), l.Run, l.Step, l.Text, l.Attempt})
	}
	encoded, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode job %s: %w", j.ID, err)
	}
	return pack(encoded)
}

func encodeJob(j *jobs.Job) (item, error) {
	b, err := encodeDocument(j)
	if err != nil {
		return nil, err
	}
	it := item{
		"id": text(j.ID), "t": text(sortJob), "v": number(int64(j.Schema)), "inc": text(j.Incarnation), "run": number(int64(j.Run)),
		"state": text(string(j.State)), "seq": number(j.Seq), "fence": number(j.Fence), "claims": number(int64(j.Claims)),
		"dlv": text(j.Delivery), "b": binary(b), "at": number(j.Created.UnixMilli()), "ls": text(shard(j.ID)),
	}
	if !j.Lease.IsZero() {
		it["lease"] = number(j.Lease.UnixMilli())
	}
	if j.Saves > 0 {
		it["saves"] = number(j.Saves)
	}
	if j.Cancel > 0 {
		it["cancel"] = number(int64(j.Cancel))
	}
	if len(j.Spec) > 0 {
		spec, err := pack(j.Spec)
		if err != nil {
			return nil, err
		}
		it["spec"] = binary(spec)
	}
	return it, nil
}

func decodeJob(it item) (*jobs.Job, error) {
	id := str(it, "id")
	raw, err := unpack(bytesOf(it, "b"))
	if err != nil {
		return nil, unreadable(id, err)
	}
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, unreadable(id, err)
	}
	j := &jobs.Job{
		ID: id, Schema: int(integer(it, "v")), Kind: d.Kind, Name: d.Name, Target: jobs.Target{Role: d.Role, Region: d.Region}, Key: d.Key,
		Incarnation: str(it, "inc"), Run: int(integer(it, "run")), Digest: d.Digest, Labels: d.Labels, Priority: d.Priority, Parent: d.Parent,
		State: jobs.State(str(it, "state")), Phase: d.Phase, Step: d.Step, Attempts: d.Attempts, Data: d.Data, Result: d.Result,
		Seq: integer(it, "seq"), Fence: integer(it, "fence"), Lease: moment(integer(it, "lease")), Delivery: str(it, "dlv"),
		Saves: integer(it, "saves"), Claims: int(integer(it, "claims")), Cancel: int(integer(it, "cancel")), Failure: d.Failure, End: d.End, Lost: moment(d.Lost),
		Error: d.Error, Errors: d.Errors, ErrorSince: moment(d.ErrorSince), StepSince: moment(d.StepSince), Warnings: d.Warnings,
		Grants: d.Grants, Fan: d.Fan, Fans: d.Fans, Created: moment(integer(it, "at")), Updated: moment(d.Updated), Ended: moment(d.Ended),
		Rescues: int(integer(it, "rescues")), Waited: d.Waited,
	}
	j.Orders = decodeOrders(it, j.Run)
	if awaits, ok := it["aw"].(*types.AttributeValueMemberSS); ok {
		j.Awaits = awaits.Value
	}
	if seconds := integer(it, "exp"); seconds > 0 {
		j.Expires = time.Unix(seconds, 0)
	}
	if d.WaitUntil > 0 {
		j.Wait = &jobs.Waiting{For: d.WaitFor, Until: moment(d.WaitUntil), Due: d.WaitDue}
	}
	for _, l := range d.History {
		j.History = append(j.History, jobs.Line{Time: moment(l.Time), Run: l.Run, Step: l.Step, Text: l.Text, Attempt: l.Attempt})
	}
	if j.Spec, err = unpack(bytesOf(it, "spec")); err != nil {
		return nil, unreadable(id, err)
	}
	if d.Run < j.Run { // the claim that opened this run could not rewrite the document
		j.StartOver()
		j.Orders = decodeOrders(it, j.Run)
		j.Cancel = int(integer(it, "cancel")) // it came after the run was opened, which took the last run's away
	}
	return j, nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
