package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/rig"
)

var launch1000Calls = measure{
	name:  "launch-1000-calls",
	what:  "EC2 calls to stamp 1,000 servers with their own hostnames and settings, verified running, in virtual time; case throttled: those among them that were refused",
	bound: "11: a RunInstances call for 100 servers, and one DescribeInstances page that sees 1,000 of them running",
	bars:  []bar{{name: "m7g.large", value: 25}},
	take:  launchCalls,
}

const servers = 1000

// launchCalls stamps 1,000 servers from a public AMI, each with a hostname and a row of settings of its own.
func launchCalls(k *taking) error {
	rows := strings.Builder{}
	for i := range servers {
		fmt.Fprintf(&rows, "      - {shard: \"s-%04d\", weight: %d}\n", i, i%7)
	}
	spec := fmt.Sprintf(`
kind: Launch
name: web
spec:
  image: %s
  count: %d
  pools: [{types: [m7g.large]}]
  hostname: web-{ordinal:04}
  settings:
    all: {role: web, environment: production}
    each:
%s`, base(0), servers, rows.String())
	var calls map[string]localaws.Count
	err := inVirtualTime(k.t, func(ctx context.Context, r *rig.Rig) error {
		if _, err := r.Start(nil); err != nil {
			return err
		}
		r.Endpoint.ResetCalls()
		ids, err := r.Submit(ctx, spec, ".", "bench", nil)
		if err != nil {
			return err
		}
		if err := finish(ctx, r, time.Hour, ids); err != nil {
			return err
		}
		calls = r.Endpoint.Calls()
		return running(r, servers)
	})
	if err != nil {
		return err
	}
	tell(calls, "ec2", 1)
	n := called(calls, "ec2")
	if err := k.report("m7g.large", float64(n.Calls), "EC2 calls", 11); err != nil {
		return err
	}
	return k.report("throttled", float64(n.Throttled), "EC2 calls", 0)
}

// running holds the endpoint's own truth to what was asked for: that many servers run, and no two have the same hostname.
func running(r *rig.Rig, count int) error {
	time.Sleep(5 * time.Minute) // for every server to come to the end of its first boot
	names := map[string]bool{}
	for _, instance := range r.EC2().Inspect().Instances {
		m, ok := r.EC2().Machine(instance.Account, instance.Region, instance.ID)
		if instance.State != "running" || !ok {
			continue
		}
		disk := m.Disks()["/dev/xvda"]
		if disk == nil {
			return fmt.Errorf("%s has no root volume", instance.ID)
		}
		name, err := disk.Read("/etc/hostname")
		if err != nil {
			return fmt.Errorf("the hostname of %s: %w", instance.ID, err)
		}
		names[strings.TrimSpace(string(name))] = true
	}
	if len(names) != count {
		return fmt.Errorf("%d hostnames are on running servers; expected %d", len(names), count)
	}
	return nil
}
