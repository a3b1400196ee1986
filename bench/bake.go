package main

import (
	"encoding/json"
	"fmt"

	"github.com/stampmill/stampmill/internal/jobs"
)

var bakeEC2Calls = measure{
	name:  "bake-ec2-calls",
	what:  "EC2 calls a plain bake, polls included, mean over 100 in parallel, in virtual time; case events: the account's events reach the queue; case polls: none do; case throttled: refused calls of the worse, which come on top",
	bound: "4: launch, stop, capture and terminate are a call each; any number of bakes can share a look",
	bars:  []bar{{name: "events", value: 9}, {name: "polls", value: 12}},
	take:  bakeCalls,
}

// bakes are plain bakes, each of an image of its own: an AMI id as source, one run, one verify, captured stopped, without
// boot-test and copies.
func bakes(n int, ami string) ([]*jobs.Message, error) {
	spec, err := json.Marshal(map[string]any{
		"from":     map[string]any{"ami": ami},
		"builder":  map[string]any{"types": []string{"m7g.large"}, "instanceProfile": "builder"},
		"steps":    []any{map[string]any{"run": "echo baked >/etc/motd"}},
		"verify":   []any{map[string]any{"run": "grep -q baked /etc/motd"}},
		"bootTest": false,
	})
	if err != nil {
		return nil, err
	}
	messages := make([]*jobs.Message, n)
	for i := range messages {
		messages[i] = &jobs.Message{Type: jobs.Submit, Kind: "Bake", Name: fmt.Sprintf("image-%04d", i), Key: "bench", Spec: spec}
	}
	return messages, nil
}

const virtualBakes = 100

func bakeCalls(k *taking) error {
	refused := 0.0
	for _, attention := range []string{withEvents, withoutEvents} {
		baked, err := bakeInParallel(k, attention)
		if err != nil {
			return err
		}
		tell(baked.calls, "ec2", virtualBakes)
		tell(baked.calls, "ssm", virtualBakes)
		n := called(baked.calls, "ec2")
		if err := k.report(attention, float64(n.Calls-n.Throttled)/virtualBakes, "EC2 calls/bake", 4); err != nil {
			return err
		}
		refused = max(refused, float64(n.Throttled)/virtualBakes)
	}
	return k.report("throttled", refused, "EC2 calls/bake", 0)
}
