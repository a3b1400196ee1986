package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/rig"
)

// wheel is a fleet that is rolled from wheel@1 to wheel@2 of an image that stands in the ledger from the beginning, and what
// the user does about it.
type wheel struct {
	sort         string
	launch, roll *wish
	count        int
	surge, spare int
	first        int // how many servers its first wave has
	orders       []wheelOrder
	inPlace      bool // else its servers are replaced
	joined       bool // other launches of the fleet may bring servers of either version
	estate       map[int]string
	group        *group // nil: its servers are the fleet's own
	settlers     *settlers
}

type wheelOrder struct {
	after time.Duration // since the rollout was submitted
	verb  jobs.Verb
}

const wheelName = "wheel"

// The sorts of a wheel's rollout.
const (
	replacing = "replace"
	inPlace   = "inPlace"
	stateful  = "stateful"
	meeting   = "meet"

	refreshing = "refresh"
	importing  = "import"
)

// drawWheel draws a rollout: one that replaces, also servers that have things which only one server can hold (stateful), or one in
// place. In one that meets others, jobs of its fleet come in between, and servers die that a policy heals. Its own dice leave the
// other jobs of a seed as they are.
func (p *plan) drawWheel(d dice, sort string) {
	r := d.at("wheel")
	w := &wheel{sort: sort, count: 2 + r.IntN(6), surge: 1 + r.IntN(3), first: 1 + r.IntN(2)}
	how := fmt.Sprintf("surge: %d", w.surge)
	if sort == inPlace || sort == stateful || r.chance(0.3) {
		w.surge, w.spare = 0, 1+r.IntN(2)
		how = fmt.Sprintf("surge: 0, maxUnavailable: %d", w.spare)
	}
	if w.inPlace = sort == inPlace || (sort == meeting || sort == importing) && w.spare > 0 && r.chance(0.4); w.inPlace {
		how = fmt.Sprintf("strategy: inPlace, maxUnavailable: %d", w.spare)
	}
	volumes := ""
	if sort == stateful {
		w.count = 1 + r.IntN(3)
		volumes = ", volumes: {/dev/sdf: {size: 1GiB, deleteOnTermination: false}}"
	}
	health := pick(r, "", "  healthy: {statusChecks: true}\n", "  healthy: {run: test -s /etc/hostname, within: 20m}\n")
	w.launch = &wish{kind: "Launch", name: wheelName, fleet: wheelName, count: w.count, key: "wheel-launch", mayFail: true}
	text := fmt.Sprintf("kind: Launch\nname: %s\nspec:\n  image: %%s\n  count: %%d\n  pools:\n    - {types: [m7g.large]}\n    - {types: [m6g.large]}\n"+
		"    - {types: [c7g.large]}\n  server: {instanceProfile: builder%s}\n  hostname: wheel-{ordinal:04}\n%s", wheelName, volumes, health)
	w.launch.text = fmt.Sprintf(text, "wheel@1", w.count)
	w.roll = &wish{kind: "Rollout", name: wheelName, key: "wheel-roll", mayFail: true}
	gate := ""
	switch {
	case r.chance(0.3):
		gate, w.roll.mustFail = ", gate: [{run: test -e /opt/never, within: 2m}]", true
	case r.chance(0.4):
		gate = ", gate: [{health: true}, {approve: true}]"
	}
	w.roll.text = fmt.Sprintf("kind: Rollout\nname: %s\nspec: {fleet: %s, image: wheel@2, %s, waves: [%d]%s, soak: %s, failures: %d, onFailure: %s}\n", wheelName,
		wheelName, how, w.first, gate, pick(r, "0s", "1m"), r.IntN(2), pick(r, rollout.Rollback, rollout.Hold))
	for r.chance(0.4) && len(w.orders) < 4 {
		w.orders = append(w.orders, wheelOrder{r.between(10*time.Second, 6*time.Minute), pick(r, jobs.Pause, jobs.Resume, jobs.Approve, jobs.Revert)})
	}
	if r.chance(0.2) {
		w.roll.cancels = []time.Duration{r.between(10*time.Second, 6*time.Minute)}
	}
	if sort == stateful && r.chance(0.5) { // while a successor takes over
		w.orders = []wheelOrder{{r.between(30*time.Second, 3*time.Minute), jobs.Revert}}
	}
	p.wheel = w
	p.wishes = append(p.wishes, w.launch)
	if sort == meeting {
		w.drawMeeting(p, r, text)
	}
	if w.inPlace && r.chance(0.3) {
		p.troubles = append(p.troubles, trouble{r.between(0, 8*time.Minute), "root-volume-failures", fmt.Sprintf(`{"count":%d,"state":%q}`, 1+r.IntN(2), pick(r, "failed", "failed-detached"))})
	}
}

