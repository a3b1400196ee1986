package launch

import (
	"context"
	"fmt"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/userdata"
)

// Planned is what a launch would do, for programs.
type Planned struct {
	Image PlannedImage `json:"image"`
	Count int          `json:"count"`
	// Existing have a living server, Dead an entry in the ledger without one; Planned would be launched.
	Existing ordinals.Set `json:"existing"`
	Dead     ordinals.Set `json:"dead"`
	Planned  ordinals.Set `json:"planned"`
	Batches  int          `json:"batches"`
	Pools    []string     `json:"pools"`
	// Places are where the servers would be asked for first, Quotas the vCPU quotas that they count against.
	Places    []PlannedPlace `json:"places,omitempty"`
	Quotas    []quotaUse     `json:"quotas,omitempty"`
	Hostnames []string       `json:"hostnames,omitempty"` // of the first and the last
	// UserData is the largest batch's; with Manifest the settings are fetched from the bucket.
	UserData int  `json:"userDataBytes"`
	Manifest bool `json:"manifest,omitempty"`
	// Calls are EC2's by action, about. Budgets are how their buckets stand, those that matter; Seconds is until the last
	// server is granted.
	Calls   map[string]int      `json:"calls"`
	Budgets []preflight.Planned `json:"budgets,omitempty"`
	Seconds int                 `json:"seconds"`
	Limit   string              `json:"limit,omitempty"` // the one that binds

	survey survey
}

// PlannedImage is what the servers would be stamped from. DependsOn is the document that would make it.
type PlannedImage struct {
	Ref       string `json:"ref"`
	AMI       string `json:"ami,omitempty"`
	Name      string `json:"name,omitempty"`
	DependsOn string `json:"dependsOn,omitempty"`
}

// Plan looks up what a launch looks up, and finds the ordinals that it would fill.
func (l *launch) Plan(ctx context.Context, before jobs.Foreseen) (jobs.Plan, error) {
	var plan jobs.Plan
	d := Planned{Count: l.spec.Count, Calls: map[string]int{}}
	for _, look := range []func(context.Context, jobs.Foreseen, *jobs.Plan, *Planned) error{
		l.planImage, l.planOrdinals, l.planPools, l.planServers, l.planCalls, l.planTime,
	} {
		if err := look(ctx, before, &plan, &d); err != nil {
			return jobs.Plan{}, err
		}
	}
	plan.Findings, plan.Details = d.survey.findings, d
	return plan, nil
}

var _ jobs.Planner = (*launch)(nil)

func (l *launch) planImage(ctx context.Context, before jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	made := before.Images[l.spec.Image] // a pinned version is no name of an image
	d.Image = PlannedImage{Ref: l.spec.Image}
	findings := len(d.survey.findings)
	if err := l.lookImage(ctx, &d.survey); err != nil {
		return err
	}
	found := l.progress.Image
	switch {
	case found.AMI == "" && made != "":
		d.survey.findings = d.survey.findings[:findings]
		d.Image.DependsOn = made
		plan.Say("image", "%s, which is not there yet: %s makes it", l.spec.Image, made)
		plan.Say("", "a launch does not wait for its image: submit this document once that bake has ended")
		return nil
	case found.AMI == "":
		plan.Say("image", "%s: see the problem", l.spec.Image)
		return nil
	}
	d.Image.Ref, d.Image.AMI, d.Image.Name = found.Ref, found.AMI, d.survey.image.Name
	text := found.AMI
	if found.Ref != found.AMI {
		text = found.Ref + ": " + text
	}
	plan.Say("image", "%s (%s, %s)", text, d.survey.image.Name, d.survey.image.Architecture)
	if made != "" {
		plan.Say("", "%s makes a newer version: what is current when this launch begins counts", made)
	}
	return nil
}

// planOrdinals finds who is there, and which ordinals would be filled.
func (l *launch) planOrdinals(ctx context.Context, before jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	fleet, known, err := l.Ledger.GetFleet(ctx, l.fleet())
	if err != nil {
		return err
	}
	if known && fleet.Target != l.job.Target {
		d.survey.wrong("the fleet "+l.fleet()+" is in "+place(fleet.Target)+", this launch is for "+place(l.job.Target), "choose another name")
	}
	servers, err := l.Ledger.Servers(ctx, l.fleet())
	if err != nil {
		return err
	}
	instances, err := describe(ctx, l.ec2(), servers)
	if err != nil {
		return err
	}
	var living, dead []int
	for _, server := range servers {
		if instance, seen := instances[server.InstanceID]; seen && !gone(instance) {
			living = append(living, server.Ordinal)
		} else {
			dead = append(dead, server.Ordinal)
		}
	}
	d.Existing, d.Dead = ordinals.Of(living...), ordinals.Of(dead...)
	d.Planned = missing(d.Existing, l.spec.Count)
	d.Batches = len(l.parts(d.Planned))
	l.progress.Planned = d.Planned
	d.Calls["DescribeInstances"] += calls(len(servers), describeSize)

	now := "the fleet is new"
	if known {
		now = fmt.Sprintf("%d servers are there", d.Existing.Len())
		if !d.Existing.Empty() {
			now += ": " + d.Existing.String()
		}
	}
	if by := before.Fleets[l.fleet()]; by != "" {
		now += "; " + by + " changes that first"
	}
	plan.Say("fleet", "%d servers wanted; %s", l.spec.Count, now)
	if !d.Dead.Empty() {
		plan.Say("", "without a living server, to be filled again: %s", d.Dead)
	}
	if fleet.Owner != "" {
		plan.Say("", "%s works on it now: this launch waits in line", fleet.Owner)
	}
	return l.sayOrdinals(plan, d)
}

