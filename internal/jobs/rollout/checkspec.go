package rollout

import (
	"errors"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

var errBy = errors.New("expected zone, or {setting: name}")

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if s.Fleet != "" && !fleetPattern.MatchString(s.Fleet) {
		p.At("fleet").Add("expected a fleet's name, found %q", "see `stampmill fleet list`", s.Fleet)
	}
	if s.Image != "" && !imagePattern.MatchString(s.Image) {
		p.At("image").Add("expected an image of ours (web or web@42), found %q", "bake it first, or import it: see `stampmill image list`", s.Image)
	}
	s.Options.CheckSpec(p)
}

// CheckSpec says what the types alone do not.
func (o *Options) CheckSpec(p *spec.Problems) {
	if o.surge().IsZero() && o.maxUnavailable().IsZero() && o.Strategy != Refresh {
		at := p.At("surge")
		if o.Surge == nil { // only maxUnavailable can have made it so
			at = p.At("maxUnavailable")
		}
		at.Add("surge and maxUnavailable are both 0: no server could ever be rolled", "allow at least one of them, such as surge: 10%")
	}
	if o.Strategy == InPlace && o.maxUnavailable().IsZero() {
		p.At("maxUnavailable").Add("inPlace takes servers out while their root volumes are replaced; expected maxUnavailable above 0", "write maxUnavailable: 10%")
	}
	o.checkWaves(p)
	if len(o.Gate) > maxGates {
		p.At("gate").Add("expected at most %d gates, found %d", "", maxGates, len(o.Gate))
	}
	for name, d := range map[string]spec.Duration{"soak": o.Soak, "drain": o.Drain} {
		if time.Duration(d) > longest {
			p.At(name).Add("expected at most 24h, found %s", "", d)
		}
	}
}

func (o *Options) checkWaves(p *spec.Problems) {
	if o.By != nil && len(o.Waves) > 0 {
		p.At("waves").Add("expected waves or by, found both", "remove one of them")
	}
	if len(o.Waves) > maxWaves {
		p.At("waves").Add("expected at most %d waves, found %d", "", maxWaves, len(o.Waves))
	}
	for i, wave := range o.Waves {
		if wave.IsZero() {
			p.At("waves", i).Add("a wave of no servers", "write a number or a share above 0")
		}
		if i == 0 {
			continue
		}
		before := o.Waves[i-1]
		if percents := before.Percent != 0 && wave.Percent != 0; percents && wave.Percent <= before.Percent ||
			before.Count != 0 && wave.Count != 0 && wave.Count <= before.Count {
			p.At("waves", i).Add("expected more than the wave before, %s; found %s", "each wave says how much of the fleet is rolled after it", before, wave)
		}
	}
}

// CheckSpec refuses a canary of nothing, or one that is said twice.
func (c *Canary) CheckSpec(p *spec.Problems) {
	if (c.Count > 0) == (c.Percent != nil && *c.Percent > 0) {
		p.Add("expected either count or percent", "write {count: 1} or {percent: 2%}")
	}
	if time.Duration(c.Soak) > longest {
		p.At("soak").Add("expected at most 24h, found %s", "", c.Soak)
	}
}

// CheckSpec refuses servers that have nothing, or two things, in common.
func (b *By) CheckSpec(p *spec.Problems) {
	if b.Zone == (b.Setting != "") {
		p.Add("expected either zone or setting", "write by: zone, or by: {setting: rack}")
	}
}

// CheckSpec refuses a gate that asks nothing, or two things.
func (g *Gate) CheckSpec(p *spec.Problems) {
	asked := 0
	for _, ask := range []bool{g.Health, g.Run != nil, g.HTTP != nil, g.Alarm != "", g.Approve} {
		if ask {
			asked++
		}
	}
	if asked != 1 {
		p.Add("expected exactly one of health, run, http, alarm and approve", "write each as a gate of its own")
	}
	if g.NoData != "" && g.Alarm == "" {
		p.At("noData").Add("only an alarm has a state without data", "remove it")
	}
	if w := time.Duration(g.Within); w != 0 && (w < time.Second || w > longest) {
		p.At("within").Add("expected 1s to 24h, found %s", "", g.Within)
	}
}

// CheckSpec refuses windows that never open, and time zones that nobody knows.
func (w *Window) CheckSpec(p *spec.Problems) {
	for i, day := range w.Days {
		if _, known := weekday(day); !known {
			p.At("days", i).Add("expected Mon, Tue, Wed, Thu, Fri, Sat or Sun, found %q", "", day)
		}
	}
	for name, at := range map[string]string{"from": w.From, "to": w.To} {
		if _, ok := clock(at); at != "" && !ok {
			p.At(name).Add("expected a time of day such as 22:00, found %q", "", at)
		}
	}
	if w.From != "" && w.From == w.To {
		p.At("to").Add("the window never opens: it closes when it opens, at %s", "leave window out to roll at any time", w.To)
	}
	if _, err := time.LoadLocation(w.Zone); err != nil || w.Zone == "Local" {
		p.At("zone").Add("there is no time zone %q", "write UTC or a name such as Europe/Berlin", w.Zone)
	}
}

func (o *Options) surge() spec.Share {
	if o.Surge == nil {
		return spec.Share{Percent: 10}
	}
	return *o.Surge
}

func (o *Options) maxUnavailable() spec.Share { return share(o.MaxUnavailable) }

func (o *Options) failures() spec.Share { return share(o.Failures) }

func share(s *spec.Share) spec.Share {
	if s == nil {
		return spec.Share{}
	}
	return *s
}
