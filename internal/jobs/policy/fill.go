package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

const (
	// looksAtOnce is how many fleets are looked at together, so that their looks share requests.
	looksAtOnce = 100
	// maxOrders and maxOrderBytes bound what one look submits, which is one transaction; the rest comes at the next occasion.
	maxOrders, maxOrderBytes = 60, 2 << 20
	// longestBackOff is how long a fleet rests at most whose launches keep failing.
	longestBackOff = 6 * time.Hour
)

// want is a fleet that is to have so many servers.
type want struct {
	work
	fleet   ledger.Fleet
	count   int
	missing int
}

// fill submits a launch for each fleet that lacks servers, and nothing where none is missing. Fleets that somebody works on are
// left to them.
func (e *Evaluator) fill(ctx context.Context, p *Policy, tick, now time.Time, past history) ([]*jobs.Message, error) {
	if len(past.open) > 0 && p.Spec.When.Every == 0 && p.Spec.Overlap != Skip {
		p.overlap(tick, true, now, past.open)
		return nil, nil
	}
	var notes []string
	wanted, err := e.wanted(ctx, p, &notes)
	if err != nil {
		return nil, err
	}
	wanted = slices.DeleteFunc(wanted, func(w *want) bool {
		reason := w.rests(past, time.Duration(p.Spec.When.Every), now)
		if reason != "" {
			notes = append(notes, w.name+": "+reason)
		}
		return reason != ""
	})
	group, looking := errgroup.WithContext(ctx)
	group.SetLimit(looksAtOnce)
	for _, w := range wanted {
		group.Go(func() (err error) { w.missing, err = e.missing(looking, w, now); return err })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	p.Ticked = tick
	p.Due = p.next(now)
	orders := e.launches(p, wanted, tick, now, &notes)
	p.Note = clip(strings.Join(notes, "; "))
	return orders, nil
}

// launches orders a launch for each fleet that lacks servers.
func (e *Evaluator) launches(p *Policy, wanted []*want, tick, now time.Time, notes *[]string) []*jobs.Message {
	var lacking []work
	var texts []string
	bytes, left := 0, 0
	for _, w := range wanted {
		switch {
		case w.missing == 0:
		case len(lacking) == maxOrders || bytes+len(w.raw) > maxOrderBytes:
			left++
		default:
			bytes += len(w.raw)
			lacking = append(lacking, w.work)
			texts = append(texts, fmt.Sprintf("%s lacks %d of %d servers", w.name, w.missing, w.count))
		}
	}
	if left > 0 {
		*notes = append(*notes, fmt.Sprintf("%d more fleets lack servers: they come next time", left))
	}
	if len(lacking) == 0 {
		return nil
	}
	return p.order(now, "tick."+instant(tick), clip(strings.Join(texts, "; ")), lacking...)
}

// rests says why the fleet is left alone for now.
func (w *want) rests(past history, every time.Duration, now time.Time) string {
	f := w.fleet
	switch failures := past.failures[w.name]; {
	case past.open[w.name] != "":
		return past.open[w.name] + " is not over"
	case f.Owner != "" || len(f.Line) > 0:
		return cmp.Or(f.Owner, strings.Join(f.Line, " ")) + " works on it"
	case len(w.raw) == 0:
		return "no launch of it is stored: submit one"
	case failures > 0 && every > 0:
		until := past.last[w.name].Add(min(every<<min(failures, 10), longestBackOff))
		if now.Before(until) {
			return fmt.Sprintf("its last launch failed, %d in a row; the next one is not before %s", failures, instant(until))
		}
	}
	return ""
}

// wanted are the fleets that are looked at.
func (e *Evaluator) wanted(ctx context.Context, p *Policy, notes *[]string) ([]*want, error) {
	if p.Spec.Do.Launch != nil {
		return e.wantedByLaunch(ctx, p)
	}
	heal := p.Spec.Do.Heal
	var fleets []ledger.Fleet
	if len(heal.Fleets) > 0 && len(heal.Labels) == 0 {
		for _, name := range heal.Fleets {
			fleet, found, err := e.Fleets.GetFleet(ctx, name)
			if err != nil {
				return nil, err
			}
			if !found {
				*notes = append(*notes, "there is no fleet "+name)
				continue
			}
			fleets = append(fleets, fleet)
		}
	} else {
		all, err := e.Fleets.ListFleets(ctx)
		unread, err := jobs.Unread(err)
		if err != nil {
			return nil, err
		}
		if unread != nil {
			*notes = append(*notes, unread.Error())
		}
		fleets = all
	}
	var wanted []*want
	for _, fleet := range fleets {
		if !heal.chooses(fleet) || fleet.Count == 0 {
			continue
		}
		if fleet.Group != "" {
			*notes = append(*notes, fleet.Name+": the Auto Scaling group "+fleet.Group+" keeps its servers itself")
			continue
		}
		raw, err := healing(fleet)
		if err != nil {
			*notes = append(*notes, fleet.Name+": "+err.Error())
			continue
		}
		labels := fleet.Labels
		if labels == nil {
			labels = map[string]string{}
		}
		wanted = append(wanted, &want{fleet: fleet, count: fleet.Count,
			work: work{kind: launch.KindName, name: fleet.Name, target: &fleet.Target, labels: labels, raw: raw}})
	}
	return wanted, nil
}

func (e *Evaluator) wantedByLaunch(ctx context.Context, p *Policy) ([]*want, error) {
	var s struct {
		Count int `json:"count"`
	}
	if err := json.Unmarshal(p.Spec.Do.Launch, &s); err != nil {
		return nil, jobs.Fatalf("read the policy's launch", p.Name, err.Error(), "apply the policy anew")
	}
	fleet, _, err := e.Fleets.GetFleet(ctx, p.Spec.Do.Name)
	if err != nil {
		return nil, err
	}
	target := p.Spec.Do.target(p.Target)
	return []*want{{fleet: fleet, count: s.Count, work: work{name: p.Spec.Do.Name, target: &target, raw: p.Spec.Do.Launch}}}, nil
}

func (h Heal) chooses(fleet ledger.Fleet) bool {
	if slices.Contains(h.Exclude, fleet.Name) || len(h.Fleets) > 0 && !slices.Contains(h.Fleets, fleet.Name) {
		return false
	}
	for name, value := range h.Labels {
		if fleet.Labels[name] != value {
			return false
		}
	}
	return true
}

// healing is the fleet's last launch, on the image that the fleet has and for as many servers as it is to have now.
func healing(fleet ledger.Fleet) (json.RawMessage, error) {
	if len(fleet.Spec) == 0 {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(fleet.Spec, &fields); err != nil {
		return nil, fmt.Errorf("its stored launch cannot be read: %w", err)
	}
	image, err := json.Marshal(fleet.Image)
	if err != nil {
		return nil, err
	}
	if fleet.Image != "" {
		fields["image"] = image
	}
	fields["count"] = json.RawMessage(fmt.Sprint(fleet.Count))
	fields["heals"] = json.RawMessage("true") // by the time of its turn somebody may have shrunk the fleet or renewed it
	return json.Marshal(fields)
}

// missing is how many servers the fleet lacks. A look by tag, which the fleets share, clears those that are there; only of the
// rest EC2 is asked by id, since the tag of a server that was imported may be another.
func (e *Evaluator) missing(ctx context.Context, w *want, now time.Time) (int, error) {
	servers, err := e.Fleets.Servers(ctx, w.name)
	if err != nil {
		return 0, err
	}
	if len(servers) == 0 {
		return w.count, nil
	}
	target := *w.target
	if w.fleet.Name != "" {
		target = w.fleet.Target
	}
	tagged, err := e.EC2(target).InstancesTagged(ctx, map[string]string{launch.TagFleet: w.name})
	if err != nil {
		return 0, err
	}
	living := map[string]bool{}
	note := func(instances []cloud.Instance) {
		for _, i := range instances {
			living[i.ID] = i.State != "terminated" && i.State != "shutting-down"
		}
	}
	note(tagged)
	var unseen []string
	for _, s := range servers {
		if s.InstanceID != "" && !living[s.InstanceID] {
			unseen = append(unseen, s.InstanceID)
		}
	}
	if len(unseen) > 0 {
		byID, err := e.EC2(target).Instances(ctx, unseen...)
		if err != nil {
			return 0, err
		}
		note(byID)
	}
	held := 0
	for _, s := range servers {
		_, seen := living[s.InstanceID]
		if living[s.InstanceID] || !seen && s.InstanceID != "" && now.Sub(s.Launched) < jobs.PropagationLimit {
			held++
		}
	}
	return max(w.count-held, 0), nil
}
