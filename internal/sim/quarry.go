package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/rig"
)

// quarry is a patch day: the image stone and its child wall, which stand in the ledger from the beginning, and the fleet yard of
// wall. A Restamp renews and rolls them, by the user or by a policy.
type quarry struct {
	launch, restamp *wish
	count           int
	source, both    bool
	policy          string // its document; empty: the user submits the restamp
	orders          []quarryOrder
	gateFails       bool
	afterRolling    bool // what is current moves once the fleets were rolled
}

// quarryOrder is given to the restamp, or to the rollout that it has under way.
type quarryOrder struct {
	after   time.Duration
	verb    jobs.Verb
	rollout bool
}

const (
	stone = "stone"
	wall  = "wall"
	yard  = "yard"
)

// baseParameter names the newest base AMI, which stone is baked from; stone@1 came from the one before.
const baseParameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-arm64"

// drawQuarry draws a patch day.
func (p *plan) drawQuarry(d dice) {
	r := d.at("quarry")
	q := &quarry{count: 1 + r.IntN(4), source: r.chance(0.75), both: r.chance(0.8)}
	q.launch = &wish{kind: "Launch", name: yard, fleet: yard, count: q.count, key: "yard-launch", mayFail: true, at: r.between(0, 3*time.Minute)}
	q.launch.text = fmt.Sprintf("kind: Launch\nname: %s\nlabels: {team: masons}\nspec:\n  image: wall\n  count: %d\n  pools:\n    - {types: [m7g.large]}\n    - {types: [m6g.large]}\n"+
		"    - {types: [c7g.large]}\n  server: {instanceProfile: builder}\n  hostname: yard-{ordinal:04}\n", yard, q.count)
	q.restamp = &wish{kind: "Restamp", name: "patch-day", key: "patch-day", mayFail: true, at: r.between(0, 10*time.Minute)}
	spec := q.drawSpec(r)
	if r.chance(0.3) {
		when := "newerBase: true, newerParent: true, check: 1m"
		if !q.source || !q.both || r.chance(0.4) {
			when = "every: 6h, message: true"
		}
		q.policy = fmt.Sprintf("kind: Policy\nname: masonry\nspec: {when: {%s}, do: {name: patch-day, restamp: {%s}}}\n", when, spec)
	}
	q.restamp.text = "kind: Restamp\nname: patch-day\nspec: {" + spec + "}\n"
	for r.chance(0.5) && len(q.orders) < 4 {
		q.orders = append(q.orders, quarryOrder{r.between(10*time.Second, 20*time.Minute), pick(r, jobs.Pause, jobs.Pause, jobs.Resume, jobs.Revert), r.chance(0.5)})
	}
	if r.chance(0.15) {
		q.restamp.cancels = []time.Duration{r.between(10*time.Second, 20*time.Minute)}
	} else if r.chance(0.2) {
		q.restamp.retries = []time.Duration{time.Minute}
	}
	p.quarry = q
	p.wishes = append(p.wishes, q.launch)
}

func (q *quarry) drawSpec(r *draw) string {
	selected := "{labels: {team: masons}}"
	if !q.both {
		selected = "[" + wall + "]"
	} else if r.chance(0.2) {
		selected = "{all: true}" // with the images that the other jobs bake meanwhile
	}
	rebuild := ""
	if !q.source {
		rebuild = ", patch: echo patched >> /opt/patched"
	}
	gate := ""
	if r.chance(0.15) {
		q.gateFails, gate = true, ", gate: [{run: test -e /opt/never, within: 2m}]"
	}
	parallel, surge, onFailure, promote := 1+r.IntN(2), 1+r.IntN(2), pick(r, rollout.Rollback, rollout.Hold), pick(r, "bake", "bake", "rollout")
	q.afterRolling = promote == "rollout"
	return fmt.Sprintf("images: {select: %s, parallel: %d%s}, fleets: {select: [yard]}, rollout: {surge: %d, waves: [1, '100%%']%s, onFailure: %s}, promote: %s",
		selected, parallel, rebuild, surge, gate, onFailure, promote)
}