// drawMeeting draws jobs of the fleet beside its rollout, and a policy that heals it.
func (w *wheel) drawMeeting(p *plan, r *draw, text string) {
	for i := range 1 + r.IntN(3) {
		other := &wish{kind: "Launch", name: wheelName, fleet: wheelName, key: fmt.Sprintf("wheel-more-%d", i), at: r.between(2*time.Minute, 15*time.Minute), mayFail: true}
		if r.chance(0.5) {
			other.count = w.count + r.IntN(3)
			other.text = fmt.Sprintf(text, pick(r, "wheel", "wheel@1"), other.count)
			w.joined = true
		} else {
			other.kind, other.name = "Terminate", fmt.Sprintf("wheel-down-%d", i)
			other.count = r.IntN(w.count + 1)
			how := fmt.Sprintf("to: %d", other.count)
			if r.chance(0.3) {
				other.byOrdinal, how = true, fmt.Sprintf("ordinals: [%d, 6-7]", other.count)
			}
			other.text = fmt.Sprintf("kind: Terminate\nname: %s\nspec: {fleet: %s, %s}\n", other.name, wheelName, how)
		}
		if r.chance(0.2) {
			other.cancels = []time.Duration{r.between(0, 5*time.Minute)}
		}
		p.wishes = append(p.wishes, other)
	}
	if r.chance(0.7) {
		p.healing(r)
	}
}

// settle puts the image with its two versions, of different AMIs, into the ledger.
func (w *wheel) settle(ctx context.Context, s *schedule) error {
	before, newest := s.bases()
	var versions []ledger.Version
	for number, ami := range []string{before.ID, newest.ID} {
		versions = append(versions, ledger.Version{Image: wheelName, Number: number + 1, Regions: map[string]ledger.RegionalCopy{rig.Region: {AMI: ami}}})
	}
	err := stamp(ctx, s.rig, nil, "", versions...)
	switch {
	case err != nil:
	case w.group != nil:
		err = w.makeGroup(ctx, s)
	case w.settlers != nil:
		err = w.settlers.make(ctx, s, w.count)
	}
	return err
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
	begun := ended[w.launch.id].State == jobs.Succeeded
	if w.settlers != nil {
		done, err := w.settlers.beforeRoll(ctx, s, begun)
		if err != nil || done {
			return err
		}
	}
	if !begun {
		return nil
	}
	switch w.sort {
	case stateful:
		err = w.furnish(ctx, s)
	case refreshing:
		err = w.occupy(ctx, s)
	}
	if err != nil {
		return err
	}
	if err := s.submit(ctx, w.roll); err != nil {
		return err
	}
	since := time.Now()
	for _, cancel := range w.roll.cancels {
		time.AfterFunc(cancel, func() { s.cancelStory(ctx, w.roll.id) })
	}
	w.settlers.askAmid(ctx, s)
	for _, o := range w.orders {
		time.Sleep(time.Until(since.Add(o.after)))
		if err := s.order(ctx, w.roll.id, o.verb, ""); err != nil {
			return err
		}
	}
	for n := 0; ; n++ {
		time.Sleep(2 * time.Minute)
		row, err := s.rig.User.Store.Load(ctx, w.roll.id)
		if err != nil {
			return err
		}
		if row != nil && row.Job != nil && row.Job.Finished() {
			return w.giveBack(ctx, s)
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
