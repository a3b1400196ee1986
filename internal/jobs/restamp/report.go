package restamp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// Totals are what came of a restamp, in numbers.
type Totals struct {
	ImagesRenewed int `json:"imagesRenewed"`
	ImagesFailed  int `json:"imagesFailed,omitempty"`
	// ImagesStopped were not begun: what they are baked from failed, or the restamp was cancelled.
	ImagesStopped int `json:"imagesStopped,omitempty"`
	FleetsRolled  int `json:"fleetsRolled"`
	FleetsFailed  int `json:"fleetsFailed,omitempty"`
	FleetsStopped int `json:"fleetsStopped,omitempty"`
	ServersRolled int `json:"serversRolled"`
	// First is the first failure, in words, and Report the key of the whole report in the bucket.
	First  string `json:"first,omitempty"`
	Report string `json:"report,omitempty"`
}

// Report is what came of a restamp: what was before and after, what failed and why, and how long each part took.
type Report struct {
	Job     string    `json:"job"`
	Name    string    `json:"name"`
	Run     int       `json:"run"`
	Failure string    `json:"failure,omitempty"` // of the restamp itself: that it was cancelled
	Begun   time.Time `json:"begun"`
	Ended   time.Time `json:"ended"`
	Totals  Totals    `json:"totals"`
	// Phases are how long the parts took, in the order in which they began.
	Phases []Phase       `json:"phases,omitempty"`
	Images []ImageReport `json:"images,omitempty"`
	Fleets []FleetReport `json:"fleets,omitempty"`
	Left   []Left        `json:"left,omitempty"`
}

// What became of an image or a fleet.
const (
	Renewed = "renewed"
	Rolled  = "rolled"
	Failed  = "failed"
	Stopped = "stopped"
)

// ImageReport is what became of one image.
type ImageReport struct {
	Image string `json:"image"`
	State string `json:"state"` // renewed, failed, stopped
	// From and To are versions: web@41, web@42. Promoted: the new one is current.
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
	Promoted bool   `json:"promoted,omitempty"`
	Why      string `json:"why,omitempty"`
	Job      string `json:"job,omitempty"`
	Depth    int    `json:"depth,omitempty"`
	Spent
}

// FleetReport is what became of one fleet, and of each of its servers.
type FleetReport struct {
	Fleet string `json:"fleet"`
	State string `json:"state"` // rolled, failed, stopped
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
	Why   string `json:"why,omitempty"`
	Job   string `json:"job,omitempty"`
	Spent
	Servers []rollout.ServerReport `json:"servers,omitempty"`
	// Result is what the rollout told.
	Result json.RawMessage `json:"result,omitempty"`
}

