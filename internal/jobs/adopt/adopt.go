// Package adopt is the kind that imports what was there before Stampmill: an AMI as a version of an image, servers or an
// Auto Scaling group as a fleet. It writes rows of the ledger and tags on exactly the imported things, and changes nothing
// else; another import of the same kind with undo takes both away again.
//
// What servers get which ordinals is fixed, by launch time and then by id, and put into the bucket before anything is
// written: a delivery that follows a crash numbers them the same, whatever was launched or has gone since. The rows come
// first and the tags after them, so that every tag of an adoption names an incarnation that the ledger knows; an undo goes
// the other way round. Tags that a server carried before are none of ours, and stay.
package adopt

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// KindName is the kind's name.
const KindName = "Import"

// Things is what is to be imported, in one account and region.
type Things interface {
	Instances(ctx context.Context, ids ...string) ([]cloud.Instance, error)
	InstancesWhere(ctx context.Context, filters map[string][]string, states ...string) ([]cloud.Instance, error)
	Images(ctx context.Context, ids ...string) ([]cloud.Image, error)
	OwnImages(ctx context.Context, ids ...string) ([]cloud.Image, error)
}

// Details are what DescribeInstances does not tell.
type Details interface {
	AttachedVolumes(ctx context.Context, ids ...string) ([]cloud.AttachedVolume, error)
	UserData(ctx context.Context, instanceID string) ([]byte, error)
	TemplateVersion(ctx context.Context, template cloud.LaunchTemplate) (exists bool, imageID string, err error)
}

// Tags are the adoption's: the only thing that an import changes in AWS.
type Tags interface {
	Tag(ctx context.Context, ids []string, tags map[string]string) error
	// Untag takes the tags off where they still have these values.
	Untag(ctx context.Context, ids []string, tags map[string]string) error
}

// EC2 is all three.
type EC2 interface {
	Things
	Details
	Tags
}

// TargetGroups tells where servers are registered.
type TargetGroups interface {
	Attached(ctx context.Context, vpcID string, instances map[string]bool) (map[string][]string, error)
}

// Group is an Auto Scaling group, as far as an import needs to know it.
type Group struct {
	Name, Template string // the launch template and its version
	Desired        int
	Instances      []string
}

// Groups are Auto Scaling's.
type Groups interface {
	GroupNamed(ctx context.Context, name string) (group Group, found bool, err error)
}

// Fleets is the ledger of fleets and their servers.
type Fleets interface {
	GetFleet(ctx context.Context, name string) (ledger.Fleet, bool, error)
	ListFleets(ctx context.Context) ([]ledger.Fleet, error)
	Own(ctx context.Context, g jobs.Guard, fleet ledger.Fleet, job string) (as ledger.Fleet, owned bool, err error)
	Release(ctx context.Context, g jobs.Guard, fleet, job string) error
	DeleteFleet(ctx context.Context, g jobs.Guard, name string) error
}

// Holders is the ledger of a fleet's servers.
type Holders interface {
	Servers(ctx context.Context, fleet string) ([]ledger.Server, error)
	// Seconds are the servers in the ordinals' second slots, while a rollout works.
	Seconds(ctx context.Context, fleet string) ([]ledger.Server, error)
	PutServers(ctx context.Context, g jobs.Guard, servers []ledger.Server) error
	DeleteServers(ctx context.Context, g jobs.Guard, fleet string, ordinals []int) error
}

// Catalog is the ledger of images.
type Catalog interface {
	GetImage(ctx context.Context, name string) (ledger.Image, bool, error)
	ListImages(ctx context.Context) ([]ledger.Image, error)
	GetVersion(ctx context.Context, image string, number int) (ledger.Version, bool, error)
	Versions(ctx context.Context, image string) ([]ledger.Version, error)
}

// Versions is how a version comes and goes.
type Versions interface {
	ReserveVersion(ctx context.Context, g jobs.Guard, image ledger.Image, version ledger.Version) (ledger.Version, error)
	Publish(ctx context.Context, g jobs.Guard, version ledger.Version, labels map[string]string) (current int, err error)
	SetVersionState(ctx context.Context, g jobs.Guard, image string, number int, state ledger.VersionState) error
	// ForgetVersion forgets an imported version. Current, if it stood there, moves to the newest available one before it; an
	// image that has no other is forgotten with it.
	ForgetVersion(ctx context.Context, g jobs.Guard, image string, number int) error
}

// Ledger is all of them.
type Ledger interface {
	Fleets
	Holders
	Catalog
	Versions
}

// Files is the installation's bucket.
type Files interface {
	Put(ctx context.Context, key string, content []byte) error
	Get(ctx context.Context, key string) (content []byte, found bool, err error)
}

