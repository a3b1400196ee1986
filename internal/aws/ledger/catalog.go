package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

func moveKey(m l.Move) string { return fmt.Sprintf("m#%s#%d", m.Incarnation, m.Run) }

// Moves are the changes of what is current that people ordered, the oldest first.
func (t *Ledger) Moves(ctx context.Context, image string) ([]l.Move, error) {
	moves, err := all[l.Move](ctx, t, imageKey(image), "m#")
	slices.SortStableFunc(moves, func(a, b l.Move) int { return a.At.Compare(b.At) })
	return moves, err
}

// The orders that move what is current.
const (
	promote  = "promote"
	rollback = "rollback"
	recall   = "recall"
)

// MoveCurrent makes another version current: by promote a later one, by rollback an earlier one, and only one that may be
// current. It answers the move as it was made; the same incarnation and run move once, whatever others did since.
func (t *Ledger) MoveCurrent(ctx context.Context, g jobs.Guard, m l.Move) (l.Move, error) {
	err := t.move(ctx, g, &m, func(image l.Image, to l.Version, _ []l.Version) ([]moved, error) {
		ref := versionName(m.Image, m.To)
		switch {
		case to.Number == 0:
			return nil, &jobs.Error{Class: jobs.NotFound, Op: m.How, Thing: ref, Message: "there is no such version", Hint: "see `stampmill image show " + m.Image + "`"}
		case !to.Usable():
			return nil, jobs.Fatalf(m.How, ref, fmt.Sprintf("it is %s, expected a version that is verified and available", to.State), remedy(to))
		case m.To == image.Current:
			return nil, nil
		case m.How == promote && m.To < image.Current:
			return nil, jobs.Fatalf(m.How, ref, fmt.Sprintf("%s is current, which is newer", versionName(m.Image, image.Current)), "go back with `stampmill image rollback`")
		case m.How == rollback && m.To > image.Current:
			return nil, jobs.Fatalf(m.How, ref, fmt.Sprintf("%s is current, which is older", versionName(m.Image, image.Current)), "go forward with `stampmill image promote`")
		}
		return nil, nil
	})
	return m, err
}

// remedy is what to do about a version that cannot be current.
func remedy(v l.Version) string {
	switch v.State {
	case l.Recalled, l.Retiring:
		return "`stampmill image restore " + versionName(v.Image, v.Number) + "` makes it available again"
	case l.Candidate:
		return "its bake has not finished; wait for " + v.Job
	}
	return "see `stampmill image show " + v.Image + "`"
}

// RecallVersion takes a version back: nothing is launched from it any more. Where it is current, the newest usable version before it becomes
// current in the same write. It answers the move, which leads from current to itself where current stays.
func (t *Ledger) RecallVersion(ctx context.Context, g jobs.Guard, m l.Move, number int, why l.Recall) (l.Move, error) {
	m.How = recall
	err := t.move(ctx, g, &m, func(image l.Image, _ l.Version, versions []l.Version) ([]moved, error) {
		ref := versionName(m.Image, number)
		at := slices.IndexFunc(versions, func(v l.Version) bool { return v.Number == number })
		if at < 0 {
			return nil, &jobs.Error{Class: jobs.NotFound, Op: recall, Thing: ref, Message: "there is no such version", Hint: "see `stampmill image show " + m.Image + "`"}
		}
		v := versions[at]
		switch v.State {
		case l.Available, l.Retiring, l.Recalled:
		default:
			return nil, jobs.Fatalf(recall, ref, fmt.Sprintf("it is %s: nothing is launched from it", v.State), "see `stampmill image show "+m.Image+"`")
		}
		if m.To = image.Current; image.Current == number {
			good := l.NewestUsable(versions, number)
			if good.Number == 0 {
				return nil, jobs.Fatalf(recall, ref, "it is current, and there is no earlier version that is verified and available",
					"bake a good version first: then this one is not current any more")
			}
			m.To = good.Number
		}
		why.At, why.Job = m.At, m.Job
		if v.Recall != nil { // AMIs that are disabled already do not tell any more
			shares := maps.Clone(v.Recall.Shares)
			if shares == nil {
				shares = map[string][]string{}
			}
			maps.Copy(shares, why.Shares)
			why.Shares = shares
		}
		v.State, v.Recall = l.Recalled, &why
		return []moved{{v, number}}, nil
	})
	return m, err
}

// moved is a version that a move changes.
type moved struct {
	version l.Version
	number  int
}

