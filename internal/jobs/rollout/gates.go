package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// The states of CloudWatch alarms.
const (
	alarmOK      = "OK"
	alarmRaised  = "ALARM"
	alarmUnknown = "INSUFFICIENT_DATA"
)

// What an alarm without data means.
const (
	noDataPass = "pass"
	noDataFail = "fail"
)

const (
	// alarmPoll is between looks at alarms, while a wave is watched and while one of them has no data.
	alarmPoll = 30 * time.Second
	// childrenPoll is how often a rollout looks after children by itself; their ends wake it.
	childrenPoll = 5 * time.Minute
)

// label names a gate for people.
func (g Gate) label() string {
	switch {
	case g.Run != nil:
		return "run " + g.Run.Label()
	case g.HTTP != nil:
		return fmt.Sprintf("http :%d%s", g.HTTP.Port, g.HTTP.Path)
	case g.Alarm != "":
		return "alarm " + g.Alarm
	case g.Approve:
		return "approve"
	}
	return "health"
}

// ask asks the gates one after another, but for the person's, which comes last. The first that fails stops the rollout.
func (r *rollout) ask(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	if p.Gate >= len(r.spec.Gate) {
		r.leaveGates(turn)
		return jobs.Done(), nil
	}
	gate := r.spec.Gate[p.Gate]
	var verdict verdict
	switch {
	case gate.Approve:
		p.Gate++
		return jobs.Done(), nil
	case gate.Alarm != "":
		var err error
		if verdict, err = r.alarm(ctx, turn, gate); err != nil {
			return jobs.Move{}, err
		}
	default:
		move, told, err := r.try(ctx, turn, gate)
		if err != nil || !move.IsDone() {
			return move, err
		}
		verdict = told
	}
	if verdict.wait != "" {
		return jobs.Look(r.soon(alarmPoll), "%s", verdict.wait), nil
	}
	r.outcome(turn, gate.label(), verdict.passed, verdict.detail)
	if !verdict.passed {
		r.stop(turn, fmt.Sprintf("the gate %s failed after wave %s: %s", gate.label(), p.Waves[p.Wave].Name, verdict.detail))
		return jobs.Done(), nil
	}
	p.Gate, p.Since = p.Gate+1, turn.Now()
	return jobs.Done(), nil
}

// leaveGates goes on once every gate has passed: the wave soaks, and its gates are asked once more.
func (r *rollout) leaveGates(turn *jobs.Turn) {
	p := &r.progress
	switch {
	case p.Stage == gating && p.Waves[p.Wave].Soak > 0:
		r.enter(turn, soaking)
	case r.approves():
		r.enter(turn, approving)
	default:
		r.next(turn)
	}
}

func (r *rollout) approves() bool {
	for _, gate := range r.spec.Gate {
		if gate.Approve {
			return true
		}
	}
	return false
}

// verdict is what a gate says: passed or not and why, or what it waits for.
type verdict struct {
	passed bool
	detail string
	wait   string
}

// outcome keeps what a gate said.
func (r *rollout) outcome(turn *jobs.Turn, gate string, passed bool, detail string) {
	p := &r.progress
	word := "passed"
	if !passed {
		word = "failed: " + detail
	}
	turn.Note("wave %s: gate %s %s", p.Waves[p.Wave].Name, gate, word)
	p.Gates = append(p.Gates, GateOutcome{Wave: p.Waves[p.Wave].Name, Gate: gate, Passed: passed, Detail: detail, At: turn.Now().UTC()})
	if extra := len(p.Gates) - maxOutcomes; extra > 0 {
		p.Gates = append([]GateOutcome(nil), p.Gates[extra:]...)
	}
}

// try asks the wave's servers themselves, by a Trial.
func (r *rollout) try(ctx context.Context, turn *jobs.Turn, gate Gate) (jobs.Move, verdict, error) {
	p := &r.progress
	set := common(p.Waves[p.Wave].Ordinals, p.Rolled)
	if turn.OpenChildren() > 0 {
		return jobs.Wait(childrenPoll, "%d servers of wave %s: %s", set.Len(), p.Waves[p.Wave].Name, gate.label()), verdict{}, nil
	}
	if children := turn.Children(); children != nil {
		turn.TookIn()
		return jobs.Done(), tried(children[0]), nil
	}
	if set.Empty() {
		return jobs.Done(), verdict{passed: true, detail: "none of the wave's servers was rolled"}, nil
	}
	fleet, known, err := r.Ledger.GetFleet(ctx, r.fleet())
	if err != nil || !known {
		return jobs.Move{}, verdict{}, orGone(err, r.fleet())
	}
	if len(fleet.Spec) == 0 { // an Auto Scaling group's servers were launched by no spec of ours
		fleet.Spec = json.RawMessage(`{}`)
	}
	health, err := gate.health(fleet.Spec, func() (launch.Healthy, error) { return healthy(fleet) })
	if err != nil {
		return jobs.Move{}, verdict{}, err
	}
	name := fmt.Sprintf("trial-%d-%d-%s", p.Wave, p.Gate, p.Stage)
	stamping := p.Replace.Stamping
	stamping.Image = launch.Image(p.Image)
	child, err := r.Launching.Trial(ctx, r.there(), name, set, launch.Description{Launch: fleet.Spec, Stamping: stamping, Healthy: &health})
	if err != nil {
		return jobs.Move{}, verdict{}, err
	}
	return jobs.FanOut(child).Beside(), verdict{}, nil
}

