package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a container need not have zones

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/policy/cron"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// KindName is the kind's name in documents.
const KindName = "Policy"

// Limits and defaults.
const (
	MinEvery     = time.Minute
	DefaultCheck = 15 * time.Minute
	MinCheck     = time.Minute
	maxNames     = 200
)

// Overlaps: what becomes of a run that is due while the last one's job is not over.
const (
	Wait = "wait"
	Skip = "skip"
)

// Spec says when something is to be done by itself, and what. It is kept by stampmill apply, and is no job.
type Spec struct {
	// When are the occasions. If there are several, each of them is one.
	When When `json:"when,omitzero" required:"true"`
	// Do is what is done then: exactly one of restamp, bake, launch and heal.
	Do Do `json:"do,omitzero" required:"true"`
	// Overlap says what becomes of an occasion while the last one's job is not over: it waits for that, or is skipped.
	Overlap string `json:"overlap,omitempty" enum:"wait,skip" default:"wait"`
}

// When are occasions. An image that is looked at is the one that do bakes, or those that do restamps; only those with an
// occasion are then restamped.
type When struct {
	// Schedule is when by the clock: minute, hour, day, month and weekday, as cron has them; also L, TUE#2 and FRIL.
	Schedule string `json:"schedule,omitempty" example:"0 3 * * TUE#2"`
	// Zone is the time zone of the schedule.
	Zone string `json:"zone,omitempty" default:"UTC" example:"Europe/Berlin"`
	// Every is at these intervals, counted from midnight UTC.
	Every spec.Duration `json:"every,omitempty" example:"5m"`
	// Message is each tick message, such as EventBridge Scheduler's. Without it such a message only has the policy looked at.
	Message bool `json:"message,omitempty"`
	// NewerBase is when the source that an image's stored spec names has come to be another AMI than its current version was baked from.
	NewerBase bool `json:"newerBase,omitempty"`
	// NewerParent is when the image of ours that an image's current version was baked from has a newer current version. A
	// restamp takes it in at once where that image is itself renewed: parents are baked before their children.
	NewerParent bool `json:"newerParent,omitempty"`
	// OlderThan is when an image's current version is older than that.
	OlderThan spec.Duration `json:"olderThan,omitempty" example:"30d"`
	// Check is how often images are looked at.
	Check spec.Duration `json:"check,omitempty" default:"15m"`
}

// Do is what is done. A restamp, bake or launch is that kind's spec, or the name of a file with one such document: then its
// name, region, role, priority and labels are taken from there, as far as they are not written here.
type Do struct {
	// Restamp renews images and fleets.
	Restamp json.RawMessage `json:"restamp,omitempty" kind:"Restamp"`
	// Bake makes a new version of the image that name says.
	Bake json.RawMessage `json:"bake,omitempty" kind:"Bake"`
	// Launch fills the fleet that name says up to the spec's count; there is no job where no server is missing.
	Launch json.RawMessage `json:"launch,omitempty" kind:"Launch"`
	// Heal launches what is missing of fleets, each as its last Launch said, on the fleet's own image; there is no job where no
	// server is missing.
	Heal *Heal `json:"heal,omitempty"`
	// Name is the job's: the image's for a bake, the fleet's for a launch; for a restamp it is the policy's own if absent.
	Name string `json:"name,omitempty" pattern:"^[a-z0-9][a-z0-9-]{0,62}$" example:"web"`
	// Region is where the job works; absent means the policy's, or the worker's own.
	Region string `json:"region,omitempty" example:"eu-west-1"`
	// Role is the ARN of a role to assume; absent means the policy's, or the worker's own account.
	Role string `json:"role,omitempty" example:"arn:aws:iam::111122223333:role/stampmill"`
	// Priority says which queue carries the job; absent means the policy's.
	Priority string `json:"priority,omitempty" enum:"high,normal,low"`
	// Labels are the job's; absent means the policy's.
	Labels map[string]string `json:"labels,omitempty"`
}

// Heal chooses fleets: by name, by labels that they all carry, or all.
type Heal struct {
	// Fleets are names.
	Fleets []string `json:"fleets,omitempty" example:"[web-prod]"`
	// Labels chooses the fleets that carry all of these.
	Labels map[string]string `json:"labels,omitempty"`
	// All chooses all fleets.
	All bool `json:"all,omitempty"`
	// Exclude are names that are left out.
	Exclude []string `json:"exclude,omitempty"`
}

