package launch

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Stamping is what a fleet's servers are stamped with, looked up once for all of them.
type Stamping struct {
	Image        Image    `json:"image"`
	Ladder       Ladder   `json:"ladder"`
	Groups       []string `json:"groups,omitempty"`       // security groups, by id
	TargetGroups []string `json:"targetGroups,omitempty"` // ARNs
}

// Image is what a fleet's servers are stamped from.
type Image struct {
	Ref      string `json:"ref"` // web@41, or the AMI
	AMI      string `json:"ami"`
	Platform string `json:"platform,omitempty"`
}

// Description is what successions and trials of a rollout are told of a fleet's servers.
type Description struct {
	// Launch is the fleet's spec.
	Launch   json.RawMessage `json:"launch"`
	Stamping Stamping        `json:"stamping"`
	// Healthy, if not nil, stands for the spec's own.
	Healthy *Healthy `json:"healthy,omitempty"`
	// Estates are what successors take over, by ordinal, before they are tried.
	Estates map[int]Estate `json:"estates,omitempty"`
	// Places are where the servers stand that get successors.
	Places []Place `json:"places,omitempty"`
}

// Place is a subnet, and whose servers stand in it.
type Place struct {
	Subnet   string       `json:"subnet"`
	Ordinals ordinals.Set `json:"ordinals"`
}

// Survey looks up what servers of the fleet would be stamped with from an image: a version of ours, or an AMI. It makes
// nothing. The findings that are no warnings would fail every launch.
func (c Config) Survey(ctx context.Context, job *jobs.Job, raw json.RawMessage, ref string) (Stamping, []jobs.Finding, error) {
	s, err := spec.Read[Spec](raw)
	if err != nil {
		return Stamping{}, nil, jobs.Fatalf("read the fleet's spec", job.Name, err.Error(), "submit a Launch of the fleet first")
	}
	s.Image = ref
	l, look := &launch{Config: c, spec: s, job: job}, &survey{pages: usagePages}
	for _, do := range []func(context.Context, *survey) error{l.lookImage, l.lookPools, l.lookTypes, l.lookGroups, l.lookTargetGroups} {
		if err := do(ctx, look); err != nil {
			return Stamping{}, nil, err
		}
	}
	p := l.progress
	return Stamping{Image: p.Image, Ladder: p.Ladder, Groups: p.Groups, TargetGroups: p.TargetGroups}, look.findings, nil
}

// Resolve finds a version of ours, or an AMI, and that it can be launched where the job works.
func (c Config) Resolve(ctx context.Context, job *jobs.Job, ref string) (Image, error) {
	found, _, err := (&launch{Config: c, spec: Spec{Image: ref}, job: job}).resolveImage(ctx)
	return found, err
}

// Succession is the child that launches successors for the ordinals; Trial the one that asks their holders. Name tells the
// descriptions of one job apart.
func (c Config) Succession(ctx context.Context, job *jobs.Job, name string, set ordinals.Set, d Description) (jobs.Child, error) {
	return c.heirs(ctx, job, SuccessionKindName, name, set, d)
}

// Trial is the child that asks the ordinals' holders whether they are healthy.
func (c Config) Trial(ctx context.Context, job *jobs.Job, name string, set ordinals.Set, d Description) (jobs.Child, error) {
	return c.heirs(ctx, job, TrialKindName, name, set, d)
}

func (c Config) heirs(ctx context.Context, job *jobs.Job, kind, name string, set ordinals.Set, d Description) (jobs.Child, error) {
	content, err := json.Marshal(d)
	if err != nil {
		return jobs.Child{}, jobs.Fatalf("describe servers", job.Name, err.Error(), "")
	}
	key := fmt.Sprintf("%s%s/r%d/%s.json", stampFolder, job.ID, job.Run, name)
	if err := c.Files.Put(ctx, key, content); err != nil {
		return jobs.Child{}, err
	}
	raw, err := json.Marshal(HeirSpec{Fleet: job.Name, Ordinals: set.String(), Key: key, Digest: spec.Digest(content)})
	if err != nil {
		return jobs.Child{}, jobs.Fatalf("describe servers", job.Name, err.Error(), "")
	}
	target := job.Target
	return jobs.Child{Kind: kind, Name: job.Name, Spec: raw, Target: &target}, nil
}

// readDescription reads it and makes sure that it is the one that was meant.
func readDescription(ctx context.Context, files Files, told HeirSpec) (Description, error) {
	const op = "read the servers' description"
	content, found, err := files.Get(ctx, told.Key)
	if err != nil {
		return Description{}, err
	}
	if !found || spec.Digest(content) != told.Digest {
		return Description{}, jobs.Fatalf(op, told.Key, "it is not in the bucket as the rollout wrote it", "submit the rollout again")
	}
	var d Description
	if err := json.Unmarshal(content, &d); err != nil {
		return Description{}, jobs.Fatalf(op, told.Key, err.Error(), "submit the rollout again")
	}
	return d, nil
}

// Rows are the settings by ordinal that a fleet's spec has.
func (c Config) Rows(ctx context.Context, raw json.RawMessage) (map[int]spec.Row, error) {
	s, err := spec.Read[Spec](raw)
	if err != nil {
		return nil, jobs.Fatalf("read the fleet's spec", "settings", err.Error(), "")
	}
	return (&launch{Config: c, spec: s}).rows(ctx)
}
