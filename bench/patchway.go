package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

var patchdayInPlace = measure{
	name: "patchday-inplace",
	what: "virtual seconds of the Restamp of patchday-bound with its fleets rolled in place, a canary, then the others of a fleet at once",
	bound: "the larger of the buckets' times, as they are filled side by side: CreateReplaceRootVolumeTask's and DeleteVolume's, (n − 50) ÷ 5 of the " +
		"5,000 servers, and RunInstances' of the builders; plus the chain of patchday-bound",
	bars: []bar{{name: "inPlace", value: 1.15, ratio: true}},
	take: func(k *taking) error {
		took, err := takePatchDay(k, whole, "{strategy: inPlace, maxUnavailable: 100%, "+carefully+"}", false)
		if err != nil {
			return err
		}
		bucket := max(float64(whole.servers()-50)/5, bound(whole.images()), 0)
		took.tell(bucket, least(took.demands, 50, 5)+waveSeconds)
		return k.report("inPlace", took.seconds, "s", bucket+took.chain)
	},
}

// rollbackFleet is the fleet of rollback-time, rollbackChunk its surge.
const (
	rollbackFleet = 500
	rollbackChunk = 250
)

var rollbackTime = measure{
	name: "rollback-time",
	what: "virtual seconds from the failed gate, after 250 of 500 servers, to the last of them rolled back and the fleet given up, 8 workers, AWS's " +
		"default limits, head-room 0, surge 250",
	bound: "RunInstances' resource bucket for 250 successors, as full as it is then, plus the chain of one chunk: a boot of 30 s until a successor answers " +
		"its check, and 5 s that the endpoint takes to terminate",
	bars: []bar{{name: "replace", value: 1.2, ratio: true}},
	take: func(k *taking) error {
		var seconds float64
		err := inVirtualTime(k.t, func(ctx context.Context, r *rig.Rig) (err error) {
			seconds, err = rolledBack(ctx, r)
			return err
		}, noHeadroom)
		if err != nil {
			return err
		}
		// The launch took 500 tokens an hour before, the 250 successors took theirs: 250 more stand in the bucket of 1,000.
		bucket, chain := max(bound(2*rollbackChunk), 0), float64(bootSeconds+terminateSeconds)
		fmt.Fprintf(os.Stderr, "# the bound's parts: %.0f s for the bucket, %.0f s for the chain\n", bucket, chain)
		return k.report("replace", seconds, "s", bucket+chain)
	},
}

// terminateSeconds is how long the endpoint's servers take from the call to terminated.
const terminateSeconds = 5

// rolledBack rolls half of a fleet to a version that its gate refuses.
func rolledBack(ctx context.Context, r *rig.Rig) (float64, error) {
	if err := work(r, stampers); err != nil {
		return 0, err
	}
	for n := range 2 {
		m, err := bakeMessage("web", map[string]any{"ami": base(0)})
		if err != nil {
			return 0, err
		}
		m.Key = fmt.Sprint(n)
		if err := finishAll(ctx, r, []*jobs.Message{m}); err != nil {
			return 0, err
		}
	}
	spec, err := json.Marshal(map[string]any{"image": "web@1", "count": rollbackFleet,
		"pools": []any{map[string]any{"types": []string{"m7g.large"}}}, "server": map[string]any{"instanceProfile": "builder"},
		"healthy": map[string]any{"run": "true"}})
	if err != nil {
		return 0, err
	}
	if err := finishAll(ctx, r, []*jobs.Message{{Type: jobs.Submit, Kind: "Launch", Name: "web", Key: "bench", Spec: spec}}); err != nil {
		return 0, err
	}
	time.Sleep(time.Hour) // the buckets are full
	ids, err := r.Submit(ctx, fmt.Sprintf("kind: Rollout\nname: web\nspec: {fleet: web, image: web@2, surge: %d, waves: [50%%, 100%%], gate: [{run: exit 1, within: 1s}]}\n",
		rollbackChunk), ".", "bench", nil)
	if err != nil {
		return 0, err
	}
	ended, err := r.Wait(ctx, 48*time.Hour, ids...)
	if err != nil {
		return 0, err
	}
	job := ended[ids[0]]
	if job == nil || !strings.Contains(job.Failure, "rolled back") {
		return 0, fmt.Errorf("the rollout was not rolled back: %+v", job)
	}
	var failed time.Time
	for _, line := range job.History {
		if failed.IsZero() && strings.Contains(line.Text, "gate") && strings.Contains(line.Text, "failed") {
			failed = line.Time
		}
	}
	if failed.IsZero() {
		return 0, fmt.Errorf("the history does not tell when the gate failed: %+v", job.History)
	}
	return job.Ended.Sub(failed).Seconds(), nil
}