// Kept marks the kind as one that is no job.
func (*Spec) Kept() {}

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if !s.When.watches() && s.When.Schedule == "" && s.When.Every == 0 && !s.When.Message {
		p.At("when").Add("expected an occasion: schedule, every, message, newerBase, newerParent or olderThan", `write when: {schedule: "0 3 * * TUE#2", zone: Europe/Berlin}`)
		return
	}
	if what := s.Do.Kinds(); len(what) != 1 {
		found := "none"
		if len(what) > 1 {
			found = strings.Join(what, " and ")
		}
		p.At("do").Add("expected one of restamp, bake, launch and heal, found "+found, "write one policy for each")
	}
	if s.When.watches() && s.Do.Restamp == nil && s.Do.Bake == nil {
		p.At("when").Add("newerBase, newerParent and olderThan are about images: expected do to be restamp or bake", "heal and launch go with schedule or every")
	}
	if len(s.Do.Name) == 0 && (s.Do.Bake != nil || s.Do.Launch != nil) {
		p.At("do").Add("expected the name of the image that is baked, or of the fleet that is filled", "add name: web beside it")
	}
	if s.Do.Heal != nil && (s.Do.Name != "" || s.Do.Region != "" || s.Do.Role != "" || s.Do.Labels != nil) {
		p.At("do").Add("name, region, role and labels are each fleet's own where do heals", "choose fleets in heal: {fleets: […]}")
	}
	if s.Do.Region != "" {
		spec.CheckRegion(p.At("do", "region"), s.Do.Region)
	}
}

// CheckSpec refuses occasions that never come.
func (w *When) CheckSpec(p *spec.Problems) {
	if w.Schedule != "" {
		if _, err := cron.Parse(w.Schedule); err != nil {
			p.At("schedule").Add("%s", "", err)
		}
	}
	if w.Zone != "" {
		if _, err := Zone(w.Zone); err != nil {
			p.At("zone").Add("%s", "write a name of the IANA time zones, such as Europe/Berlin", err)
		}
		if w.Schedule == "" {
			p.At("zone").Add("expected a schedule, which the zone is of", "remove it")
		}
	}
	if every := time.Duration(w.Every); every != 0 && every < MinEvery {
		p.At("every").Add("expected at least %s, found %s", "", spec.Duration(MinEvery), w.Every)
	}
	if check := time.Duration(w.Check); check != 0 && check < MinCheck {
		p.At("check").Add("expected at least %s, found %s", "", spec.Duration(MinCheck), w.Check)
	}
	if w.Check != 0 && !w.watches() {
		p.At("check").Add("expected newerBase, newerParent or olderThan, which are what is checked", "remove it")
	}
	if older := time.Duration(w.OlderThan); older != 0 && older < time.Hour {
		p.At("olderThan").Add("expected at least 1h, found %s", "each bake would be too old as soon as it is done", w.OlderThan)
	}
}

// CheckSpec refuses a choice of nothing.
func (h *Heal) CheckSpec(p *spec.Problems) {
	switch chosen := len(h.Fleets) > 0 || len(h.Labels) > 0; {
	case !chosen && !h.All:
		p.Add("expected fleets, labels or all", "write {fleets: [web-prod]}")
	case chosen && h.All:
		p.Add("expected fleets and labels, or all, found both", "remove one of them")
	}
	if len(h.Fleets) > maxNames || len(h.Exclude) > maxNames {
		p.Add("expected at most %d names", "choose by labels", maxNames)
	}
}

// Zone gives the time zone of the name; UTC where there is none.
func Zone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("there is no time zone %q", clip(name))
	}
	return zone, nil
}

// watches: images are looked at.
func (w When) watches() bool { return w.NewerBase || w.NewerParent || w.OlderThan != 0 }

// Kinds are the things to do that are written.
func (d Do) Kinds() []string {
	var kinds []string
	for _, one := range []struct {
		name    string
		written bool
	}{{"restamp", d.Restamp != nil}, {"bake", d.Bake != nil}, {"launch", d.Launch != nil}, {"heal", d.Heal != nil}} {
		if one.written {
			kinds = append(kinds, one.name)
		}
	}
	return kinds
}

// clip keeps notes short: they stand in the policy's item.
func clip(text string) string { return jobs.Clip(text, 300) }
