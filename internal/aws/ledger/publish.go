package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Publish commits a bake: in one transaction, which also checks the fence, the version becomes available, and the image's
// current moves to it unless it stands at a newer one or the version is held. It tells where current stands then. A bake that has committed
// already changes nothing more, so that repeating it after a rollback does not move current forward again. Labels that are
// not nil become the image's when current moves.
func (t *Ledger) Publish(ctx context.Context, g jobs.Guard, v l.Version, labels map[string]string) (current int, err error) {
	thing := versionName(v.Image, v.Number)
	err = again(thing, func() error {
		readVersion, readImage, err := t.two(ctx, imageKey(v.Image), versionKey(v.Number), own)
		if err != nil {
			return err
		}
		stands, err := loaded[l.Version](readVersion)
		if err != nil {
			return err
		}
		if err := sameMaker(v, stands, readVersion); err != nil {
			return err
		}
		image, err := loaded[l.Image](readImage)
		if err != nil {
			return err
		}
		if readImage == nil {
			return &jobs.Error{Class: jobs.NotFound, Op: "ledger", Thing: v.Image, Message: "there is no such image"}
		}
		current = image.Current
		switch stands.State {
		case l.Candidate:
		case l.Available, l.Retiring, l.Retired, l.Recalled:
			return nil // it has committed already
		default:
			return refused(v.Image, v.Number, stands.State, l.Available)
		}
		image.Usual = l.Learnt(image.Usual, v.Took)
		if v.Number > image.Current && !v.Held {
			current, image.Current = v.Number, v.Number
			if labels != nil {
				image.Labels = labels
			}
		}
		return t.commit(ctx, g, v, readVersion, image, readImage)
	})
	return current, err
}

func (t *Ledger) commit(ctx context.Context, g jobs.Guard, v l.Version, readVersion item, image l.Image, readImage item) error {
	now := time.Now().UTC()
	v.State, image.Updated = l.Available, now
	if v.Committed.IsZero() {
		v.Committed = now
	}
	versionItem, err := versionItem(v, readVersion)
	if err != nil {
		return err
	}
	imageItem, err := imageItem(image, readImage)
	if err != nil {
		return err
	}
	return t.write(ctx, g, versionName(v.Image, v.Number), t.put(versionItem, revised(readVersion)), t.put(imageItem, revised(readImage)))
}

// SetVersionState moves a version on: a candidate to abandoned, an available one to retiring and retired. What is current
// never retires, and what has committed is never abandoned. A version that is there already stays as it is.
func (t *Ledger) SetVersionState(ctx context.Context, g jobs.Guard, image string, number int, state l.VersionState) error {
	thing := versionName(image, number)
	return again(thing, func() error {
		v, read, err := load[l.Version](ctx, t, imageKey(image), versionKey(number))
		if err != nil {
			return err
		}
		if read == nil {
			return &jobs.Error{Class: jobs.NotFound, Op: "ledger", Thing: thing, Message: "there is no such version"}
		}
		if v.State == state {
			return nil
		}
		if !mayBecome(v.State, state) {
			return refused(image, number, v.State, state)
		}
		meta, readMeta, err := load[l.Image](ctx, t, imageKey(image), own)
		if err != nil {
			return err
		}
		if readMeta != nil && meta.Current == number {
			return jobs.Fatalf("ledger", thing, "it is the image's current version", "make another one current first")
		}
		v.State = state
		it, err := versionItem(v, read)
		if err != nil {
			return err
		}
		notCurrent := condition{expression: "#current <> :number", names: map[string]string{"#current": "current"}, values: item{":number": integer(number)}}
		return t.write(ctx, g, thing, t.put(it, revised(read)), t.check(imageKey(image), own, notCurrent))
	})
}

// mayBecome: which states a version goes through, Publish's own step left out.
func mayBecome(from, to l.VersionState) bool {
	switch to {
	case l.Abandoned:
		return from == l.Candidate
	case l.Retiring:
		return from == l.Available || from == l.Recalled
	case l.Retired:
		return from == l.Available || from == l.Retiring
	}
	return false
}

func refused(image string, number int, from, to l.VersionState) error {
	return jobs.Fatalf("ledger", versionName(image, number), fmt.Sprintf("it is %s and cannot become %s", from, to), "")
}
