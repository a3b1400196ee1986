package restamp

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// RenewalSpec says which part of a restamp's work a Renewal does. The restamp writes it; people do not.
type RenewalSpec struct {
	// Work is the key of the restamp's selection in the bucket.
	Work string `json:"work,omitempty" required:"true" pattern:"^reports/restamps/[0-9a-f]{64}\\.json$"`
	// Image is the image to renew.
	Image string `json:"image,omitempty" required:"true"`
	// From is the new version of its parent, where that was renewed.
	From string `json:"from,omitempty" example:"base@13"`
	// Rolls is the image's new version, where the work is to roll the image's fleets to it and then to promote it.
	Rolls string `json:"rolls,omitempty" example:"web@42"`
}

// RenewalKind is the kind Renewal: one image of a Restamp, and all that waits for it.
//
//	turn → bake → free → below
//
// It waits for its turn: for one of the restamp's slots, and for another restamp that renews the same image. Then it fans out
// the bake, and gives the slot up when that has ended, however it did. A bake that failed fails the renewal, and nothing below
// it is begun. Else the images that are baked from this one, and the fleets that run it, are fanned out together.
//
// Where current moves only after the rollout, the fleets are a renewal of their own, with the image's new version in rolls:
//
//	roll → promote
type RenewalKind struct{ *Kind }

// NewRenewal makes the kind Renewal of the same parts as the Restamp's.
func NewRenewal(k *Kind) *RenewalKind { return &RenewalKind{k} }

// Name is Renewal.
func (*RenewalKind) Name() string { return RenewalKindName }

// Check says what is wrong with a spec.
func (*RenewalKind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[RenewalSpec](raw)
	return err
}

