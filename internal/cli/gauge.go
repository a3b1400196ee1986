package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// gauge is how far an open job is: servers of a launch, else steps.
type gauge struct {
	Step, Steps           int
	Launched, Healthy, Of int
}

// String says it in words.
func (g gauge) String() string {
	switch {
	case g.Of > 0 && g.Healthy > 0:
		return fmt.Sprintf("launched %d, healthy %d of %d", g.Launched, g.Healthy, g.Of)
	case g.Of > 0:
		return fmt.Sprintf("launched %d of %d", g.Launched, g.Of)
	case g.Steps > 0:
		return fmt.Sprintf("step %d of %d", g.Step, g.Steps)
	}
	return ""
}

// bar draws it in so many characters: what is healthy or done, what is launched, what is missing.
func (g gauge) bar(width int) string {
	done, begun, of := g.Healthy, g.Launched, g.Of
	if of == 0 {
		done, begun, of = g.Step-1, g.Step, g.Steps
	}
	if of == 0 {
		return ""
	}
	full := min(max(done, 0)*width/of, width)
	half := max(min(begun*width/of, width), full)
	return strings.Repeat("█", full) + strings.Repeat("▒", half-full) + strings.Repeat("░", width-half)
}

// measure reads how far a job is. Where it cannot be told the gauge is empty: progress is a courtesy.
func measure(ctx context.Context, a *app.App, job *jobs.Job) gauge {
	if job.Finished() {
		return gauge{}
	}
	if job.Kind == launch.KindName && job.Phase == jobs.Forward {
		if g := measureLaunch(ctx, a, job); g.Of > 0 {
			return g
		}
	}
	kind, known := a.Kinds[job.Kind]
	if !known {
		return gauge{}
	}
	program, err := kind.Program(job)
	if err != nil {
		return gauge{}
	}
	steps := program.Steps()
	if job.Phase == jobs.Undoing {
		steps = program.Undo()
	}
	at := slices.IndexFunc(steps, func(s jobs.Step) bool { return s.Name == job.Step })
	return gauge{Step: max(at, 0) + 1, Steps: len(steps)}
}

// measureLaunch counts servers: the launch's own count, and what the batches that still work have launched so far.
func measureLaunch(ctx context.Context, a *app.App, job *jobs.Job) gauge {
	var data struct{ Planned, Launched, Up, Stage ordinals.Set }
	if len(job.Data) == 0 || json.Unmarshal(job.Data, &data) != nil {
		return gauge{}
	}
	g := gauge{Launched: data.Launched.Len(), Of: data.Planned.Len()}
	switch job.Step {
	case "status-checks", "commands", "target-health": // those that passed the check which is under way
		g.Healthy = data.Stage.Len()
	case "accept", "report", "release", "notify":
		g.Healthy = data.Up.Len()
	}
	if job.Fan == nil || !job.Fan.Sent {
		return g
	}
	children, err := a.Store.FanList(ctx, job)
	if err != nil {
		return g
	}
	names := make([]string, len(children))
	for i, child := range children {
		names[i] = child.ID
	}
	rows, err := a.Store.Rows(ctx, names)
	if err != nil {
		return g
	}
	for _, row := range rows {
		var batch struct{ Launched ordinals.Set }
		if row.Job != nil && len(row.Job.Data) > 0 && json.Unmarshal(row.Job.Data, &batch) == nil {
			data.Launched = data.Launched.Plus(batch.Launched)
		}
	}
	g.Launched = data.Launched.Len()
	return g
}
