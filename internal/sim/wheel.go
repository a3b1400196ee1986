package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// wheel is a fleet that is rolled from wheel@1 to wheel@2 of an image that stands in the ledger from the beginning, and what
// the user does about it.
type wheel struct {
	launch, roll *wish
	count        int
	surge, spare int
	first        int // how many servers its first wave has
	orders       []wheelOrder
}

type wheelOrder struct {
	after time.Duration // since the rollout was submitted
	verb  jobs.Verb
}

const wheelName = "wheel"

// drawWheel draws a rollout. Its own dice leave the other jobs of a seed as they are.
func (p *plan) drawWheel(d dice) {
	r := d.at("wheel")
	w := &wheel{count: 2 + r.IntN(6), surge: 1 + r.IntN(3), first: 1 + r.IntN(2)}
	how := fmt.Sprintf("surge: %d", w.surge)
	if r.chance(0.3) {
		w.surge, w.spare = 0, 1+r.IntN(2)
		how = fmt.Sprintf("surge: 0, maxUnavailable: %d", w.spare)
	}
	health := pick(r, "", "  healthy: {statusChecks: true}\n", "  healthy: {run: test -s /etc/hostname, within: 20m}\n")
	w.launch = &wish{kind: "Launch", name: wheelName, fleet: wheelName, count: w.count, key: "wheel-launch", mayFail: true}
	w.launch.text = fmt.Sprintf("kind: Launch\nname: %s\nspec:\n  image: wheel@1\n  count: %d\n  pools:\n    - {types: [m7g.large]}\n    - {types: [m6g.large]}\n"+
		"    - {types: [c7g.large]}\n  server: {instanceProfile: builder}\n  hostname: wheel-{ordinal:04}\n%s", wheelName, w.count, health)
	w.roll = &wish{kind: "Rollout", name: wheelName, key: "wheel-roll", mayFail: true}
	gate := ""
	switch {
	case r.chance(0.3):
		gate, w.roll.mustFail = ", gate: [{run: test -e /opt/never, within: 2m}]", true
	case r.chance(0.4):
		gate = ", gate: [{health: true}, {approve: true}]"
	}
	w.roll.text = fmt.Sprintf("kind: Rollout\nname: %s\nspec: {fleet: %s, image: wheel, %s, waves: [%d]%s, soak: %s, failures: %d, onFailure: %s}\n", wheelName,
		wheelName, how, w.first, gate, pick(r, "0s", "1m"), r.IntN(2), pick(r, rollout.Rollback, rollout.Hold))
	for r.chance(0.4) && len(w.orders) < 4 {
		w.orders = append(w.orders, wheelOrder{r.between(10*time.Second, 6*time.Minute), pick(r, jobs.Pause, jobs.Resume, jobs.Approve, jobs.Revert)})
	}
	if r.chance(0.2) {
		w.roll.cancels = []time.Duration{r.between(10*time.Second, 6*time.Minute)}
	}
	p.wheel = w
	p.wishes = append(p.wishes, w.launch)
}

// settle puts the image with its two versions into the ledger.
func (w *wheel) settle(ctx context.Context, s *schedule) error {
	var versions []ledger.Version
	for number := 1; number <= 2; number++ {
		versions = append(versions, ledger.Version{Image: wheelName, Number: number})
	}
	return stamp(ctx, s.rig, nil, s.arm64(), versions...)
}

// drive rolls the fleet once it is launched, gives the orders that were drawn, and sees the rollout to its end: somebody
// decides in the end what it waits for.
func (s *schedule) drive(ctx context.Context, w *wheel) error {
	<-w.launch.told
	if w.launch.id == "" {
		return nil // its submission failed, and tells so itself
	}
	ended, err := s.rig.Wait(ctx, patience, w.launch.id)
	if err != nil {
		return fmt.Errorf("the fleet's launch: %w", err)
	}
	if ended[w.launch.id].State != jobs.Succeeded {
		return nil
	}
	if err := s.submit(ctx, w.roll); err != nil {
		return err
	}
	begun := time.Now()
	for _, cancel := range w.roll.cancels {
		time.AfterFunc(cancel, func() { s.cancelStory(ctx, w.roll.id) })
	}
	for _, o := range w.orders {
		time.Sleep(time.Until(begun.Add(o.after)))
		if err := s.order(ctx, w.roll.id, o.verb, ""); err != nil {
			return err
		}
	}
	for n := 0; ; n++ {
		time.Sleep(2 * time.Minute)
		row, err := s.rig.User.Store.Load(ctx, w.roll.id)
		if err != nil || row != nil && row.Job != nil && row.Job.Finished() {
			return err
		}
		if n > 300 {
			return nil // finish tells that it is lost
		}
		if row == nil || row.Job == nil {
			continue
		}
		if err := s.decide(ctx, row.Job, w.roll.mustFail || n > 20); err != nil {
			return err
		}
	}
}