// bases are the AMIs that stone was baked from, and is to be.
func (d dice) bases() (before, newest seed.Image) {
	for _, image := range seed.Images(rig.Region, int64(d.seed)) { // older before newer
		if image.Line == "al2023-arm64" {
			before, newest = newest, image
		}
	}
	return before, newest
}

func bakeText(name, from, step string) string {
	return fmt.Sprintf("kind: Bake\nname: %s\nspec:\n  from: %s\n  builder: {types: [m7g.large, m6g.large], instanceProfile: builder}\n  steps:\n    - run: %s\n  bootTest: false\n", name, from, step)
}

func (q *quarry) settle(ctx context.Context, s *schedule) error {
	base, _ := s.bases()
	before := base.ID
	list := []struct {
		v    ledger.Version
		text string
	}{
		{ledger.Version{Image: stone, Parent: before}, bakeText(stone, "{parameter: "+baseParameter+"}", "echo stone > /opt/stone")},
		{ledger.Version{Image: wall, Parent: stone + "@1"}, bakeText(wall, "{image: stone}", "echo wall > /opt/wall")},
	}
	var all []error
	for _, one := range list {
		raw, err := specOf(one.text)
		if err != nil {
			return err
		}
		one.v.Number, one.v.SourceAMI, one.v.Spec, one.v.Architecture = 1, before, raw, "arm64"
		all = append(all, stamp(ctx, s.rig, map[string]string{"team": "masons"}, before, one.v))
	}
	return errors.Join(all...)
}

// play launches the yard beside the other jobs, renews what it is of, and sees every rollout to its end.
func (q *quarry) play(ctx context.Context, s *schedule) error {
	<-q.launch.told
	if q.launch.id == "" {
		return nil // its submission failed, and tells so itself
	}
	if _, err := s.rig.Wait(ctx, patience, q.launch.id); err != nil {
		return fmt.Errorf("the yard's launch: %w", err)
	}
	time.Sleep(max(q.restamp.at-s.now(), 0))
	if err := q.begin(ctx, s); err != nil || q.restamp.id == "" {
		return err
	}
	begun := time.Now()
	for _, cancel := range q.restamp.cancels {
		time.AfterFunc(cancel, func() { s.cancelStory(ctx, q.restamp.id) })
	}
	for _, o := range q.orders {
		time.Sleep(time.Until(begun.Add(o.after)))
		if err := q.order(ctx, s, o); err != nil {
			return err
		}
	}
	return q.attend(ctx, s)
}

// begin submits the restamp, or applies the policy that does.
func (q *quarry) begin(ctx context.Context, s *schedule) error {
	if q.policy == "" {
		return s.submit(ctx, q.restamp)
	}
	s.tell("the user applies %s", strings.TrimSpace(q.policy))
	if err := s.rig.Apply(ctx, q.policy, "."); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if strings.Contains(q.policy, "message") && n%10 == 0 {
			m := &jobs.Message{Type: jobs.Tick, Policy: "masonry", At: time.Now()}
			if err := errors.Join(s.rig.User.Queue.Send(ctx, jobs.LaneNormal, m, 0), s.rig.User.Queue.Send(ctx, jobs.LaneNormal, m, 0)); err != nil {
				return err
			}
		}
		time.Sleep(time.Minute)
		p, found, err := s.rig.User.Ledger.Policy(ctx, "masonry")
		if err != nil || !found {
			return fmt.Errorf("the policy masonry: %t, %w", found, err)
		}
		newest := ""
		for _, run := range p.Runs {
			for _, sent := range run.Jobs {
				newest = sent.Job
			}
		}
		if newest != "" {
			s.name(q.restamp, newest)
			s.tell("the policy submits %s", newest)
			return nil
		}
		if n > 60 {
			s.violate("the policy masonry submitted nothing in an hour; its note is %q", p.Note)
			return s.forget(ctx, "masonry")
		}
	}
}

