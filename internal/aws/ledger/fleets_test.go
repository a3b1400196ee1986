package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

func TestAWorkerWhoseClaimHasPassedOnChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	g, v := b.reserve("bake-1")
	g2, v2 := b.reserve("bake-2")
	b.publish(g2, v2)
	fleet, _, err := b.Own(ctx, g, l.Fleet{Name: "front"}, g.Job)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.PutServers(ctx, g, []l.Server{{Fleet: "front", Ordinal: 1, InstanceID: "i-1", Incarnation: g.Incarnation}}); err != nil {
		t.Fatal(err)
	}
	writes := map[string]func(g jobs.Guard) error{
		"ReserveVersion": func(g jobs.Guard) error {
			_, err := b.ReserveVersion(ctx, g, l.Image{Name: "web"}, l.Version{Incarnation: "x", Run: 1})
			return err
		},
		"PutVersion":      func(g jobs.Guard) error { return b.PutVersion(ctx, g, withState(v, l.Candidate)) },
		"Publish":         func(g jobs.Guard) error { _, err := b.Publish(ctx, g, v, nil); return err },
		"SetVersionState": func(g jobs.Guard) error { return b.SetVersionState(ctx, g, "web", 1, l.Abandoned) },
		"Own, new":        func(g jobs.Guard) error { _, _, err := b.Own(ctx, g, l.Fleet{Name: "new"}, g.Job); return err },
		"Own, in line":    func(g jobs.Guard) error { _, _, err := b.Own(ctx, g, l.Fleet{Name: "front"}, "other"); return err },
		"Release":         func(g jobs.Guard) error { return b.Release(ctx, g, "front", fleet.Owner) },
		"PutFleet":        func(g jobs.Guard) error { return b.PutFleet(ctx, g, fleet) },
		"PutServers": func(g jobs.Guard) error {
			return b.PutServers(ctx, g, []l.Server{{Fleet: "front", Ordinal: 2, InstanceID: "i-2"}})
		},
		"DeleteServers": func(g jobs.Guard) error { return b.DeleteServers(ctx, g, "front", []int{1}) },
		"PutKept":       func(g jobs.Guard) error { return b.PutKept(ctx, g, "i-9", time.Now()) },
	}
	before := b.everything()
	for why, pass := range map[string]func() jobs.Guard{
		"the fence was raised": func() jobs.Guard {
			next := g
			next.Fence++
			b.job(next, jobs.Open)
			return g
		},
		"the job has ended": func() jobs.Guard { return b.job(g, jobs.Failed) },
		"the key began a new job": func() jobs.Guard {
			b.job(jobs.Guard{Job: g.Job, Incarnation: "new", Fence: g.Fence}, jobs.Open)
			return g
		},
		"the job is not there": func() jobs.Guard { return jobs.Guard{Job: "nobody", Incarnation: g.Incarnation, Fence: g.Fence} },
	} {
		stale := pass()
		for name, write := range writes {
			if err := write(stale); !errors.Is(err, jobs.ErrFenced) {
				t.Errorf("%s although %s: %v", name, why, err)
			}
		}
	}
	if err := b.PutServers(ctx, jobs.Guard{}, []l.Server{{Fleet: "front", Ordinal: 3}}); !jobs.IsClass(err, jobs.Fatal) {
		t.Errorf("a write without any claim: %v", err)
	}
	if after := b.everything(); after != before {
		t.Errorf("the ledger changed from\n%s\nto\n%s", before, after)
	}
}

func withState(v l.Version, s l.VersionState) l.Version {
	v.State = s
	return v
}

func TestAFleetHasOneOwnerAndALineFirstComeFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	guards := map[string]jobs.Guard{}
	for _, job := range []string{"a", "b", "c"} {
		guards[job] = b.claim(job)
	}
	ask := func(job string) (l.Fleet, bool) {
		t.Helper()
		fleet, owned, err := b.Own(ctx, guards[job], l.Fleet{Name: "front", Count: 3}, job)
		if err != nil {
			t.Fatal(err)
		}
		return fleet, owned
	}
	for range 2 { // asking again changes nothing
		for _, job := range []string{"a", "b", "c"} {
			if _, owned := ask(job); owned != (job == "a") {
				t.Errorf("%s owns: %v", job, owned)
			}
		}
	}
	fleet, _, err := b.GetFleet(ctx, "front")
	if err != nil || fleet.Owner != "a" || !slices.Equal(fleet.Line, []string{"b", "c"}) || fleet.Count != 3 {
		t.Fatalf("the fleet is %+v, %v", fleet, err)
	}
	fleet.Count, fleet.Line = 5, nil // what the owner read before others came
	if err := b.PutFleet(ctx, guards["a"], fleet); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Release(ctx, guards["a"], "front", "a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, owned := ask("c"); owned {
		t.Error("c went past b")
	}
	if got, owned := ask("b"); !owned || got.Count != 5 || !slices.Equal(got.Line, []string{"c"}) {
		t.Errorf("after a, b has %+v, owned %v", got, owned)
	}
	if err := b.PutFleet(ctx, guards["a"], fleet); !jobs.IsClass(err, jobs.Fatal) {
		t.Errorf("a wrote a fleet that b owns: %v", err)
	}
}

