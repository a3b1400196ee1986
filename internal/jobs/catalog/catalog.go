// Package catalog moves what is current of an image by a person's order, and takes versions back.
//
//	Promote   choose → move → parameter → launch-template
//	Rollback  the same, to an earlier version
//	Recall    look → recall → disable → parameter → launch-template → report
//	Restore   enable → share → restore
//
// The write to the ledger is the commit point of each: an order moves current once, however often its worker dies, and
// nothing is launched from a recalled version from that instant on. What follows is made equal to what the ledger says:
// parameters and launch templates name what is current then, whichever job writes last.
package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/release"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// The kinds' names.
const (
	Promote  = "Promote"
	Rollback = "Rollback"
	Recall   = "Recall"
	Restore  = "Restore"
)

// EC2 is what the kinds ask of EC2 in one account and region.
type EC2 interface {
	release.Templates
	Images(ctx context.Context, ids ...string) ([]c.Image, error)
	ImageShares(ctx context.Context, imageID string) (c.Share, error)
	ShareImage(ctx context.Context, imageID string, add, remove c.Share) error
	Disable(ctx context.Context, imageID string) error
	Enable(ctx context.Context, imageID string) error
}

// Ledger is the catalog, and the fleets that run what is in it.
type Ledger interface {
	release.Catalog
	Moves
	Versions(ctx context.Context, image string) ([]l.Version, error)
	ListImages(ctx context.Context) ([]l.Image, error)
	ListFleets(ctx context.Context) ([]l.Fleet, error)
	Servers(ctx context.Context, fleet string) ([]l.Server, error)
}

// Moves are the writes that commit.
type Moves interface {
	MoveCurrent(ctx context.Context, g jobs.Guard, m l.Move) (l.Move, error)
	RecallVersion(ctx context.Context, g jobs.Guard, m l.Move, number int, why l.Recall) (l.Move, error)
	RestoreVersion(ctx context.Context, g jobs.Guard, image string, number int) error
	Moves(ctx context.Context, image string) ([]l.Move, error)
}

// Config is what the kinds work with.
type Config struct {
	EC2      func(jobs.Target) EC2
	SSM      func(jobs.Target) release.Parameters
	Ledger   Ledger
	Callback notify.Callback
	// Region is the worker's own: that of targets that name none.
	Region string
	// Pace divides the waits for what takes AWS a while; 1 if zero.
	Pace float64
}

// Kind is one of the four.
type Kind struct {
	Config
	name string
}

// New makes the kinds.
func New(config Config) []jobs.Kind {
	if config.Pace <= 0 {
		config.Pace = 1
	}
	return []jobs.Kind{&Kind{config, Promote}, &Kind{config, Rollback}, &Kind{config, Recall}, &Kind{config, Restore}}
}

// Name is the kind's name.
func (k *Kind) Name() string { return k.name }

// Check says what is wrong with a spec.
func (k *Kind) Check(raw json.RawMessage) error {
	_, err := k.read(raw)
	return err
}

// read decodes the spec of the kind.
func (k *Kind) read(raw json.RawMessage) (order, error) {
	switch k.name {
	case Promote:
		s, err := spec.Decode[PromoteSpec](raw)
		return order{version: s.Version, reason: s.Reason, notify: s.Notify}, err
	case Rollback:
		s, err := spec.Decode[RollbackSpec](raw)
		return order{version: s.To, reason: s.Reason, notify: s.Notify}, err
	case Recall:
		s, err := spec.Decode[RecallSpec](raw)
		return order{version: s.Version, reason: s.Reason, notify: s.Notify}, err
	}
	s, err := spec.Decode[RestoreSpec](raw)
	return order{version: s.Version, notify: s.Notify}, err
}

// order is what the four specs come to.
type order struct {
	version int
	reason  string
	notify  *notify.Spec
}

// Program opens a job.
func (k *Kind) Program(job *jobs.Job) (jobs.Program, error) {
	o, err := k.read(job.Spec)
	if err != nil {
		return nil, err
	}
	kept, err := jobs.Progress(job, func(p *progress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	return &program{Kind: k, job: job, order: o, progress: &kept}, nil
}

// program is a job opened for one delivery.
type program struct {
	*Kind
	job      *jobs.Job
	order    order
	progress *progress
}

// progress is what a job knows of itself between deliveries.
type progress struct {
	Run int `json:"run"`
	// Version is what the order is about: the one to move to, or to take back.
	Version int `json:"version,omitempty"`
	// Moved is the move, once it is made.
	Moved *l.Move `json:"moved,omitempty"`
	// Shares are whom the AMIs were open to before they were disabled, by place: a region, or ACCOUNT/REGION.
	Shares map[string][]string `json:"shares,omitempty"`
	// Done are the places whose AMI is as it is to be.
	Done map[string]string `json:"done,omitempty"`
	// Templates are the versions that were added, by template and region.
	Templates map[string]string `json:"templates,omitempty"`
	// Fleets run the recalled version; Images were baked from it.
	Fleets   []FleetUse   `json:"fleets,omitempty"`
	Images   []string     `json:"images,omitempty"`
	Restored bool         `json:"restored,omitempty"`
	Notify   notify.State `json:"notify,omitzero"`
}

// FleetUse is a fleet that runs a version.
type FleetUse struct {
	Fleet   string `json:"fleet"`
	Servers int    `json:"servers"`
	// Group is the Auto Scaling group that the fleet is, if it is one: the ledger has no servers of it.
	Group  string      `json:"group,omitempty"`
	Target jobs.Target `json:"-"`
}

// Result is what a finished job tells.
type Result struct {
	Image string `json:"image"` // web@41: what the order was about
	// From and Current are what was current before and after.
	From    string `json:"from,omitempty"`
	Current string `json:"current,omitempty"`
	// AMIs by region that were disabled or enabled.
	AMIs map[string]string `json:"amis,omitempty"`
	// Fleets run a recalled version, Images were baked from it.
	Fleets []FleetUse `json:"fleets,omitempty"`
	Images []string   `json:"images,omitempty"`
}

// Data is the progress to keep.
func (p *program) Data() any { return p.progress }

// Committed reports whether the ledger says so already.
func (p *program) Committed() bool { return p.progress.Moved != nil || p.progress.Restored }

// Result is what a finished job tells.
func (p *program) Result() any {
	r := Result{Image: p.ref(p.progress.Version), AMIs: p.progress.Done, Fleets: p.progress.Fleets, Images: p.progress.Images}
	if m := p.progress.Moved; m != nil {
		r.From, r.Current = p.ref(m.From), p.ref(m.To)
	}
	return r
}

func (p *program) ref(number int) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf("%s@%d", p.job.Name, number)
}

func (p *program) pace(d time.Duration) time.Duration {
	return time.Duration(float64(d) / p.Pace)
}

func (p *program) ec2(region string) EC2 { return p.EC2(p.job.Target.In(region)) }

func (p *program) line() release.Line {
	return release.Line{Image: p.job.Name, Catalog: p.Ledger, Pace: p.pace,
		SSM: func(region string) release.Parameters { return p.SSM(p.job.Target.In(region)) },
		EC2: func(region string) release.Templates { return p.ec2(region) },
	}
}
