package estate

import (
	"testing"
	"testing/synctest"

	"github.com/stampmill/stampmill/internal/jobs/launch"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

func TestAFleetsFreeVolumeIsSomebodysDataUnlessItsServerNeverHeldAnOrdinal(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		tags map[string]string
		want bool
	}{
		"a builder's":                            {map[string]string{}, false},
		"one of a server that held an ordinal":   {map[string]string{launch.TagFleet: "web", launch.TagVolume: launch.VolumeKept}, true},
		"one of a server that never did":         {map[string]string{launch.TagFleet: "web", launch.TagVolume: launch.VolumeNew}, false},
		"one that an older version made":         {map[string]string{launch.TagFleet: "web"}, true},
		"a root that was replaced":               {map[string]string{launch.TagFleet: "web", launch.TagVolume: launch.VolumeKept, rollout.TagReplaced: "web"}, false},
		"a root that was replaced and came back": {map[string]string{launch.TagFleet: "web", launch.TagVolume: launch.VolumeKept, rollout.TagReplaced: "returned"}, true},
	} {
		if got := data(one.tags); got != one.want {
			t.Errorf("%s: %t, want %t", name, got, one.want)
		}
	}
}

func TestARootThatAServerMayGoBackToIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		if _, _, err := w.ledger.Own(t.Context(), w.guard, l.Fleet{Name: "front"}, w.guard.Job); err != nil {
			t.Fatal(err)
		}
		server := l.Server{Fleet: "front", Ordinal: 1, InstanceID: "i-1", Kept: &l.KeptRoot{Volume: "vol-1", Stays: true}}
		if err := w.ledger.PutServers(t.Context(), w.guard, []l.Server{server}); err != nil {
			t.Fatal(err)
		}
		if named, err := w.estate.Named(t.Context()); err != nil || !named["vol-1"] {
			t.Errorf("named %v, %v", named, err)
		}
		server.Kept = nil
		if err := w.ledger.PutServers(t.Context(), w.guard, []l.Server{server}); err != nil {
			t.Fatal(err)
		}
		if named, err := w.estate.Named(t.Context()); err != nil || named["vol-1"] {
			t.Errorf("after the server's rollout: named %v, %v", named, err)
		}
	})
}
