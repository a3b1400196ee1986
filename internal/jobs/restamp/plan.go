package restamp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// Planned is what a restamp would do, for programs.
type Planned struct {
	// Images are in the order in which they would be renewed: one is begun once what it is baked from is there.
	Images []PlannedImage `json:"images,omitempty"`
	// Parallel is how many bakes would be under way at a time.
	Parallel int            `json:"parallel,omitempty"`
	Fleets   []PlannedFleet `json:"fleets,omitempty"`
	Servers  int            `json:"servers"`
	Promote  string         `json:"promote"`
	Left     []Left         `json:"left,omitempty"`
	// Calls are EC2's by action, about. Budgets are how their buckets stand, those that would hold it up.
	Calls   map[string]int      `json:"calls"`
	Budgets []preflight.Planned `json:"budgets,omitempty"`
	// Seconds is about how long it takes at the limits of now: the longer of BudgetSeconds, until the last call is granted, and of
	// BakeSeconds, the bakes in their order, with the waves of one fleet behind them.
	Seconds       int    `json:"seconds"`
	BudgetSeconds int    `json:"budgetSeconds"`
	BakeSeconds   int    `json:"bakeSeconds"`
	Limit         string `json:"limit,omitempty"` // the budget that binds
}

// PlannedImage is one image that would be renewed.
type PlannedImage struct {
	Image string `json:"image"`
	Depth int    `json:"depth"`
	From  string `json:"from"` // web@41
	// Age of that version, and of the spec that it would be rebuilt from, in seconds.
	AgeSeconds int    `json:"ageSeconds"`
	Spec       string `json:"spec,omitempty"` // the version whose spec it is
	SpecAge    int    `json:"specAgeSeconds,omitempty"`
	Base       string `json:"base,omitempty"`   // what it is baked from now
	Parent     string `json:"parent,omitempty"` // the image, renewed too, whose new version it would be baked from
	Patch      bool   `json:"patch,omitempty"`
	Region     string `json:"region,omitempty"`
	// UsualSeconds is how long a bake takes, from the last ones.
	UsualSeconds int      `json:"usualSeconds"`
	Missing      []string `json:"missing,omitempty"` // files of its spec that the bucket does not have any more
}

// PlannedFleet is one fleet that would be rolled.
type PlannedFleet struct {
	Fleet    string                 `json:"fleet"`
	From     string                 `json:"from"`
	To       string                 `json:"to"` // web@42, or the image that is renewed
	Servers  int                    `json:"servers"`
	Strategy string                 `json:"strategy"`
	Waves    []rollout.ForecastWave `json:"waves,omitempty"`
	AtOnce   int                    `json:"atOnce"`
}

var _ jobs.Planner = (*restamp)(nil)

// Plan evaluates the selection, and tells what it comes to.
func (r *restamp) Plan(ctx context.Context, before jobs.Foreseen) (jobs.Plan, error) {
	var plan jobs.Plan
	at, err := look(ctx, r.Ledger, r.spec, time.Now().UTC())
	if err != nil {
		return plan, err
	}
	at.before = before
	w := at.work(r.spec)
	if _, err := r.standing(ctx, at, w); err != nil {
		return plan, err
	}
	d := Planned{Parallel: w.Parallel, Promote: w.Promote, Left: w.Left, Calls: map[string]int{}}
	if d.Promote == "" {
		d.Promote = PromoteBake
	}
	if len(problems(at.findings)) == 0 {
		needs := &needs{calls: d.Calls}
		if err := r.planImages(ctx, at, w, &d, needs); err != nil {
			return plan, err
		}
		r.planFleets(w, &d, needs)
		r.say(&plan, w, d)
		if err := r.planTime(ctx, at, &plan, w, &d, needs); err != nil {
			return plan, err
		}
		if err := r.planOthers(ctx, at, w); err != nil {
			return plan, err
		}
	}
	plan.Findings, plan.Details = at.findings, d
	return plan, nil
}

func (r *restamp) planImages(ctx context.Context, at *scene, w *Work, d *Planned, n *needs) error {
	for _, image := range w.Images {
		version, origin, document, err := r.storedSpec(ctx, image.Name, image.Version)
		if err != nil {
			if gathered := jobs.Gather(&at.findings, err, "images"); gathered != nil {
				return gathered
			}
			continue
		}
		p := PlannedImage{Image: image.Name, Depth: image.Depth, From: ref(image.Name, image.Version), AgeSeconds: int(at.age(version).Seconds()),
			Base: image.Base, Parent: image.Parent, Patch: w.Patch != nil, Region: image.Target.Region, UsualSeconds: usual(at.images[image.Name], image.Target.Region)}
		if w.Patch == nil {
			p.Spec, p.SpecAge = origin, p.AgeSeconds
			if origin != p.From {
				if source, found, err := r.originOf(ctx, image.Name, origin); err != nil {
					return err
				} else if found {
					p.SpecAge = int(at.age(source).Seconds())
				}
			}
		}
		raw, err := document.encode()
		if err != nil {
			return err
		}
		for _, key := range storedFiles(raw) {
			there, err := r.Files.Has(ctx, key)
			if err != nil {
				return err
			}
			if !there {
				p.Missing = append(p.Missing, key)
			}
		}
		if len(p.Missing) > 0 && w.Patch == nil {
			at.warn(fmt.Sprintf("%s cannot be rebuilt: its stored spec names %s, which is not in the bucket any more", image.Name, strings.Join(p.Missing, ", ")),
				"bake it anew from its file, or leave it out", "images")
		}
		d.Images = append(d.Images, p)
		n.bake(image, raw, r.region(image.Target))
	}
	return nil
}

