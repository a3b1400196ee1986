package ledger

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// reserve makes a version of web for a new job.
func (b *bundle) reserve(job string) (jobs.Guard, l.Version) {
	b.t.Helper()
	g := b.claim(job)
	v, err := b.ReserveVersion(b.t.Context(), g, l.Image{Name: "web"}, l.Version{Job: job, Incarnation: g.Incarnation, Run: 1})
	if err != nil {
		b.t.Fatal(err)
	}
	return g, v
}

func (b *bundle) publish(g jobs.Guard, v l.Version) int {
	b.t.Helper()
	current, err := b.Publish(b.t.Context(), g, v, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return current
}

func (b *bundle) current() int {
	b.t.Helper()
	image, ok, err := b.GetImage(b.t.Context(), "web")
	if err != nil || !ok {
		b.t.Fatal(ok, err)
	}
	return image.Current
}

func TestABakeReservesOneVersionHoweverOftenItAsks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, first := b.reserve("bake-1")
	if first.Number != 1 || first.State != l.Candidate || first.Image != "web" {
		t.Fatalf("reserved %+v", first)
	}
	again, err := b.ReserveVersion(t.Context(), g, l.Image{Name: "web"}, l.Version{Job: "bake-1", Incarnation: g.Incarnation, Run: 1})
	if err != nil || again.Number != 1 {
		t.Errorf("the second asking gave %d, %v", again.Number, err)
	}
	retry, err := b.ReserveVersion(t.Context(), g, l.Image{Name: "web"}, l.Version{Job: "bake-1", Incarnation: g.Incarnation, Run: 2})
	if err != nil || retry.Number != 2 {
		t.Errorf("the retry got %d, %v; expected a number of its own", retry.Number, err)
	}
	if b.current() != 0 {
		t.Error("what nobody published is current")
	}
}

func TestBakesOfOneImageGetDifferentNumbers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	numbers := make([]int, 6)
	var bakes sync.WaitGroup
	for i := range numbers {
		g := b.claim(fmt.Sprint("bake-", i))
		bakes.Go(func() {
			for {
				v, err := b.ReserveVersion(t.Context(), g, l.Image{Name: "web"}, l.Version{Incarnation: g.Incarnation, Run: 1})
				if jobs.IsClass(err, jobs.Retry) {
					continue // a wait of the job
				}
				if err != nil {
					t.Error(err)
				}
				numbers[i] = v.Number
				return
			}
		})
	}
	bakes.Wait()
	slices.Sort(numbers)
	if !slices.Equal(numbers, []int{1, 2, 3, 4, 5, 6}) {
		t.Errorf("numbers %v", numbers)
	}
	if versions, err := b.Versions(t.Context(), "web"); err != nil || len(versions) != 6 || versions[5].Number != 6 {
		t.Errorf("%d versions, %v", len(versions), err)
	}
}

func TestCurrentNeverMovesBackwards(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g1, v1 := b.reserve("bake-1")
	g2, v2 := b.reserve("bake-2")
	if got := b.publish(g2, v2); got != 2 {
		t.Errorf("current is %d after web@2", got)
	}
	if got := b.publish(g1, v1); got != 2 || b.current() != 2 {
		t.Errorf("current is %d after the older web@1 came later", got)
	}
	if v, _, err := b.GetVersion(t.Context(), "web", 1); err != nil || v.State != l.Available || v.Committed.IsZero() {
		t.Errorf("web@1 is %s, %v", v.State, err)
	}
}

func TestARepeatedPublishDoesNotUndoARollback(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g1, v1 := b.reserve("bake-1")
	g2, v2 := b.reserve("bake-2")
	b.publish(g1, v1)
	b.publish(g2, v2)
	image, read, err := load[l.Image](t.Context(), b.Ledger, imageKey("web"), own)
	if err != nil {
		t.Fatal(err)
	}
	image.Current = 1
	back, err := imageItem(image, read)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.write(t.Context(), g1, "web", b.put(back, revised(read))); err != nil {
		t.Fatal(err)
	}
	if got := b.publish(g2, v2); got != 1 || b.current() != 1 {
		t.Errorf("current is %d: the repetition moved it", got)
	}
}

