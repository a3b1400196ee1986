package autoscaling

import (
	"fmt"
	"time"
)

// refresh carries an instance refresh one bit on.
func (p *pass) refresh(g *group, f *refresh) {
	before := *f
	p.advance(g, f)
	if f.Done != before.Done || f.Status != before.Status || !f.Until.Equal(before.Until) {
		f.Moved = p.now
	}
	if f.Status != before.Status || f.Reason != before.Reason || f.phase != before.phase {
		p.refreshes.Put(f.key(), f)
	}
	if !f.over() {
		p.in(checkEvery) // alarms, and what an alarm or a protection waits for
		p.at(f.Moved.Add(p.env.Scale(standstill)))
	}
}

func (p *pass) advance(g *group, f *refresh) {
	switch f.Status {
	case refreshPending:
		f.Status = inProgress
		p.soonAgain()
	case cancelling:
		if !g.moving() {
			p.end(f, cancelled, "Cancelled due to user request.")
		}
	case baking:
		if !p.alarmed(g, f) && p.past(f) {
			p.finish(g, f)
		}
	case inProgress:
		if p.alarmed(g, f) || p.stuck(g, f) {
			return
		}
		p.forward(g, f)
	case rollbackInProgress:
		if p.stuck(g, f) {
			return
		}
		p.replace(g, f, f.Total)
		if f.Done == f.Total && !g.moving() {
			p.end(f, rollbackSuccessful, "")
		}
	}
}

func (p *pass) soonAgain() { p.at(p.now) }

// past says whether the delay is over; if not, a pass is due then.
func (p *pass) past(f *refresh) bool {
	if p.now.Before(f.Until) {
		p.at(f.Until)
		return false
	}
	return true
}

// moving says whether an instance is being launched or ended.
func (g *group) moving() bool {
	for _, m := range g.Members {
		if m.leaving() || m.State == pending {
			return true
		}
	}
	return false
}

// forward replaces up to the next checkpoint, waits there, and ends after the last one.
func (p *pass) forward(g *group, f *refresh) {
	quota, last := f.Total, true
	if points := f.Preferences.Checkpoints; f.Checkpoint < len(points) {
		// A checkpoint is a share of the whole group.
		quota = min(max(((f.Matching+f.Total)*points[f.Checkpoint]+99)/100-f.Matching, 0), f.Total)
		last = f.Checkpoint == len(points)-1
	}
	p.replace(g, f, quota)
	if f.Done < quota || quota == f.Total && g.moving() {
		return
	}
	if last && f.Preferences.BakeTime == nil {
		p.finish(g, f)
		return
	}
	if last {
		f.Status, f.Reason = baking, "Waiting for bake time to end."
		f.Until = p.now.Add(p.env.Scale(time.Duration(*f.Preferences.BakeTime) * time.Second))
		p.at(f.Until)
		return
	}
	delay := 3600
	if f.Preferences.Delay != nil {
		delay = *f.Preferences.Delay
	}
	switch {
	case f.Until.IsZero():
		f.Until = p.now.Add(p.env.Scale(time.Duration(delay) * time.Second))
		f.Reason = fmt.Sprintf("Waiting for the checkpoint delay to end after replacing %d%% of the instances.", f.Preferences.Checkpoints[f.Checkpoint])
		p.at(f.Until)
	case p.past(f):
		f.Until, f.Reason = time.Time{}, ""
		f.Checkpoint++
		p.soonAgain()
	}
}

// finish ends a refresh that did all it was asked for: now the group's own configuration is the desired one.
func (p *pass) finish(g *group, f *refresh) {
	if shape := f.Desired.template(); shape != nil {
		if said, err := p.resolve(g.Account, g.Region, *shape); err == nil {
			g.Template = said
			if f.Desired.Mixed != nil {
				g.Mixed = f.Desired.Mixed
			}
		}
	}
	p.end(f, successful, "")
	p.dirty = true
}

// alarmed ends a refresh one of whose alarms went off.
func (p *pass) alarmed(g *group, f *refresh) bool {
	if f.Preferences.Alarms == nil {
		return false
	}
	for _, name := range f.Preferences.Alarms.Names {
		switch state, ok := p.alarms.State(g.Account, g.Region, name); {
		case !ok:
			p.fail(g, f, "The alarm "+name+" could not be found.")
			return true
		case state == "ALARM":
			p.fail(g, f, "The alarm "+name+" went into ALARM state.")
			return true
		}
	}
	return false
}

