package bake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
)

// Planned is what a bake would do, for programs.
type Planned struct {
	Source PlannedSource `json:"source"`
	// Version is what a bake that begins now gets, Current what launches use now.
	Version string `json:"version"`
	Current string `json:"current,omitempty"`
	// Pools are the builder's, in the order in which they are tried.
	Pools []PlannedPool `json:"pools,omitempty"`
	// Budgets are those of EC2 that would hold it up.
	Budgets      []preflight.Planned `json:"budgets,omitempty"`
	Steps        []string            `json:"steps,omitempty"`
	Verify       []string            `json:"verify,omitempty"`
	UserData     int                 `json:"userDataBytes,omitempty"`
	Generalize   bool                `json:"generalize"`
	BootTest     bool                `json:"bootTest"`
	Regions      []string            `json:"regions"`
	SharedWith   []string            `json:"sharedWith,omitempty"`
	Parameters   []PlannedParameter  `json:"parameters,omitempty"`
	Template     string              `json:"launchTemplate,omitempty"`
	Retires      []string            `json:"retires,omitempty"`
	StaysBecause map[string]string   `json:"staysBecause,omitempty"`
}

// PlannedSource is what the builder would be launched from. DependsOn is the document that would make it.
type PlannedSource struct {
	AMI          string    `json:"ami,omitempty"`
	Name         string    `json:"name,omitempty"`
	Parent       string    `json:"parent,omitempty"`
	Architecture string    `json:"architecture,omitempty"`
	Platform     string    `json:"platform,omitempty"`
	Created      time.Time `json:"created,omitzero"`
	DependsOn    string    `json:"dependsOn,omitempty"`
}

// PlannedPool is one place for the builder.
type PlannedPool struct {
	Type   string `json:"type,omitempty"`
	Market string `json:"market"`
	Subnet string `json:"subnet,omitempty"`
	Zone   string `json:"zone,omitempty"`
}

// PlannedParameter is an SSM parameter that would get the new AMI's id, and what it holds now.
type PlannedParameter struct {
	Region string `json:"region"`
	Name   string `json:"name"`
	Holds  string `json:"holds,omitempty"`
}

// Plan looks up what the bake would begin with, and what its end would change.
func (b *program) Plan(ctx context.Context, before jobs.Foreseen) (jobs.Plan, error) {
	var plan jobs.Plan
	d := Planned{Generalize: b.spec.generalizes(), BootTest: b.spec.bootTests()}
	for _, look := range []struct {
		about func(context.Context, jobs.Foreseen, *jobs.Plan, *Planned) error
		field []any
	}{
		{b.planSource, []any{"from"}}, {b.planVersion, nil}, {b.planBuilder, []any{"builder"}}, {b.planTypes, []any{"builder", "types"}},
		{b.planProfile, nil}, {b.planRegions, []any{"copyTo"}},
		{b.planSteps, []any{"steps"}}, {b.planEnd, []any{"share"}}, {b.planPublish, []any{"publish"}}, {b.planRetire, []any{"keep"}}, {b.planBudget, nil},
	} {
		err := look.about(ctx, before, &plan, &d)
		if err := jobs.Gather(&plan.Findings, err, look.field...); err != nil {
			return jobs.Plan{}, err
		}
	}
	plan.Details = d
	return plan, nil
}

func (b *program) planSource(ctx context.Context, before jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	parent, _, pinned := strings.Cut(b.spec.From.Image, "@")
	made := before.Images[parent]
	if pinned {
		made = ""
	}
	look := b.resolveImage
	if b.spec.From.Server != "" {
		look = b.resolveServer
	}
	move, err := look(ctx)
	if err == nil && move.IsFail() {
		err = jobs.Fatalf("find the source", b.job.Name, move.Reason(), "")
	}
	switch {
	case err != nil && made != "" && jobs.IsClass(err, jobs.Fatal):
		d.Source.DependsOn = made
		plan.Say("source", "%s, which is not there yet: %s makes it", b.spec.From.Image, made)
		plan.Say("", "a bake does not wait for its parent: submit this document once that bake has ended")
		return nil
	case err != nil:
		return err
	}
	s := b.progress.Source
	d.Source = PlannedSource{AMI: s.AMI, Parent: s.Parent, Architecture: s.Architecture, Platform: s.Platform}
	if found, err := b.ec2().Images(ctx, s.AMI); err != nil {
		return err
	} else if len(found) > 0 {
		d.Source.Name, d.Source.Created = found[0].Name, found[0].Created
		findings, err := preflight.AllowedAMI(ctx, found[0], b.ec2().AllowedAMIs, "from")
		if plan.Findings = append(plan.Findings, findings...); err != nil {
			return err
		}
	}
	plan.Say("source", "%s", d.Source)
	if from := b.from(); from != s.AMI {
		plan.Say("", "from %s", from)
	}
	if made != "" {
		plan.Say("", "%s makes a newer version: what is current when this bake begins counts", made)
	}
	return nil
}

// from is the source as the spec names it.
func (b *program) from() string {
	switch from := b.spec.From; {
	case from.Parameter != "":
		return "the parameter " + from.Parameter
	case from.Newest != nil:
		return fmt.Sprintf("the newest of %s named %s", from.Newest.Owner, from.Newest.Name)
	case from.Image != "":
		return "the image " + b.progress.Source.Parent
	case from.Server != "" && b.spec.direct():
		return "the server " + from.Server + ", which is imaged as it runs"
	case from.Server != "":
		return "the server " + from.Server + ": it is imaged first, and the builder is launched from that"
	}
	return b.spec.From.AMI
}

