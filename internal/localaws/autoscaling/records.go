package autoscaling

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// group is an Auto Scaling group.
type group struct {
	ARN, Name, Account, Region string
	Min, Max, Desired          int
	Cooldown                   int
	Template                   template
	// Mixed is the mixed instances policy; its template is Template.
	Mixed           *mixedPolicy `json:",omitempty"`
	Subnets         []string     `json:",omitempty"`
	Zones           []string
	TargetGroups    []string `json:",omitempty"`
	HealthCheckType string   // EC2, or with ELB: checked by the target groups, too
	Grace           int      // seconds
	Warmup          *int     `json:",omitempty"` // DefaultInstanceWarmup, seconds
	Maintenance     *maintenancePolicy
	NewProtected    bool     `json:",omitempty"`
	Policies        []string `json:",omitempty"`
	Tags            map[string]groupTag
	Created         time.Time
	Members         map[string]*member // by instance id
	Deleting        bool               `json:",omitempty"`
	LaunchedCount   int                // numbers client tokens
	RetryAt         time.Time          `json:",omitzero"` // launches fail: not before
	Refreshes       int                // how many were started
	Activities      []activity         `json:",omitempty"`
}

func groupKey(account, region, name string) string { return account + "/" + region + "/" + name }

func (g *group) key() string { return groupKey(g.Account, g.Region, g.Name) }

// template names a launch template and a version as it was said: a number, $Latest or $Default.
type template struct {
	ID, Name, Version string
}

type groupTag struct {
	Value     string
	Propagate bool
}

type maintenancePolicy struct {
	Min *int `query:"MinHealthyPercentage" xml:"MinHealthyPercentage,omitempty" json:",omitempty"`
	Max *int `query:"MaxHealthyPercentage" xml:"MaxHealthyPercentage,omitempty" json:",omitempty"`
}

// mixedPolicy is a mixed instances policy as it was given.
type mixedPolicy struct {
	LaunchTemplate struct {
		Specification templateShape   `query:"LaunchTemplateSpecification" xml:"LaunchTemplateSpecification"`
		Overrides     []overrideShape `query:"Overrides.member" xml:"Overrides>member" json:",omitempty"`
	} `query:"LaunchTemplate" xml:"LaunchTemplate"`
	Distribution *distributionShape `query:"InstancesDistribution" xml:"InstancesDistribution" json:",omitempty"`
}

type overrideShape struct {
	InstanceType     string `query:"InstanceType" xml:"InstanceType,omitempty"`
	WeightedCapacity string `query:"WeightedCapacity" xml:"WeightedCapacity,omitempty" json:",omitempty"`
}

type distributionShape struct {
	OnDemandAllocationStrategy string `query:"OnDemandAllocationStrategy" xml:"OnDemandAllocationStrategy,omitempty" json:",omitempty"`
	OnDemandBaseCapacity       *int   `query:"OnDemandBaseCapacity" xml:"OnDemandBaseCapacity,omitempty" json:",omitempty"`
	OnDemandPercentage         *int   `query:"OnDemandPercentageAboveBaseCapacity" xml:"OnDemandPercentageAboveBaseCapacity,omitempty" json:",omitempty"`
	SpotAllocationStrategy     string `query:"SpotAllocationStrategy" xml:"SpotAllocationStrategy,omitempty" json:",omitempty"`
	SpotMaxPrice               string `query:"SpotMaxPrice" xml:"SpotMaxPrice,omitempty" json:",omitempty"`
}

// Lifecycle states of a member.
const (
	pending     = "Pending"
	inService   = "InService"
	terminating = "Terminating"
	standby     = "Standby"
)

// member is an instance of a group.
type member struct {
	ID, Zone, Type, ImageID string
	Template                template // the version is a number
	State                   string
	Healthy                 bool
	Protected               bool
	Launched                time.Time
	Serving                 time.Time `json:",omitzero"` // since when it is in service
	// Gone is when a leaving one has drained and is terminated.
	Gone  time.Time `json:",omitzero"`
	Ended bool      `json:",omitempty"` // its termination was asked for
}

func (m *member) leaving() bool { return m.State == terminating }

// activity is what a launch or a termination came to.
type activity struct {
	ID, Description, Cause, Status, Message string
	Start, End                              time.Time
}

// inOrder are the members in the order of their launch.
func (g *group) inOrder() []*member {
	list := slices.Collect(maps.Values(g.Members))
	slices.SortFunc(list, func(a, b *member) int {
		if n := a.Launched.Compare(b.Launched); n != 0 {
			return n
		}
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return list
}

// note keeps the last activities, newest first.
func (g *group) note(description, cause, status, message string, now time.Time) {
	number := strconv.Itoa(g.LaunchedCount) + "-" + strconv.FormatInt(now.UnixNano(), 36)
	g.Activities = slices.Insert(g.Activities, 0, activity{ID: number, Description: description, Cause: cause, Status: status, Message: message, Start: now, End: now})
	if len(g.Activities) > 20 {
		g.Activities = g.Activities[:20]
	}
}

// warmup is how long a new instance in service does not count yet.
func (g *group) warmup() int {
	if g.Warmup != nil {
		return *g.Warmup
	}
	return g.Grace
}