// stuck ends a refresh in which nothing went on for an hour.
func (p *pass) stuck(g *group, f *refresh) bool {
	if !f.Until.IsZero() || p.now.Before(f.Moved.Add(p.env.Scale(standstill))) {
		return false
	}
	why := "The instance refresh did not make progress for an hour: new instances do not become healthy, or instances are protected or in standby."
	if f.Status == rollbackInProgress {
		p.end(f, rollbackFailed, why)
	} else {
		p.fail(g, f, why)
	}
	return true
}

func (p *pass) fail(g *group, f *refresh, why string) {
	if isTrue(f.Preferences.AutoRollback) {
		p.rollBack(g, f, why)
		p.soonAgain()
		return
	}
	p.end(f, failed, why)
}

// replace replaces up to quota instances within the healthy percentages, and counts those that are done.
func (p *pass) replace(g *group, f *refresh, quota int) {
	var old []*member
	ready, fresh, freshReady := 0, 0, 0
	for _, m := range g.inOrder() {
		if m.leaving() {
			continue
		}
		is := p.ready(g, f, m)
		if is {
			ready++
		}
		switch {
		case f.concerns(m):
			if !p.held(f, m) {
				old = append(old, m)
			}
		case !m.Launched.Before(f.began()):
			fresh++
			if is {
				freshReady++
			}
		}
	}
	remaining := 0
	for _, m := range g.Members {
		if f.concerns(m) {
			remaining++
		}
	}
	f.Done = max(0, min(f.Total-remaining, freshReady))
	if remaining == 0 && ready >= g.Desired { // the group may be smaller by now
		f.Done = f.Total
	}
	least, most, ordered := f.bounds(g)
	// What may still go: no more than the quota has left, and none whose going would break the minimum.
	going := min(quota-(f.Total-remaining), len(old), ready-least)
	if going <= 0 && !ordered && len(old) > 0 && quota > f.Total-remaining && !g.moving() && ready == g.staying() {
		going = 1 // no room at all: one after the other, as AWS does without an explicit maximum
	}
	for n := range max(0, going) {
		p.retire(g, old[n], "an instance refresh")
	}
	// What may be launched ahead: up to the maximum, and no more than the quota asks for.
	for ahead := min(most-g.staying(), quota-fresh); ahead > 0; ahead-- {
		if !p.launch(g, f) {
			break
		}
	}
}

// began is when the refresh's, or the rollback's, own launches began.
func (f *refresh) began() time.Time {
	if f.Status == rollbackInProgress {
		return f.RollbackStart
	}
	return f.Start
}

// bounds are how many instances must be ready at least, and how many there may be at most. They are ordered when the maximum was
// said: then no instance goes before another one came.
func (f *refresh) bounds(g *group) (least, most int, ordered bool) {
	lowest, highest := f.Preferences.Min, f.Preferences.Max
	if g.Maintenance != nil {
		if lowest == nil {
			lowest = g.Maintenance.Min
		}
		if highest == nil && f.Preferences.Min == nil {
			highest = g.Maintenance.Max
		}
	}
	percent := 90
	if lowest != nil {
		percent = *lowest
	}
	least = (g.Desired*percent + 99) / 100
	most = g.Desired
	if highest != nil {
		most = g.Desired * *highest / 100
		if most <= least { // impossible to keep both: launch before terminate
			most = least + 1
		}
	}
	return least, most, highest != nil
}

// held says whether the instance is protected or in standby, and has to be waited for.
func (p *pass) held(f *refresh, m *member) bool {
	return m.Protected && f.Preferences.Protected != "Refresh" || m.State == standby && f.Preferences.Standby != "Terminate"
}

// ready says whether the instance serves: in service, healthy for its target groups, and warm if it is new.
func (p *pass) ready(g *group, f *refresh, m *member) bool {
	if m.State != inService || !m.Healthy {
		return false
	}
	if health, checked := p.health[m.ID]; checked && health != "healthy" {
		return false
	}
	if m.Launched.Before(f.began()) {
		return true
	}
	warmup := g.warmup()
	if f.Preferences.Warmup != nil && *f.Preferences.Warmup >= 0 {
		warmup = *f.Preferences.Warmup
	}
	warm := m.Serving.Add(p.env.Scale(time.Duration(warmup) * time.Second))
	if p.now.Before(warm) {
		p.at(warm)
		return false
	}
	return true
}