// Spent is how long something took.
type Spent struct {
	Begun time.Time `json:"begun,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// InLine is how many seconds it stood in line before it began, Seconds how many it took.
	InLine  int `json:"inLineSeconds,omitempty"`
	Seconds int `json:"seconds,omitempty"`
	// Bound is the budget of EC2 for which it waited longest, BoundSeconds for how long: own/eu-west-1/RunInstances.
	Bound        string  `json:"bound,omitempty"`
	BoundSeconds float64 `json:"boundSeconds,omitempty"`
}

// Phase is a part of the restamp: the images of one depth, or the fleets.
type Phase struct {
	What string `json:"what"`
	Of   int    `json:"of"` // how many images or fleets
	Spent
}

// report writes down what came of the restamp, into the bucket.
func (r *restamp) report(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if r.progress.Work == "" || r.progress.Totals != nil {
		return jobs.Done(), nil
	}
	w, err := r.works.load(ctx, r.Files, r.progress.Work)
	if err != nil {
		return jobs.Move{}, err
	}
	outcomes, err := r.Ledger.Outcomes(ctx, w.Restamp)
	if err != nil {
		return jobs.Move{}, err
	}
	before := map[string][]rollout.ServerState{}
	if content, found, err := r.Files.Get(ctx, r.progress.Before); err != nil {
		return jobs.Move{}, err
	} else if found {
		if err := json.Unmarshal(content, &before); err != nil {
			return jobs.Move{}, jobs.Fatalf("read", r.progress.Before, err.Error(), "")
		}
	}
	after, err := r.after(ctx, w)
	if err != nil {
		return jobs.Move{}, err
	}
	told, err := r.told(ctx, outcomes, before, after)
	if err != nil {
		return jobs.Move{}, err
	}
	report := reportOf(w, outcomes, before, after, told)
	report.Job, report.Name, report.Run, report.Ended = r.job.ID, r.job.Name, r.job.Run, turn.StepSince().UTC()
	if turn.Job.Phase == jobs.Undoing {
		report.Failure = turn.Job.Failure
	}
	report.Totals.Report = r.reportKey("report")
	if err := putJSON(ctx, r.Files, report.Totals.Report, report); err != nil {
		return jobs.Move{}, err
	}
	r.progress.Totals = &report.Totals
	turn.Note("%s", report.Totals)
	return jobs.Done(), nil
}

// after reads the servers as they are now.
func (r *restamp) after(ctx context.Context, w *Work) (map[string][]rollout.ServerState, error) {
	lists := make([][]ledger.Server, len(w.Fleets))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, fleet := range w.Fleets {
		group.Go(func() (err error) {
			lists[i], err = r.Ledger.Servers(within, fleet.Name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	after := map[string][]rollout.ServerState{}
	for i, fleet := range w.Fleets {
		after[fleet.Name] = rollout.ServerStates(lists[i])
	}
	return after, nil
}

// told are the servers of fleets that stand in the ledger only while they are rolled, Auto Scaling groups, as their rollouts told.
func (r *restamp) told(ctx context.Context, outcomes []ledger.Outcome, before, after map[string][]rollout.ServerState) (map[string][]rollout.ServerReport, error) {
	told := map[string][]rollout.ServerReport{}
	for _, o := range outcomes {
		var result rollout.Result
		if o.Fleet == "" || len(before[o.Fleet])+len(after[o.Fleet]) > 0 || json.Unmarshal(o.Result, &result) != nil || result.Report == "" {
			continue
		}
		content, found, err := r.Files.Get(ctx, result.Report)
		if err != nil {
			return nil, err
		}
		var list []rollout.ServerReport
		if found && json.Unmarshal(content, &list) == nil {
			told[o.Fleet] = list
		}
	}
	return told, nil
}

// reportOf puts together what became of each part.
func reportOf(w *Work, outcomes []ledger.Outcome, before, after map[string][]rollout.ServerState, told map[string][]rollout.ServerReport) Report {
	images, fleets := map[string]ledger.Outcome{}, map[string]ledger.Outcome{}
	for _, o := range outcomes {
		if o.Fleet != "" {
			fleets[o.Fleet] = o
		} else {
			images[o.Image] = o
		}
	}
	report := Report{Begun: w.Begun, Left: w.Left}
	for _, image := range w.Images {
		report.Images = append(report.Images, imageReport(w, image, images))
	}
	for _, fleet := range w.Fleets {
		line := fleetReport(fleet, fleets, images)
		line.Servers = told[fleet.Name]
		if line.Servers == nil {
			line.Servers = rollout.ServerReports(before[fleet.Name], after[fleet.Name])
		}
		if _, told := fleets[fleet.Name]; !told && line.To != "" {
			line.cutOff()
		}
		report.Fleets = append(report.Fleets, line)
	}
	report.count()
	report.Phases = phases(w, report)
	return report
}

func imageReport(w *Work, image WorkImage, outcomes map[string]ledger.Outcome) ImageReport {
	o, begun := outcomes[image.Name]
	line := ImageReport{Image: image.Name, From: ref(image.Name, image.Version), To: o.To, Promoted: o.Promoted, Why: o.Failure, Job: o.Job,
		Depth: image.Depth, Spent: spent(o)}
	switch {
	case o.State == jobs.Succeeded:
		line.State = Renewed
	case begun && !o.Begun.IsZero():
		line.State = Failed
	default:
		line.State = Stopped
		if parent := failedAbove(w, image, outcomes); parent != "" {
			line.Why = "it was not begun: " + parent + " was not renewed"
		}
		line.Why = cmp.Or(line.Why, "it was not begun")
	}
	return line
}

// failedAbove is the nearest image above that was begun and not renewed.
func failedAbove(w *Work, image WorkImage, outcomes map[string]ledger.Outcome) string {
	for parent, known := w.image(image.Parent); known; parent, known = w.image(parent.Parent) {
		if o, begun := outcomes[parent.Name]; begun && o.State != jobs.Succeeded {
			return parent.Name
		}
	}
	return ""
}

func fleetReport(fleet WorkFleet, outcomes, images map[string]ledger.Outcome) FleetReport {
	o, begun := outcomes[fleet.Name]
	line := FleetReport{Fleet: fleet.Name, From: fleet.From, To: cmp.Or(o.To, fleet.To), Why: o.Failure, Job: o.Job, Spent: spent(o), Result: o.Result}
	switch {
	case o.State == jobs.Succeeded:
		line.State = Rolled
	case begun:
		line.State = Failed
	default:
		line.State, line.Why = Stopped, "it was not begun"
		if image := images[fleet.Image]; fleet.To == "" && image.State != jobs.Succeeded {
			line.Why = "it was not begun: " + fleet.Image + " was not renewed"
		} else if fleet.To == "" {
			line.To = image.To
		}
	}
	return line
}

// cutOff says of a fleet whose rollout nobody heard the end of how far it came: the restamp was cancelled.
func (f *FleetReport) cutOff() {
	changed := 0
	for _, server := range f.Servers {
		if server.Changed() {
			changed++
		}
	}
	if changed == 0 {
		f.Why = "it was cancelled: no server of it was changed"
		return
	}
	f.State = Failed
	f.Why = fmt.Sprintf("its rollout was cancelled on the way: %d of %d servers were changed; see stampmill rollout show %s", changed, len(f.Servers), f.Fleet)
}

func spent(o ledger.Outcome) Spent {
	s := Spent{Begun: o.Begun, Ended: o.Ended}
	if !o.Waited.IsZero() && !o.Begun.IsZero() {
		s.InLine = int(o.Begun.Sub(o.Waited).Seconds())
	}
	if !o.Begun.IsZero() && !o.Ended.IsZero() {
		s.Seconds = int(o.Ended.Sub(o.Begun).Seconds())
	}
	for _, bucket := range slices.Sorted(maps.Keys(o.Budgets)) {
		if o.Budgets[bucket] > s.BoundSeconds {
			s.Bound, s.BoundSeconds = bucket, o.Budgets[bucket]
		}
	}
	return s
}

// count sums up, and names the first failure.
func (r *Report) count() {
	t := &r.Totals
	first := func(what, why string) {
		if t.First == "" {
			t.First = what + ": " + why
		}
	}
	for _, image := range r.Images {
		switch image.State {
		case Renewed:
			t.ImagesRenewed++
		case Failed:
			t.ImagesFailed++
			first(image.Image, image.Why)
		default:
			t.ImagesStopped++
		}
	}
	for _, fleet := range r.Fleets {
		switch fleet.State {
		case Rolled:
			t.FleetsRolled++
		case Failed:
			t.FleetsFailed++
			first(fleet.Fleet, fleet.Why)
		default:
			t.FleetsStopped++
		}
		for _, server := range fleet.Servers {
			if server.Changed() {
				t.ServersRolled++
			}
		}
	}
	const longestText = 500
	if len(t.First) > longestText {
		t.First = t.First[:longestText] + "…"
	}
}

func (t Totals) String() string {
	return fmt.Sprintf("images: %d renewed, %d failed, %d stopped; fleets: %d rolled, %d failed, %d stopped; %d servers changed",
		t.ImagesRenewed, t.ImagesFailed, t.ImagesStopped, t.FleetsRolled, t.FleetsFailed, t.FleetsStopped, t.ServersRolled)
}

// phases are the images by their depth, and the fleets.
func phases(w *Work, report Report) []Phase {
	deepest := 0
	for _, image := range w.Images {
		deepest = max(deepest, image.Depth)
	}
	var all []Phase
	for depth := 0; depth <= deepest && len(w.Images) > 0; depth++ {
		p := Phase{What: fmt.Sprintf("images at depth %d", depth)}
		for _, image := range report.Images {
			if image.Depth == depth {
				p.add(image.Spent)
			}
		}
		all = append(all, p)
	}
	if len(report.Fleets) > 0 {
		p := Phase{What: "fleets"}
		for _, fleet := range report.Fleets {
			p.add(fleet.Spent)
		}
		all = append(all, p)
	}
	return all
}

// add takes one image's or fleet's time in: they run side by side.
func (p *Phase) add(s Spent) {
	p.Of++
	if s.Begun.IsZero() {
		return
	}
	if p.Begun.IsZero() || s.Begun.Before(p.Begun) {
		p.Begun = s.Begun
	}
	if s.Ended.After(p.Ended) {
		p.Ended = s.Ended
	}
	if !p.Ended.IsZero() {
		p.Seconds = int(p.Ended.Sub(p.Begun).Seconds())
	}
	p.InLine = max(p.InLine, s.InLine)
	if s.BoundSeconds > p.BoundSeconds {
		p.Bound, p.BoundSeconds = s.Bound, s.BoundSeconds
	}
}
