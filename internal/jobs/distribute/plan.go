package distribute

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/release"
)

// Planned is what a distribute would do, for programs.
type Planned struct {
	Image string `json:"image"` // web@41
	Change
	// Stays are AMIs that are replaced and that something uses: they go once nothing does.
	Stays map[string]string `json:"stays,omitempty"`
	// Parameter is what the version publishes, which follows.
	Parameter string `json:"parameter,omitempty"`
	// Owner is the job that distributes the version now, and is waited for.
	Owner string `json:"owner,omitempty"`
}

var _ jobs.Planner = (*program)(nil)

// Plan tells what would be copied, opened, closed and removed.
func (p *program) Plan(ctx context.Context, before jobs.Foreseen) (jobs.Plan, error) {
	var plan jobs.Plan
	line, found, err := p.Ledger.GetImage(ctx, p.job.Name)
	if err != nil {
		return plan, err
	}
	if p.progress.Version = p.spec.Version; p.progress.Version == 0 {
		p.progress.Version = line.Current
	}
	made := before.Images[p.job.Name]
	if made != "" && (!found || p.spec.Version == 0) {
		plan.Say("image", "%s, of which %s makes a newer version: what is current when this job begins counts", p.job.Name, made)
		if !found {
			return plan, nil
		}
	}
	if p.progress.Version == 0 {
		plan.Findings = append(plan.Findings, jobs.Finding{Message: fmt.Sprintf("the image %s has no current version", p.job.Name), Hint: "see `stampmill image list`"})
		return plan, nil
	}
	v, err := p.version(ctx)
	if err := jobs.Gather(&plan.Findings, err, "version"); err != nil || len(plan.Findings) > 0 {
		return plan, err
	}
	s, err := p.survey(ctx, v)
	if err := jobs.Gather(&plan.Findings, err); err != nil || len(plan.Findings) > 0 {
		return plan, err
	}
	plan.Findings = s.findings
	plan.Details, err = s.plan(ctx, &plan)
	return plan, err
}

func (s *survey) plan(ctx context.Context, plan *jobs.Plan) (Planned, error) {
	d := Planned{Image: s.version.Ref(), Change: s.change, Stays: map[string]string{}, Parameter: release.Of(s.version).Parameter, Owner: s.version.Owner}
	plan.Say("image", "%s, baked in %s (%s)", d.Image, d.Home, d.Source)
	if d.Owner != "" && d.Owner != s.job.ID {
		plan.Say("", "%s distributes it now: this one waits for that", d.Owner)
	}
	s.planCopies(plan)
	if s.spec.Share == nil {
		plan.Say("shared with", "whom it is shared with now")
	}
	each(plan, "opened to", "nobody new", s.spec.Share != nil, d.Opens)
	each(plan, "revoked", "nobody", s.spec.Share != nil, d.Closes)
	if err := s.planRemoval(ctx, plan, &d); err != nil {
		return d, err
	}
	if d.Parameter != "" {
		plan.Say("parameter", "%s names the AMI of what is current in each of the version's regions", d.Parameter)
	}
	return d, nil
}

func (s *survey) planCopies(plan *jobs.Plan) {
	about := "copied to"
	for _, place := range s.change.Copies {
		text := place
		account, _ := l.SplitPlace(place)
		switch to := s.wanted[place].to; {
		case to.KMSKey != "":
			text += " under " + to.KMSKey
		case to.Encrypted:
			text += ", encrypted"
		}
		if old := s.change.Replaces[place]; old != "" {
			text += ", in place of " + old + ", which is encrypted otherwise"
		}
		switch {
		case account != "":
			text += "; through " + s.wanted[place].role
		case len(s.change.CopiesFor) > 0:
			text += "; open to " + strings.Join(s.change.CopiesFor, ", ")
		}
		plan.Say(about, "%s", text)
		about = ""
	}
	if borrowers := s.change.borrowers(); len(borrowers) > 0 {
		plan.Say("lent", "%s and its snapshots to %s, while the copies are made", s.change.Source, strings.Join(borrowers, ", "))
	}
	switch {
	case s.spec.Regions == nil && s.spec.AccountCopies == nil:
		plan.Say("regions", "as they are")
	case len(s.change.Copies) == 0:
		plan.Say("copied to", "no other region")
	}
}

func each(plan *jobs.Plan, about, nobody string, asked bool, who map[string][]string) {
	if len(who) == 0 && asked {
		plan.Say(about, "%s", nobody)
	}
	for _, region := range slices.Sorted(maps.Keys(who)) {
		plan.Say(about, "%s in %s", strings.Join(who[region], ", "), region)
		about = ""
	}
}

// planRemoval tells which AMIs go, and which of them something uses.
func (s *survey) planRemoval(ctx context.Context, plan *jobs.Plan, d *Planned) error {
	about := "removed"
	for _, ami := range s.version.AMIs() {
		place := ami.Place()
		replaced := s.change.Replaces[place] == ami.AMI
		if !ami.Leaving && !replaced && s.change.Removes[place] != ami.AMI {
			continue
		}
		text := fmt.Sprintf("%s in %s, with %d snapshots", ami.AMI, place, len(ami.Snapshots))
		if replaced || ami.Leaving {
			users, err := s.users(ctx, s.version, ami, true)
			if err := jobs.Gather(&plan.Findings, err, "regions"); err != nil {
				return err
			}
			if len(users) > 0 {
				d.Stays[ami.AMI] = some(users)
				text += ", once nothing uses it; now: " + some(users)
			}
		}
		plan.Say(about, "%s", text)
		about = ""
	}
	if about != "" && (s.spec.Regions != nil || s.spec.AccountCopies != nil) {
		plan.Say(about, "nothing")
	}
	return nil
}
