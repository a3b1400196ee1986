package launch

import (
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/notify"
)

// progress is what a launch keeps between deliveries: sets of ordinals as ranges, whatever the fleet's size.
type progress struct {
	// Run is the run that it belongs to: a retry begins anew.
	Run int `json:"run"`

	Image        image    `json:"image,omitzero"`
	Ladder       Ladder   `json:"ladder,omitempty"`
	Groups       []string `json:"groups,omitempty"`
	TargetGroups []string `json:"targetGroups,omitempty"`

	Owned    bool         `json:"owned,omitempty"`
	Promised int          `json:"promised,omitempty"` // the fleet's count before
	Existing ordinals.Set `json:"existing,omitzero"`  // had a living server before
	Planned  ordinals.Set `json:"planned,omitzero"`   // this launch's to fill
	Batches  int          `json:"batches,omitempty"`  // sent so far, in all rounds

	Launched   ordinals.Set `json:"launched,omitzero"` // granted, and not known to be dead
	LaunchedAt time.Time    `json:"launchedAt,omitzero"`
	Watched    bool         `json:"watched,omitempty"` // all of Launched were seen running, or given up
	Up         ordinals.Set `json:"up,omitzero"`       // passed every check so far
	Stage      ordinals.Set `json:"stage,omitzero"`    // of Up: passed the check that is under way
	Probes     []probe      `json:"probes,omitempty"`
	ProbeRound int          `json:"probeRound,omitempty"`
	// Reasons are why servers failed the check that is under way, the first ones.
	Reasons map[int]string `json:"reasons,omitempty"`

	Failures []Failure    `json:"failures,omitempty"` // the first ones
	Failed   ordinals.Set `json:"failed,omitzero"`
	Shortage string       `json:"shortage,omitempty"` // why places were not granted
	Settled  bool         `json:"settled,omitempty"`
	Report   string       `json:"report,omitempty"`
	Notify   notify.State `json:"notify,omitzero"`
	// Handed have what they took over, and were rebooted with it.
	Handed ordinals.Set `json:"handed,omitzero"`
	// Heirs is what a succession or a trial was told.
	Heirs *Description `json:"heirs,omitempty"`
}

type image = Image

// Failure is a server that did not become healthy.
type Failure struct {
	Ordinal    int    `json:"ordinal"`
	InstanceID string `json:"instance,omitempty"`
	Reason     string `json:"reason"`
}

// MaxFailures is how many failures a result lists; the report has the rest's ordinals.
const MaxFailures = 50

// missing are the ordinals that still want a server.
func (p *progress) missing() ordinals.Set { return p.Planned.Minus(p.Launched) }

// fail notes servers that will not become healthy.
func (p *progress) fail(ordinal int, instanceID, reason string) {
	if p.Failed.Has(ordinal) {
		return
	}
	p.Failed = p.Failed.Plus(ordinals.Of(ordinal))
	p.Up = p.Up.Minus(ordinals.Of(ordinal))
	p.mention(ordinal, instanceID, reason)
}

func (p *progress) mention(ordinal int, instanceID, reason string) {
	if len(p.Failures) < MaxFailures {
		p.Failures = append(p.Failures, Failure{Ordinal: ordinal, InstanceID: instanceID, Reason: clip(reason)})
	}
}

// explain keeps why a server failed a check that is repeated.
func (p *progress) explain(ordinal int, reason string) {
	if p.Reasons == nil {
		p.Reasons = map[int]string{}
	}
	if _, known := p.Reasons[ordinal]; known || len(p.Reasons) < MaxFailures {
		p.Reasons[ordinal] = clip(reason)
	}
}

// clip keeps reasons short: they stand in the job's item.
func clip(reason string) string { return jobs.Clip(reason, 300) }

// Result is what a finished launch tells.
type Result struct {
	Fleet string `json:"fleet"`
	Image string `json:"image"`
	AMI   string `json:"ami"`
	Count int    `json:"count"`
	// Before had a server before this launch; Launched are its own that are healthy; Missing have none.
	Before   int          `json:"before"`
	Launched ordinals.Set `json:"launched,omitzero"`
	Missing  ordinals.Set `json:"missing,omitzero"`
	Failures []Failure    `json:"failures,omitempty"`
	Shortage string       `json:"shortage,omitempty"`
	// Report is the key of the object in the bucket that lists every server.
	Report string `json:"report,omitempty"`
}
