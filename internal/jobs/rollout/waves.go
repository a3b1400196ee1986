package rollout

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

var defaultWaves = []spec.Share{{Percent: 10}, {Percent: 50}, {Percent: 100}}

// cut makes the waves of the servers that are to be rolled: the canary, then the rest.
func (r *rollout) cut(ctx context.Context, fleet ledger.Fleet, servers []ledger.Server) error {
	p := &r.progress
	var todo []ledger.Server
	for _, server := range servers {
		if !p.Skipped.Has(server.Ordinal) && !p.Vacant.Has(server.Ordinal) {
			todo = append(todo, server)
		}
	}
	slices.SortFunc(todo, func(a, b ledger.Server) int { return a.Ordinal - b.Ordinal })
	p.Waves, p.Wave, p.Stage = nil, 0, rolling
	if len(todo) == 0 {
		return nil
	}
	canary := r.canary(len(todo))
	if canary > 0 {
		p.Waves = append(p.Waves, wave{"canary", held(todo[:canary]), r.spec.Canary.Soak.Or(time.Duration(r.spec.Soak))})
	}
	if r.spec.By != nil {
		keys, err := r.keys(ctx, fleet, todo)
		if err != nil {
			return err
		}
		p.Waves = append(p.Waves, r.groups(todo[canary:], keys)...)
		return nil
	}
	p.Waves = append(p.Waves, r.shares(todo, canary)...)
	return nil
}

func (r *rollout) canary(total int) int {
	c := r.spec.Canary
	switch {
	case c == nil:
		return 0
	case c.Percent != nil:
		return spec.Share{Percent: float64(*c.Percent)}.Of(total, true)
	}
	return min(c.Count, total)
}

// shares are waves by how much of the fleet is rolled after each; what the last one leaves over is one more.
func (r *rollout) shares(todo []ledger.Server, done int) []wave {
	list := r.spec.Waves
	if len(list) == 0 {
		list = defaultWaves
	}
	var waves []wave
	for _, until := range append(slices.Clone(list), spec.Share{Percent: 100}) {
		to := until.Of(len(todo), true)
		if to <= done {
			continue
		}
		waves = append(waves, wave{strconv.Itoa(len(waves) + 1), held(todo[done:to]), time.Duration(r.spec.Soak)})
		done = to
	}
	return waves
}

// groups are waves of servers that have the same key, in the keys' order.
func (r *rollout) groups(todo []ledger.Server, keys map[int]string) []wave {
	byKey := map[string][]ledger.Server{}
	for _, server := range todo {
		byKey[keys[server.Ordinal]] = append(byKey[keys[server.Ordinal]], server)
	}
	var waves []wave
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		waves = append(waves, wave{cmp.Or(key, "none"), held(byKey[key]), time.Duration(r.spec.Soak)})
	}
	return waves
}

// keys tell what servers have in common, by ordinal.
func (r *rollout) keys(ctx context.Context, fleet ledger.Fleet, todo []ledger.Server) (map[int]string, error) {
	keys := map[int]string{}
	if r.spec.By.Zone {
		for _, server := range todo {
			keys[server.Ordinal] = server.Zone
		}
		return keys, nil
	}
	rows, err := r.Launching.Rows(ctx, fleet.Spec)
	if err != nil {
		return nil, err
	}
	known := false
	for _, server := range todo {
		if value, has := rows[server.Ordinal][r.spec.By.Setting]; has {
			keys[server.Ordinal], known = fmt.Sprint(value), true
		}
	}
	if !known {
		return nil, jobs.Fatalf("plan the rollout", r.fleet(), fmt.Sprintf("none of its servers has a setting %q of its own", r.spec.By.Setting),
			"name one of those that settings.each of the fleet's spec has")
	}
	return keys, nil
}

// held are the servers' ordinals.
func held(servers []ledger.Server) ordinals.Set {
	list := make([]int, len(servers))
	for i, server := range servers {
		list[i] = server.Ordinal
	}
	return ordinals.Of(list...)
}

// pinned is the fleet's spec with the image that it runs now.
func pinned(raw json.RawMessage, ref string) (json.RawMessage, error) {
	if len(raw) == 0 {
		return raw, nil
	}
	var fields map[string]json.RawMessage
	err := json.Unmarshal(raw, &fields)
	if err == nil {
		if fields["image"], err = json.Marshal(ref); err == nil {
			raw, err = json.Marshal(fields)
		}
	}
	if err != nil {
		return nil, jobs.Fatalf("record the fleet's image", ref, err.Error(), "")
	}
	return raw, nil
}

// healthy is what the fleet's own spec says of health.
func healthy(fleet ledger.Fleet) (launch.Healthy, error) {
	s, err := spec.Read[launch.Spec](fleet.Spec)
	if err != nil {
		return launch.Healthy{}, jobs.Fatalf("read the fleet's spec", fleet.Name, err.Error(), "")
	}
	return s.Healthy, nil
}
