package sim

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
)

// settlers are servers that somebody launched by hand, as they were then. The wheel of the sort import adopts them.
type settlers struct {
	before map[string]string
	undo   *wish // gives them back once their rollout is over, or before it
	early  bool
	amid   time.Duration // after the rollout was submitted, in whose line it waits then; 0: once that is over
}

// drawSettlers makes an import of the wheel that was drawn.
func (p *plan) drawSettlers(d dice) {
	p.drawWheel(d, importing)
	r, w := d.at("settlers"), p.wheel
	w.settlers = &settlers{before: map[string]string{}}
	w.launch.kind, w.launch.fleet, w.launch.key = "Import", "", "wheel-import"
	w.launch.text = "kind: Import\nname: wheel\nspec: {fleet: {filters: [{name: 'tag:app', values: [wheel]}], image: wheel@1}}\n"
	w.launch.cancels = nil
	if r.chance(0.2) {
		w.launch.cancels = append(w.launch.cancels, 0)
	}
	if r.chance(0.3) {
		w.settlers.undo = &wish{kind: "Import", name: wheelName, key: "wheel-undo", mayFail: true, text: "kind: Import\nname: wheel\nspec: {undo: fleet}\n"}
		if w.settlers.early = r.chance(0.4); !w.settlers.early && r.chance(0.5) {
			w.settlers.amid = r.between(time.Second, 3*time.Minute)
		}
	}
}

// make launches the servers as somebody else would.
func (l *settlers) make(ctx context.Context, s *schedule, count int) error {
	base, _ := s.bases()
	for i := range count {
		_, err := s.rig.User.EC2.For(jobs.Target{}).Launch(ctx, cloud.LaunchRequest{Token: fmt.Sprintf("settler-%d", i), ImageID: base.ID, Type: "c7g.large", Min: 1, Max: 1,
			InstanceProfile: "builder", InstanceTags: map[string]string{"app": wheelName, "Name": fmt.Sprintf("by-hand-%d", i)}})
		if err != nil {
			return err
		}
		time.Sleep(time.Minute)
	}
	return nil
}

// note remembers how they are, and gives the ids of them and their volumes.
func (l *settlers) note(s *schedule) (things []string) {
	for _, i := range s.rig.EC2().Inspect().Instances {
		if i.Tags["app"] == wheelName {
			l.before[i.ID] = standingOf(i)
			things = append(append(things, i.ID), i.Volumes...)
		}
	}
	return things
}

// standingOf is all that nobody but its owner may change, without the tags by which an import adopts a server.
func standingOf(i ec2.Instance) string {
	tags := maps.Clone(i.Tags)
	maps.DeleteFunc(tags, func(key, _ string) bool { return strings.HasPrefix(key, jobs.TagPrefix) })
	return fmt.Sprint(i.State, " ", i.Type, " ", i.ImageID, " ", i.Volumes, " ", tags)
}

// askAmid submits the undo while the rollout is under way, where that was drawn.
func (l *settlers) askAmid(ctx context.Context, s *schedule) {
	if l == nil || l.amid == 0 {
		return
	}
	time.AfterFunc(l.amid, func() {
		if err := s.submit(ctx, l.undo); err != nil {
			s.violate("the undo cannot be submitted: %v", err)
		}
	})
}

// compare sees that nothing but tags of ours came to them; given back, none is left.
func (l *settlers) compare(s *schedule, given bool) {
	for _, i := range s.rig.EC2().Inspect().Instances {
		was, ours := l.before[i.ID]
		if !ours {
			continue
		}
		if is := standingOf(i); is != was {
			s.violate("an import changed %s from %q to %q", i.ID, was, is)
		}
		for key := range i.Tags {
			if given && strings.HasPrefix(key, jobs.TagPrefix) {
				s.violate("%s was given back and still carries the tag %s", i.ID, key)
			}
		}
	}
}

// beforeRoll judges the import, and takes it back again in some schedules; done: there is nothing to roll.
func (l *settlers) beforeRoll(ctx context.Context, s *schedule, adopted bool) (done bool, err error) {
	l.compare(s, !adopted)
	if !adopted || l.undo == nil || !l.early {
		return !adopted, nil
	}
	if err := s.submit(ctx, l.undo); err != nil {
		return true, err
	}
	ended, err := s.rig.Wait(ctx, patience, l.undo.id)
	if err != nil {
		return true, err
	}
	done = ended[l.undo.id].State == jobs.Succeeded
	if done {
		l.compare(s, true)
	}
	return done, nil
}

// givenBack says whether the row went since the user asked for it, or with an import that did not come to its end.
func (p *plan) givenBack(row ledger.Server) bool {
	w := p.wheel
	return w != nil && w.settlers != nil && row.InstanceID == "" && (w.roll.id == "" || w.settlers.undo != nil && w.settlers.undo.id != "")
}

// explainSettlers: where they are no fleet, they are their owner's.
func (e *end) explainSettlers(explained map[string]string) {
	w := e.plan.wheel
	if w == nil || w.settlers == nil {
		return
	}
	_, known := e.fleets[wheelName]
	for _, i := range e.rig.EC2().Inspect().Instances {
		if i.Tags["app"] != wheelName || w.settlers.before[i.ID] == "" {
			continue
		}
		marked := ""
		for key := range i.Tags {
			if strings.HasPrefix(key, jobs.TagPrefix) {
				marked = key
			}
		}
		switch {
		case marked == "": // EC2 did not show it to the import yet, or it was given back
			explained[i.ID] = "its owner's"
		case !known && i.State == "running":
			e.violate("%s is in no fleet and still carries the tag %s", i.ID, marked)
		}
	}
	for id := range w.settlers.before {
		if w.roll.id == "" && explained[id] == "" {
			e.violate("%s was imported, and is gone", id)
		}
	}
}