// Config is what the kind is made of.
type Config struct {
	EC2          func(jobs.Target) EC2
	TargetGroups func(jobs.Target) TargetGroups
	// Groups, if nil, make every import of an Auto Scaling group fail.
	Groups func(jobs.Target) Groups
	Ledger Ledger
	Files  Files
	// Installation is whose tags the imported things get.
	Installation string
	// Region is the worker's own, for targets that name none.
	Region string
}

// Kind is the kind Import.
type Kind struct{ config Config }

// New makes the kind.
func New(config Config) *Kind { return &Kind{config} }

// Name is Import.
func (*Kind) Name() string { return KindName }

// Check says what is wrong with a spec.
func (*Kind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[Spec](raw)
	return err
}

// Program opens a job.
func (k *Kind) Program(job *jobs.Job) (jobs.Program, error) {
	s, err := spec.Read[Spec](job.Spec)
	if err != nil {
		return nil, err
	}
	kept, err := jobs.Progress(job, func(p *progress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	return &adoption{Config: k.config, spec: s, job: job, progress: kept}, nil
}

// adoption is one import, or its undo, in one delivery's hands.
type adoption struct {
	Config
	spec     Spec
	job      *jobs.Job
	progress progress
}

// progress is what is kept between deliveries.
type progress struct {
	Run   int  `json:"run"`
	Owned bool `json:"owned,omitempty"`
	// Roll is the object in the bucket that lists the servers with their ordinals, and Digest its digest.
	Roll   string `json:"roll,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Count is how many servers there are, Tagged how many of them carry the tags.
	Count  int `json:"count,omitempty"`
	Tagged int `json:"tagged,omitempty"`
	// Version is the image's, with what the AMI is.
	Version *ledger.Version `json:"version,omitempty"`
	// Target and Imported are the fleet's or the version's that is being given back.
	Target   jobs.Target `json:"target,omitzero"`
	Imported string      `json:"imported,omitempty"`
	// Committed: what was asked for is done, or begun so far that only going on ends well.
	Committed bool `json:"committed,omitempty"`
}

// Result tells what a finished import did.
type Result struct {
	Fleet   string `json:"fleet,omitempty"`
	Group   string `json:"group,omitempty"`
	Image   string `json:"image,omitempty"`
	Servers int    `json:"servers,omitempty"`
	Undone  bool   `json:"undone,omitempty"`
}

func (a *adoption) ec2() EC2 { return a.EC2(a.job.Target) }

func (a *adoption) region() string {
	if a.job.Target.Region != "" {
		return a.job.Target.Region
	}
	return a.Region
}

// Steps are those of what the spec imports or gives back.
func (a *adoption) Steps() []jobs.Step {
	switch {
	case a.spec.Undo == undoFleet:
		return []jobs.Step{{Name: "own", Do: a.ownAgain}, {Name: "untag", Do: a.untagServers}, {Name: "forget", Do: a.forgetAll}}
	case a.spec.Undo == undoImage:
		return []jobs.Step{{Name: "look", Looks: true, Do: a.lookVersion}, {Name: "untag", Do: a.untagVersion}, {Name: "forget", Do: a.forgetVersion}}
	case a.spec.Image != nil:
		return []jobs.Step{{Name: "look", Looks: true, Do: a.lookImage}, {Name: "reserve", Do: a.reserve}, {Name: "tag", Do: a.tagImage}, {Name: "publish", Do: a.publish}}
	}
	return []jobs.Step{
		{Name: "look", Do: a.lookServers}, {Name: "own", Do: a.own}, {Name: "enlist", Do: a.enlist}, {Name: "tag", Do: a.tagServers}, {Name: "release", Do: a.release},
	}
}

// Undo takes back what a failed or cancelled import wrote. Of an undo nothing is taken back: it gives the fleet up.
func (a *adoption) Undo() []jobs.Step {
	switch {
	case a.spec.Undo == undoFleet:
		return []jobs.Step{{Name: "leave", Do: a.leave}}
	case a.spec.Undo == undoImage:
		return nil
	case a.spec.Image != nil:
		return []jobs.Step{{Name: "abandon", Do: a.abandon}, {Name: "untag", Do: a.untagImage}}
	}
	return []jobs.Step{{Name: "untag", Do: a.untagRoll}, {Name: "forget", Do: a.forgetRoll}, {Name: "leave", Do: a.leave}}
}

// Committed reports whether a cancel comes too late.
func (a *adoption) Committed() bool { return a.progress.Committed }

// Data is the progress.
func (a *adoption) Data() any { return a.progress }

// Result tells what was imported or given back.
func (a *adoption) Result() any {
	p := a.progress
	if !p.Committed {
		return nil
	}
	r := Result{Servers: p.Count, Undone: a.spec.Undo != ""}
	switch {
	case p.Version != nil:
		r.Image = fmt.Sprintf("%s@%d", p.Version.Image, p.Version.Number)
	case a.spec.Fleet != nil:
		r.Fleet, r.Group = a.job.Name, a.spec.Fleet.Group
	default:
		r.Fleet = a.job.Name
	}
	return r
}
