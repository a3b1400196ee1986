// Package rollout brings the servers of a fleet to another image, some at a time, and back if that does not work.
//
// A Rollout owns its fleet. It pins the image, cuts the servers that do not run it into waves, and has its strategy roll one
// wave after another; between a wave and the next stand gates, a soak and, if the spec asks for it, a person. A failed gate or
// too many failures stop it: then it rolls back what it rolled, by the same strategy, or holds until a person decides. All of
// that is one step, which yields, waits and fans out until the last wave has passed: see advance.go.
package rollout

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// KindName is the kind's name.
const KindName = "Rollout"

// Config is what the kind is made of.
type Config struct {
	EC2          func(jobs.Target) Servers
	TargetGroups func(jobs.Target) TargetGroups
	// Roots, if not nil, replace root volumes; without them rollouts in place are refused.
	Roots func(jobs.Target) Roots
	// Belongings, if not nil, move what only one server can hold; without them servers that have such things are refused.
	Belongings func(jobs.Target) Belongings
	// Alarms, if not nil, tell of CloudWatch alarms; without them a rollout with alarm gates is refused.
	Alarms func(jobs.Target) Alarms
	// Groups and Templates, if not nil, are what fleets that are Auto Scaling groups need.
	Groups    func(jobs.Target) Groups
	Templates func(jobs.Target) Templates
	Ledger    Ledger
	// Launching has successors launched and servers tried.
	Launching launch.Config
	Callback  notify.Callback
}

// Kind is the kind Rollout.
type Kind struct{ config Config }

// New makes the kind.
func New(config Config) *Kind { return &Kind{config} }

// Name is Rollout.
func (*Kind) Name() string { return KindName }

// Check says what is wrong with a spec.
func (*Kind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[Spec](raw)
	return err
}

// Program opens a rollout.
func (k *Kind) Program(job *jobs.Job) (jobs.Program, error) {
	s, err := spec.Read[Spec](job.Spec)
	if err != nil {
		return nil, err
	}
	kept, err := jobs.Progress(job, func(p *progress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	return &rollout{Config: k.config, spec: s, job: job, progress: kept}, nil
}

// rollout is one Rollout in one delivery's hands.
type rollout struct {
	Config
	spec     Spec
	job      *jobs.Job
	progress progress
}

// soon is how long to wait for what takes AWS d, at the pace of the endpoint.
func (r *rollout) soon(d time.Duration) time.Duration {
	return max(time.Duration(float64(d)/max(r.Launching.Pace, 1)), time.Second)
}

// poll is how long until the next look at what servers were asked for at an instant.
func (r *rollout) poll(turn *jobs.Turn, since time.Time) time.Duration {
	if turn.Now().Sub(since) < r.soon(firstWhile) {
		return r.soon(firstPolls)
	}
	return r.soon(powerPoll)
}

func (r *rollout) ec2() Servers { return r.EC2(r.progress.Target) }

func (r *rollout) fleet() string { return r.spec.Fleet }

// there is the job as it works where the fleet stands.
func (r *rollout) there() *jobs.Job {
	job := *r.job
	job.Name, job.Target = r.fleet(), r.progress.Target
	return &job
}

// Steps are the same for every spec.
func (r *rollout) Steps() []jobs.Step {
	return append([]jobs.Step{
		{Name: "own", Do: r.own},
		{Name: "plan", Do: r.plan},
		{Name: "roll", Do: r.roll},
		{Name: "finish", Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) { return r.strategy().finish(ctx, turn) }},
		{Name: "account", Do: r.account},
		{Name: "record", Do: r.record},
		{Name: "leave", Do: r.leave},
		{Name: "release", Do: r.release},
	}, r.notification()...)
}

// Undo tidies what is under way and gives the fleet up. Servers that were rolled stay so: a rollout that is to go back does
// so before it fails.
func (r *rollout) Undo() []jobs.Step {
	return append([]jobs.Step{
		{Name: "tidy", Do: r.tidy},
		{Name: "account", Do: r.account},
		{Name: "leave", Do: r.leave},
		{Name: "release", Do: r.release},
	}, r.notification()...)
}

func (r *rollout) notification() []jobs.Step {
	return notify.Steps(r.spec.Notify, r.Callback, &r.progress.Notify, r.Result)
}

// Committed: the fleet's image has moved.
func (r *rollout) Committed() bool { return r.progress.Recorded }

// Data is the progress.
func (r *rollout) Data() any { return r.progress }

// tidy ends what the strategy has under way.
func (r *rollout) tidy(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if !r.progress.Owned {
		return jobs.Done(), nil
	}
	if move, err := r.strategy().abandon(ctx, turn); err != nil || !move.IsDone() {
		return move, err
	}
	return r.strategy().finish(ctx, turn)
}

// leave takes a group's rows out of the ledger: the group keeps its own instances, and the rows would only age.
func (r *rollout) leave(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if !r.progress.Owned || r.progress.Group == "" {
		return jobs.Done(), nil
	}
	servers, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	return jobs.Done(), r.unlist(ctx, turn, held(servers))
}

// release gives the fleet up, or the place in the line.
func (r *rollout) release(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	return jobs.Done(), r.Ledger.Release(ctx, turn.Guard(), r.fleet(), turn.Job.ID)
}
