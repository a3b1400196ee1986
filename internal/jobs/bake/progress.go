package bake

import (
	"maps"
	"slices"
	"time"

	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/notify"
)

// progress is what a bake knows of itself between deliveries. It holds no script and no secret.
type progress struct {
	Run     int      `json:"run"`
	Source  source   `json:"source,omitzero"`
	Subnets []string `json:"subnets,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Builder server   `json:"builder,omitzero"`
	Test    server   `json:"test,omitzero"`
	// Command is the one that runs now.
	Command *command `json:"command,omitempty"`
	// Stopping: the builder was told to stop.
	Stopping bool `json:"stopping,omitempty"`
	Frozen   bool `json:"frozen,omitempty"`
	// Intermediate is the image of a server that the builder is launched from.
	Intermediate image `json:"intermediate,omitzero"`
	Version      int   `json:"version,omitempty"`
	// Usual is how long capture, copies and boot took for the versions before this one.
	Usual map[string]l.Usual `json:"usual,omitempty"`
	Image image              `json:"image,omitzero"`
	// Content is where the list of what is on the builder lies.
	Content *l.Content `json:"content,omitempty"`
	// Copies by region.
	Copies    map[string]image `json:"copies,omitempty"`
	Committed time.Time        `json:"committed,omitzero"`
	// Current is the image's current version after the commit: ours, unless a later one was there.
	Current  int    `json:"current,omitempty"`
	Template string `json:"template,omitempty"` // version of the launch template
	Retired  []int  `json:"retired,omitempty"`
	Ending   bool   `json:"ending,omitempty"` // servers were told to terminate
	// Console: the console of a builder without SSM was kept.
	Console bool         `json:"console,omitempty"`
	Kept    time.Time    `json:"kept,omitzero"` // until when the builder of a failed bake is kept
	Notify  notify.State `json:"notify,omitzero"`
}

// source is what the bake starts from.
type source struct {
	AMI          string `json:"ami,omitempty"`
	Parent       string `json:"parent,omitempty"` // base@12, or an AMI id
	Architecture string `json:"arch,omitempty"`
	Platform     string `json:"platform,omitempty"`
	RootDevice   string `json:"root,omitempty"`
}

// server is a builder or a test server.
type server struct {
	ID     string `json:"id,omitempty"`
	Type   string `json:"type,omitempty"`
	Subnet string `json:"subnet,omitempty"`
	Spot   bool   `json:"spot,omitempty"`
	// Pool is the one that is tried, and Refused why the last one gave no server.
	Pool    int    `json:"pool,omitempty"`
	Refused string `json:"refused,omitempty"`
	// Since is when it was launched, Looked when EC2 was last asked for it.
	Since   time.Time         `json:"since,omitzero"`
	Looked  time.Time         `json:"looked,omitzero"`
	Online  bool              `json:"online,omitempty"`
	Volumes map[string]string `json:"volumes,omitempty"`
	// Asked is when SSM did not know it yet, Took how long it took to come online.
	Asked time.Time     `json:"asked,omitzero"`
	Took  time.Duration `json:"took,omitempty"`
}

// image is an AMI that is being made.
type image = copies.AMI

// command is an SSM command that was sent.
type command struct {
	Step   string    `json:"step"`
	Server string    `json:"server"`
	ID     string    `json:"id,omitempty"`
	Sent   time.Time `json:"sent,omitzero"`
	Polls  int       `json:"polls,omitempty"`
	Tries  int       `json:"tries,omitempty"`
}

// Result is what a finished bake tells.
type Result struct {
	Image   string `json:"image"`             // web@41
	Version int    `json:"version,omitempty"` // 41
	Current bool   `json:"current,omitempty"`
	// AMIs by region.
	AMIs            map[string]string `json:"amis,omitempty"`
	SourceAMI       string            `json:"sourceAMI,omitempty"`
	Parent          string            `json:"parent,omitempty"`
	Architecture    string            `json:"architecture,omitempty"`
	TemplateVersion string            `json:"templateVersion,omitempty"`
	Retired         []int             `json:"retired,omitempty"`
	// KeptBuilder is the builder of a failed bake, which stays until KeptUntil.
	KeptBuilder string    `json:"keptBuilder,omitempty"`
	KeptUntil   time.Time `json:"keptUntil,omitzero"`
}

func (b *program) result() Result {
	p := b.progress
	r := Result{Image: b.job.Name, SourceAMI: p.Source.AMI, Parent: p.Source.Parent, Architecture: p.Source.Architecture,
		TemplateVersion: p.Template, Retired: p.Retired}
	if !p.Committed.IsZero() {
		r.Image, r.Version, r.Current = b.versionName(), p.Version, p.Current == p.Version
		r.AMIs = map[string]string{}
		for region, copied := range b.regions() {
			r.AMIs[region] = copied.AMI
		}
	}
	if !p.Kept.IsZero() {
		r.KeptBuilder, r.KeptUntil = p.Builder.ID, p.Kept
	}
	return r
}

// regions are the version's AMIs.
func (b *program) regions() map[string]l.RegionalCopy {
	p := b.progress
	all := map[string]l.RegionalCopy{b.region: {AMI: p.Image.ID, Snapshots: p.Image.Snapshots}}
	for region, copied := range p.Copies {
		all[region] = l.RegionalCopy{AMI: copied.ID, Snapshots: copied.Snapshots}
	}
	return all
}

func (s *server) record(i c.Instance) {
	s.ID, s.Type, s.Subnet, s.Spot = i.ID, i.Type, i.SubnetID, i.Spot
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
