package ledger

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// ForgetVersion forgets an imported version; one that is gone is no error. Current, if it stood there, moves to the newest
// available version before it. An image of which only abandoned versions are left is forgotten with them.
func (t *Ledger) ForgetVersion(ctx context.Context, g jobs.Guard, image string, number int) error {
	thing := versionName(image, number)
	return again(thing, func() error {
		meta, readMeta, err := load[l.Image](ctx, t, imageKey(image), own)
		if err != nil {
			return err
		}
		v, read, err := load[l.Version](ctx, t, imageKey(image), versionKey(number))
		if err != nil || read == nil {
			return err
		}
		if v.Imported == "" {
			return jobs.Fatalf("ledger", thing, "it was not imported", "only what was imported is forgotten; what was baked is retired")
		}
		if readMeta == nil {
			return jobs.Fatalf("ledger", thing, "its image is gone", "")
		}
		all, err := t.Versions(ctx, image)
		if err != nil {
			return err
		}
		actions := []types.TransactWriteItem{
			t.remove(imageKey(image), versionKey(number), unchanged(intOf(read, "rev"))),
			t.remove(imageKey(image), reservationKey(v), condition{}),
		}
		rest, err := t.remaining(all, number, readMeta, &meta)
		if err != nil {
			return err
		}
		return t.write(ctx, g, thing, append(actions, rest...)...)
	})
}

// remaining is what becomes of the image: it stays with another current version, or it goes with what is left of it.
func (t *Ledger) remaining(all []l.Version, gone int, readMeta item, meta *l.Image) ([]types.TransactWriteItem, error) {
	current, empty := 0, true
	var abandoned []types.TransactWriteItem
	for _, v := range all {
		switch {
		case v.Number == gone:
		case v.State == l.Abandoned:
			abandoned = append(abandoned, t.remove(imageKey(v.Image), versionKey(v.Number), condition{}), t.remove(imageKey(v.Image), reservationKey(v), condition{}))
		default:
			empty = false
			if v.State == l.Available && v.Number < gone {
				current = max(current, v.Number)
			}
		}
	}
	if empty && len(abandoned) <= 80 {
		return append(abandoned, t.remove(imageKey(meta.Name), own, revised(readMeta)), t.remove(allImages, meta.Name, condition{})), nil
	}
	if meta.Current == gone {
		meta.Current = current
	}
	it, err := imageItem(*meta, readMeta)
	if err != nil {
		return nil, fmt.Errorf("the image %s: %w", meta.Name, err)
	}
	return []types.TransactWriteItem{t.put(it, revised(readMeta))}, nil
}
