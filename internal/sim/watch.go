package sim

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/dynamodb"
)

// watch looks at every change of the tables:
//
//   - a claim raises the fence when no lease holds, and from then on only the claimer changes the job, until the next claim;
//   - no job has to be rescued: nothing purges or expires messages here;
//   - fence, seq and the number of saves never go down, and a run goes up only when its job had ended;
//   - a job that has ended changes no more, except to be reopened;
//   - an ordinal's holder is replaced only when it is gone, and current moves only to a version that is available.
func (s *schedule) watch() {
	s.rig.Endpoint.Service("dynamodb").(*dynamodb.Service).OnChange(func(c dynamodb.Change) {
		switch {
		case strings.HasSuffix(c.Table, "-jobs"):
			s.watchJob(c)
		case strings.HasSuffix(c.Table, "-ledger"):
			s.watchLedger(c.Old, c.New)
			s.watchSlots(c)
		}
	})
}

func (s *schedule) watchJob(c dynamodb.Change) {
	old, new := c.Old, c.New
	if text(new, "t") != "job" {
		return
	}
	id := text(new, "id")
	if text(old, "t") != "job" || text(old, "inc") != text(new, "inc") { // created
		s.claimed(id, c.By)
		return
	}
	switch {
	case number(new, "fence") > number(old, "fence"):
		if rest := time.Until(time.UnixMilli(number(old, "lease"))); rest > 2*s.weather.skew {
			s.violate("%s was claimed by %s while the lease of %s held for another %s", id, c.By, s.holder(id), rest)
		}
		s.claimed(id, c.By)
	case number(new, "rescues") > number(old, "rescues"):
		s.violate("%s had lost its messages and had to be rescued", id)
	case worked(old, new) && s.holder(id) != c.By:
		s.violate("%s was changed by %s, whose claim had passed to %s", id, c.By, s.holder(id))
	}
	for _, rising := range []string{"fence", "seq", "run", "saves"} {
		if number(new, rising) < number(old, rising) {
			s.violate("%s: %s went from %d to %d", id, rising, number(old, rising), number(new, rising))
		}
	}
	ended := text(old, "state") != string(jobs.Open)
	if number(new, "run") > number(old, "run") && !ended {
		s.violate("%s: run %d was opened while run %d had not ended", id, number(new, "run"), number(old, "run"))
	}
	if ended && number(new, "run") == number(old, "run") && (text(new, "state") != text(old, "state") || number(new, "fence") != number(old, "fence")) {
		s.violate("%s had ended as %s, and became %s under fence %d", id, text(old, "state"), text(new, "state"), number(new, "fence"))
	}
}

// worked says whether what only a claim's holder may change has changed.
func worked(old, new dynamodb.Item) bool {
	return text(new, "state") != text(old, "state") || number(new, "seq") != number(old, "seq") || number(new, "claims") != number(old, "claims") ||
		old["b"] != new["b"]
}

func (s *schedule) claimed(id, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimer[id] = by
}

// takes notes that it is the job's turn with its fleet.
func (s *schedule) takes(fleet ledger.Fleet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := fleet.Owner
	if fleet.Name == wheelName {
		s.rolls = strings.HasPrefix(job, "rollout-")
		s.base = s.baseOf("fleet#" + wheelName)
	}
	if job == "" {
		return
	}
	s.taken++
	s.turns[job] = s.taken
}

func (s *schedule) holder(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claimer[id]
}

func (s *schedule) watchLedger(old, new dynamodb.Item) {
	key, sort := text(new, "pk"), text(new, "sk")
	switch {
	case new == nil:
	case strings.HasPrefix(key, "fleet#") && sort == "#":
		if was, is := document[ledger.Fleet](old), document[ledger.Fleet](new); is.Owner != was.Owner {
			s.takes(is)
		}
	case key == "policies":
		s.watchPolicy(old, new)
	case strings.HasPrefix(key, "image#") && sort == "#":
		was, is := document[ledger.Image](old), document[ledger.Image](new)
		if is.Current < was.Current {
			s.wentBack(is.Name, was.Current, is.Current)
		}
	case strings.HasPrefix(key, "image#") && strings.HasPrefix(sort, "v#"):
		was, is := document[ledger.Version](old), document[ledger.Version](new)
		s.watchVersion(was, is)
		s.watchPlaza(was, is)
	}
}

