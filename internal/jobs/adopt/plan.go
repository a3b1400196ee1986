package adopt

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Planned is what an import or an undo would do, for programs.
type Planned struct {
	// Fleet, Image, Group: what it would become, or what would be given back.
	Fleet string `json:"fleet,omitempty"`
	Group string `json:"group,omitempty"`
	Image string `json:"image,omitempty"`
	AMI   string `json:"ami,omitempty"`
	// Servers are the rows that would be written, or forgotten.
	Servers []ledger.Server `json:"servers,omitempty"`
	// Launch is the Launch spec that would be stored.
	Launch json.RawMessage `json:"launch,omitempty"`
	// Tags would be put on each server or AMI, or taken off.
	Tags []string `json:"tags,omitempty"`
	// Confirm is what a submission names as confirmed.
	Confirm string `json:"confirm,omitempty"`
	// Calls are EC2's and the load balancers', by action, with those of the look itself.
	Calls map[string]int `json:"calls,omitempty"`
}

// shownServers is how many servers a plan tells one by one.
const shownServers = 10

var _ jobs.Planner = (*adoption)(nil)

// Plan tells what would be written and tagged.
func (a *adoption) Plan(ctx context.Context, _ jobs.Foreseen) (jobs.Plan, error) {
	switch {
	case a.spec.Undo == undoFleet:
		return a.planFleetBack(ctx)
	case a.spec.Undo == undoImage:
		return a.planVersionBack(ctx)
	case a.spec.Image != nil:
		return a.planImage(ctx)
	}
	return a.planFleet(ctx)
}

func (a *adoption) planFleet(ctx context.Context) (jobs.Plan, error) {
	var plan jobs.Plan
	s, err := a.surveyFleet(ctx)
	if err != nil {
		return plan, err
	}
	plan.Findings = s.findings
	d := Planned{Fleet: a.job.Name, Group: a.spec.Fleet.Group, Image: s.roll.Image, Servers: s.roll.Servers, Launch: s.roll.Spec, Calls: s.calls}
	if d.Group != "" {
		plan.Say("fleet", "%s, the Auto Scaling group %s with %d servers; it stays their owner", d.Fleet, d.Group, s.group.Desired)
		plan.Say("image", "%s", orText(d.Image, "not known"))
		plan.Say("writes", "one row of the ledger; nothing in AWS is changed")
		plan.Details = d
		return plan, nil
	}
	if len(d.Servers) == 0 {
		plan.Say("fleet", "%s: see the problem", d.Fleet)
		plan.Details = d
		return plan, nil
	}
	d.Tags, d.Confirm = adoptionKeys(serverTags("", "", "")), s.roll.confirmable()
	d.Calls["CreateTags"] = (len(d.Servers) + tagSize - 1) / tagSize
	plan.Say("fleet", "%s with %d servers of %s", d.Fleet, len(d.Servers), d.Image)
	for i, row := range d.Servers {
		if i < shownServers {
			plan.Say(about("servers", i), "%d  %s  %s  %s  %s  launched %s%s", row.Ordinal, row.InstanceID, row.Type, row.Zone, row.Image,
				row.Launched.UTC().Format("2006-01-02 15:04:05"), differing(row))
		}
	}
	if more := len(d.Servers) - shownServers; more > 0 {
		plan.Say("", "and %d more, in the order of their launch times", more)
	}
	sayLaunch(&plan, d.Launch, a.spec.Fleet.Launch == nil)
	plan.Say("writes", "%d rows of the ledger, and on each server the tags %s", len(d.Servers)+1, strings.Join(d.Tags, ", "))
	plan.Say("calls", "%s", callsText(d.Calls))
	plan.Details = d
	return plan, nil
}

func differing(row ledger.Server) string {
	if len(row.Differs) == 0 {
		return ""
	}
	return "; differs in " + strings.Join(row.Differs, ", ")
}

// about is written once.
func about(text string, line int) string {
	if line > 0 {
		return ""
	}
	return text
}

