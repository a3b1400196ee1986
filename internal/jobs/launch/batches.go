package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

const (
	// BatchSize is how many servers one call asks for: AWS advises several calls of 100 over one of 500 (aws-facts "Launching").
	BatchSize = 100
	// roundPause is how long pools without capacity are left alone before all of them are asked again.
	roundPause = 20 * time.Second
)

// fanOut sends what is still missing as batches, and takes in what they achieved.
func (l *launch) fanOut(ctx context.Context, turn *jobs.Turn, round int) (jobs.Move, error) {
	if children := turn.Children(); children != nil {
		return l.takeIn(turn, children)
	}
	todo := l.progress.missing()
	if todo.Empty() {
		return jobs.Done(), nil
	}
	if round > 1 && l.progress.Shortage != "" {
		if rest := turn.StepSince().Add(roundPause).Sub(turn.Now()); rest > 0 {
			return jobs.Wait(rest, "capacity for %d servers: %s", todo.Len(), l.progress.Shortage), nil
		}
	}
	rows, err := l.rows(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	var children []jobs.Child
	for i, part := range l.parts(todo) {
		child, err := l.child(ctx, turn.Job, round, i, part, rows)
		if err != nil {
			return jobs.Move{}, err
		}
		children = append(children, child)
	}
	l.progress.Batches += len(children)
	l.progress.Shortage = ""
	return jobs.FanOut(children...), nil
}

// child writes a batch's description into the bucket, where it costs the message and the parent's item nothing.
func (l *launch) child(ctx context.Context, job *jobs.Job, round, i int, part part, rows map[int]spec.Row) (jobs.Child, error) {
	stamp, batch := l.stamp(), part.ordinals
	if len(rows) > 0 {
		stamp.Rows = map[int]spec.Row{}
		for ordinal := range batch.All() {
			stamp.Rows[ordinal] = rows[ordinal]
		}
	}
	content, err := json.Marshal(stamp)
	if err != nil {
		return jobs.Child{}, jobs.Fatalf("describe a batch", batch.String(), err.Error(), "")
	}
	key := stampKey(job, round, i)
	if err := l.Files.Put(ctx, key, content); err != nil {
		return jobs.Child{}, err
	}
	raw, err := json.Marshal(BatchSpec{Fleet: l.fleet(), Ordinals: batch.String(), Number: l.progress.Batches + part.number,
		First: part.first, Subnet: part.subnet, Second: l.progress.Heirs != nil, Key: key, Digest: spec.Digest(content)})
	if err != nil {
		return jobs.Child{}, jobs.Fatalf("describe a batch", batch.String(), err.Error(), "")
	}
	return jobs.Child{Kind: BatchKindName, Name: l.fleet(), Spec: raw}, nil
}

func (l *launch) stamp() Stamp {
	server := l.spec.Server
	server.SecurityGroups = l.progress.Groups
	return Stamp{Image: l.progress.Image.Ref, AMI: l.progress.Image.AMI, Platform: l.progress.Image.Platform, Ladder: l.progress.Ladder,
		Template: l.spec.LaunchTemplate, Server: server, Hostname: l.spec.Hostname, Settings: l.spec.Settings.All,
		Bootstrap: l.spec.Bootstrap, Tags: l.spec.Tags, TargetGroups: l.progress.TargetGroups}
}

// takeIn counts what the batches launched. One that failed for good fails the launch: the next would fail the same way.
func (l *launch) takeIn(turn *jobs.Turn, children []jobs.ChildResult) (jobs.Move, error) {
	for _, child := range children {
		if child.State == jobs.Failed {
			return jobs.Fail("batch %s: %s", child.ID, child.Failure), nil
		}
		var result BatchResult
		if len(child.Result) > 0 {
			if err := json.Unmarshal(child.Result, &result); err != nil {
				return jobs.Move{}, jobs.Fatalf("read a batch's result", child.ID, err.Error(), "")
			}
		}
		if child.State == jobs.Cancelled {
			turn.Note("batch %s was cancelled", child.ID)
			continue
		}
		l.progress.Launched = l.progress.Launched.Plus(result.Launched)
		if result.Shortage != "" {
			l.progress.Shortage = result.Shortage
		}
	}
	l.progress.LaunchedAt = turn.Now()
	l.progress.Watched = false
	turn.Note("%d of %d servers launched", l.progress.Launched.Len(), l.progress.Planned.Len())
	if missing := l.progress.missing(); !missing.Empty() {
		turn.Note("not granted: %s%s", missing, because(l.progress.Shortage))
	}
	return jobs.Done(), nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return fmt.Sprintf(": %s", reason)
}
