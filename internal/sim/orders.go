package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// back is a move of current to an earlier version, as it was seen.
type back struct {
	image    string
	from, to int
}

// drawCatalog draws bakes of one image that overtake each other, and a user who promotes, rolls back, recalls and restores its
// versions meanwhile.
func (p *plan) drawCatalog(d dice) {
	r := d.at("catalog")
	base := d.arm64()
	for i := range 2 + r.IntN(2) {
		w := drawBake(r, base)
		w.name = "web"
		w.text = strings.Replace(strings.Replace(w.text, "name: db", "name: web", 1), "/images/db", "/images/web", 1)
		w.key, w.at = fmt.Sprintf("catalog-bake-%d", i), r.between(0, 6*time.Minute)
		p.wishes = append(p.wishes, w)
	}
	for i := range 1 + r.IntN(4) {
		w := &wish{kind: pick(r, "Promote", "Rollback", "Rollback", "Recall", "Recall", "Restore"), name: "web", key: fmt.Sprintf("catalog-%d", i), at: r.between(6*time.Minute, 25*time.Minute), mayFail: true}
		spec := fmt.Sprintf("version: %d", 1+r.IntN(3))
		if w.kind == "Rollback" {
			spec = pick(r, "reason: sick", "to: 1", "to: 2")
		}
		w.text = fmt.Sprintf("kind: %s\nname: web\nspec: {%s}\n", w.kind, spec)
		if r.chance(0.2) {
			w.again = []time.Duration{r.between(0, 10*time.Minute)}
		}
		if r.chance(0.2) {
			w.cancels = []time.Duration{r.between(0, 2*time.Minute)}
		}
		if r.chance(0.2) {
			w.retries = []time.Duration{r.between(2*time.Minute, 10*time.Minute)}
		}
		p.wishes = append(p.wishes, w)
	}
}

// orders are the kinds by which a person moves what is current, or takes a version back.
func (w *wish) orders() bool {
	switch w.kind {
	case "Promote", "Rollback", "Recall", "Restore":
		return true
	}
	return false
}

// ordered says whether a person ordered anything about the image.
func (p *plan) ordered(image string) bool {
	for _, w := range p.wishes {
		if w.orders() && w.name == image {
			return true
		}
	}
	return false
}

// wentBack notes that current moved to an earlier version: a person's order must stand behind it in the ledger.
func (s *schedule) wentBack(image string, from, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backs = append(s.backs, back{image, from, to})
}

// judgeBacks: nothing but a rollback or a recall that the user submitted moves current to an earlier version.
func (e *end) judgeBacks(ctx context.Context) error {
	for _, b := range e.backs {
		moves, err := e.rig.User.Ledger.Moves(ctx, b.image)
		if err != nil {
			return err
		}
		asked := false
		for _, m := range moves {
			w := e.wishOf(m.Job)
			asked = asked || m.From == b.from && m.To == b.to && w != nil && (w.kind == "Rollback" || w.kind == "Recall")
		}
		if !asked {
			e.violate("current of %s went back from %d to %d, and nobody asked for it", b.image, b.from, b.to)
		}
	}
	return nil
}

// judgeCurrent: what is current is the newest available version, or what a person made so.
func (e *end) judgeCurrent(name string, newest int) {
	current := e.current[name]
	v := e.version(name, current)
	switch {
	case e.plan.ordered(name):
		if current != 0 && v.State != ledger.Available {
			e.violate("current of %s is %d, which is %s", name, current, v.State)
		}
	case newest != current && (newest > 0 || v.Job != stamper):
		e.violate("current of %s is %d; the newest version that is available is %d", name, current, newest)
	}
}

// explainRecalled: the AMIs of a version that was recalled are there and disabled, unless its recall did not come to its end.
func (e *end) explainRecalled(v ledger.Version, explained map[string]string) {
	whole := false
	for _, w := range e.plan.wishes {
		whole = whole || w.kind == "Recall" && w.name == v.Image && e.ended[w.id] != nil && e.ended[w.id].State == jobs.Succeeded && strings.Contains(w.text, fmt.Sprintf("version: %d}", v.Number))
	}
	for region, made := range v.Regions {
		explained[made.AMI] = "recalled"
		if state := e.there[made.AMI]; whole && state != "" && !strings.HasPrefix(state, "image disabled") && !e.plan.restores(v) {
			e.violate("%s was recalled, and %s in %s is %q", v.Ref(), made.AMI, region, state)
		}
	}
}

// restores says whether a person asked to have the version back.
func (p *plan) restores(v ledger.Version) bool {
	for _, w := range p.wishes {
		if w.kind == "Restore" && w.name == v.Image {
			return true
		}
	}
	return false
}