// sayLaunch tells the Launch spec field by field.
func sayLaunch(plan *jobs.Plan, raw json.RawMessage, derived bool) {
	var fields map[string]json.RawMessage
	if len(raw) == 0 || json.Unmarshal(raw, &fields) != nil {
		return
	}
	whose := "as given"
	if derived {
		whose = "derived of the servers; later launches and replacements use it"
	}
	plan.Say("launch spec", "%s", whose)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := string(fields[name])
		if value == "{}" {
			continue
		}
		if len(value) > 200 {
			value = value[:200] + "…"
		}
		plan.Say("", "%s: %s", name, value)
	}
}

func callsText(calls map[string]int) string {
	var parts []string
	for _, action := range slices.Sorted(maps.Keys(calls)) {
		if calls[action] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", calls[action], action))
		}
	}
	return strings.Join(parts, ", ")
}

func adoptionKeys(tags map[string]string) []string { return slices.Sorted(maps.Keys(tags)) }

func (a *adoption) planImage(ctx context.Context) (jobs.Plan, error) {
	var plan jobs.Plan
	s, err := a.surveyImage(ctx)
	if err != nil {
		return plan, err
	}
	plan.Findings = s.findings
	next := max(s.entry.Next, 1)
	d := Planned{Image: fmt.Sprintf("%s@%d", a.job.Name, next), AMI: a.spec.Image.AMI, Tags: adoptionKeys(imageTags("", "", "")),
		Calls: map[string]int{"DescribeImages": 1, "CreateTags": 1}}
	plan.Say("image", "%s, from %s %s", d.Image, d.AMI, s.image.Name)
	if s.image.ID != "" {
		plan.Say("", "%s, made %s from %s", s.image.Architecture, s.image.Created.UTC().Format("2006-01-02"), orText(s.version.Parent, "an AMI that is not known"))
	}
	if s.entry.Current > 0 {
		plan.Say("", "%s@%d is current now: this version takes its place", a.job.Name, s.entry.Current)
	}
	plan.Say("writes", "the version's row, and on the AMI the tags %s", strings.Join(d.Tags, ", "))
	plan.Say("calls", "%s", callsText(d.Calls))
	plan.Details = d
	return plan, nil
}

func (a *adoption) planFleetBack(ctx context.Context) (jobs.Plan, error) {
	var plan jobs.Plan
	fleet, servers, why, err := a.givenBack(ctx)
	if err != nil {
		return plan, err
	}
	if why != "" {
		plan.Findings = append(plan.Findings, jobs.Finding{Field: []any{"undo"}, Message: why})
	}
	if fleet.Imported == "" {
		plan.Say("fleet", "%s: see the problem", a.job.Name)
		return plan, nil
	}
	d := Planned{Fleet: fleet.Name, Group: fleet.Group, Image: fleet.Image, Servers: servers, Tags: adoptionKeys(serverTags("", "", "")),
		Calls: map[string]int{"DeleteTags": (len(servers) + tagSize - 1) / tagSize}}
	plan.Say("fleet", "%s with %d servers is forgotten; the servers stay as they are", fleet.Name, len(servers))
	if len(servers) > 0 {
		plan.Say("takes off", "the tags %s, of each server those that the import had put", strings.Join(d.Tags, ", "))
		plan.Say("calls", "%s", callsText(d.Calls))
	}
	if fleet.Owner != "" {
		plan.Say("", "%s works on it now: this job waits in line", fleet.Owner)
	}
	plan.Details = d
	return plan, nil
}

func (a *adoption) planVersionBack(ctx context.Context) (jobs.Plan, error) {
	var plan jobs.Plan
	v, _, why, err := a.versionBack(ctx)
	if err != nil {
		return plan, err
	}
	if why != "" {
		plan.Findings = append(plan.Findings, jobs.Finding{Field: []any{"undo"}, Message: why})
	}
	if v.Imported == "" {
		plan.Say("image", "%s: see the problem", a.job.Name)
		return plan, nil
	}
	d := Planned{Image: fmt.Sprintf("%s@%d", v.Image, v.Number), Tags: adoptionKeys(imageTags("", "", "")), Calls: map[string]int{"DeleteTags": len(v.Regions)}}
	for _, regional := range v.Regions {
		d.AMI = regional.AMI
	}
	plan.Say("image", "%s (%s) is forgotten; the AMI stays as it is", d.Image, d.AMI)
	plan.Say("takes off", "the tags %s, those that the import had put", strings.Join(d.Tags, ", "))
	plan.Details = d
	return plan, nil
}
