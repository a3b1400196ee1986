package catalog

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

const role = "arn:aws:iam::333333333333:role/stampmill"

// world is web@1 as EC2 and the ledger have it: an AMI in two regions, and one that another account owns.
type world struct {
	Ledger
	version l.Version
	images  map[string]*image
}

type image struct {
	c.Image
	place string
	open  c.Share
}

// newWorld has the AMIs in the states, in the order of their regions, the other account's last. The first two are open to an account if they are available.
func newWorld(state l.VersionState, states ...string) *world {
	w := &world{images: map[string]*image{}}
	w.version = l.Version{Image: "web", Number: 1, State: state, Committed: time.Unix(1, 0),
		Spec: json.RawMessage(`{"share": {"accounts": ["222222222222"]}}`)}
	if state == l.Recalled {
		w.version.Recall = &l.Recall{Shares: map[string][]string{"eu-west-1": {"222222222222"}, "us-west-2": {"222222222222"}}}
	}
	for i, place := range []string{"eu-west-1", "us-west-2", "333333333333/us-west-2"} {
		id := "ami-" + place
		w.version.Put(place, role, l.RegionalCopy{AMI: id})
		w.images[id] = &image{place: place, Image: c.Image{ID: id, State: states[i], Tags: map[string]string{jobs.TagInstallation: "test"}}}
		if i < 2 && states[i] == "available" {
			w.images[id].open = c.Share{Accounts: []string{"222222222222"}}
		}
	}
	return w
}

func (w *world) states() (all []string) {
	for _, ami := range w.version.AMIs() {
		all = append(all, w.images[ami.AMI].State)
	}
	return []string{all[0], all[1], all[2]}
}

func (w *world) GetVersion(context.Context, string, int) (l.Version, bool, error) {
	return w.version, true, nil
}

func (w *world) RestoreVersion(context.Context, jobs.Guard, string, int) error {
	w.version.State, w.version.Recall = l.Available, nil
	return nil
}

// program is an order about web@1.
func (w *world) program(t *testing.T, name string) (*program, *jobs.Turn) {
	t.Helper()
	config := Config{Region: "eu-west-1", Ledger: w, EC2: func(at jobs.Target) EC2 { return region{world: w, place: l.Place(at.Account(), at.Region)} }}
	job := &jobs.Job{ID: "job", Kind: name, Name: "web", Run: 1, Incarnation: "inc", State: jobs.Open, Spec: json.RawMessage(`{"version": 1}`)}
	for _, kind := range New(config) {
		if kind.Name() != name {
			continue
		}
		opened, err := kind.Program(job)
		if err != nil {
			t.Fatal(err)
		}
		return opened.(*program), &jobs.Turn{Job: job, Installation: "test"}
	}
	t.Fatalf("there is no kind %s", name)
	return nil, nil
}

// region is EC2 in one place.
type region struct {
	EC2
	*world
	place string
}

func (r region) of(id string) (*image, error) {
	i, there := r.images[id]
	if !there || i.place != r.place {
		return nil, &jobs.Error{Class: jobs.NotFound, Thing: id, Message: "there is no such AMI in " + r.place}
	}
	return i, nil
}

func (r region) Images(_ context.Context, ids ...string) ([]c.Image, error) {
	i, err := r.of(ids[0])
	if err != nil {
		return nil, nil //nolint:nilerr // EC2 leaves out what is not there
	}
	return []c.Image{i.Image}, nil
}

func (r region) Disable(_ context.Context, id string) error {
	i, err := r.of(id)
	if err == nil {
		i.State, i.open = "disabled", c.Share{}
	}
	return err
}

func (r region) Enable(_ context.Context, id string) error {
	i, err := r.of(id)
	if err == nil {
		i.State = "available"
	}
	return err
}

func (r region) ImageShares(_ context.Context, id string) (c.Share, error) {
	i, err := r.of(id)
	if err != nil {
		return c.Share{}, err
	}
	return i.open, nil
}

func (r region) ShareImage(_ context.Context, id string, add, _ c.Share) error {
	i, err := r.of(id)
	if err == nil {
		i.open = c.ShareWith(append(i.open.Principals(), add.Principals()...))
	}
	return err
}

// to carries a step out until it is done.
func to(t *testing.T, turn *jobs.Turn, step func(context.Context, *jobs.Turn) (jobs.Move, error)) {
	t.Helper()
	for range 5 {
		move, err := step(t.Context(), turn)
		if err != nil || move.IsFail() {
			t.Fatalf("the step ends with %q, %v", move.Reason(), err)
		}
		if move.IsDone() {
			return
		}
	}
	t.Fatal("the step does not end")
}

const on, off = "available", "disabled"

func TestARecallDisablesTheAMIsInEveryRegionAndAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(l.Recalled, on, off, on)
	p, turn := w.program(t, Recall)
	to(t, turn, p.disable)
	if got := w.states(); !slices.Equal(got, []string{off, off, off}) {
		t.Errorf("the AMIs are %v", got)
	}
}

// A restore that commits between a recall and its disabling is the newer order.
func TestARecallDisablesNothingMoreOnceItsVersionIsRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(l.Available, off, on, on)
	p, turn := w.program(t, Recall)
	to(t, turn, p.disable)
	if got := w.states(); !slices.Equal(got, []string{off, on, on}) || len(turn.Job.Warnings) != 1 {
		t.Errorf("the AMIs are %v; warnings %q", got, turn.Job.Warnings)
	}
}

// What a recall still disabled while the version was restored is enabled after all, and open to whom it was.
func TestARestoreLooksAgainAtWhatARecallDisabledMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(l.Recalled, off, off, off)
	p, turn := w.program(t, Restore)
	for _, step := range []func(context.Context, *jobs.Turn) (jobs.Move, error){p.enable, p.share} {
		to(t, turn, step)
	}
	late := region{world: w, place: "us-west-2"}
	if err := late.Disable(t.Context(), "ami-us-west-2"); err != nil { // by the recall that is under way
		t.Fatal(err)
	}
	to(t, turn, p.restore)
	to(t, turn, p.see)
	if got := w.states(); !slices.Equal(got, []string{on, on, on}) {
		t.Errorf("the AMIs are %v", got)
	}
	for id, want := range map[string][]string{"ami-eu-west-1": {"222222222222"}, "ami-us-west-2": {"222222222222"}, "ami-333333333333/us-west-2": {}} {
		if open := w.images[id].open.Principals(); !slices.Equal(open, want) {
			t.Errorf("%s is open to %v, want %v", id, open, want)
		}
	}
}

// A recall after the restore is the newer order: what it disabled stays so.
func TestARestoreLeavesAloneWhatWasRecalledAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(l.Recalled, off, off, off)
	p, turn := w.program(t, Restore)
	to(t, turn, p.restore)
	w.version.State = l.Recalled
	to(t, turn, p.see)
	if got := w.states(); !slices.Equal(got, []string{off, off, off}) {
		t.Errorf("the AMIs are %v", got)
	}
}

// An AMI that carries another installation's tag is nobody's to disable or enable, whatever the catalog says.
func TestAnAMIThatIsNotOursIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(l.Recalled, on, on, on)
	w.images["ami-us-west-2"].Tags = nil
	p, turn := w.program(t, Recall)
	to(t, turn, p.disable)
	if got := w.states(); !slices.Equal(got, []string{off, on, off}) || len(turn.Job.Warnings) != 1 {
		t.Errorf("the AMIs are %v; warnings %q", got, turn.Job.Warnings)
	}
}
