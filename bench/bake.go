package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/rig"
)

var bakeEC2Calls = measure{
	name:  "bake-ec2-calls",
	what:  "EC2 calls a plain bake, polls included, mean over 100 in parallel, in virtual time; case throttled: refused calls, which come on top",
	bound: "4: launch, stop, capture and terminate are a call each; any number of bakes can share a look",
	bars:  []bar{{name: "polls", value: 14}},
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
	messages, err := bakes(virtualBakes, base(rig.Region, 0))
	if err != nil {
		return err
	}
	var calls map[string]localaws.Count
	err = inVirtualTime(k.t, func(ctx context.Context, r *rig.Rig) error {
		if _, err := r.Start(nil); err != nil {
			return err
		}
		r.Endpoint.ResetCalls()
		if err := submitAll(ctx, r.User.Queue, messages); err != nil {
			return err
		}
		if err := finish(ctx, r, 3*time.Hour, ids(messages)); err != nil {
			return err
		}
		calls = r.Endpoint.Calls()
		return nil
	})
	if err != nil {
		return err
	}
	tell(calls, "ec2", virtualBakes)
	tell(calls, "ssm", virtualBakes)
	n := called(calls, "ec2")
	if err := k.report("polls", float64(n.Calls-n.Throttled)/virtualBakes, "EC2 calls/bake", 4); err != nil {
		return err
	}
	return k.report("throttled", float64(n.Throttled)/virtualBakes, "EC2 calls/bake", 0)
}
