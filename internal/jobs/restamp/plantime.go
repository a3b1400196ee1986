package restamp

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// needs is what a restamp asks of EC2's buckets, by account and region.
type needs struct {
	calls map[string]int // by action
	by    map[jobs.Target]map[string]preflight.Need
}

func (n *needs) add(role, region, action string, requests, resources int) {
	if requests == 0 {
		return
	}
	n.calls[action] += requests
	if n.by == nil {
		n.by = map[jobs.Target]map[string]preflight.Need{}
	}
	at := jobs.Target{Role: role, Region: region}
	if n.by[at] == nil {
		n.by[at] = map[string]preflight.Need{}
	}
	need := n.by[at][action]
	need.Action, need.Region = action, region
	need.Requests += float64(requests)
	need.Resources += float64(resources)
	n.by[at][action] = need
}

// bake is what one bake takes: a builder, a server to try the image on where it is verified, and copies.
func (n *needs) bake(image WorkImage, raw json.RawMessage, region string) {
	var of struct {
		Verify   []json.RawMessage          `json:"verify"`
		BootTest *bool                      `json:"bootTest"`
		CopyTo   map[string]json.RawMessage `json:"copyTo"`
	}
	if len(raw) > 0 && json.Unmarshal(raw, &of) != nil {
		return // the bake will say what is wrong
	}
	servers := 1
	if len(of.Verify) > 0 && (of.BootTest == nil || *of.BootTest) {
		servers++
	}
	role := image.Target.Role
	n.add(role, region, "RunInstances", servers, servers)
	n.add(role, region, "StopInstances", 1, 1)
	n.add(role, region, "CreateImage", 1, 0)
	n.add(role, region, "TerminateInstances", servers, servers)
	n.add(role, region, "DescribeInstances", 2, 0)
	n.add(role, region, "DescribeImages", 2, 0)
	for copied := range of.CopyTo {
		n.add(role, copied, "CopyImage", 1, 0)
	}
}

// serversACall is how many servers a call launches or terminates.
const serversACall = 100

// roll is what one fleet's rollout takes.
func (n *needs) roll(fleet WorkFleet, p PlannedFleet, region string) {
	role, calls := fleet.Target.Role, 0
	waves := p.Waves
	if len(waves) == 0 {
		waves = []rollout.ForecastWave{{Servers: p.Servers}}
	}
	for _, wave := range waves {
		for left := wave.Servers; left > 0; left -= p.AtOnce {
			calls += (min(left, p.AtOnce) + serversACall - 1) / serversACall
		}
	}
	switch p.Strategy {
	case rollout.Refresh:
		n.add(role, region, "CreateLaunchTemplateVersion", 1, 0)
	case rollout.InPlace:
		n.add(role, region, "CreateReplaceRootVolumeTask", p.Servers, 0)
		n.add(role, region, "DescribeReplaceRootVolumeTasks", calls, 0)
	default:
		n.add(role, region, "RunInstances", calls, p.Servers)
		n.add(role, region, "TerminateInstances", calls, p.Servers)
		n.add(role, region, "DescribeInstances", 3*calls, 0)
	}
}

// planTime tells how long it takes at the limits of now.
func (r *restamp) planTime(ctx context.Context, at *scene, plan *jobs.Plan, w *Work, d *Planned, n *needs) error {
	budgets := r.Budgets
	if budgets == nil {
		budgets = preflight.Full{}
	}
	total := 0
	var texts []string
	for _, action := range slices.Sorted(maps.Keys(d.Calls)) {
		total += d.Calls[action]
		if !strings.HasPrefix(action, "Describe") {
			texts = append(texts, fmt.Sprintf("%s %d", action, d.Calls[action]))
		}
	}
	if total == 0 {
		return nil
	}
	plan.Say("EC2 calls", "about %d: %s", total, strings.Join(texts, ", "))
	longest := 0.0
	for _, target := range slices.SortedFunc(maps.Keys(n.by), func(a, b jobs.Target) int { return strings.Compare(a.String(), b.String()) }) {
		var list []preflight.Need
		for _, action := range slices.Sorted(maps.Keys(n.by[target])) {
			list = append(list, n.by[target][action])
		}
		all, findings, err := preflight.Reckon(ctx, budgets, target, jobs.ClassFor(r.job.Priority), list)
		if err != nil {
			return err
		}
		at.findings = append(at.findings, findings...)
		for _, b := range all {
			if !b.Waits() {
				continue
			}
			d.Budgets = append(d.Budgets, b)
			plan.Say("budget now", "%s; the last comes in about %s", b.Text(), b.Wait())
			if b.Seconds > longest {
				longest, d.Limit = b.Seconds, b.Name()
			}
		}
	}
	d.BudgetSeconds, d.BakeSeconds = int(math.Ceil(longest)), chainSeconds(w, *d)
	d.Seconds = max(d.BudgetSeconds, d.BakeSeconds)
	plan.Say("time", "about %s, if nobody else comes: the bakes in their order and one fleet's waves take %s, the budgets %s", inMinutes(d.Seconds),
		inMinutes(d.BakeSeconds), inMinutes(d.BudgetSeconds))
	if d.Limit != "" && d.BudgetSeconds >= d.BakeSeconds {
		plan.Say("", "%s binds", d.Limit)
	}
	return nil
}

// waveSeconds is about how long some servers at a time take: boot, health, and the old ones' end.
const waveSeconds = 120

// chainSeconds is the longest line of bakes, by so many at a time, with the waves of one fleet behind it.
func chainSeconds(w *Work, d Planned) int {
	ends := map[string]int{}
	longest, sum := 0, 0
	for _, p := range d.Images { // parents come first
		ends[p.Image] = ends[p.Parent] + p.UsualSeconds
		longest = max(longest, ends[p.Image])
		sum += p.UsualSeconds
	}
	if w.Parallel > 0 {
		longest = max(longest, sum/w.Parallel)
	}
	waves := 0
	for _, p := range d.Fleets {
		seconds := 0
		for _, wave := range p.Waves {
			seconds += (wave.Servers+p.AtOnce-1)/p.AtOnce*waveSeconds + int(wave.Soak.Seconds())
		}
		waves = max(waves, seconds)
	}
	return longest + waves
}

func inMinutes(seconds int) string {
	d := time.Duration(seconds) * time.Second
	if d > 10*time.Minute {
		d = d.Round(time.Minute)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return text
}