func TestALostAnswerIsRecognisedWhenTheWriteIsRepeated(t *testing.T) {
	t.Parallel()
	for _, lost := range []int{1, 2} { // the SDK repeats once by itself
		b := setup(t)
		g, v := b.reserve("bake-1")
		b.wire.lose = lost
		_, err := b.Publish(t.Context(), g, v, nil)
		if lost == 2 {
			if !jobs.IsClass(err, jobs.Retry) || !jobs.IsAmbiguous(err) {
				t.Errorf("%d answers lost: %v is not an error that may have taken effect", lost, err)
			}
			_, err = b.Publish(t.Context(), g, v, nil)
		}
		if err != nil || b.current() != 1 {
			t.Errorf("%d answers lost: current is %d, %v", lost, b.current(), err)
		}
		b.wire.lose = 2
		g2 := b.claim("bake-2")
		want := l.Version{Incarnation: g2.Incarnation, Run: 1}
		if _, err := b.ReserveVersion(t.Context(), g2, l.Image{Name: "web"}, want); !jobs.IsAmbiguous(err) {
			t.Errorf("got %v", err)
		}
		if v, err := b.ReserveVersion(t.Context(), g2, l.Image{Name: "web"}, want); err != nil || v.Number != 2 {
			t.Errorf("the repetition reserved %d, %v", v.Number, err)
		}
	}
}

func TestAVersionTakesNoStepBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g1, v1 := b.reserve("bake-1")
	g2, v2 := b.reserve("bake-2")
	ctx := t.Context()
	v1.Regions = map[string]l.RegionalCopy{"us-east-1": {AMI: "ami-1"}}
	if err := b.PutVersion(ctx, g1, v1); err != nil {
		t.Fatal(err)
	}
	b.publish(g1, v1)
	for name, err := range map[string]error{
		"a committed version was abandoned":      b.SetVersionState(ctx, g1, "web", 1, l.Abandoned),
		"a committed version became one to come": b.PutVersion(ctx, g1, v1),
		"another's version was written":          b.PutVersion(ctx, g2, v1withMaker(v1, g2)),
		"the current version retires":            b.SetVersionState(ctx, g1, "web", 1, l.Retiring),
		"a candidate retires":                    b.SetVersionState(ctx, g2, "web", 2, l.Retiring),
		"a version became available unpublished": b.SetVersionState(ctx, g2, "web", 2, l.Available),
	} {
		if !jobs.IsClass(err, jobs.Fatal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(b.SetVersionState(ctx, g2, "web", 2, l.Abandoned), b.SetVersionState(ctx, g2, "web", 2, l.Abandoned)); err != nil {
		t.Error(err)
	}
	if _, err := b.Publish(ctx, g2, v2, nil); !jobs.IsClass(err, jobs.Fatal) || b.current() != 1 {
		t.Errorf("an abandoned version was published: %v", err)
	}
	g3, v3 := b.reserve("bake-3")
	b.publish(g3, v3)
	if err := errors.Join(b.SetVersionState(ctx, g3, "web", 1, l.Retiring), b.SetVersionState(ctx, g3, "web", 1, l.Retired)); err != nil {
		t.Error(err)
	}
	if v, _, err := b.GetVersion(ctx, "web", 1); err != nil || v.State != l.Retired || v.Regions["us-east-1"].AMI != "ami-1" {
		t.Errorf("web@1 is %+v, %v", v, err)
	}
}

func v1withMaker(v l.Version, g jobs.Guard) l.Version {
	v.Incarnation = g.Incarnation
	return v
}

func TestWhatABakeTookIsLearntOnceAndHandedToTheNext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g, first := b.reserve("bake-1")
	if len(first.Usual) != 0 {
		t.Errorf("a first version knows %v", first.Usual)
	}
	first.Took = map[string]float64{"capture eu-west-1": 400}
	b.publish(g, first)
	b.publish(g, first) // its answer was lost
	g, second := b.reserve("bake-2")
	if got := second.Usual["capture eu-west-1"]; got.Mean != 400 || got.Deviation != 100 {
		t.Errorf("the second knows %+v", second.Usual)
	}
	again, err := b.ReserveVersion(t.Context(), g, l.Image{Name: "web"}, l.Version{Job: "bake-2", Incarnation: g.Incarnation, Run: 1})
	if err != nil || again.Usual["capture eu-west-1"] != second.Usual["capture eu-west-1"] {
		t.Errorf("asked again it knows %+v, %v", again.Usual, err)
	}
}