// usualBake is how long a bake takes about which nothing is known: EC2 takes minutes for a capture.
const usualBake = 8 * time.Minute

// usual is how long an image's bake takes: its capture, and a builder's boot and end.
func usual(image ledger.Image, region string) int {
	if known := image.Usual["capture "+region]; known.Mean > 0 {
		return int(known.Mean) + 90
	}
	return int(usualBake.Seconds())
}

func (r *restamp) planFleets(w *Work, d *Planned, n *needs) {
	for _, fleet := range w.Fleets {
		p := PlannedFleet{Fleet: fleet.Name, From: fleet.From, To: fleet.To, Servers: fleet.Servers, Strategy: r.spec.Rollout.Strategy,
			Waves: r.spec.Rollout.Forecast(fleet.Servers), AtOnce: r.spec.Rollout.AtOnce(fleet.Servers)}
		if p.To == "" {
			p.To = fleet.Image
		}
		switch {
		case p.Strategy == "" && fleet.Group != "":
			p.Strategy = rollout.Refresh
		case p.Strategy == "":
			p.Strategy = rollout.Replace
		}
		d.Fleets = append(d.Fleets, p)
		d.Servers += p.Servers
		n.roll(fleet, p, r.region(fleet.Target))
	}
}

func (r *restamp) region(target jobs.Target) string {
	if target.Region != "" {
		return target.Region
	}
	return r.Region
}

// say tells the images and fleets, in their order.
func (r *restamp) say(plan *jobs.Plan, w *Work, d Planned) {
	how := "rebuilt from their stored specs"
	if w.Patch != nil {
		how = "patched by " + w.Patch.Label() + ", one layer on what is current"
	}
	if len(d.Images) > 0 {
		plan.Say("images", "%d, %s, at most %d bakes at a time", len(d.Images), how, d.Parallel)
	}
	for _, p := range d.Images {
		text := fmt.Sprintf("%s%s, %s old", strings.Repeat("  ", p.Depth), p.From, days(p.AgeSeconds))
		switch {
		case p.Parent != "":
			text += ", on the new " + p.Parent
		case p.Base != "" && !p.Patch:
			text += ", on the newest of what it was baked from: " + p.Base
		}
		if p.Spec != "" {
			text += fmt.Sprintf("; spec of %s, %s old", p.Spec, days(p.SpecAge))
		}
		plan.Say("", "%s", text)
	}
	if len(d.Fleets) > 0 {
		plan.Say("fleets", "%d, with %s", len(d.Fleets), jobs.Count(d.Servers, "server"))
	}
	for _, p := range d.Fleets {
		to := p.To
		if !strings.Contains(to, "@") {
			to = "the new " + to
		}
		plan.Say("", "%s: %s from %s to %s by %s, %s, %d at a time", p.Fleet, jobs.Count(p.Servers, "server"), p.From, to, p.Strategy, waveText(p.Waves, r.spec.Rollout), p.AtOnce)
	}
	if d.Promote == PromoteRollout {
		plan.Say("promote", "what is current, parameters and launch templates move after an image's fleets were rolled")
	}
	for _, left := range d.Left {
		plan.Say("left out", "%s: %s", left.Image+left.Fleet, left.Why)
	}
}

func waveText(waves []rollout.ForecastWave, o rollout.Options) string {
	if o.By != nil {
		return "in waves by zone or setting"
	}
	var parts []string
	for _, w := range waves {
		part := fmt.Sprint(w.Servers)
		if w.Name == "canary" {
			part += " as canary"
		}
		parts = append(parts, part)
	}
	if len(parts) == 1 {
		return "in one wave"
	}
	return "in waves of " + strings.Join(parts, ", ")
}

func days(seconds int) string {
	switch hours := seconds / 3600; {
	case seconds < 120:
		return jobs.Count(seconds, "second")
	case hours < 2:
		return jobs.Count(seconds/60, "minute")
	case hours < 48:
		return jobs.Count(hours, "hour")
	default:
		return jobs.Count(hours/24, "day")
	}
}

// planOthers warns of what other restamps work on.
func (r *restamp) planOthers(ctx context.Context, at *scene, w *Work) error {
	others, err := r.Ledger.OpenRestamps(ctx)
	if err != nil {
		return err
	}
	for _, other := range others {
		for _, name := range w.imageNames() {
			if slices.Contains(other.Images, name) {
				at.warn("the restamp "+other.Name+" renews the image "+name+" too: one waits for the other, and it is renewed twice", "wait until "+other.Job+" has ended", "images")
			}
		}
		for _, name := range w.fleetNames() {
			if slices.Contains(other.Fleets, name) {
				at.warn("the restamp "+other.Name+" rolls the fleet "+name+" too: one waits in the fleet's line", "wait until "+other.Job+" has ended", "fleets")
			}
		}
	}
	return nil
}