func TestOwnersAndWaitersThatEndedArePassedOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	for _, job := range []string{"a", "b", "c"} {
		if _, _, err := b.Own(ctx, b.claim(job), l.Fleet{Name: "front"}, job); err != nil {
			t.Fatal(err)
		}
	}
	b.job(jobs.Guard{Job: "a", Incarnation: "inc-a"}, jobs.Failed)
	b.job(jobs.Guard{Job: "b", Incarnation: "inc-b"}, jobs.Cancelled)
	fleet, owned, err := b.Own(ctx, b.claim("c"), l.Fleet{Name: "front"}, "c")
	if err != nil || !owned || len(fleet.Line) != 0 {
		t.Errorf("c waits for jobs that have ended: %+v, %v", fleet, err)
	}
}

func TestAnOrdinalHasOneHolder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	a, other := b.claim("a"), b.claim("b")
	server := func(ordinal int, instance, incarnation string) l.Server {
		return l.Server{Fleet: "front", Ordinal: ordinal, InstanceID: instance, Incarnation: incarnation, Job: "launch-" + incarnation}
	}
	var servers []l.Server
	for i := range 250 {
		servers = append(servers, server(i+1, "", "A"))
	}
	for range 2 { // a repetition is the same
		if err := b.PutServers(ctx, a, servers); err != nil {
			t.Fatal(err)
		}
	}
	if calls := b.wire.calls["TransactWriteItems"]; calls != 6 {
		t.Errorf("%d transactions for twice 250 servers, expected 6", calls)
	}
	for _, c := range []struct { // in this order: each meets what the ones before left
		name   string
		server l.Server
		class  jobs.Class
	}{
		{"the same launch records its instance", server(7, "i-7", "A"), jobs.Unknown},
		{"another operation drains it", server(7, "i-7", "B"), jobs.Unknown},
		{"another launch's server", server(8, "i-8", "B"), jobs.Duplicate},
	} {
		if err := b.PutServers(ctx, other, []l.Server{server(251, "i-251", "B"), c.server}); jobs.ClassOf(err) != c.class {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	b.claim("c")
	err := b.PutServers(ctx, other, []l.Server{server(252, "i-252", "B"), server(9, "i-9", "B")})
	if err == nil || !strings.Contains(err.Error(), "ordinal 9") || !strings.Contains(err.Error(), "launch-A") {
		t.Errorf("the holder is not named: %v", err)
	}
	got, err := b.Servers(ctx, "front")
	if err != nil || len(got) != 251 || got[6].InstanceID != "i-7" || got[8].InstanceID != "" || got[250].Ordinal != 251 {
		t.Fatalf("%d servers, %v", len(got), err)
	}
	var ordinals []int
	for _, s := range got {
		ordinals = append(ordinals, s.Ordinal)
	}
	if err := b.DeleteServers(ctx, a, "front", ordinals); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Servers(ctx, "front"); err != nil || len(got) != 0 {
		t.Errorf("%d servers left, %v", len(got), err)
	}
}

func TestFleetsAndImagesAreListedUntilTheyAreGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	g := b.claim("a")
	for i := range 120 {
		if _, _, err := b.Own(ctx, g, l.Fleet{Name: fmt.Sprintf("fleet-%03d", i)}, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.PutServers(ctx, g, []l.Server{{Fleet: "fleet-000", Ordinal: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteFleet(ctx, g, "fleet-000"); !jobs.IsClass(err, jobs.Fatal) {
		t.Errorf("a fleet with servers was forgotten: %v", err)
	}
	for range 2 {
		if err := b.DeleteFleet(ctx, g, "fleet-007"); err != nil {
			t.Fatal(err)
		}
	}
	fleets, err := b.ListFleets(ctx)
	if err != nil || len(fleets) != 119 || fleets[7].Name != "fleet-008" {
		t.Errorf("%d fleets, %v", len(fleets), err)
	}
	b.reserve("bake-1")
	if images, err := b.ListImages(ctx); err != nil || len(images) != 1 || images[0].Name != "web" {
		t.Errorf("images %v, %v", images, err)
	}
	until := time.Now().Add(time.Hour)
	if err := b.PutKept(ctx, g, "i-1", until); err != nil {
		t.Fatal(err)
	}
	if kept, err := b.ListKept(ctx); err != nil || !kept["i-1"].Equal(until) {
		t.Errorf("kept %v, %v", kept, err)
	}
	if err := b.DeleteKept(ctx, "i-1"); err != nil {
		t.Fatal(err)
	}
	if kept, err := b.ListKept(ctx); err != nil || len(kept) != 0 {
		t.Errorf("kept %v, %v", kept, err)
	}
}