func (l *launch) sayOrdinals(plan *jobs.Plan, d *Planned) error {
	switch {
	case d.Existing.Len() > l.spec.Count:
		plan.Say("launches", "nothing: there are more than wanted, and a launch never removes any (see Terminate)")
	case d.Planned.Empty():
		plan.Say("launches", "nothing: none is missing")
	default:
		plan.Say("launches", "%d: ordinals %s, in %s", d.Planned.Len(), d.Planned, plural(d.Batches, "batch", "batches"))
	}
	if l.spec.Hostname == "" || d.Planned.Empty() {
		return nil
	}
	list := d.Planned.List()
	for _, ordinal := range []int{list[0], list[len(list)-1]} {
		name, err := userdata.Hostname(l.spec.Hostname, l.fleet(), ordinal)
		if err != nil {
			return err
		}
		d.Hostnames = append(d.Hostnames, name)
	}
	text := d.Hostnames[0]
	if len(list) > 1 {
		text += " … " + d.Hostnames[1]
	}
	plan.Say("hostnames", "%s", text)
	return nil
}

func (l *launch) planPools(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	d.survey.need = d.Planned.Len()
	if err := l.surveyPlaces(ctx, &d.survey); err != nil {
		return err
	}
	if template := l.spec.LaunchTemplate.cloud(); template != nil {
		plan.Say("template", "%s%s, version %s; what this document says wins", template.Name, template.ID, template.Version)
	}
	about := "pools"
	for i, text := range grouped(l.progress.Ladder, l.spec.Pools) {
		d.Pools = append(d.Pools, text)
		plan.Say(about, "%d. %s", i+1, text)
		about = ""
	}
	l.sayPlaces(plan, d)
	d.Quotas = d.survey.quotas
	about = "quotas"
	for _, quota := range d.Quotas {
		plan.Say(about, "%s: room for %d servers", quota, quota.room())
		about = ""
	}
	if len(l.progress.Groups) > 0 {
		plan.Say("groups", "%s", strings.Join(l.progress.Groups, ", "))
	}
	for _, arn := range l.progress.TargetGroups {
		plan.Say("attached to", "%s", arn)
	}
	return nil
}

// planServers builds the batches' user data, as the batches would.
func (l *launch) planServers(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	if move, err := l.checkRows(ctx); err != nil {
		return err
	} else if move.IsFail() {
		d.survey.wrong(move.Reason(), "add the rows, or lower the count", "settings", "each")
	}
	rows, err := l.rows(ctx)
	if err != nil {
		return err
	}
	stamp := l.stamp()
	stamp.Rows = rows
	bootstrap, err := readBootstrap(ctx, l.Files, l.spec.Bootstrap)
	if err != nil {
		return err
	}
	for _, part := range l.parts(d.Planned) {
		told, err := stamp.batch(l.fleet(), part.ordinals.List(), bootstrap)
		if err != nil {
			return err
		}
		if told.Empty() {
			continue
		}
		data, fits, err := told.Build()
		if err != nil {
			return err
		}
		d.Manifest = d.Manifest || !fits
		d.UserData = max(d.UserData, len(data))
	}
	switch {
	case d.Manifest:
		plan.Say("user data", "%d bytes in the largest batch, EC2 takes %d: the servers fetch it from the bucket", d.UserData, userdata.Limit)
	case d.UserData > 0:
		plan.Say("user data", "%d of %d bytes in the largest batch", d.UserData, userdata.Limit)
	}
	plan.Say("healthy", "%s; at least %g %% of %d", l.spec.Healthy.words(), l.spec.accept(), l.spec.Count)
	return nil
}

// words says when a server counts as healthy.
func (h Healthy) words() string {
	words := []string{"running"}
	if h.StatusChecks {
		words = append(words, "status checks")
	}
	if h.Run != nil {
		words = append(words, h.Run.Label())
	}
	if h.HTTP != nil {
		words = append(words, fmt.Sprintf("port %d answers %s", h.HTTP.Port, orWord(h.HTTP.Path, "/")))
	}
	if h.TargetGroup {
		words = append(words, "healthy in its target groups")
	}
	return strings.Join(words, ", ") + " within " + strings.TrimSuffix(h.Within.Or(DefaultWithin).String(), "0s")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
