package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/policy"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/rig"
)

// Stories are what may go on beside the other jobs of a schedule: each has one of them, or none.
var Stories = []string{replacing, inPlace, stateful, meeting, patchday, catalog, refreshing, importing, spreading}

const (
	patchday = "patchday"
	catalog  = "catalog"
)

// drawnStory is the schedule's, and empty in about half of all schedules.
func drawnStory(d dice) string {
	r := d.at("story")
	switch n := r.Float64(); {
	case n < 0.16:
		return replacing
	case n < 0.24:
		return inPlace
	case n < 0.3:
		return stateful
	case n < 0.4:
		return meeting
	case n < 0.5:
		return patchday
	case n < 0.55:
		return catalog
	case n < 0.61:
		return refreshing
	case n < 0.66:
		return importing
	case n < 0.71:
		return spreading
	}
	return ""
}

func (p *plan) drawStory(d dice, name string) {
	switch name {
	case "":
	case replacing, inPlace, stateful, meeting:
		p.drawWheel(d, name)
	case patchday:
		p.drawQuarry(d)
	case catalog:
		p.drawCatalog(d)
	case refreshing:
		p.drawGroup(d)
	case importing:
		p.drawSettlers(d)
	case spreading:
		p.drawPlaza(d)
	default:
		panic("there is no story " + name)
	}
}

// stamper is the job that is said to have baked what stands in the ledger from the beginning.
const stamper = "bake-stamped-aaaaaaaaaaaaaaaa"

// stamp puts an image with its versions, all of the same AMI, into the ledger, as bakes would have.
func stamp(ctx context.Context, r *rig.Rig, labels map[string]string, ami string, versions ...ledger.Version) error {
	put := func(pk, sk string, thing any, attributes map[string]types.AttributeValue) error {
		b, err := json.Marshal(thing)
		if err != nil {
			return err
		}
		item := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk},
			"rev": &types.AttributeValueMemberN{Value: "1"}}
		if thing != nil {
			item["b"] = &types.AttributeValueMemberB{Value: b}
		}
		maps.Copy(item, attributes)
		_, err = r.User.DynamoDB().PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(r.User.Common.Prefix + "-ledger"), Item: item})
		return err
	}
	name, current := versions[0].Image, len(versions)
	all := []error{put("images", name, nil, nil), put("image#"+name, "#", ledger.Image{Name: name, Labels: labels, Current: current, Next: current + 1},
		map[string]types.AttributeValue{"current": &types.AttributeValueMemberN{Value: fmt.Sprint(current)}})}
	for _, v := range versions {
		v.State, v.Incarnation, v.Run, v.Job, v.Committed = ledger.Available, "stamped", 1, stamper, time.Now()
		if v.Regions == nil {
			v.Regions = map[string]ledger.RegionalCopy{rig.Region: {AMI: ami}}
		}
		all = append(all, put("image#"+name, fmt.Sprintf("v#%010d", v.Number), v, map[string]types.AttributeValue{
			"inc": &types.AttributeValueMemberS{Value: v.Incarnation}, "run": &types.AttributeValueMemberN{Value: "1"},
			"state": &types.AttributeValueMemberS{Value: string(v.State)}}))
	}
	return errors.Join(all...)
}

// specOf is a document's spec as it would be submitted.
func specOf(text string) (json.RawMessage, error) {
	documents, err := spec.Parse("spec.yaml", []byte(text), ".", nil, cli.Registry())
	if err != nil {
		return nil, err
	}
	return documents[0].Spec, nil
}

// decide gives a rollout what it waits for from a person.
func (s *schedule) decide(ctx context.Context, job *jobs.Job, revert bool) error {
	status, err := rollout.StatusOf(job)
	switch {
	case err != nil:
		return err
	case status.Held != "" && revert:
		return s.order(ctx, job.ID, jobs.Revert, "")
	case status.Held != "", status.Paused:
		return s.order(ctx, job.ID, jobs.Resume, "")
	case status.Stage == "approve":
		return s.order(ctx, job.ID, jobs.Approve, status.Wave)
	}
	return nil
}

// order gives an order to the job's run.
func (s *schedule) order(ctx context.Context, id string, verb jobs.Verb, value string) error {
	run := 1
	row, err := s.rig.User.Store.Load(ctx, id)
	if err != nil {
		return err
	}
	if row != nil && row.Job != nil {
		run = row.Job.Run
	}
	s.tell("the user orders %s of %s %s", verb, id, value)
	m := &jobs.Message{Type: jobs.Ordering, Job: id, Run: run, Verb: verb, Value: value, At: time.Now().UTC()}
	return s.rig.User.Queue.Send(ctx, jobs.LaneHigh, m, 0)
}

func (s *schedule) cancelStory(ctx context.Context, id string) {
	s.tell("the user cancels %s", id)
	if err := s.rig.Cancel(ctx, id, 1); err != nil {
		s.violate("%s cannot be cancelled: %v", id, err)
	}
}

// forget deletes a policy, which workers may write to meanwhile.
func (s *schedule) forget(ctx context.Context, name string) error {
	for {
		p, found, err := s.rig.User.Ledger.Policy(ctx, name)
		if err == nil && found {
			err = s.rig.User.Ledger.DeletePolicy(ctx, p)
		}
		if err == nil || !strings.Contains(err.Error(), policy.ErrChanged.Error()) {
			return err
		}
	}
}