// order gives an order to the restamp, or to a rollout of its that is under way.
func (q *quarry) order(ctx context.Context, s *schedule, o quarryOrder) error {
	if !o.rollout {
		if o.verb == jobs.Revert {
			return nil // there is none for restamps
		}
		return s.order(ctx, q.restamp.id, o.verb, "")
	}
	open, err := s.openRollouts(ctx)
	if err != nil || len(open) == 0 {
		return err
	}
	return s.order(ctx, open[0].ID, o.verb, "")
}

// openRollouts are the rollouts of the story's fleet that have not ended.
func (s *schedule) openRollouts(ctx context.Context) ([]*jobs.Job, error) {
	return s.rig.User.Store.List(ctx, store.Filter{Kind: rollout.KindName, Name: yard, Children: true, States: []jobs.State{jobs.Open}})
}

// attend decides what rollouts wait for, ends pauses, retries once, and forgets the policy in the end.
func (q *quarry) attend(ctx context.Context, s *schedule) error {
	for n := 0; ; n++ {
		time.Sleep(2 * time.Minute)
		row, err := s.rig.User.Store.Load(ctx, q.restamp.id)
		if err != nil {
			return err
		}
		if row != nil && row.Job != nil && row.Job.Finished() {
			if len(q.restamp.retries) > 0 && row.Job.State == jobs.Failed && row.Job.Run == 1 {
				if err := s.retry(ctx, q.restamp); err != nil {
					return err
				}
				q.restamp.retries = q.restamp.retries[:0]
				continue
			}
			break
		}
		if n > 300 {
			break // finish tells that it is lost
		}
		if n%10 == 9 {
			if err := s.order(ctx, q.restamp.id, jobs.Resume, ""); err != nil {
				return err
			}
		}
		open, err := s.openRollouts(ctx)
		if err != nil {
			return err
		}
		for _, job := range open {
			if err := s.decide(ctx, job, q.gateFails || n > 20); err != nil {
				return err
			}
		}
	}
	if q.policy == "" {
		return nil
	}
	if err := s.forget(ctx, "masonry"); err != nil {
		return err
	}
	return q.attendOthers(ctx, s)
}

// attendOthers sees restamps to their ends that the policy submitted after its first one.
func (q *quarry) attendOthers(ctx context.Context, s *schedule) error {
	for range 300 { // then finish tells what is lost
		restamps, err := s.rig.User.Store.List(ctx, store.Filter{Kind: restamp.KindName, States: []jobs.State{jobs.Open}})
		if err != nil {
			return err
		}
		rollouts, err := s.openRollouts(ctx)
		if err != nil || len(restamps)+len(rollouts) == 0 {
			return err
		}
		for _, job := range rollouts {
			if err := s.decide(ctx, job, true); err != nil {
				return err
			}
		}
		time.Sleep(2 * time.Minute)
	}
	return nil
}

// judge: what is renewed is renewed from the newest, parents before children; what is said to be rolled is.
func (q *quarry) judge(e *end) {
	if current := e.current[wall]; q.gateFails && q.afterRolling && len(e.servers[yard]) > 0 && current != 1 {
		e.violate("wall@%d is current, though the gate of its fleet's rollout failed", current)
	}
	job := e.ended[q.restamp.id]
	if job == nil || job.State != jobs.Succeeded {
		return
	}
	if q.source && q.both {
		if got, want := e.version(wall, e.current[wall]).Parent, fmt.Sprintf("%s@%d", stone, e.current[stone]); got != want {
			e.violate("%s succeeded, and wall@%d was baked from %s, want %s", job.ID, e.current[wall], got, want)
		}
	}
	if e.current[wall] < 2 || q.both && e.current[stone] < 2 {
		e.violate("%s succeeded, and stone is at %d, wall at %d", job.ID, e.current[stone], e.current[wall])
	}
	want := fmt.Sprintf("%s@%d", wall, e.current[wall])
	if fleet, known := e.fleets[yard]; known && fleet.Image != want {
		e.violate("%s succeeded, and the yard runs %s, want %s", job.ID, fleet.Image, want)
	}
	for _, server := range e.servers[yard] {
		if server.Image != want {
			e.violate("%s succeeded, and ordinal %d of the yard runs %s, want %s", job.ID, server.Ordinal, server.Image, want)
		}
	}
}
