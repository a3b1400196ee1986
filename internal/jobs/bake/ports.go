package bake

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
)

// EC2 is what a bake asks of EC2 in one account and region.
type EC2 interface {
	Servers
	Network
	Images
	Captures
	Snapshots
	Sharing
	Templates
}

// Servers makes, finds and ends instances.
type Servers interface {
	Launch(ctx context.Context, q c.LaunchRequest) ([]c.Instance, error)
	Instances(ctx context.Context, ids ...string) ([]c.Instance, error)
	InstancesByToken(ctx context.Context, token string) ([]c.Instance, error)
	InstancesTagged(ctx context.Context, tags map[string]string, states ...string) ([]c.Instance, error)
	Stop(ctx context.Context, ids ...string) error
	Terminate(ctx context.Context, ids ...string) error
}

// Network finds where servers can stand, and tells how they are.
type Network interface {
	Subnets(ctx context.Context, ids []string, tags map[string]string) ([]c.Subnet, error)
	SecurityGroups(ctx context.Context, namesOrIDs []string, vpcID string) ([]string, error)
	StatusOK(ctx context.Context, ids ...string) (map[string]bool, error)
	Console(ctx context.Context, id string) (string, error)
	TypesOffered(ctx context.Context, types []string) (map[string][]string, error)
	Types(ctx context.Context, types []string) (map[string]c.InstanceType, error)
	KeyPair(ctx context.Context, name string) (bool, error)
	// Regions tells the opt-in status of those regions that exist.
	Regions(ctx context.Context, names ...string) (map[string]string, error)
}

// Images finds AMIs.
type Images interface {
	Images(ctx context.Context, ids ...string) ([]c.Image, error)
	ImagesNamed(ctx context.Context, name string) ([]c.Image, error)
	ImagesTagged(ctx context.Context, tags map[string]string) ([]c.Image, error)
	NewestImage(ctx context.Context, owner, namePattern, architecture string) (c.Image, bool, error)
	// AllowedAMIs is disabled, audit-mode or enabled.
	AllowedAMIs(ctx context.Context) (state string, err error)
	ImageUsers(ctx context.Context, imageIDs ...string) (map[string][]string, error)
}

// Captures makes and removes AMIs.
type Captures interface {
	Capture(ctx context.Context, q c.CaptureRequest) (imageID string, err error)
	Copy(ctx context.Context, q c.CopyRequest) (imageID string, err error)
	Deregister(ctx context.Context, imageID string, deleteSnapshots bool) error
	DeprecateAt(ctx context.Context, imageID string, at time.Time) error
	Protect(ctx context.Context, imageID string, withCooldown bool) error
	Unprotect(ctx context.Context, imageID string) error
	Disable(ctx context.Context, imageID string) error
	lifecycle.Reports
}

// Snapshots finds and removes EBS snapshots.
type Snapshots interface {
	Snapshots(ctx context.Context, ids ...string) ([]c.Snapshot, error)
	SnapshotsTagged(ctx context.Context, tags map[string]string) ([]c.Snapshot, error)
	DeleteSnapshot(ctx context.Context, id string) error
}

// Sharing opens AMIs to others.
type Sharing interface {
	ShareImage(ctx context.Context, imageID string, add, remove c.Share) error
	BlockPublicAccess(ctx context.Context) (state string, err error)
}

// Templates finds launch templates and adds versions to them.
type Templates interface {
	TemplateVersion(ctx context.Context, template c.LaunchTemplate) (exists bool, imageID string, err error)
	AddTemplateVersion(ctx context.Context, template c.LaunchTemplate, sourceVersion, imageID, token, description string) (version string, err error)
	SetTemplateDefault(ctx context.Context, template c.LaunchTemplate, version string) error
}

// SSM runs commands on servers and keeps parameters.
type SSM interface {
	Send(ctx context.Context, command c.Command) (commandID string, err error)
	Invocation(ctx context.Context, commandID, instanceID string) (c.Invocation, bool, error)
	CancelCommand(ctx context.Context, commandID string, instanceIDs ...string) error
	Managed(ctx context.Context, instanceIDs ...string) (map[string]c.ManagedInstance, error)
	Parameter(ctx context.Context, name string) (value string, found bool, err error)
	PutParameter(ctx context.Context, name, value, dataType string) error
}

// Catalog is the part of the ledger that a bake reads and writes.
type Catalog interface {
	Versions
	Fleets
	// PutKept says until when a builder is kept; the reaper removes it then.
	PutKept(ctx context.Context, g jobs.Guard, instanceID string, until time.Time) error
}

// Versions are images of ours and their versions.
type Versions interface {
	GetImage(ctx context.Context, name string) (l.Image, bool, error)
	GetVersion(ctx context.Context, image string, number int) (l.Version, bool, error)
	Versions(ctx context.Context, image string) ([]l.Version, error)
	// ReserveVersion gives the next number, the same for each repetition by one incarnation and run.
	ReserveVersion(ctx context.Context, g jobs.Guard, image l.Image, v l.Version) (l.Version, error)
	// Publish makes the version available, and current unless a later one is.
	Publish(ctx context.Context, g jobs.Guard, v l.Version, labels map[string]string) (current int, err error)
	SetVersionState(ctx context.Context, g jobs.Guard, image string, number int, state l.VersionState) error
	ChangeVersion(ctx context.Context, g jobs.Guard, image string, number int, change func(*l.Version) error) (l.Version, error)
}

// Fleets says what servers were stamped from which version.
type Fleets interface {
	ListFleets(ctx context.Context) ([]l.Fleet, error)
	Servers(ctx context.Context, fleet string) ([]l.Server, error)
	Seconds(ctx context.Context, fleet string) ([]l.Server, error)
}

// Files is the installation's bucket.
type Files interface {
	Bucket() string
	Put(ctx context.Context, key string, content []byte) error
	PresignGet(ctx context.Context, key string, valid time.Duration) (url string, err error)
}
