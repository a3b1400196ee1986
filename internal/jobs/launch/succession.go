package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// SuccessionKindName is the kind's name.
const SuccessionKindName = "Succession"

// SuccessionRounds is how often successors that were not granted are asked for, the first time included.
const SuccessionRounds = 2

// SuccessionKind is the kind Succession: successors for ordinals of a fleet whose holders still serve, the child of a Rollout.
//
// It is a Launch in all but the ledger: its servers stand in the second slots of their ordinals, passed or not, until the
// rollout swaps them. Servers that do not pass are terminated, and the result says which and why; none of that fails the job.
type SuccessionKind struct{ config Config }

// NewSuccession makes the kind Succession.
func NewSuccession(config Config) *SuccessionKind { return &SuccessionKind{config} }

// Name is Succession.
func (*SuccessionKind) Name() string { return SuccessionKindName }

// Check says what is wrong with a spec.
func (*SuccessionKind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[HeirSpec](raw)
	return err
}

// Program opens a succession.
func (k *SuccessionKind) Program(job *jobs.Job) (jobs.Program, error) {
	l, err := openHeirs(k.config, job)
	if err != nil {
		return nil, err
	}
	l.Ledger = seconds{k.config.Ledger}
	return &succession{l}, nil
}

// HeirSpec is what a Succession or a Trial is told. A Rollout writes it.
type HeirSpec struct {
	// Fleet is the fleet's name.
	Fleet string `json:"fleet,omitempty" required:"true"`
	// Ordinals are those that get a successor, or whose servers are tried, as ranges: 0-99.
	Ordinals string `json:"ordinals,omitempty" required:"true"`
	// Key is the object in the bucket that describes the servers.
	Key string `json:"key,omitempty" required:"true"`
	// Digest is that object's SHA-256.
	Digest string `json:"digest,omitempty" required:"true"`
}

// CheckSpec refuses ordinals that are none.
func (h *HeirSpec) CheckSpec(p *spec.Problems) {
	if _, err := h.set(); err != nil {
		p.At("ordinals").Add("%s", "", err)
	}
	if h.Key != "" && !strings.HasPrefix(h.Key, stampFolder) {
		p.At("key").Add("expected an object below %s, found %q", "only a Rollout writes it", stampFolder, h.Key)
	}
}

func (h *HeirSpec) set() (ordinals.Set, error) {
	var set ordinals.Set
	err := set.UnmarshalText([]byte(h.Ordinals))
	return set, err
}

// heir is a launch that works for a rollout.
type heir struct {
	*launch
	told HeirSpec
	set  ordinals.Set
}

// openHeirs opens the job as a launch with what its first step read.
func openHeirs(config Config, job *jobs.Job) (*heir, error) {
	told, err := spec.Read[HeirSpec](job.Spec)
	if err != nil {
		return nil, err
	}
	kept, err := jobs.Progress(job, func(p *progress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	h := &heir{launch: &launch{Config: config, job: job, progress: kept}, told: told}
	if h.set, err = told.set(); err != nil {
		return nil, err
	}
	if d := h.progress.Heirs; d != nil {
		return h, h.equip(*d)
	}
	return h, nil
}

// equip makes the launch the one that the description means.
func (h *heir) equip(d Description) error {
	s, err := spec.Read[Spec](d.Launch)
	if err != nil {
		return fmt.Errorf("the fleet's spec: %w", err)
	}
	h.spec = s
	for _, estate := range d.Estates {
		for _, thing := range estate.Things {
			delete(h.spec.Server.Volumes, thing.Device) // else the successor would have two
		}
	}
	if d.Healthy != nil {
		h.spec.Healthy = *d.Healthy
	}
	return nil
}

// prepare reads the description. Only the fleet's owner has servers launched or tried.
func (h *heir) prepare(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if h.job.Parent == nil {
		return jobs.Fail("a %s is a Rollout's child; submit a Rollout", h.job.Kind), nil
	}
	fleet, known, err := h.Ledger.GetFleet(ctx, h.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	if !known || fleet.Owner != h.job.Parent.ID {
		return jobs.Fail("%s does not own the fleet %s any more", h.job.Parent.ID, h.fleet()), nil
	}
	d, err := readDescription(ctx, h.Files, h.told)
	if err != nil {
		return jobs.Move{}, err
	}
	if err := h.equip(d); err != nil {
		return jobs.Move{}, jobs.Fatalf("read the servers' description", h.told.Key, err.Error(), "submit the rollout again")
	}
	p := &h.progress
	p.Heirs, p.Owned, p.Planned = &d, true, h.set
	p.Image, p.Ladder, p.Groups, p.TargetGroups = d.Stamping.Image, d.Stamping.Ladder, d.Stamping.Groups, d.Stamping.TargetGroups
	return jobs.Done(), nil
}

// HeirResult is what a finished Succession or Trial tells its rollout.
type HeirResult struct {
	Passed ordinals.Set `json:"passed,omitzero"`
	// Failed did not pass, for the reasons in Failures, the first ones.
	Failed   ordinals.Set `json:"failed,omitzero"`
	Failures []Failure    `json:"failures,omitempty"`
	// Missing were not granted, because of Shortage.
	Missing  ordinals.Set `json:"missing,omitzero"`
	Shortage string       `json:"shortage,omitempty"`
	// Outliving are the devices whose volumes stay when their servers go.
	Outliving []string `json:"outliving,omitempty"`
}

// seconds is the ledger as a succession sees it: its servers are those in the second slots.
type seconds struct{ Ledger }

func (s seconds) Servers(ctx context.Context, fleet string) ([]ledger.Server, error) {
	return s.Seconds(ctx, fleet)
}

func (s seconds) PutServers(ctx context.Context, g jobs.Guard, servers []ledger.Server) error {
	return s.PutSeconds(ctx, g, servers)
}

func (s seconds) DeleteServers(ctx context.Context, g jobs.Guard, fleet string, ordinals []int) error {
	return s.DeleteSeconds(ctx, g, fleet, ordinals)
}
