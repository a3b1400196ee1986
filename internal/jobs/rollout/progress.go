package rollout

import (
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/notify"
)

// progress is what a rollout keeps between deliveries.
type progress struct {
	Run    int         `json:"run"`
	Target jobs.Target `json:"target,omitzero"` // the fleet's
	Owned  bool        `json:"owned,omitempty"`
	// Group is the Auto Scaling group that the fleet is, if it is one.
	Group string `json:"group,omitempty"`
	// Image is what the fleet is to run, Former what it ran.
	Image  image  `json:"image,omitzero"`
	Former string `json:"former,omitempty"`

	Planned bool `json:"planned,omitempty"`
	// Report is the key in the bucket of what each server was and is.
	Report string `json:"report,omitempty"`
	// Count is how many servers live, Surge how many more there may be, Spare how many may be missing, Budget how many
	// successors may fail.
	Count  int `json:"count,omitempty"`
	Surge  int `json:"surge,omitempty"`
	Spare  int `json:"spare,omitempty"`
	Budget int `json:"budget,omitempty"`
	// Skipped run the image already; Vacant have no living server.
	Skipped ordinals.Set `json:"skipped,omitzero"`
	Vacant  ordinals.Set `json:"vacant,omitzero"`

	// Stateful have what only one server can hold: they are stopped before their successors take it over.
	Stateful ordinals.Set `json:"stateful,omitzero"`

	Waves []wave `json:"waves,omitempty"`
	Wave  int    `json:"wave,omitempty"` // under way
	Stage stage  `json:"stage,omitempty"`
	Gate  int    `json:"gate,omitempty"` // of the spec's, that is asked
	// Since is when the stage, or the gate that is asked, began.
	Since time.Time     `json:"since,omitzero"`
	Gates []GateOutcome `json:"gates,omitempty"`

	// Rolled run the image now; Failed could not, and run what they ran.
	Rolled   ordinals.Set     `json:"rolled,omitzero"`
	Failed   ordinals.Set     `json:"failed,omitzero"`
	Failures []launch.Failure `json:"failures,omitempty"`

	// Paused and Held wait for a person; Held says why.
	Paused bool   `json:"paused,omitempty"`
	Held   string `json:"held,omitempty"`
	// Why it goes back; Turning until what was under way is tidied, Back from then on.
	Why     string `json:"why,omitempty"`
	Turning bool   `json:"turning,omitempty"`
	Back    bool   `json:"back,omitempty"`
	BackTo  image  `json:"backTo,omitzero"`
	// Stuck are those that could not be rolled back, BackTries how often it was tried.
	Stuck     ordinals.Set `json:"stuck,omitzero"`
	BackTries int          `json:"backTries,omitempty"`
	// Obeyed is when the last order of each verb was given that was obeyed.
	Obeyed map[jobs.Verb]time.Time `json:"obeyed,omitempty"`

	Replace  replacing    `json:"replace,omitzero"`
	InPlace  rooting      `json:"inPlace,omitzero"`
	Refresh  refreshing   `json:"refresh,omitzero"`
	Recorded bool         `json:"recorded,omitempty"`
	Notify   notify.State `json:"notify,omitzero"`
}

// wave is servers that are rolled before the next gate.
type wave struct {
	Name     string        `json:"name"` // canary, 1, 2, eu-west-1a
	Ordinals ordinals.Set  `json:"ordinals"`
	Soak     time.Duration `json:"soak,omitempty"`
}

// stage is where a wave stands.
type stage string

const (
	rolling   stage = ""
	gating    stage = "gate"    // its gates are asked
	soaking   stage = "soak"    // it is watched
	regating  stage = "regate"  // its gates are asked once more
	approving stage = "approve" // a person is
)

// GateOutcome is what a gate said of a wave.
type GateOutcome struct {
	Wave   string    `json:"wave"`
	Gate   string    `json:"gate"`
	Passed bool      `json:"passed"`
	Detail string    `json:"detail,omitempty"`
	At     time.Time `json:"at"`
}

// maxOutcomes is how many outcomes are kept, the newest.
const maxOutcomes = 100

// todo are the servers of the wave that are still to be rolled.
func (p *progress) todo() ordinals.Set {
	return p.Waves[p.Wave].Ordinals.Minus(p.Rolled).Minus(p.Failed)
}

// barren: every server of the wave was tried, and none could be rolled.
func (p *progress) barren() bool {
	wave := p.Waves[p.Wave].Ordinals
	return !wave.Empty() && wave.Minus(p.Failed).Empty()
}

// lot is what the strategy is to roll now.
func (p *progress) lot() lot {
	if p.Back {
		return lot{Ordinals: p.Rolled.Minus(p.Stuck), Image: p.BackTo, Back: true}
	}
	return lot{Ordinals: p.todo(), Image: p.Image}
}

// passed notes servers that run the lot's image.
func (r *rollout) passed(set ordinals.Set) {
	p := &r.progress
	if p.Back {
		p.Rolled = p.Rolled.Minus(set)
		return
	}
	p.Rolled = p.Rolled.Plus(set)
}

// failed notes a server that could not be brought to the lot's image, and runs what it ran.
func (r *rollout) failed(ordinal int, instanceID, reason string) {
	p := &r.progress
	if p.Back {
		p.Stuck = p.Stuck.Plus(ordinals.Of(ordinal))
	} else {
		p.Failed = p.Failed.Plus(ordinals.Of(ordinal))
	}
	if len(p.Failures) < launch.MaxFailures {
		p.Failures = append(p.Failures, launch.Failure{Ordinal: ordinal, InstanceID: instanceID, Reason: reason})
	}
}

// Result is what a rollout tells, finished or not.
type Result struct {
	Fleet string `json:"fleet"`
	// Image is what the fleet was to run, Former what it ran before.
	Image  string `json:"image"`
	Former string `json:"former,omitempty"`
	// Rolled run the image now, Skipped did so before; Failed could not; Vacant have no server; Left were not come to.
	Rolled   ordinals.Set     `json:"rolled,omitzero"`
	Skipped  ordinals.Set     `json:"skipped,omitzero"`
	Failed   ordinals.Set     `json:"failed,omitzero"`
	Vacant   ordinals.Set     `json:"vacant,omitzero"`
	Left     ordinals.Set     `json:"left,omitzero"`
	Failures []launch.Failure `json:"failures,omitempty"`
	Gates    []GateOutcome    `json:"gates,omitempty"`
	// RolledBack says why it went back, if it did.
	RolledBack string `json:"rolledBack,omitempty"`
	// Report is the key in the bucket of what each server was before and is after, once it has ended.
	Report string `json:"report,omitempty"`
}

// Result tells how far it came.
func (r *rollout) Result() any {
	p := &r.progress
	if !p.Planned {
		return nil
	}
	result := Result{Fleet: r.fleet(), Image: p.Image.Ref, Former: p.Former, Rolled: p.Rolled, Skipped: p.Skipped, Failed: p.Failed,
		Vacant: p.Vacant, Failures: p.Failures, Gates: p.Gates, Report: p.Report}
	for _, w := range p.Waves {
		result.Left = result.Left.Plus(w.Ordinals)
	}
	result.Left = result.Left.Minus(p.Rolled).Minus(p.Failed)
	if p.Back && p.Rolled.Empty() && p.Held == "" {
		result.RolledBack = p.Why
	}
	return result
}
