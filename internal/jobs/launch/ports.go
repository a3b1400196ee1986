package launch

import (
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Servers is EC2's instances in one account and region.
type Servers interface {
	Launch(ctx context.Context, request cloud.LaunchRequest) ([]cloud.Instance, error)
	Instances(ctx context.Context, ids ...string) ([]cloud.Instance, error)
	InstancesTagged(ctx context.Context, tags map[string]string, states ...string) ([]cloud.Instance, error)
	InstancesByToken(ctx context.Context, token string) ([]cloud.Instance, error)
	StatusOK(ctx context.Context, ids ...string) (map[string]bool, error)
	Terminate(ctx context.Context, ids ...string) error
}

// Surroundings is what a launch looks up before it makes anything.
type Surroundings interface {
	Images(ctx context.Context, ids ...string) ([]cloud.Image, error)
	Subnets(ctx context.Context, ids []string, tags map[string]string) ([]cloud.Subnet, error)
	SecurityGroups(ctx context.Context, namesOrIDs []string, vpcID string) ([]string, error)
	TypesOffered(ctx context.Context, types []string) (map[string][]string, error)
	// Types tells what instance types have; absent: the region does not have it.
	Types(ctx context.Context, types []string) (map[string]cloud.InstanceType, error)
	// RunningVCPUs adds up what runs, from so many pages of 1,000 instances at most (0: all).
	RunningVCPUs(ctx context.Context, pages int) (used map[cloud.Running]int, whole bool, err error)
	KeyPair(ctx context.Context, name string) (bool, error)
	// GroupVPCs gives the VPCs of the groups that exist, by id.
	GroupVPCs(ctx context.Context, ids []string) (map[string]string, error)
	// AllowedAMIs is disabled, audit-mode or enabled.
	AllowedAMIs(ctx context.Context) (state string, err error)
	TemplateVersion(ctx context.Context, template cloud.LaunchTemplate) (exists bool, imageID string, err error)
}

// Marker puts tags on what instances have.
type Marker interface {
	Instances(ctx context.Context, ids ...string) ([]cloud.Instance, error)
	Tag(ctx context.Context, ids []string, tags map[string]string) error
}

// EC2 is all of it.
type EC2 interface {
	Servers
	Surroundings
	Marker
}

// Quotas are the account's in one region.
type Quotas interface {
	EC2(ctx context.Context, code string) (float64, error)
}

// TargetGroups is the load balancers' side.
type TargetGroups interface {
	TargetGroup(ctx context.Context, nameOrARN string) (arn string, err error)
	Register(ctx context.Context, arn string, instanceIDs ...string) error
	Deregister(ctx context.Context, arn string, instanceIDs ...string) error
	Health(ctx context.Context, arn string, instanceIDs ...string) ([]cloud.TargetHealth, error)
}

// Parameters reads SSM parameters.
type Parameters interface {
	Parameter(ctx context.Context, name string) (value string, found bool, err error)
}

// Images is the catalog of our own images.
type Images interface {
	GetImage(ctx context.Context, name string) (ledger.Image, bool, error)
	GetVersion(ctx context.Context, image string, number int) (ledger.Version, bool, error)
}

// Fleets is the ledger of fleets.
type Fleets interface {
	GetFleet(ctx context.Context, name string) (ledger.Fleet, bool, error)
	// Own creates the fleet if need be and joins the line for it; owned is true for the first in line.
	Own(ctx context.Context, g jobs.Guard, fleet ledger.Fleet, job string) (as ledger.Fleet, owned bool, err error)
	PutFleet(ctx context.Context, g jobs.Guard, fleet ledger.Fleet) error
	// Release gives the fleet up, or leaves the line.
	Release(ctx context.Context, g jobs.Guard, fleet, job string) error
	DeleteFleet(ctx context.Context, g jobs.Guard, name string) error
}

// Holders is the ledger of a fleet's servers.
type Holders interface {
	Servers(ctx context.Context, fleet string) ([]ledger.Server, error)
	// PutServers never overwrites an ordinal that another launch's server holds.
	PutServers(ctx context.Context, g jobs.Guard, servers []ledger.Server) error
	DeleteServers(ctx context.Context, g jobs.Guard, fleet string, ordinals []int) error
}

// Seconds is the ledger of the ordinals' second slots, under the same rules.
type Seconds interface {
	Seconds(ctx context.Context, fleet string) ([]ledger.Server, error)
	PutSeconds(ctx context.Context, g jobs.Guard, servers []ledger.Server) error
	DeleteSeconds(ctx context.Context, g jobs.Guard, fleet string, ordinals []int) error
}

// Ledger is the fleets, their servers and the images.
type Ledger interface {
	Images
	Fleets
	Holders
	Seconds
}

// Files is the installation's bucket.
type Files interface {
	Put(ctx context.Context, key string, content []byte) error
	Get(ctx context.Context, key string) (content []byte, found bool, err error)
	PresignGet(ctx context.Context, key string, valid time.Duration) (url string, err error)
}
