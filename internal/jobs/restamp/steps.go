package restamp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// choose evaluates the selection, once, and keeps what it came to. With anything wrong nothing is touched.
func (r *restamp) choose(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	at, err := look(ctx, r.Ledger, r.spec, turn.Now().UTC())
	if err != nil {
		return jobs.Move{}, err
	}
	w := at.work(r.spec)
	before, err := r.standing(ctx, at, w)
	if err != nil {
		return jobs.Move{}, err
	}
	if wrong := problems(at.findings); len(wrong) > 0 {
		var texts []string
		for _, p := range wrong {
			texts = append(texts, p.String())
		}
		return jobs.Fail("%s", strings.Join(texts, "; ")), nil
	}
	for _, warning := range at.findings {
		turn.Warn("%s", warning)
	}
	w.Restamp, w.Name = r.id(), r.job.Name
	if r.progress.Work, err = w.store(ctx, r.Files); err != nil {
		return jobs.Move{}, err
	}
	r.progress.Before = r.reportKey("before")
	if err := putJSON(ctx, r.Files, r.progress.Before, before); err != nil {
		return jobs.Move{}, err
	}
	r.progress.Images, r.progress.Fleets = len(w.Images), len(w.Fleets)
	turn.Note("%d images and %d fleets", len(w.Images), len(w.Fleets))
	return jobs.Done(), r.Ledger.OpenRestamp(ctx, turn.Guard(), ledger.Restamp{RestampID: r.id(), Name: r.job.Name, Begun: w.Begun,
		Images: w.imageNames(), Fleets: w.fleetNames(), Work: r.progress.Work})
}

func (r *restamp) reportKey(what string) string {
	return fmt.Sprintf("reports/%s/r%d-%s.json", r.job.ID, r.job.Run, what)
}

func putJSON(ctx context.Context, files Files, key string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return jobs.Fatalf("write", key, err.Error(), "")
	}
	return files.Put(ctx, key, content)
}

// readers is how many fleets are read at a time.
const readers = 8

// standing reads the servers of the work's fleets, and leaves out fleets on which there is nothing to roll.
func (k *Kind) standing(ctx context.Context, at *scene, w *Work) (map[string][]rollout.ServerState, error) {
	lists := make([][]ledger.Server, len(w.Fleets))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, fleet := range w.Fleets {
		group.Go(func() (err error) {
			lists[i], err = k.Ledger.Servers(within, fleet.Name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	before := map[string][]rollout.ServerState{}
	var fleets []WorkFleet
	for i, fleet := range w.Fleets {
		servers := lists[i]
		if len(servers) > 0 {
			fleet.Servers = len(servers)
		}
		off := slices.ContainsFunc(servers, func(s ledger.Server) bool { return s.Image != fleet.To })
		if fleet.To != "" && fleet.From == fleet.To && !off {
			at.leaveFleet(fleet.Name, "all its servers run "+fleet.To+" already", false)
			continue
		}
		fleets = append(fleets, fleet)
		before[fleet.Name] = rollout.ServerStates(servers)
	}
	w.Fleets, w.Left = fleets, at.left
	return before, nil
}

// renew fans out what waits for nothing: the images whose parents stay, and the fleets whose images do.
func (r *restamp) renew(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	w, err := r.works.load(ctx, r.Files, r.progress.Work)
	if err != nil {
		return jobs.Move{}, err
	}
	images, fleets := w.below(""), w.fleetsOf("")
	results := turn.Children()
	if results == nil {
		if turn.Job.Orders[jobs.Pause].After(turn.Job.Orders[jobs.Resume]) {
			return jobs.Wait(pauseLook, "%s to be resumed", w.Name), nil
		}
		children := make([]jobs.Child, 0, len(images)+len(fleets))
		for _, image := range images {
			children = append(children, renewal(RenewalSpec{Work: r.progress.Work, Image: image.Name}))
		}
		children, err := w.addRollouts(children, fleets, "")
		if err != nil {
			return jobs.Move{}, err
		}
		return jobs.FanOut(children...), nil
	}
	return jobs.Done(), r.Ledger.PutOutcomes(ctx, turn.Guard(), w.Restamp, rolled(fleets, "", results[len(images):]))
}

// addRollouts appends the rollouts of the fleets to that version, or to the one that each has of its own.
func (w *Work) addRollouts(children []jobs.Child, fleets []WorkFleet, to string) ([]jobs.Child, error) {
	for _, fleet := range fleets {
		image := to
		if fleet.To != "" {
			image = fleet.To
		}
		raw, err := json.Marshal(rollout.Spec{Fleet: fleet.Name, Image: image, Options: w.Rollout})
		if err != nil {
			return nil, jobs.Fatalf("roll the fleet", fleet.Name, err.Error(), "")
		}
		target := fleet.Target
		children = append(children, jobs.Child{Kind: "Rollout", Name: fleet.Name, Spec: raw, Target: &target, Labels: labels(fleet.Labels)})
	}
	return children, nil
}

// rolled are the outcomes of fleets, by how their rollouts ended.
func rolled(fleets []WorkFleet, to string, results []jobs.ChildResult) []ledger.Outcome {
	outcomes := make([]ledger.Outcome, len(results))
	for i, result := range results {
		fleet := fleets[i]
		outcomes[i] = ledger.Outcome{Fleet: fleet.Name, State: result.State, Job: result.ID, From: fleet.From, To: to, Failure: result.Failure,
			Begun: result.Created.UTC(), Ended: result.Ended.UTC(), Budgets: result.Waited, Result: result.Result}
		if fleet.To != "" {
			outcomes[i].To = fleet.To
		}
	}
	return outcomes
}

// close forgets what the ledger knew of the restamp while it was under way: its report tells it from here on.
func (r *restamp) close(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if r.progress.Work == "" || r.progress.Closed {
		return jobs.Done(), nil
	}
	if err := r.Ledger.CloseRestamp(ctx, turn.Guard(), r.id()); err != nil {
		return jobs.Move{}, err
	}
	r.progress.Closed = true
	return jobs.Done(), nil
}

// verdict fails the restamp where anything in it failed: what succeeded stays.
func (r *restamp) verdict(_ context.Context, _ *jobs.Turn) (jobs.Move, error) {
	t := r.progress.Totals
	if t == nil || t.ImagesFailed+t.ImagesStopped+t.FleetsFailed+t.FleetsStopped == 0 {
		return jobs.Done(), nil
	}
	var missed []string
	if n := t.ImagesFailed + t.ImagesStopped; n > 0 {
		missed = append(missed, fmt.Sprintf("%d of %d images were not renewed", n, r.progress.Images))
	}
	if n := t.FleetsFailed + t.FleetsStopped; n > 0 {
		missed = append(missed, fmt.Sprintf("%d of %d fleets were not rolled", n, r.progress.Fleets))
	}
	text := strings.Join(missed, ", ")
	if t.First != "" {
		text += "; first " + t.First
	}
	return jobs.Fail("%s", text), nil
}
