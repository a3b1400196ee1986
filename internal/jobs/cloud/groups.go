package cloud

import (
	"strings"
	"time"
)

// Group is an Auto Scaling group.
type Group struct {
	Name, ARN         string
	Min, Max, Desired int
	// Template is what it launches from, with the version as the group has it: a number, $Latest or $Default. It is empty where the
	// group has a launch configuration instead.
	Template LaunchTemplate
	// Mixed: it has a mixed instances policy. OwnTemplates: some of the policy's overrides bring launch templates of their own.
	Mixed, OwnTemplates bool
	Members             []Member
	Tags                map[string]string
	TargetGroups        []string // ARNs
	HealthCheckType     string
}

// Member is an instance of an Auto Scaling group.
type Member struct {
	InstanceID, ImageID, Type, Zone string
	State                           string // Pending, InService, Standby, Terminating, …
	Healthy, Protected              bool
	Template                        LaunchTemplate // its version is a number
}

// Serves reports whether the group counts on the instance.
func (m Member) Serves() bool { return m.State == "InService" && m.Healthy }

// Stays reports whether the instance is not on its way out.
func (m Member) Stays() bool {
	return !strings.HasPrefix(m.State, "Terminat") && m.State != "Detaching" && m.State != "Detached"
}

// Settled reports whether the instance is neither being launched nor on its way out.
func (m Member) Settled() bool { return m.State == "InService" || m.State == "Standby" }

// Refresh is an instance refresh of a group.
type Refresh struct {
	ID, Status, Reason string
	// Template is the desired configuration's; it is empty where there is none.
	Template    LaunchTemplate
	Percent     int // complete
	Left        int // instances still to update
	Checkpoints []int
	Started     time.Time
	Ended       time.Time
	// RollbackReason says why it was rolled back.
	RollbackReason string
}

// The states of an instance refresh that steps ask for.
const (
	RefreshSuccessful     = "Successful"
	RefreshFailed         = "Failed"
	RefreshCancelling     = "Cancelling"
	RefreshCancelled      = "Cancelled"
	RefreshRollingBack    = "RollbackInProgress"
	RefreshRolledBack     = "RollbackSuccessful"
	RefreshRollbackFailed = "RollbackFailed"
	RefreshPending        = "Pending"
	RefreshInProgress     = "InProgress"
)

// The limits of an instance refresh.
const (
	LongestCheckpointDelay = 48 * time.Hour
	MostRefreshAlarms      = 10
)

// Over reports whether the refresh has ended.
func (r Refresh) Over() bool {
	switch r.Status {
	case RefreshSuccessful, RefreshFailed, RefreshCancelled, RefreshRolledBack, RefreshRollbackFailed:
		return true
	}
	return false
}

// RefreshRequest asks for an instance refresh to a pinned version of a launch template. Instances from that version already are
// skipped.
type RefreshRequest struct {
	Group    string
	Template LaunchTemplate // the version is a number
	// MinHealthy and MaxHealthy are percents of the group's desired capacity.
	MinHealthy, MaxHealthy int
	// Checkpoints are percents of the group; the refresh stays at each for Delay.
	Checkpoints []int
	Delay       time.Duration
	// Warmup is how long a new instance in service does not count yet; nil: as the group has it.
	Warmup *time.Duration
	// Alarms end the refresh when one of them goes off.
	Alarms []string
	// Protected replaces instances that are protected from scale-in, too; else they are left alone.
	Protected bool
}
