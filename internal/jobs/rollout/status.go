package rollout

import (
	"encoding/json"
	"fmt"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// Status is where a rollout stands, as its job tells.
type Status struct {
	Result
	Planned bool `json:"planned"`
	// Wave is the one under way, and Stage what is done about it: roll, gate, soak, regate or approve.
	Wave  string       `json:"wave,omitempty"`
	Stage string       `json:"stage,omitempty"`
	Waves []WaveStatus `json:"waves"`
	// Approves: after each wave it waits for a person.
	Approves bool `json:"approves,omitempty"`
	// Ordered are orders that were given and not obeyed yet.
	Ordered []string `json:"ordered,omitempty"`
	// Paused and Held wait for a person; Held says why.
	Paused bool   `json:"paused,omitempty"`
	Held   string `json:"held,omitempty"`
	// Back: what was rolled goes back, because of Why.
	Back bool   `json:"back,omitempty"`
	Why  string `json:"why,omitempty"`
}

// WaveStatus is how far a wave is.
type WaveStatus struct {
	Name     string       `json:"name"`
	Ordinals ordinals.Set `json:"ordinals"`
	Rolled   ordinals.Set `json:"rolled,omitzero"`
	Failed   ordinals.Set `json:"failed,omitzero"`
}

// StatusOf reads where the rollout stands.
func StatusOf(job *jobs.Job) (Status, error) {
	opened, err := (&Kind{}).Program(job)
	if err != nil {
		return Status{}, fmt.Errorf("read the rollout %s: %w", job.ID, err)
	}
	r, ok := opened.(*rollout)
	if !ok {
		return Status{}, fmt.Errorf("read the rollout %s: it is a %T", job.ID, opened)
	}
	p := &r.progress
	status := Status{Planned: p.Planned, Paused: p.Paused && !job.Finished(), Held: p.Held, Back: p.Back || p.Turning, Why: p.Why, Approves: r.approves()}
	status.Fleet, status.Image = r.fleet(), r.spec.Image
	if result, told := r.Result().(Result); told {
		status.Result = result
	} else if len(job.Result) > 0 {
		if err := json.Unmarshal(job.Result, &status.Result); err != nil {
			return Status{}, fmt.Errorf("read the result of %s: %w", job.ID, err)
		}
	}
	for _, verb := range jobs.Verbs {
		if order, given := job.Orders[verb]; given && verb != jobs.Approve && order.At.After(p.Obeyed[verb]) && !job.Finished() {
			status.Ordered = append(status.Ordered, string(verb))
		}
	}
	for i, w := range p.Waves {
		status.Waves = append(status.Waves, WaveStatus{w.Name, w.Ordinals, common(w.Ordinals, p.Rolled), common(w.Ordinals, p.Failed)})
		if i == p.Wave {
			status.Wave, status.Stage = w.Name, "roll"
			if p.Stage != rolling {
				status.Stage = string(p.Stage)
			}
		}
	}
	return status, nil
}
