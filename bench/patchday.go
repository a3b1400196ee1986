package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/rig"
)

var patchdayBound = measure{
	name: "patchday-bound",
	what: "virtual seconds of a Restamp of 500 images (three deep: 20, 120 and 360) and 5,000 servers in 200 fleets behind a target group each, replaced: " +
		"a canary, then the others at once, a health gate after each, 30 s of draining; 8 workers, AWS's default limits, head-room 0",
	bound: "RunInstances' resource bucket for builders and servers, (n − 1,000) ÷ 2, plus one chain: the three captures that took longest together in a " +
		"line of images that has a fleet, four boots of 30 s, one health check of 10 s and one draining, and nothing for anything else, the canary among it",
	bars: []bar{{name: "replace", value: 1.15, ratio: true}},
	take: func(k *taking) error {
		took, err := replacedPatchDay(k)
		if err != nil {
			return err
		}
		took.tell(took.bucket, least(took.demands, bucketSize, bucketRefill)+waveSeconds)
		return k.report("replace", took.seconds, "s", took.bucket+took.chain)
	},
}

var patchdayCalls = measure{
	name:  "patchday-calls",
	what:  "EC2 calls a server, of a Restamp that rolls the fleets of patchday-bound to images that are baked already, replaced, polls included",
	bound: "none: how many servers share a call is up to the rollout",
	bars:  []bar{{name: "replace", value: 1.5}},
	take: func(k *taking) error {
		took, err := replacedPatchDay(k)
		if err != nil {
			return err
		}
		tell(took.calls, "ec2", float64(took.day.servers()))
		return k.report("replace", float64(called(took.calls, "ec2").Calls)/float64(took.day.servers()), "EC2 calls/server", 0)
	},
}

// patchDay is how large a patch day is.
type patchDay struct {
	levels       []int // images by depth
	fleets, each int
}

func (d patchDay) servers() int { return d.fleets * d.each }

func (d patchDay) images() (n int) {
	for _, level := range d.levels {
		n += level
	}
	return n
}

// whole is the patch day of the measures.
var whole = patchDay{levels: []int{20, 120, 360}, fleets: 200, each: 25}

func init() {
	if os.Getenv("PATCHDAY_SMALL") != "" {
		whole = patchDay{levels: []int{2, 6, 12}, fleets: 10, each: 25}
	}
}

// patched is what a patch day took.
type patched struct {
	day           patchDay
	seconds       float64
	bucket, chain float64
	demands       []demand
	// calls are those of a second one, of the fleets alone.
	calls map[string]localaws.Count
}

// carefully is how its fleets are rolled: a canary, then all others at once.
const carefully = "canary: {count: 1}, waves: [100%], gate: [{health: true}]"

// tell tells the parts of a bound, and what no day with these captures can take less than: the bound adds its parts, though
// servers are rolled while other images are baked.
func (p patched) tell(bucket, floor float64) {
	floor = max(floor, p.chain)
	fmt.Fprintf(os.Stderr, "# the bound's parts: %.0f s for the bucket, %.0f s for the chain\n", bucket, p.chain)
	fmt.Fprintf(os.Stderr, "# no day with these captures takes less than %.0f s; this one took %.3f times that\n", floor, p.seconds/floor)
}

var replaced *patched

func replacedPatchDay(k *taking) (patched, error) {
	if replaced == nil {
		took, err := takePatchDay(k, whole, "{"+carefully+", surge: 100%}", true)
		if err != nil {
			return took, err
		}
		replaced = &took
	}
	return *replaced, nil
}

// takePatchDay bakes and launches all there is, lets the buckets fill, and takes the patch day; with counted, then a second
// one of the fleets alone.
func takePatchDay(k *taking, day patchDay, rollout string, counted bool) (took patched, err error) {
	begun := time.Now()
	took.day = day
	err = inVirtualTime(k.t, func(ctx context.Context, r *rig.Rig) error {
		if err := work(r, stampers); err != nil {
			return err
		}
		if err := day.prepare(ctx, r); err != nil {
			return err
		}
		time.Sleep(time.Hour) // the buckets are full
		seconds, err := restamped(ctx, r, "patch-day", fmt.Sprintf("images: {select: {all: true}, parallel: 1000}, fleets: {select: {all: true}}, rollout: %s", rollout))
		if err != nil {
			return err
		}
		took.seconds = seconds
		took.bucket = max(bound(day.images()+day.servers()), 0)
		lines, err := day.lines(ctx, r)
		if err != nil {
			return err
		}
		took.chain, took.demands = day.chain(lines), day.demands(lines)
		if err := day.check(ctx, r, 2); err != nil || !counted {
			return err
		}
		if _, err := restamped(ctx, r, "images", "images: {select: {all: true}, parallel: 1000}"); err != nil {
			return err
		}
		time.Sleep(time.Hour)
		r.Endpoint.ResetCalls()
		if _, err := restamped(ctx, r, "fleets", "fleets: {select: {all: true}}, rollout: "+rollout); err != nil {
			return err
		}
		took.calls = r.Endpoint.Calls()
		return day.check(ctx, r, 3)
	}, noHeadroom)
	fmt.Fprintf(os.Stderr, "# a patch day: %.0f s of virtual, %.0f s of real time with its preparation\n", took.seconds, time.Since(begun).Seconds())
	return took, err
}

