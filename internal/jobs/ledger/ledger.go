// Package ledger holds the words for what Stampmill remembers of what it made: images with their versions, and fleets
// with their servers. Every write to the ledger carries the claim's guard and fails when the claim has passed on.
package ledger

import (
	"encoding/json"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// ErrGuard (errors.Is with jobs.ErrFenced) is what a write answers whose claim has passed to another delivery.
var ErrGuard = jobs.ErrFenced

// Image is a named line of versions. There is one a name and installation.
type Image struct {
	Name   string            `json:"name"`
	Role   string            `json:"role,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// Current is the version that launches use; 0: none yet.
	Current int `json:"current"`
	// Next is the number that the next version gets; it begins at 1.
	Next    int       `json:"next"`
	Updated time.Time `json:"updated"`
	// Usual is how long capture, copies and boot of its last versions took, by what and where: capture eu-west-1.
	Usual map[string]Usual `json:"usual,omitempty"`
}

// VersionState is where a version stands.
type VersionState string

// The states of a version. Whether an available one is current is the image's to say.
const (
	Candidate VersionState = "candidate" // reserved by a bake that has not committed
	Available VersionState = "available"
	Retiring  VersionState = "retiring" // not to be used any more; its AMIs are being removed
	Retired   VersionState = "retired"
	Abandoned VersionState = "abandoned" // its bake failed or was cancelled
	Recalled  VersionState = "recalled"  // a person took it back: its AMIs are disabled, nothing is launched from it
)

// Version is one version of an image: web@41.
type Version struct {
	Image  string       `json:"image"`
	Number int          `json:"number"`
	State  VersionState `json:"state"`
	Job    string       `json:"job"`
	// Incarnation and Run of the bake that made it.
	Incarnation string                  `json:"incarnation"`
	Run         int                     `json:"run"`
	Regions     map[string]RegionalCopy `json:"regions,omitempty"`
	// Parent is what it was baked from: base@12 or an AMI id.
	Parent       string          `json:"parent,omitempty"`
	SourceAMI    string          `json:"sourceAMI,omitempty"`
	Architecture string          `json:"architecture,omitempty"`
	Platform     string          `json:"platform,omitempty"`
	Spec         json.RawMessage `json:"spec,omitempty"`
	Created      time.Time       `json:"created"`
	Committed    time.Time       `json:"committed,omitzero"`
	// Usual, of a candidate, is its image's as it stood then. Took, of a published one, is how many seconds its own steps
	// took: the image's Usual learns it at the commit.
	Usual map[string]Usual   `json:"usual,omitempty"`
	Took  map[string]float64 `json:"took,omitempty"`
	// Imported is the incarnation of the import that adopted the AMI; empty: a bake made it. Without Spec it can be launched
	// and be a parent, but not rebuilt from source.
	Imported string `json:"imported,omitempty"`
	// TagsBefore are those of the adoption's tags that the AMI carried before.
	TagsBefore []string `json:"tagsBefore,omitempty"`
	// Home is the region in which it was baked, from which copies are made.
	Home string `json:"home,omitempty"`
	// Held: it was published without becoming current; promote makes it so.
	Held bool `json:"held,omitempty"`
	// Content is what is in it, where the builder could tell.
	Content *Content `json:"content,omitempty"`
	// Recall is there of a recalled version, Retirement once its removal has begun.
	Recall     *Recall     `json:"recall,omitempty"`
	Retirement *Retirement `json:"retirement,omitempty"`
	// Owner is the job that changes where the version's AMIs are and who may use them; one at a time.
	Owner string `json:"owner,omitempty"`
	// Accounts are copies that other accounts own, by ACCOUNT/REGION.
	Accounts map[string]AccountCopy `json:"accounts,omitempty"`
	// Leaving are AMIs that nothing is launched from any more and that are not removed yet.
	Leaving []LeavingCopy `json:"leaving,omitempty"`
	// Shared is whom a Distribute opened it to; nil: whom its Bake says.
	Shared *Shared `json:"shared,omitempty"`
}

// RegionalCopy is a version's AMI in one region.
type RegionalCopy struct {
	AMI       string   `json:"ami"`
	Snapshots []string `json:"snapshots,omitempty"`
	// By is the Distribute that made the copy; empty: the version's bake did. KMSKey is the key that it was asked to use.
	By     string `json:"by,omitempty"`
	KMSKey string `json:"kmsKey,omitempty"`
}

// Fleet is a named set of servers stamped from an image. There is one a name and installation.
type Fleet struct {
	Name   string            `json:"name"`
	Target jobs.Target       `json:"target"`
	Labels map[string]string `json:"labels,omitempty"`
	Image  string            `json:"image"` // web@41
	Count  int               `json:"count"` // desired total
	// Owner is the operation that may change the fleet; Line are the jobs that wait for it, first come first.
	Owner   string          `json:"owner,omitempty"`
	Line    []string        `json:"line,omitempty"`
	Spec    json.RawMessage `json:"spec,omitempty"` // of the last Launch that owned it
	Updated time.Time       `json:"updated"`
	// Previous is what the fleet ran before its last rollout: web@40. Rollout is that job.
	Previous string `json:"previous,omitempty"`
	Rollout  string `json:"rollout,omitempty"`
	// Group is the Auto Scaling group that keeps the servers, where one does.
	Group string `json:"group,omitempty"`
	// Imported is the incarnation of the import that adopted the fleet, whose servers were there before Stampmill knew of them;
	// empty: a Launch made it.
	Imported string `json:"imported,omitempty"`
}

// ServerState is where a server stands.
type ServerState string

// The states of a server.
const (
	Reserved ServerState = "reserved" // its ordinal is promised to a batch; nothing launched yet
	Launched ServerState = "launched"
	Healthy  ServerState = "healthy"
	Leaving  ServerState = "leaving" // being deregistered and terminated
	Parked   ServerState = "parked"  // stopped, while its successor is tried; started again if that fails
)

// Server is one that the ledger names: the holder of an ordinal, or, in the ordinal's second slot, its successor before the
// swap and the leaving old one after it.
type Server struct {
	Fleet       string      `json:"fleet"`
	Ordinal     int         `json:"ordinal"`
	State       ServerState `json:"state"`
	InstanceID  string      `json:"instance,omitempty"`
	Image       string      `json:"image,omitempty"` // web@41
	AMI         string      `json:"ami,omitempty"`
	Hostname    string      `json:"hostname,omitempty"`
	Type        string      `json:"type,omitempty"`
	Zone        string      `json:"zone,omitempty"`
	SubnetID    string      `json:"subnet,omitempty"`
	PrivateIP   string      `json:"ip,omitempty"`
	Spot        bool        `json:"spot,omitempty"`
	Job         string      `json:"job,omitempty"` // the job that launched it
	Incarnation string      `json:"incarnation,omitempty"`
	Launched    time.Time   `json:"launched,omitzero"`
	// TargetGroups it was attached to, so that terminate knows what to release.
	TargetGroups []string `json:"targetGroups,omitempty"`
	// Kept is the root volume that a rollout replaced, until the fleet is done.
	Kept *KeptRoot `json:"kept,omitempty"`
	// Differs says in what an imported server differs from its fleet's stored Launch spec, but for type and zone: a successor
	// made of that spec would not be its equal.
	Differs []string `json:"differs,omitempty"`
	// TagsBefore are those of the adoption's tags that the server carried before it was imported: no undo takes them.
	TagsBefore []string `json:"tagsBefore,omitempty"`
}
