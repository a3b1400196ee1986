package launchtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// GetImage knows web, current version 3.
func (w *World) GetImage(_ context.Context, name string) (ledger.Image, bool, error) {
	return ledger.Image{Name: name, Current: 3, Next: 4}, name == "web", nil
}

// GetVersion knows web@1 to web@3; each has an AMI in eu-west-1.
func (w *World) GetVersion(_ context.Context, name string, number int) (ledger.Version, bool, error) {
	state := ledger.Available
	if number == 1 || w.Retired[number] {
		state = ledger.Retired
	}
	return ledger.Version{Image: name, Number: number, State: state,
		Regions: map[string]ledger.RegionalCopy{"eu-west-1": {AMI: fmt.Sprintf("ami-0000000%d", number)}}}, name == "web" && number <= 3, nil
}

// GetFleet reads a fleet.
func (w *World) GetFleet(_ context.Context, name string) (fleet ledger.Fleet, known bool, err error) {
	err = w.call(func() error { fleet, known = w.fleets[name]; return nil })
	return fleet, known, err
}

func (w *World) guarded(g jobs.Guard, effect func() error) error {
	return w.call(func() error {
		if err := w.holds(g); err != nil {
			return err
		}
		return effect()
	})
}

// Own joins the line; the first in it owns the fleet.
func (w *World) Own(_ context.Context, g jobs.Guard, f ledger.Fleet, job string) (fleet ledger.Fleet, owned bool, err error) {
	err = w.guarded(g, func() error {
		var known bool
		if fleet, known = w.fleets[f.Name]; !known {
			fleet = f
		}
		if !slices.Contains(fleet.Line, job) {
			fleet.Line = append(slices.Clone(fleet.Line), job)
		}
		fleet.Owner = fleet.Line[0]
		w.fleets[f.Name] = fleet
		owned = fleet.Owner == job
		return nil
	})
	return fleet, owned, err
}

// Release leaves the line.
func (w *World) Release(_ context.Context, g jobs.Guard, name, job string) error {
	return w.guarded(g, func() error {
		fleet := w.fleets[name]
		fleet.Line = slices.DeleteFunc(slices.Clone(fleet.Line), func(other string) bool { return other == job })
		fleet.Owner = ""
		if len(fleet.Line) > 0 {
			fleet.Owner = fleet.Line[0]
		}
		w.fleets[name] = fleet
		return nil
	})
}

// PutFleet writes what the fleet is, not who owns it.
func (w *World) PutFleet(_ context.Context, g jobs.Guard, f ledger.Fleet) error {
	return w.guarded(g, func() error {
		f.Owner, f.Line = w.fleets[f.Name].Owner, w.fleets[f.Name].Line
		w.fleets[f.Name] = f
		return nil
	})
}

// DeleteFleet forgets a fleet.
func (w *World) DeleteFleet(_ context.Context, g jobs.Guard, name string) error {
	return w.guarded(g, func() error { delete(w.fleets, name); return nil })
}

// Servers lists a fleet's.
func (w *World) Servers(_ context.Context, fleet string) (servers []ledger.Server, err error) {
	err = w.call(func() error {
		servers = slices.Collect(maps.Values(w.servers[fleet])) // in no order
		return nil
	})
	return servers, err
}

// PutServers refuses ordinals that another launch's server holds.
func (w *World) PutServers(_ context.Context, g jobs.Guard, servers []ledger.Server) error {
	return w.guarded(g, func() error { return hold(w.servers, servers) })
}

// Differ makes a server one that was imported and is not what the fleet's spec says.
func (w *World) Differ(fleet string, ordinal int, in ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	server := w.servers[fleet][ordinal]
	server.Differs = in
	w.servers[fleet][ordinal] = server
}

func hold(slots map[string]map[int]ledger.Server, servers []ledger.Server) error {
	for _, server := range servers {
		old, held := slots[server.Fleet][server.Ordinal]
		if held && old.Incarnation != server.Incarnation && old.InstanceID != server.InstanceID {
			return jobs.Fatalf("ledger PutServers", fmt.Sprint(server.Ordinal), "held by "+old.InstanceID, "")
		}
		if slots[server.Fleet] == nil {
			slots[server.Fleet] = map[int]ledger.Server{}
		}
		slots[server.Fleet][server.Ordinal] = server
	}
	return nil
}

// DeleteServers frees ordinals.
func (w *World) DeleteServers(_ context.Context, g jobs.Guard, fleet string, ordinals []int) error {
	return w.guarded(g, func() error {
		for _, ordinal := range ordinals {
			delete(w.servers[fleet], ordinal)
		}
		return nil
	})
}

// Seconds lists what the second slots of a fleet's ordinals hold.
func (w *World) Seconds(_ context.Context, fleet string) (servers []ledger.Server, err error) {
	err = w.call(func() error { servers = slices.Collect(maps.Values(w.seconds[fleet])); return nil })
	return servers, err
}

// PutSeconds refuses slots that another launch's server holds.
func (w *World) PutSeconds(_ context.Context, g jobs.Guard, servers []ledger.Server) error {
	return w.guarded(g, func() error { return hold(w.seconds, servers) })
}

// DeleteSeconds frees second slots.
func (w *World) DeleteSeconds(_ context.Context, g jobs.Guard, fleet string, ordinals []int) error {
	return w.guarded(g, func() error {
		for _, ordinal := range ordinals {
			delete(w.seconds[fleet], ordinal)
		}
		return nil
	})
}

// Swap makes seconds holders, and holders seconds, all or none.
func (w *World) Swap(_ context.Context, g jobs.Guard, swaps []ledger.Swap) error {
	return w.guarded(g, func() error {
		for _, s := range swaps {
			holder, second := w.servers[s.New.Fleet][s.New.Ordinal].InstanceID, w.seconds[s.New.Fleet][s.New.Ordinal].InstanceID
			if (holder != s.Old.InstanceID || second != s.New.InstanceID) && (holder != s.New.InstanceID || second != s.Old.InstanceID) {
				return &jobs.Error{Class: jobs.Duplicate, Op: "ledger Swap", Thing: fmt.Sprint(s.New.Ordinal), Message: "held by " + holder + ", and " + second}
			}
		}
		for _, s := range swaps {
			w.servers[s.New.Fleet][s.New.Ordinal], w.seconds[s.New.Fleet][s.New.Ordinal] = s.New, s.Old
		}
		return nil
	})
}

// Put writes a file.
func (w *World) Put(_ context.Context, key string, content []byte) error {
	return w.call(func() error { w.Bucket[key] = slices.Clone(content); return nil })
}

// Get reads one.
func (w *World) Get(_ context.Context, key string) (content []byte, found bool, err error) {
	err = w.call(func() error { content, found = w.Bucket[key]; return nil })
	return content, found, err
}

// PresignGet gives another address each time, as real ones do.
func (w *World) PresignGet(_ context.Context, key string, _ time.Duration) (string, error) {
	return fmt.Sprintf("https://bucket.example/%s?X-Amz-Date=%d", key, time.Now().UnixNano()), nil
}