// move carries one out: decide sees the image and its versions, may set where the move leads, and says which versions
// change with it. Image, versions and the move are one write.
func (t *Ledger) move(ctx context.Context, g jobs.Guard, m *l.Move, decide func(l.Image, l.Version, []l.Version) ([]moved, error)) error {
	return again(m.Image, func() error {
		before, _, err := load[l.Move](ctx, t, imageKey(m.Image), moveKey(*m))
		if err != nil {
			return err
		}
		if before.Image != "" {
			*m = before
			return nil
		}
		image, readImage, err := load[l.Image](ctx, t, imageKey(m.Image), own)
		if err != nil {
			return err
		}
		if readImage == nil {
			return &jobs.Error{Class: jobs.NotFound, Op: m.How, Thing: m.Image, Message: "there is no such image", Hint: "see `stampmill image list`"}
		}
		items, err := t.query(ctx, imageKey(m.Image), "v#")
		if err != nil {
			return err
		}
		read, versions, err := decoded(items)
		if err != nil {
			return err
		}
		at := func(number int) (v l.Version) {
			for _, v := range versions {
				if v.Number == number {
					return v
				}
			}
			return v
		}
		m.From = image.Current
		changes, err := decide(image, at(m.To), versions)
		if err != nil {
			return err
		}
		return t.putMove(ctx, g, *m, image, readImage, changes, read)
	})
}

func decoded(items []item) (read map[int]item, versions []l.Version, err error) {
	read = map[int]item{}
	for _, it := range items {
		v, err := loaded[l.Version](it)
		if err != nil {
			return nil, nil, err
		}
		read[v.Number], versions = it, append(versions, v)
	}
	return read, versions, nil
}

func (t *Ledger) putMove(ctx context.Context, g jobs.Guard, m l.Move, image l.Image, readImage item, changes []moved, read map[int]item) error {
	move, err := document(imageKey(m.Image), moveKey(m), m, nil)
	if err != nil {
		return err
	}
	actions := []types.TransactWriteItem{t.put(move, absent())}
	for _, change := range changes {
		it, err := versionItem(change.version, read[change.number])
		if err != nil {
			return err
		}
		actions = append(actions, t.put(it, revised(read[change.number])))
	}
	if m.To != m.From {
		image.Current, image.Updated = m.To, time.Now().UTC()
		it, err := imageItem(image, readImage)
		if err != nil {
			return err
		}
		actions = append(actions, t.put(it, revised(readImage)), t.check(imageKey(m.Image), versionKey(m.To), unchanged(intOf(read[m.To], "rev"))))
	} else {
		actions = append(actions, t.check(imageKey(m.Image), own, unchanged(intOf(readImage, "rev"))))
	}
	return t.write(ctx, g, m.Image, actions...)
}

// ChangeVersion changes what the ledger says of a version beside its number and state. The change sees it as it stands, and
// refuses by an error.
func (t *Ledger) ChangeVersion(ctx context.Context, g jobs.Guard, image string, number int, change func(*l.Version) error) (l.Version, error) {
	var v l.Version
	thing := versionName(image, number)
	err := again(thing, func() error {
		var read item
		var err error
		if v, read, err = load[l.Version](ctx, t, imageKey(image), versionKey(number)); err != nil {
			return err
		}
		if read == nil {
			return &jobs.Error{Class: jobs.NotFound, Op: "ledger", Thing: thing, Message: "there is no such version"}
		}
		state := v.State
		if err := change(&v); err != nil {
			return err
		}
		if v.State != state || v.Number != number || v.Image != image {
			return jobs.Fatalf("ledger", thing, "a change may not touch name, number and state", "")
		}
		it, err := versionItem(v, read)
		if err != nil {
			return err
		}
		return t.write(ctx, g, thing, t.put(it, revised(read)))
	})
	return v, err
}

// RestoreVersion makes a version available again that was recalled, or whose removal has not come to its AMIs. It does not become
// current.
func (t *Ledger) RestoreVersion(ctx context.Context, g jobs.Guard, image string, number int) error {
	thing := versionName(image, number)
	return again(thing, func() error {
		v, read, err := load[l.Version](ctx, t, imageKey(image), versionKey(number))
		if err != nil {
			return err
		}
		switch {
		case read == nil:
			return &jobs.Error{Class: jobs.NotFound, Op: "restore", Thing: thing, Message: "there is no such version"}
		case v.State == l.Available:
			return nil
		case v.Restorable() != "":
			return jobs.Fatalf("restore", thing, v.Restorable(), "bake it again")
		}
		v.State, v.Recall, v.Retirement = l.Available, nil, nil
		it, err := versionItem(v, read)
		if err != nil {
			return err
		}
		return t.write(ctx, g, thing, t.put(it, revised(read)))
	})
}
