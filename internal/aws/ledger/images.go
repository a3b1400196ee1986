package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// GetImage reads an image.
func (t *Ledger) GetImage(ctx context.Context, name string) (l.Image, bool, error) {
	image, it, err := load[l.Image](ctx, t, imageKey(name), own)
	return image, it != nil, err
}

// ListImages reads all images, in the order of their names.
func (t *Ledger) ListImages(ctx context.Context) ([]l.Image, error) {
	return listed[l.Image](ctx, t, allImages, imageKey)
}

// GetVersion reads one version of an image.
func (t *Ledger) GetVersion(ctx context.Context, image string, number int) (l.Version, bool, error) {
	version, it, err := load[l.Version](ctx, t, imageKey(image), versionKey(number))
	return version, it != nil, err
}

// Versions reads all versions of an image, in the order of their numbers.
func (t *Ledger) Versions(ctx context.Context, image string) ([]l.Version, error) {
	return all[l.Version](ctx, t, imageKey(image), "v#")
}

// ReserveVersion gives the bake a number of the image, which it creates if need be. The same incarnation and run get the
// same version each time, as it stands.
func (t *Ledger) ReserveVersion(ctx context.Context, g jobs.Guard, image l.Image, v l.Version) (l.Version, error) {
	v.Image = image.Name
	err := again(v.Image, func() error {
		reservation, read, err := t.two(ctx, imageKey(image.Name), reservationKey(v), own)
		if err != nil {
			return err
		}
		if reservation != nil {
			v, err = t.reserved(ctx, v, intOf(reservation, "n"))
			return err
		}
		meta, err := loaded[l.Image](read)
		if err != nil {
			return err
		}
		if read == nil {
			meta = image
			meta.Current, meta.Next = 0, 1
		}
		v.Number, v.State, v.Usual = max(meta.Next, 1), l.Candidate, meta.Usual
		meta.Next, meta.Updated = v.Number+1, time.Now().UTC()
		return t.reserve(ctx, g, meta, read, v)
	})
	return v, err
}

func reservationKey(v l.Version) string { return fmt.Sprintf("r#%s#%d", v.Incarnation, v.Run) }

// reserved is the version that the bake's incarnation and run reserved before.
func (t *Ledger) reserved(ctx context.Context, v l.Version, number int) (l.Version, error) {
	version, there, err := t.GetVersion(ctx, v.Image, number)
	if err == nil && !there {
		err = jobs.Fatalf("ledger", versionName(v.Image, number), "the reserved version is gone", "retry the job")
	}
	return version, err
}

func (t *Ledger) reserve(ctx context.Context, g jobs.Guard, meta l.Image, read item, v l.Version) error {
	metaItem, err := imageItem(meta, read)
	if err != nil {
		return err
	}
	versionItem, err := versionItem(v, nil)
	if err != nil {
		return err
	}
	reservation := key(imageKey(v.Image), reservationKey(v))
	reservation["n"] = integer(v.Number)
	return t.write(ctx, g, v.Image,
		t.put(metaItem, revised(read)),
		t.put(versionItem, absent()),
		t.put(reservation, absent()),
		t.put(key(allImages, meta.Name), condition{}))
}

// imageItem is the image's item; current stands beside the document for conditions.
func imageItem(image l.Image, read item) (item, error) {
	return document(imageKey(image.Name), own, image, item{"rev": integer(intOf(read, "rev") + 1), "current": integer(image.Current)})
}

// versionItem is the version's item; who made it and where it stands are beside the document for conditions.
func versionItem(v l.Version, read item) (item, error) {
	return document(imageKey(v.Image), versionKey(v.Number), v, item{
		"rev": integer(intOf(read, "rev") + 1), "inc": text(v.Incarnation), "run": integer(v.Run), "state": text(string(v.State)),
	})
}

// PutVersion writes what a bake has learnt of its own version. A committed version stays committed: only Publish makes one
// available, only SetVersionState moves it on.
func (t *Ledger) PutVersion(ctx context.Context, g jobs.Guard, v l.Version) error {
	return again(versionName(v.Image, v.Number), func() error {
		stands, read, err := load[l.Version](ctx, t, imageKey(v.Image), versionKey(v.Number))
		if err != nil {
			return err
		}
		if err := sameMaker(v, stands, read); err != nil {
			return err
		}
		if stands.State != v.State {
			if !mayBecome(stands.State, v.State) {
				return refused(v.Image, v.Number, stands.State, v.State)
			}
		}
		it, err := versionItem(v, read)
		if err != nil {
			return err
		}
		return t.write(ctx, g, versionName(v.Image, v.Number), t.put(it, revised(read)))
	})
}

func versionName(image string, number int) string { return fmt.Sprintf("%s@%d", image, number) }

// sameMaker refuses to touch a version that another incarnation or run reserved.
func sameMaker(v, stands l.Version, read item) error {
	switch {
	case read == nil:
		return &jobs.Error{Class: jobs.NotFound, Op: "ledger", Thing: versionName(v.Image, v.Number), Message: "there is no such version"}
	case stands.Incarnation != v.Incarnation || stands.Run != v.Run:
		return jobs.Fatalf("ledger", versionName(v.Image, v.Number),
			fmt.Sprintf("run %d of %s reserved it, not run %d of %s", stands.Run, stands.Job, v.Run, v.Job), "")
	}
	return nil
}