func (s PlannedSource) String() string {
	about := []string{s.Architecture, s.Platform}
	if s.Name != "" {
		about = append([]string{s.Name}, about...)
	}
	if !s.Created.IsZero() {
		about = append(about, age(time.Since(s.Created))+" old")
	}
	return s.AMI + " (" + strings.Join(nonEmpty(about), ", ") + ")"
}

func age(d time.Duration) string {
	switch hours := int(d.Hours()); {
	case hours < 2:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case hours < 48:
		return fmt.Sprintf("%d hours", hours)
	default:
		return fmt.Sprintf("%d days", hours/24)
	}
}

func (b *program) planVersion(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	line, known, err := b.kind.Catalog.GetImage(ctx, b.job.Name)
	if err != nil {
		return err
	}
	b.progress.Version = max(line.Next, 1)
	d.Version = b.versionName()
	now := "the image is new"
	switch {
	case line.Current > 0:
		d.Current = fmt.Sprintf("%s@%d", b.job.Name, line.Current)
		now = d.Current + " is current"
	case known:
		now = "no version is current"
	}
	plan.Say("version", "%s; %s", d.Version, now)
	return nil
}

func (b *program) planBuilder(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	if b.spec.direct() {
		return nil
	}
	if err := b.resolveNetwork(ctx); err != nil {
		return err
	}
	zones := map[string]string{}
	if len(b.progress.Subnets) > 0 {
		subnets, err := b.ec2().Subnets(ctx, b.progress.Subnets, nil)
		if err != nil {
			return err
		}
		for _, s := range subnets {
			zones[s.ID] = s.Zone
		}
	}
	for i, p := range b.pools() {
		pool := PlannedPool{Type: p.Type, Market: onDemand, Subnet: p.Subnet, Zone: zones[p.Subnet]}
		if p.Spot {
			pool.Market = spot
		}
		d.Pools = append(d.Pools, pool)
		about := ""
		if i == 0 {
			about = "builder"
		}
		plan.Say(about, "%d. %s", i+1, pool)
	}
	if name := b.spec.Builder.LaunchTemplate; name != nil {
		plan.Say("", "on the launch template %s%s", name.Name, name.ID)
	}
	if b.spec.Builder.InstanceProfile == "" && b.spec.Builder.LaunchTemplate == nil && !b.spec.inUserData() {
		plan.Say("", "no instance profile: its SSM agent answers only if the account has default host management")
	}
	return nil
}

func (p PlannedPool) String() string {
	where := p.Subnet
	switch {
	case where == "":
		where = "a default subnet"
	case p.Zone != "":
		where = p.Zone + " (" + p.Subnet + ")"
	}
	kind := p.Type
	if kind == "" {
		kind = "the launch template's type"
	}
	return kind + ", " + p.Market + ", " + where
}

// planSteps tells what runs on the builder.
func (b *program) planSteps(_ context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	for i := range b.spec.Steps {
		d.Steps = append(d.Steps, b.spec.Steps[i].String())
	}
	for i := range b.spec.Verify {
		d.Verify = append(d.Verify, b.spec.Verify[i].String())
	}
	list(plan, "steps", d.Steps)
	list(plan, "verify", d.Verify)
	if b.spec.inUserData() {
		data, err := b.userData()
		if err != nil {
			return err
		}
		d.UserData = len(data)
		plan.Say("user data", "%d of 16384 bytes: all of that runs at the first boot, then the builder stops itself", len(data))
	}
	return nil
}

func list(plan *jobs.Plan, about string, all []string) {
	for i, text := range all {
		plan.Say(about, "%d. %s", i+1, text)
		about = ""
	}
}

func (s *Step) String() string {
	limit := s.Timeout.Or(defaultStepTimeout)
	switch {
	case s.Reboot:
		return "reboot"
	case s.Copy != nil:
		return fmt.Sprintf("copy %s to %s", s.Copy.From.Path, s.Copy.To)
	}
	return fmt.Sprintf("run %s (at most %s)", label(s.Name, s.Run), brief(limit))
}

func (v *Verify) String() string {
	text := v.label()
	if v.ExitCode != 0 {
		text += fmt.Sprintf(", exit code %d", v.ExitCode)
	}
	if v.Output != "" {
		text += fmt.Sprintf(", with %q in its output", v.Output)
	}
	if v.Matches != "" {
		text += fmt.Sprintf(", with output that matches %q", v.Matches)
	}
	return text
}

// brief writes 10m for what Go writes as 10m0s.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

var _ jobs.Planner = (*program)(nil)

// publishedRegions are the bake's own region, then those that get copies.
func (b *program) publishedRegions() []string {
	regions := []string{b.region}
	for _, region := range sortedKeys(b.spec.CopyTo) {
		if region != b.region {
			regions = append(regions, region)
		}
	}
	return regions
}

func templateOf(t *PublishTemplate) c.LaunchTemplate {
	return c.LaunchTemplate{Name: t.Name, ID: t.ID, Version: t.SourceVersion}
}

func versionRef(v l.Version) string { return fmt.Sprintf("%s@%d", v.Image, v.Number) }
