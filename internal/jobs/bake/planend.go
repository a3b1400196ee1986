package bake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
)

// planEnd tells how the image is taken, where it goes and who may use it.
func (b *program) planEnd(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	how := []string{"from the stopped builder"}
	if b.spec.Capture.NoReboot != nil || b.spec.direct() {
		how[0] = "without a reboot"
	}
	if d.Generalize {
		how = append(how, "generalized")
	}
	if d.BootTest {
		how = append(how, "then a server booted from it must pass verify too")
	}
	plan.Say("image", "%s", strings.Join(how, ", "))
	d.Regions = b.publishedRegions()
	places := []string{d.Regions[0]}
	for _, region := range d.Regions[1:] {
		switch to := b.spec.CopyTo[region]; {
		case to.KMSKey != "":
			places = append(places, "a copy in "+region+" under "+to.KMSKey)
		case to.Encrypted:
			places = append(places, "an encrypted copy in "+region)
		default:
			places = append(places, "a copy in "+region)
		}
	}
	plan.Say("regions", "%s", strings.Join(places, ", "))
	return b.planShare(ctx, plan, d)
}

func (b *program) planShare(ctx context.Context, plan *jobs.Plan, d *Planned) error {
	if s := b.spec.Share; s != nil && !s.isZero() {
		d.SharedWith = append(append(append([]string{}, s.Accounts...), s.Organizations...), s.OUs...)
		if s.Public {
			d.SharedWith = append(d.SharedWith, "everybody")
			for _, region := range d.Regions {
				state, err := b.ec2In(region).BlockPublicAccess(ctx)
				switch {
				case jobs.IsClass(err, jobs.Fatal): // whoever plans may know less than the worker
					plan.Say("", "whether the account blocks public AMIs in %s could not be asked: %v", region, err)
				case err != nil:
					return err
				case state != "unblocked":
					plan.Findings = append(plan.Findings, jobs.Finding{Field: []any{"share", "public"},
						Message: fmt.Sprintf("the account blocks public AMIs in %s (%s): the bake would fail at once", region, state),
						Hint:    "unblock them, or do not share publicly"})
				}
			}
		}
		plan.Say("shared with", "%s", strings.Join(d.SharedWith, ", "))
	}
	if after := time.Duration(b.spec.DeprecateAfter); after > 0 {
		plan.Say("deprecated", "%s after the bake", b.spec.DeprecateAfter)
	}
	if b.spec.Protect != nil {
		plan.Say("protected", "against being deregistered")
	}
	return nil
}

// planPublish tells what would move once the version is current.
func (b *program) planPublish(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	if name := b.spec.Publish.Parameter; name != "" {
		about := "parameter"
		for _, region := range d.Regions {
			holds, found, err := b.kind.SSM(b.job.Target.In(region)).Parameter(ctx, name)
			if err != nil {
				return err
			}
			d.Parameters = append(d.Parameters, PlannedParameter{Region: region, Name: name, Holds: holds})
			if !found {
				holds = "nothing yet"
			}
			plan.Say(about, "%s in %s gets the new AMI; it holds %s", name, region, holds)
			about = ""
		}
	}
	template := b.spec.Publish.LaunchTemplate
	if template == nil {
		return nil
	}
	d.Template = template.Name + template.ID
	at := templateOf(template)
	exists, holds, err := b.ec2().TemplateVersion(ctx, at)
	if err != nil {
		return err
	}
	if !exists {
		return jobs.Fatalf("find the launch template", d.Template, "it is not in "+b.region+", or has no version "+at.Version, "check name, region and sourceVersion")
	}
	from := at.Version
	if from == "" {
		from = "$Default"
	}
	what := fmt.Sprintf("%s gets a version with the new AMI, based on %s", d.Template, from)
	if holds != "" {
		what += " (" + holds + ")"
	}
	if template.SetDefault {
		what += "; it becomes the default: groups on $Default follow at once"
	} else {
		what += "; the default stays, groups on $Latest follow at once"
	}
	plan.Say("launch template", "%s", what)
	return nil
}

// planRetire tells which versions would go once this one is current.
func (b *program) planRetire(ctx context.Context, _ jobs.Foreseen, plan *jobs.Plan, d *Planned) error {
	if b.spec.Keep.keep().IsZero() {
		return nil
	}
	all, err := b.kind.Catalog.Versions(ctx, b.job.Name)
	if err != nil {
		return err
	}
	number := b.progress.Version
	all = append(all, l.Version{Image: b.job.Name, Number: number, State: l.Available})
	old := lifecycle.Beyond(all, number, number, b.spec.Keep.keep(), time.Now())
	d.StaysBecause = map[string]string{}
	users, err := b.lifecycle(number).Users(ctx, old)
	if jobs.IsClass(err, jobs.Fatal) {
		plan.Say("", "what uses old versions could not be asked: %v", err)
	} else if err != nil {
		return err
	}
	for _, v := range old {
		if user := users[v.Ref()]; user != "" {
			d.StaysBecause[v.Ref()] = user
			continue
		}
		d.Retires = append(d.Retires, v.Ref())
	}
	text := "nothing"
	if len(d.Retires) > 0 {
		text = strings.Join(d.Retires, ", ") + ", with AMIs and snapshots in every region"
	}
	plan.Say("retires", "%s (keep: %s)", text, b.spec.Keep)
	for _, name := range sortedKeys(d.StaysBecause) {
		plan.Say("", "%s would stay: %s", name, d.StaysBecause[name])
	}
	return nil
}