// restamped runs one restamp to its end and gives its seconds.
func restamped(ctx context.Context, r *rig.Rig, name, spec string) (float64, error) {
	submitted := time.Now()
	ids, err := r.Submit(ctx, fmt.Sprintf("kind: Restamp\nname: %s\nspec: {%s}\n", name, spec), ".", "bench", nil)
	if err != nil {
		return 0, err
	}
	ended, err := finished(ctx, r, 48*time.Hour, ids)
	if err != nil {
		return 0, err
	}
	return ended[ids[0]].Ended.Sub(submitted).Seconds(), nil
}

func imageName(depth, n int) string { return fmt.Sprintf("image-%d-%03d", depth, n) }

// imageOf is the image of a fleet: fleets are spread evenly over all images.
func (d patchDay) imageOf(fleet int) string {
	n := fleet * d.images() / d.fleets
	for depth, level := range d.levels {
		if n < level {
			return imageName(depth, n)
		}
		n -= level
	}
	return ""
}

// prepare bakes every image and launches every fleet.
func (d patchDay) prepare(ctx context.Context, r *rig.Rig) error {
	for depth, level := range d.levels {
		var messages []*jobs.Message
		for n := range level {
			from := map[string]any{"ami": base(0)}
			if depth > 0 {
				from = map[string]any{"image": imageName(depth-1, n%d.levels[depth-1])}
			}
			m, err := bakeMessage(imageName(depth, n), from)
			if err != nil {
				return err
			}
			messages = append(messages, m)
		}
		if err := finishAll(ctx, r, messages); err != nil {
			return err
		}
	}
	fleets := make([]string, d.fleets)
	for n := range fleets {
		fleets[n] = fmt.Sprintf("fleet-%03d", n)
	}
	if err := makeTargetGroups(ctx, r, fleets); err != nil {
		return err
	}
	var messages []*jobs.Message
	for n, fleet := range fleets {
		spec, err := json.Marshal(map[string]any{"image": d.imageOf(n), "count": d.each, "pools": []any{map[string]any{"types": []string{"m7g.large"}}},
			"attach": map[string]any{"targetGroups": []string{fleet}}, "healthy": map[string]any{"targetGroup": true}})
		if err != nil {
			return err
		}
		messages = append(messages, &jobs.Message{Type: jobs.Submit, Kind: "Launch", Name: fleet, Key: "bench", Spec: spec})
	}
	return finishAll(ctx, r, messages)
}

func bakeMessage(name string, from map[string]any) (*jobs.Message, error) {
	spec, err := json.Marshal(map[string]any{
		"from": from, "builder": map[string]any{"types": []string{"m7g.large"}, "instanceProfile": "builder"},
		"steps": []any{map[string]any{"run": "dnf install -y nginx && systemctl enable nginx"}}, "bootTest": false,
	})
	return &jobs.Message{Type: jobs.Submit, Kind: "Bake", Name: name, Key: "bench", Spec: spec}, err
}

func finishAll(ctx context.Context, r *rig.Rig, messages []*jobs.Message) error {
	if err := submitAll(ctx, r.User.Queue, messages); err != nil {
		return err
	}
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.JobID("")
	}
	return finish(ctx, r, 48*time.Hour, ids)
}

// check holds every image to the version, and every server to its image's.
func (d patchDay) check(ctx context.Context, r *rig.Rig, version int) error {
	images, err := r.User.Ledger.ListImages(ctx)
	if err != nil {
		return err
	}
	if at := slices.IndexFunc(images, func(i ledger.Image) bool { return i.Current != version }); at >= 0 || len(images) != d.images() {
		return fmt.Errorf("of %d images, %+v is not at version %d", len(images), images[max(at, 0)], version)
	}
	running := map[string]bool{}
	for _, instance := range r.EC2().Inspect().Instances {
		running[instance.ID] = instance.State == "running"
	}
	for n := range d.fleets {
		servers, err := r.User.Ledger.Servers(ctx, fmt.Sprintf("fleet-%03d", n))
		if err != nil {
			return err
		}
		if len(servers) != d.each {
			return fmt.Errorf("fleet %d has %d servers", n, len(servers))
		}
		for _, s := range servers {
			if s.Image != fmt.Sprintf("%s@%d", d.imageOf(n), version) || !running[s.InstanceID] {
				return fmt.Errorf("fleet %d: the server %+v, which runs: %v", n, s, running[s.InstanceID])
			}
		}
	}
	return nil
}
