package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/rig"
)

var jobWriteUnits = measure{
	name:  "job-writes",
	what:  "DynamoDB write units of a one-step job, tables and indexes, mean over 1,000, in virtual time",
	bound: "2: create and claim in one, finish; 1 KB each",
	bars:  []bar{{name: "ping", value: 1.5, ratio: true}},
	take:  jobWrites,
}

var jobSQSRequests = measure{
	name:  "job-sqs",
	what:  "SQS requests of a one-step job, from its submission on, without empty receives, mean over 1,000, in virtual time",
	bound: "0.3: send, receive and delete in batches of ten",
	bars:  []bar{{name: "ping", value: 1.2, ratio: true}},
	take:  jobRequests,
}

// pings are one-step jobs with a spec of 500 bytes.
func pings(n int) ([]*jobs.Message, error) {
	return pingsWith(n, map[string]any{"message": strings.Repeat("stampmill ", 50)[:500-len(`{"message":""}`)]})
}

// pingsWith are pings with the spec.
func pingsWith(n int, fields map[string]any) ([]*jobs.Message, error) {
	spec, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	messages := make([]*jobs.Message, n)
	for i := range messages {
		messages[i] = &jobs.Message{Type: jobs.Submit, Kind: "Ping", Name: fmt.Sprintf("ping-%06d", i), Key: "bench", Spec: spec}
	}
	return messages, nil
}

func ids(messages []*jobs.Message) []string {
	all := make([]string, len(messages))
	for i, m := range messages {
		all[i] = m.JobID("")
	}
	return all
}

const virtualPings = 1000

// pinged carries pings from a filled queue to done in virtual time, and gives what that took.
func pinged(k *taking) (calls map[string]localaws.Count, writes float64, err error) {
	messages, err := pings(virtualPings)
	if err != nil {
		return nil, 0, err
	}
	err = inVirtualTime(k.t, func(ctx context.Context, r *rig.Rig) error {
		r.Endpoint.ResetCalls()
		if err := submitAll(ctx, r.User.Queue, messages); err != nil {
			return err
		}
		tables(r).ResetUnits()
		w, err := r.Start(nil)
		if err != nil {
			return err
		}
		if err := finish(ctx, r, 10*time.Minute, ids(messages)); err != nil {
			return err
		}
		writes = tables(r).Units().Writes()
		w.Drain()
		calls = r.Endpoint.Calls()
		return nil
	})
	return calls, writes, err
}

func jobWrites(k *taking) error {
	_, writes, err := pinged(k)
	if err != nil {
		return err
	}
	return k.report("ping", writes/virtualPings, "write units/job", 2)
}

func jobRequests(k *taking) error {
	calls, _, err := pinged(k)
	if err != nil {
		return err
	}
	tell(calls, "sqs", virtualPings)
	n := called(calls, "sqs")
	addresses := calls["sqs:GetQueueUrl"] // a worker's start, not a job's
	return k.report("ping", float64(n.Calls-n.Empty-addresses.Calls)/virtualPings, "requests/job", 0.3)
}
