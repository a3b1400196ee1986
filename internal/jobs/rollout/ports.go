package rollout

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Servers is EC2's instances in one account and region.
type Servers interface {
	Instances(ctx context.Context, ids ...string) ([]cloud.Instance, error)
	Terminate(ctx context.Context, ids ...string) error
	Stop(ctx context.Context, ids ...string) error
	Start(ctx context.Context, ids ...string) error
	Tag(ctx context.Context, ids []string, tags map[string]string) error
}

// RootVolumes is EC2's replacement of root volumes in one account and region.
type RootVolumes interface {
	// ReplaceRoot begins to give a running instance another root. The same token gives the same task again.
	ReplaceRoot(ctx context.Context, request cloud.RootRequest) (cloud.RootTask, error)
	RootTasks(ctx context.Context, ids ...string) ([]cloud.RootTask, error)
	// GoWith has the volume at the device deleted when the instance is terminated.
	GoWith(ctx context.Context, instanceID, device string) error
	// Images describes AMIs.
	Images(ctx context.Context, ids ...string) ([]cloud.Image, error)
}

// Volumes are EBS volumes in one account and region.
type Volumes interface {
	DisksTagged(ctx context.Context, tags map[string]string) ([]cloud.Disk, error)
	AttachDisk(ctx context.Context, id, instanceID, device string) error
	DeleteVolume(ctx context.Context, id string) error
	Tag(ctx context.Context, ids []string, tags map[string]string) error
}

// Roots is both.
type Roots interface {
	RootVolumes
	Volumes
}

// TargetGroups is the load balancers' side.
type TargetGroups interface {
	Register(ctx context.Context, arn string, instanceIDs ...string) error
	Deregister(ctx context.Context, arn string, instanceIDs ...string) error
	Health(ctx context.Context, arn string, instanceIDs ...string) ([]cloud.TargetHealth, error)
}

// Images is the catalog of our own images.
type Images interface {
	GetImage(ctx context.Context, name string) (ledger.Image, bool, error)
	GetVersion(ctx context.Context, image string, number int) (ledger.Version, bool, error)
}

// Fleets is the ledger of fleets.
type Fleets interface {
	GetFleet(ctx context.Context, name string) (ledger.Fleet, bool, error)
	Own(ctx context.Context, g jobs.Guard, fleet ledger.Fleet, job string) (as ledger.Fleet, owned bool, err error)
	PutFleet(ctx context.Context, g jobs.Guard, fleet ledger.Fleet) error
	Release(ctx context.Context, g jobs.Guard, fleet, job string) error
}

// Holders is the ledger of a fleet's servers: the holders of its ordinals, and the ordinals' second slots.
type Holders interface {
	Servers(ctx context.Context, fleet string) ([]ledger.Server, error)
	PutServers(ctx context.Context, g jobs.Guard, servers []ledger.Server) error
	DeleteServers(ctx context.Context, g jobs.Guard, fleet string, ordinals []int) error
	Seconds(ctx context.Context, fleet string) ([]ledger.Server, error)
	DeleteSeconds(ctx context.Context, g jobs.Guard, fleet string, ordinals []int) error
	Swap(ctx context.Context, g jobs.Guard, swaps []ledger.Swap) error
}

// Ledger is the fleets, their servers and the images.
type Ledger interface {
	Images
	Fleets
	Holders
}

// Alarms tell the states of CloudWatch alarms in one account and region.
type Alarms interface {
	// State gives OK, ALARM or INSUFFICIENT_DATA by the alarm's name; a name that is missing in the answer is no alarm's.
	State(ctx context.Context, names ...string) (map[string]string, error)
}

// Belongings are what only one server can hold: volumes that outlive it, network interfaces, addresses. A server that has
// any is stopped before its successor takes them over.
type Belongings interface {
	// Of finds what each of the servers would have to hand over, by ordinal; servers that have nothing of the sort are absent.
	Of(ctx context.Context, servers []ledger.Server) (map[int][]Belonging, error)
	// Hand moves the things from the one instance, which is stopped, to the other, and back likewise. It takes one step of that
	// at a time and is done when it finds all of them at to; asked again, it repeats nothing.
	Hand(ctx context.Context, things []Belonging, from, to string) (done bool, err error)
}

// Belonging is one thing that only one server can hold.
type Belonging = cloud.Belonging
