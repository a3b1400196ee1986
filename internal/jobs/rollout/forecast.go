package rollout

import (
	"time"

	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// ForecastWave is one wave as a plan foresees it.
type ForecastWave struct {
	Name    string        `json:"name"`
	Servers int           `json:"servers"`
	Soak    time.Duration `json:"soak,omitempty"`
}

// Forecast cuts a fleet of so many servers into waves. Waves by zone or by setting depend on the servers: there are none.
func (o Options) Forecast(servers int) []ForecastWave {
	if o.By != nil || servers == 0 {
		return nil
	}
	r := &rollout{spec: Spec{Options: o}}
	all := make([]ledger.Server, servers)
	for i := range all {
		all[i].Ordinal = i
	}
	var waves []ForecastWave
	canary := r.canary(servers)
	if canary > 0 {
		waves = append(waves, ForecastWave{"canary", canary, o.Canary.Soak.Or(time.Duration(o.Soak))})
	}
	for _, w := range r.shares(all, canary) {
		waves = append(waves, ForecastWave{w.Name, w.Ordinals.Len(), time.Duration(o.Soak)})
	}
	return waves
}

// AtOnce is about how many servers of a fleet are under way at a time.
func (o Options) AtOnce(servers int) int {
	if surge := o.surge().Of(servers, true); surge > 0 {
		return surge
	}
	return max(o.maxUnavailable().Of(servers, false), 1)
}