// watchVersion sees that a version commits with AMIs that are available, and only if its bake may succeed.
func (s *schedule) watchVersion(was, is ledger.Version) {
	if is.State != ledger.Available || was.State == ledger.Available {
		return
	}
	if s.mustFail(is.Job) {
		s.violate("%s@%d became available, though its bake must fail", is.Image, is.Number)
	}
	if len(is.Regions) == 0 {
		s.violate("%s@%d became available without an AMI", is.Image, is.Number)
	}
}

func (s *schedule) mustFail(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.plan.wishes, func(w *wish) bool { return w.id == id && w.mustFail })
}

// lives says whether an instance is not on its way out. The endpoint's tables are told of under their own lock only, so
// that EC2 may be asked.
func (s *schedule) lives(id string) bool {
	for _, i := range s.rig.EC2().Inspect().Instances {
		if i.ID == id {
			return i.State == "pending" || i.State == "running"
		}
	}
	return false
}

var things = regexp.MustCompile(`\b(?:i|ami|snap|vol)-[0-9a-f]{8,17}\b`)

// inspect looks at every call before it is carried out: nobody changes what is not ours, and a write to the ledger carries
// the claim of a job.
func (s *schedule) inspect(r *api.Request, call string) {
	if !strings.HasPrefix(r.AccessKey, workerKey) {
		return
	}
	if r.Service == "ec2" && !strings.HasPrefix(r.Action, "Describe") && !strings.HasPrefix(r.Action, "Get") && r.Action != "RunInstances" && r.Action != "CopyImage" {
		for _, id := range things.FindAllString(string(r.Body), -1) {
			if s.foreign[id] {
				s.violate("%s of %s, which is not ours", call, id)
			}
			if z := s.plan.plaza; z != nil && id == z.golden && !strings.HasSuffix(r.Action, "Tags") {
				s.violate("%s of %s, which is only imported", call, id)
			}
			if w := s.plan.wheel; w != nil && w.settlers != nil && w.settlers.before[id] != "" && w.roll.id == "" && !strings.HasSuffix(r.Action, "Tags") {
				s.violate("%s of %s, which is only imported", call, id)
			}
		}
	}
	if r.Service == "ec2" {
		s.watchEnding(r.Action, things.FindAllString(string(r.Body), -1), call)
	}
	if r.Service == "dynamodb" && (bytes.Contains(r.Body, []byte(`-ledger"`)) || bytes.Contains(r.Body, []byte(`-ledger\"`))) {
		s.inspectWrite(r, call)
	}
}

func (s *schedule) inspectWrite(r *api.Request, call string) {
	switch r.Action {
	case "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "BatchExecuteStatement":
		if r.Action == "DeleteItem" && bytes.Contains(r.Body, []byte(`"kept"`)) {
			return // that a builder was kept is forgotten once the builder is gone, whoever removed it
		}
		s.violate("%s writes to the ledger without the claim of a job", call)
	case "TransactWriteItems":
		var in struct {
			TransactItems []struct {
				ConditionCheck *struct {
					TableName           string
					ConditionExpression string
				}
			}
		}
		if err := json.Unmarshal(r.Body, &in); err != nil {
			s.violate("%s cannot be read: %v", call, err)
			return
		}
		for _, item := range in.TransactItems {
			if c := item.ConditionCheck; c != nil && strings.HasSuffix(c.TableName, "-jobs") && strings.Contains(c.ConditionExpression, "fence = ") {
				return
			}
		}
		if !writesPolicy(r.Body) {
			s.violate("%s writes to the ledger without the claim of a job", call)
		}
	}
}

func text(item dynamodb.Item, name string) string {
	s, _ := item[name].(dynamodb.String)
	return string(s)
}

func number(item dynamodb.Item, name string) int64 {
	n, ok := item[name].(dynamodb.Number)
	if !ok {
		return 0
	}
	i, _ := n.Int64()
	return i
}

// document is the thing in a ledger item; the zero thing where there is none.
func document[T any](item dynamodb.Item) (thing T) {
	b, ok := item["b"].(dynamodb.Binary)
	if !ok {
		return thing
	}
	if err := json.Unmarshal([]byte(b), &thing); err != nil {
		panic("a ledger item cannot be read: " + err.Error())
	}
	return thing
}