// Program opens a renewal.
func (k *RenewalKind) Program(job *jobs.Job) (jobs.Program, error) {
	s, err := spec.Read[RenewalSpec](job.Spec)
	if err != nil {
		return nil, err
	}
	kept, err := jobs.Progress(job, func(p *partProgress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	return &part{Kind: k.Kind, spec: s, job: job, progress: kept}, nil
}

// part is one Renewal in one delivery's hands.
type part struct {
	*Kind
	spec     RenewalSpec
	job      *jobs.Job
	progress partProgress
}

type partProgress struct {
	Run int `json:"run"`
	// Outcome is how the bake ended, or how far it has come.
	Outcome ledger.Outcome `json:"outcome,omitzero"`
	Freed   bool           `json:"freed,omitempty"`
}

// RenewalResult is what a finished renewal tells.
type RenewalResult struct {
	Image string `json:"image"`
	// From and To are versions: web@41, web@42.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Steps are the same for every renewal, and others for one that rolls.
func (p *part) Steps() []jobs.Step {
	if p.spec.Rolls != "" {
		return []jobs.Step{{Name: "roll", Do: p.roll}, {Name: "promote", Do: p.promote}}
	}
	return []jobs.Step{
		{Name: "turn", Do: p.turn},
		{Name: "bake", Do: p.bake},
		{Name: "free", Do: p.free},
		{Name: "below", Do: p.below},
	}
}

// Undo gives back what was held, and says why nothing came of it. An image that was renewed stays so.
func (p *part) Undo() []jobs.Step {
	if p.spec.Rolls != "" {
		return nil
	}
	return []jobs.Step{{Name: "free", Do: p.abandon}}
}

// PassesOn lets the rollouts and renewals below pause and go on with their restamp, which told this one.
func (p *part) PassesOn(child string, verb jobs.Verb) bool { return passesOn(child, verb) }

var (
	_ jobs.Overseer = (*restamp)(nil)
	_ jobs.Overseer = (*part)(nil)
)

// Committed is never true: a cancel stops what is below the image.
func (p *part) Committed() bool { return false }

// Data is the progress.
func (p *part) Data() any { return p.progress }

// Result tells the image's new version.
func (p *part) Result() any {
	return RenewalResult{Image: p.spec.Image, From: p.progress.Outcome.From, To: p.progress.Outcome.To}
}

// work reads the restamp's selection, and the image's part in it.
func (p *part) work(ctx context.Context) (*Work, WorkImage, error) {
	if p.job.Parent == nil {
		return nil, WorkImage{}, jobs.Fatalf("renew", p.spec.Image, "a Renewal is a Restamp's child", "submit a Restamp")
	}
	w, err := p.works.load(ctx, p.Files, p.spec.Work)
	if err != nil {
		return nil, WorkImage{}, err
	}
	image, known := w.image(p.spec.Image)
	if !known {
		return nil, WorkImage{}, jobs.Fatalf("renew", p.spec.Image, "the restamp did not select it", "")
	}
	return w, image, nil
}

// pauseLook is how often a paused part looks whether it may go on, slotLook how often one that waits for its turn does.
const (
	pauseLook = 30 * time.Second
	slotLook  = 10 * time.Second
)

// paused is the wait of a part whose restamp is paused.
func (p *part) paused(ctx context.Context, w *Work) (move jobs.Move, waits bool, err error) {
	paused, err := p.Pauses.Paused(ctx, w.Restamp.Job)
	if err != nil || !paused {
		return move, false, err
	}
	return jobs.Wait(pauseLook, "%s to be resumed", w.Name), true, nil
}

// turn waits until the image may be baked.
func (p *part) turn(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	w, image, err := p.work(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if move, waits, err := p.paused(ctx, w); err != nil || waits {
		return move, err
	}
	if p.progress.Outcome.Waited.IsZero() {
		p.progress.Outcome = ledger.Outcome{Image: image.Name, State: jobs.Open, From: ref(image.Name, image.Version), Waited: turn.StepSince().UTC()}
	}
	holder, err := p.Ledger.HoldImage(ctx, turn.Guard(), image.Name, turn.Job.ID)
	if err != nil {
		return jobs.Move{}, err
	}
	if holder != turn.Job.ID {
		return jobs.Wait(slotLook, "the image %s: %s renews it", image.Name, holder), nil
	}
	taken, err := p.Ledger.TakeSlot(ctx, turn.Guard(), w.Restamp, w.Parallel, turn.Job.ID)
	if err != nil {
		return jobs.Move{}, err
	}
	if !taken {
		return jobs.Wait(slotLook, "a slot: %d bakes of %s are under way", w.Parallel, w.Name), nil
	}
	p.progress.Outcome.Begun = turn.Now().UTC()
	return jobs.Done(), p.Ledger.PutOutcomes(ctx, turn.Guard(), w.Restamp, []ledger.Outcome{p.progress.Outcome})
}

// bake fans the image's bake out, and notes how it ended.
func (p *part) bake(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	w, image, err := p.work(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	results := turn.Children()
	if results == nil {
		raw, err := p.bakeSpec(ctx, w, image, p.spec.From)
		if err != nil {
			return jobs.Move{}, err
		}
		return jobs.FanOut(jobs.Child{Kind: bake.Name, Name: image.Name, Spec: raw, Target: &image.Target, Labels: labels(image.Labels)}), nil
	}
	p.ended(results[0])
	return jobs.Done(), nil
}

// ended notes how the bake ended.
func (p *part) ended(child jobs.ChildResult) {
	o := &p.progress.Outcome
	o.State, o.Job, o.Failure, o.Ended, o.Budgets = child.State, child.ID, child.Failure, child.Ended.UTC(), child.Waited
	var told bake.Result
	if err := json.Unmarshal(child.Result, &told); err == nil && told.Version > 0 {
		o.To, o.Promoted = told.Image, told.Current
	}
	if o.State == jobs.Succeeded && o.To == "" {
		o.State, o.Failure = jobs.Failed, "the bake told no version"
	}
}

// free gives slot and image to whoever waits for them, and ends the renewal where the bake failed.
func (p *part) free(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if err := p.release(ctx, turn); err != nil {
		return jobs.Move{}, err
	}
	if o := p.progress.Outcome; o.State != jobs.Succeeded {
		return jobs.Fail("the bake of %s is %s: %s", p.spec.Image, o.State, o.Failure), nil
	}
	return jobs.Done(), nil
}

func (p *part) release(ctx context.Context, turn *jobs.Turn) error {
	if p.progress.Freed {
		return nil
	}
	w, _, err := p.work(ctx)
	if err != nil {
		return err
	}
	if err := p.Ledger.PutOutcomes(ctx, turn.Guard(), w.Restamp, []ledger.Outcome{p.progress.Outcome}); err != nil {
		return err
	}
	if err := p.Ledger.FreeSlot(ctx, turn.Guard(), w.Restamp, turn.Job.ID); err != nil {
		return err
	}
	if err := p.Ledger.DropImage(ctx, turn.Guard(), p.spec.Image, turn.Job.ID); err != nil {
		return err
	}
	p.progress.Freed = true
	return nil
}

// abandon says of an image that was not renewed why, and gives back what was held for it.
func (p *part) abandon(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if p.job.Parent == nil {
		return jobs.Done(), nil // nothing was begun
	}
	o := &p.progress.Outcome
	if !p.progress.Freed && (o.State == jobs.Open || o.State == "") {
		o.Image, o.State, o.Failure, o.Ended = p.spec.Image, turn.Job.End, turn.Job.Failure, turn.StepSince().UTC()
		if err := p.findMade(ctx, o); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), p.release(ctx, turn)
}

// findMade looks for the version of a bake that had committed when the cancel came: it stays.
func (p *part) findMade(ctx context.Context, o *ledger.Outcome) error {
	w, image, err := p.work(ctx)
	if err != nil {
		return err
	}
	line, _, err := p.Ledger.GetImage(ctx, image.Name)
	if err != nil {
		return err
	}
	for number := image.Version + 1; number < line.Next; number++ {
		version, _, err := p.Ledger.GetVersion(ctx, image.Name, number)
		if err != nil {
			return err
		}
		if version.State == ledger.Available && renewsOf(version.Spec).Restamp == w.Restamp.Job {
			o.State, o.To, o.Failure, o.Promoted = jobs.Succeeded, ref(image.Name, number), "", line.Current == number
		}
	}
	return nil
}

// below fans out what waits for the image's new version.
func (p *part) below(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	w, image, err := p.work(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	images, fleets, to := w.below(image.Name), w.fleetsOf(image.Name), p.progress.Outcome.To
	apart := w.Promote == PromoteRollout && len(fleets) > 0
	if results := turn.Children(); results != nil {
		if apart {
			return jobs.Done(), nil // the renewal that rolls them says how they ended
		}
		return jobs.Done(), p.Ledger.PutOutcomes(ctx, turn.Guard(), w.Restamp, rolled(fleets, to, results[len(images):]))
	}
	if move, waits, err := p.paused(ctx, w); err != nil || waits {
		return move, err
	}
	var children []jobs.Child
	for _, child := range images {
		children = append(children, renewal(RenewalSpec{Work: p.spec.Work, Image: child.Name, From: to}))
	}
	if apart {
		children = append(children, renewal(RenewalSpec{Work: p.spec.Work, Image: image.Name, Rolls: to}))
	} else if children, err = w.addRollouts(children, fleets, to); err != nil {
		return jobs.Move{}, err
	}
	return jobs.FanOut(children...), nil
}

// renewal is the child for a part of the work.
func renewal(s RenewalSpec) jobs.Child {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err) // texts and options that came from JSON
	}
	return jobs.Child{Kind: RenewalKindName, Name: s.Image, Spec: raw}
}
