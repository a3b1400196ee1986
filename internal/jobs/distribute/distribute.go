// Package distribute makes the regions of a version that is there, and those who may use it, equal to a spec, without a bake.
//
//	own → look → share → loans → lend → copies → take-back → open-copies → record → parameter → remove → release
//
// What the spec no longer names goes: a share is revoked, a copy is deregistered with its snapshots, once nothing uses it. A
// copy that is in use fails the job before anything is changed. Shares come before copies, since a revocation is not to wait
// for twenty minutes; a new copy is opened before the ledger names it, and one that goes is taken out of the ledger before it
// is looked at for the last time and removed, so that nobody launches from it meanwhile.
//
// A copy of another account is made by that account, through its role. It is lent the right to launch from the AMI and to read its
// snapshots for as long as that takes, as far as it did not have it before; what is lent is written down first.
//
// There is no commit point: each step makes one thing equal to the spec and leaves it so. A cancel or a failure removes the
// copies that the ledger does not name yet; what was made equal stays, and the same document goes on from there.
package distribute

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// KindName is the kind's name.
const KindName = "Distribute"

// Config is what the kind works with.
type Config struct {
	// EC2 and SSM are the services in the target's account and region.
	EC2      func(jobs.Target) EC2
	SSM      func(jobs.Target) Parameters
	Ledger   Ledger
	Callback notify.Callback
	// Region is the worker's own: that of targets and fleets that name none.
	Region string
	// Pace divides the waits for what takes AWS minutes; 1 if zero.
	Pace float64
}

// Kind is the kind Distribute.
type Kind struct{ Config }

// New makes the kind.
func New(config Config) *Kind {
	if config.Pace <= 0 {
		config.Pace = 1
	}
	return &Kind{config}
}

// Name is Distribute.
func (*Kind) Name() string { return KindName }

// Check says what is wrong with a spec.
func (*Kind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[Spec](raw)
	return err
}

// Program opens a job for one delivery.
func (k *Kind) Program(job *jobs.Job) (jobs.Program, error) {
	s, err := spec.Read[Spec](job.Spec)
	if err != nil {
		return nil, err
	}
	// a retry looks anew: what was made equal before is equal
	kept, err := jobs.Progress(job, func(p *progress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	return &program{Config: k.Config, job: job, spec: s, progress: &kept}, nil
}

// Elsewhere are the regions and accounts, beside the job's own, in which the job may have made copies.
func (k *Kind) Elsewhere(job *jobs.Job) []jobs.Target {
	s, err := spec.Read[Spec](job.Spec)
	if err != nil {
		return nil
	}
	var targets []jobs.Target
	for _, place := range slices.Sorted(maps.Keys(s.wanted())) {
		_, region := l.SplitPlace(place)
		targets = append(targets, jobs.Target{Role: cmp.Or(s.wanted()[place].role, job.Target.Role), Region: region})
	}
	return targets
}

// program is a job opened for one delivery.
type program struct {
	Config
	job      *jobs.Job
	spec     Spec
	progress *progress
}

// Data is the progress to keep.
func (p *program) Data() any { return p.progress }

// Committed is never true: a cancel stops before the next step.
func (p *program) Committed() bool { return false }

// Result is what a finished job tells.
func (p *program) Result() any { return p.progress.result(p.job.Name) }

// Steps are the same for every spec.
func (p *program) Steps() []jobs.Step {
	return append([]jobs.Step{
		{Name: "own", Do: p.own},
		{Name: "look", Looks: true, Do: p.look},
		{Name: "share", Do: p.share},
		{Name: "loans", Do: p.loans},
		{Name: "lend", Do: p.lend},
		{Name: "copies", Do: p.copies},
		{Name: "take-back", Do: p.takeBack},
		{Name: "open-copies", Do: p.openCopies},
		{Name: "record", Do: p.record},
		{Name: "parameter", Do: p.parameter},
		{Name: "remove", Do: p.remove},
		{Name: "release", Do: p.release},
	}, p.notify()...)
}

// Undo removes the copies that the ledger does not name, and ends what was lent for them.
func (p *program) Undo() []jobs.Step {
	return append([]jobs.Step{{Name: "undo-copies", Do: p.undoCopies}, {Name: "undo-lend", Do: p.undoLend}, {Name: "undo-release", Do: p.release}},
		p.notify()...)
}

func (p *program) notify() []jobs.Step {
	return notify.Steps(p.spec.Notify, p.Callback, &p.progress.Notify, p.Result)
}

func (p *program) ec2(place string) EC2         { return p.EC2(p.at(place)) }
func (p *program) ssm(region string) Parameters { return p.SSM(p.job.Target.In(region)) }

// at is the account and region of a place.
func (p *program) at(place string) jobs.Target {
	account, region := l.SplitPlace(place)
	if account == "" {
		return p.job.Target.In(region)
	}
	return jobs.Target{Role: p.progress.Roles[account], Region: region}
}

// roles are those by which the copies of other accounts are reached: the spec's, else the one that made them.
func (p *program) roles(v l.Version) map[string]string {
	roles := map[string]string{}
	for _, ami := range v.AMIs() {
		if account, _ := l.SplitPlace(ami.Place()); account != "" {
			roles[account] = ami.Role
		}
	}
	for _, copied := range p.spec.AccountCopies {
		roles[copied.account()] = copied.Role
	}
	return roles
}

func (p *program) pace(d time.Duration) time.Duration { return time.Duration(float64(d) / p.Pace) }

func (p *program) ref() string { return fmt.Sprintf("%s@%d", p.job.Name, p.progress.Version) }

// region is the job's own.
func (p *program) region() string { return cmp.Or(p.job.Target.Region, p.Region) }
