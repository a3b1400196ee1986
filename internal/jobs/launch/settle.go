package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// accept decides: with fewer healthy servers than the spec accepts, all is undone. With enough, those that are not healthy
// go, and their ordinals are free.
func (l *launch) accept(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &l.progress
	healthy := p.Existing.Len() + p.Up.Len()
	need := int(math.Ceil(float64(l.spec.Count)*l.spec.accept()/100 - 1e-9))
	if !p.Settled && healthy < need {
		reason := p.Shortage
		if len(p.Failures) > 0 {
			reason = fmt.Sprintf("ordinal %d %s", p.Failures[0].Ordinal, p.Failures[0].Reason)
		}
		return jobs.Fail("%d of %d servers are healthy, at least %d are accepted%s", healthy, l.spec.Count, need, because(reason)), nil
	}
	if !p.Settled {
		if move, err := l.keepVolumes(ctx, turn); err != nil || !move.IsDone() {
			return move, err
		}
		p.Settled = true
		if !p.Failed.Empty() {
			turn.Warn("terminated, because they did not become healthy: %s", p.Failed)
		}
		if err := turn.Save(ctx); err != nil {
			return jobs.Move{}, err
		}
	}
	bad, err := l.servers(ctx, p.Failed)
	if err != nil {
		return jobs.Move{}, err
	}
	if len(bad) == 0 {
		return jobs.Done(), nil
	}
	if err := detach(ctx, l.TargetGroups(l.job.Target), p.TargetGroups, ids(bad)); err != nil {
		return jobs.Move{}, err
	}
	if err := terminate(ctx, l.ec2(), ids(bad)); err != nil {
		return jobs.Move{}, err
	}
	return jobs.Done(), l.Ledger.DeleteServers(ctx, turn.Guard(), l.fleet(), held(bad).List())
}

// detach deregisters servers from target groups; those that are not registered are no error.
func detach(ctx context.Context, groups TargetGroups, arns, list []string) error {
	for _, arn := range arns {
		if err := groups.Deregister(ctx, arn, list...); err != nil && !jobs.IsClass(err, jobs.NotFound) {
			return err
		}
	}
	return nil
}

func terminate(ctx context.Context, ec2 Servers, list []string) error {
	if len(list) == 0 {
		return nil
	}
	if err := ec2.Terminate(ctx, list...); err != nil && !jobs.IsClass(err, jobs.NotFound) {
		return err
	}
	return nil
}

// reportLine is one server in the report.
type reportLine struct {
	ledger.Server
	New bool `json:"new,omitempty"` // this launch's
}

// fleetReport is every server of the fleet, and what became of the others.
type fleetReport struct {
	Job      string       `json:"job"`
	Run      int          `json:"run"`
	Time     time.Time    `json:"time"`
	Result   any          `json:"result"`
	Failed   string       `json:"failed,omitempty"`
	Failures []Failure    `json:"failures,omitempty"`
	Servers  []reportLine `json:"servers"`
}

// report marks the servers as healthy in the ledger, writes down what the fleet is now, and puts a list of every server
// into the bucket.
func (l *launch) report(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &l.progress
	servers, err := l.Ledger.Servers(ctx, l.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	var changed []ledger.Server
	report := fleetReport{Job: turn.Job.ID, Run: turn.Job.Run, Time: turn.StepSince().UTC(), Failed: p.Failed.String(), Failures: p.Failures}
	for _, server := range servers {
		own := p.Up.Has(server.Ordinal) && server.Incarnation == turn.Job.Incarnation
		if own && server.State != ledger.Healthy {
			server.State = ledger.Healthy
			changed = append(changed, server)
		}
		report.Servers = append(report.Servers, reportLine{server, own})
	}
	if len(changed) > 0 {
		if err := l.Ledger.PutServers(ctx, turn.Guard(), changed); err != nil {
			return jobs.Move{}, err
		}
	}
	if err := l.describeFleet(ctx, turn); err != nil {
		return jobs.Move{}, err
	}
	report.Result = l.Result()
	content, err := json.Marshal(report)
	if err != nil {
		return jobs.Move{}, jobs.Fatalf("write the report", l.fleet(), err.Error(), "")
	}
	key := fmt.Sprintf("reports/%s/r%d.json", turn.Job.ID, turn.Job.Run)
	if err := l.Files.Put(ctx, key, content); err != nil {
		return jobs.Move{}, err
	}
	p.Report = key
	return jobs.Done(), nil
}

func (l *launch) describeFleet(ctx context.Context, turn *jobs.Turn) error {
	fleet, known, err := l.Ledger.GetFleet(ctx, l.fleet())
	if err != nil {
		return err
	}
	if !known {
		return jobs.Fatalf("describe the fleet", l.fleet(), "it is not in the ledger any more", "")
	}
	if l.spec.Heals {
		return nil // it is as it was, and so is what somebody asked it to be
	}
	count := max(l.spec.Count, fleet.Count, l.progress.Existing.Len()) // a launch never shrinks a fleet: what is there, or once was to be, stays wanted
	fleet.Image, fleet.Count, fleet.Labels, fleet.Spec, fleet.Updated = l.progress.Image.Ref, count, turn.Job.Labels, turn.Job.Spec, turn.Now()
	return l.Ledger.PutFleet(ctx, turn.Guard(), fleet)
}

func (l *launch) release(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if err := l.Ledger.Release(ctx, turn.Guard(), l.fleet(), turn.Job.ID); err != nil {
		return jobs.Move{}, err
	}
	l.progress.Owned = false
	return jobs.Done(), nil
}