// health is what the gate asks of a server, in the words of a launch.
func (g Gate) health(_ json.RawMessage, own func() (launch.Healthy, error)) (launch.Healthy, error) {
	asked := launch.Healthy{Run: g.Run}
	switch {
	case g.HTTP != nil:
		asked.HTTP = &launch.HTTP{Port: g.HTTP.Port, Path: g.HTTP.Path, Status: g.HTTP.Status}
	case g.Health:
		var err error
		if asked, err = own(); err != nil {
			return launch.Healthy{}, err
		}
	}
	if g.Within != 0 || asked.Within == 0 {
		asked.Within = g.Within
	}
	return asked, nil
}

func orGone(err error, fleet string) error {
	if err != nil {
		return err
	}
	return jobs.Fatalf("read the fleet", fleet, "it is not in the ledger any more", "")
}

// tried reads what a trial found.
func tried(child jobs.ChildResult) verdict {
	var result launch.HeirResult
	if child.State != jobs.Succeeded {
		return verdict{detail: fmt.Sprintf("%s %s: %s", child.ID, child.State, child.Failure)}
	}
	if err := json.Unmarshal(child.Result, &result); err != nil {
		return verdict{detail: child.ID + " told nothing: " + err.Error()}
	}
	if result.Failed.Empty() {
		return verdict{passed: true, detail: jobs.Count(result.Passed.Len(), "server")}
	}
	detail := fmt.Sprintf("%d of %d servers failed", result.Failed.Len(), result.Failed.Len()+result.Passed.Len())
	if len(result.Failures) > 0 {
		detail += fmt.Sprintf(": ordinal %d: %s", result.Failures[0].Ordinal, result.Failures[0].Reason)
	}
	return verdict{detail: detail}
}

// alarm asks CloudWatch.
func (r *rollout) alarm(ctx context.Context, turn *jobs.Turn, gate Gate) (verdict, error) {
	states, err := r.Alarms(r.progress.Target).State(ctx, gate.Alarm)
	if err != nil {
		return verdict{}, err
	}
	waited := turn.Now().Sub(r.progress.Since)
	switch state := states[gate.Alarm]; {
	case state == alarmOK, state == alarmUnknown && gate.NoData == noDataPass:
		return verdict{passed: true, detail: state}, nil
	case state == alarmUnknown && gate.NoData != noDataFail && waited < gate.Within.Or(DefaultWithin):
		return verdict{wait: "the alarm " + gate.Alarm + " to have data"}, nil
	case state == "":
		return verdict{detail: "there is no such alarm"}, nil
	default:
		return verdict{detail: state}, nil
	}
}

// lookAlarms refuses gates that nobody could ask.
func (r *rollout) lookAlarms(ctx context.Context) []jobs.Finding {
	var findings []jobs.Finding
	for i, gate := range r.spec.Gate {
		if gate.Alarm == "" {
			continue
		}
		if r.Alarms == nil {
			findings = append(findings, jobs.Finding{Field: []any{"gate", i, "alarm"}, Message: "alarms cannot be asked here"})
			continue
		}
		states, err := r.Alarms(r.progress.Target).State(ctx, gate.Alarm)
		switch {
		case err != nil:
			findings = append(findings, jobs.Finding{Field: []any{"gate", i, "alarm"}, Message: "the alarm could not be asked: " + err.Error(), Warning: true})
		case states[gate.Alarm] == "":
			findings = append(findings, jobs.Finding{Field: []any{"gate", i, "alarm"}, Message: "there is no alarm " + gate.Alarm + " in this region",
				Hint: "check its name, region and account"})
		}
	}
	return findings
}

// soak watches the wave: an alarm that is raised meanwhile is a gate that failed.
func (r *rollout) soak(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	p := &r.progress
	w := p.Waves[p.Wave]
	rest := p.Since.Add(w.Soak).Sub(turn.Now())
	if rest <= 0 {
		r.enter(turn, regating)
		return jobs.Done(), nil
	}
	watched := false
	for _, gate := range r.spec.Gate {
		if gate.Alarm == "" {
			continue
		}
		watched = true
		states, err := r.Alarms(p.Target).State(ctx, gate.Alarm)
		if err != nil {
			return jobs.Move{}, err
		}
		if states[gate.Alarm] == alarmRaised {
			r.outcome(turn, gate.label(), false, alarmRaised)
			r.stop(turn, fmt.Sprintf("the alarm %s was raised while wave %s was watched", gate.Alarm, w.Name))
			return jobs.Done(), nil
		}
	}
	if watched {
		rest = min(rest, r.soon(alarmPoll))
	}
	return jobs.Wait(rest, "wave %s to soak until %s", w.Name, p.Since.Add(w.Soak).UTC().Format(time.TimeOnly)), nil
}

func common(a, b ordinals.Set) ordinals.Set { return a.Minus(a.Minus(b)) }
