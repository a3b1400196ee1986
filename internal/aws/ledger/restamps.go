package ledger

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// allRestamps lists the restamps that are under way. The sort key of the slots of one, and of an image's holder.
const (
	allRestamps = "restamps"
	slotsKey    = "slots"
	holdKey     = "hold"
)

func restampKey(id l.RestampID) string { return "restamp#" + id.String() }

func outcomeKey(o l.Outcome) string {
	if o.Fleet != "" {
		return "f#" + o.Fleet
	}
	return "i#" + o.Image
}

// CurrentVersions reads the current versions of those images that have one, by the image's name.
func (t *Ledger) CurrentVersions(ctx context.Context, images []l.Image) (map[string]l.Version, error) {
	var keys []item
	for _, image := range images {
		if image.Current > 0 {
			keys = append(keys, key(imageKey(image.Name), versionKey(image.Current)))
		}
	}
	versions := make(map[string]l.Version, len(keys))
	unread := &jobs.UnreadableError{}
	for chunk := range slices.Chunk(keys, 100) {
		err := t.batchGet(ctx, t.table, chunk, func(it item) {
			var v l.Version
			if err := decode(it, &v); err != nil {
				unread.Add(err)
				return
			}
			versions[v.Image] = v
		})
		if err != nil {
			return nil, err
		}
	}
	return versions, unread.OrNil()
}

// OpenRestamp says what a restamp works on.
func (t *Ledger) OpenRestamp(ctx context.Context, g jobs.Guard, r l.Restamp) error {
	it, err := document(allRestamps, r.String(), r, nil)
	if err != nil {
		return err
	}
	return t.write(ctx, g, r.Job, t.put(it, condition{}))
}

// OpenRestamps are those whose job has not ended, the oldest first.
func (t *Ledger) OpenRestamps(ctx context.Context) ([]l.Restamp, error) {
	list, err := all[l.Restamp](ctx, t, allRestamps, "")
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var ids []string
	for _, r := range list {
		ids = append(ids, r.Job)
	}
	open, err := t.open(ctx, ids)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(r l.Restamp) bool { return !open[r.Job] })
	slices.SortStableFunc(list, func(a, b l.Restamp) int { return a.Begun.Compare(b.Begun) })
	return list, nil
}

// CloseRestamp forgets a restamp, with its slots and outcomes.
func (t *Ledger) CloseRestamp(ctx context.Context, g jobs.Guard, id l.RestampID) error {
	items, err := t.query(ctx, restampKey(id), "")
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(items, perTransaction) {
		var actions []types.TransactWriteItem
		for _, it := range chunk {
			actions = append(actions, t.remove(restampKey(id), textOf(it, "sk"), condition{}))
		}
		if err := t.write(ctx, g, id.Job, actions...); err != nil {
			return err
		}
	}
	return t.write(ctx, g, id.Job, t.remove(allRestamps, id.String(), condition{}))
}

// PutOutcomes writes how far images and fleets of a restamp have come.
func (t *Ledger) PutOutcomes(ctx context.Context, g jobs.Guard, id l.RestampID, outcomes []l.Outcome) error {
	for chunk := range slices.Chunk(outcomes, perTransaction) {
		var actions []types.TransactWriteItem
		for _, o := range chunk {
			it, err := document(restampKey(id), outcomeKey(o), o, nil)
			if err != nil {
				return err
			}
			actions = append(actions, t.put(it, condition{}))
		}
		if err := t.write(ctx, g, id.Job, actions...); err != nil {
			return err
		}
	}
	return nil
}

// Outcomes reads how far the restamp's images and fleets have come; what has not begun is missing.
func (t *Ledger) Outcomes(ctx context.Context, id l.RestampID) ([]l.Outcome, error) {
	fleets, err := all[l.Outcome](ctx, t, restampKey(id), "f#")
	if err != nil {
		return nil, err
	}
	images, err := all[l.Outcome](ctx, t, restampKey(id), "i#")
	return append(images, fleets...), err
}

// slots are the jobs that hold one.
type slots struct {
	Held []string `json:"held,omitempty"`
}

// TakeSlot gives the job one of so many slots of the restamp. A slot whose job has ended is free. Asking again changes nothing.
func (t *Ledger) TakeSlot(ctx context.Context, g jobs.Guard, id l.RestampID, of int, job string) (taken bool, err error) {
	err = again("the slots of "+id.Job, func() error {
		s, read, err := load[slots](ctx, t, restampKey(id), slotsKey)
		if err != nil {
			return err
		}
		if taken = slices.Contains(s.Held, job); taken {
			return nil
		}
		if len(s.Held) >= of {
			open, err := t.open(ctx, slices.Clone(s.Held))
			if err != nil {
				return err
			}
			s.Held = slices.DeleteFunc(s.Held, func(id string) bool { return !open[id] })
		}
		if len(s.Held) >= of {
			return nil
		}
		s.Held = append(s.Held, job)
		if err := t.putSlots(ctx, g, id, s, read); err != nil {
			return err
		}
		taken = true
		return nil
	})
	return taken, err
}

// FreeSlot gives the job's slot to whoever asks next.
func (t *Ledger) FreeSlot(ctx context.Context, g jobs.Guard, id l.RestampID, job string) error {
	return again("the slots of "+id.Job, func() error {
		s, read, err := load[slots](ctx, t, restampKey(id), slotsKey)
		if err != nil || !slices.Contains(s.Held, job) {
			return err
		}
		s.Held = without(s.Held, job)
		return t.putSlots(ctx, g, id, s, read)
	})
}

func (t *Ledger) putSlots(ctx context.Context, g jobs.Guard, id l.RestampID, s slots, read item) error {
	it, err := document(restampKey(id), slotsKey, s, revision(read))
	if err != nil {
		return err
	}
	return t.write(ctx, g, "the slots of "+id.Job, t.put(it, revised(read)))
}

func revision(read item) item { return item{"rev": integer(intOf(read, "rev") + 1)} }

// hold says which job renews an image.
type hold struct {
	Job string `json:"job,omitempty"`
}

// HoldImage makes the job the one that renews the image, unless another one does that has not ended: then that is named.
func (t *Ledger) HoldImage(ctx context.Context, g jobs.Guard, image, job string) (holder string, err error) {
	err = again(image, func() error {
		h, read, err := load[hold](ctx, t, imageKey(image), holdKey)
		if err != nil {
			return err
		}
		if holder = h.Job; holder == job {
			return nil
		}
		if holder != "" {
			open, err := t.open(ctx, []string{holder})
			if err != nil || open[holder] {
				return err
			}
		}
		it, err := document(imageKey(image), holdKey, hold{Job: job}, revision(read))
		if err != nil {
			return err
		}
		if err := t.write(ctx, g, image, t.put(it, revised(read))); err != nil {
			return err
		}
		holder = job
		return nil
	})
	return holder, err
}

// DropImage ends the job's hold of the image. The item stays: its revision tells holders apart that come after one another.
func (t *Ledger) DropImage(ctx context.Context, g jobs.Guard, image, job string) error {
	return again(image, func() error {
		h, read, err := load[hold](ctx, t, imageKey(image), holdKey)
		if err != nil || h.Job != job {
			return err
		}
		it, err := document(imageKey(image), holdKey, hold{}, revision(read))
		if err != nil {
			return err
		}
		return t.write(ctx, g, image, t.put(it, revised(read)))
	})
}
