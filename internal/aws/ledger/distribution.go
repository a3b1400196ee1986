package ledger

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// OwnVersion makes the job the one that changes where the version's AMIs are, unless another job is that has not ended. It
// answers the version as it stands.
func (t *Ledger) OwnVersion(ctx context.Context, g jobs.Guard, image string, number int, job string) (v l.Version, owned bool, err error) {
	thing := versionName(image, number)
	err = again(thing, func() error {
		var read item
		var err error
		if v, read, err = load[l.Version](ctx, t, imageKey(image), versionKey(number)); err != nil {
			return err
		}
		if read == nil {
			return &jobs.Error{Class: jobs.NotFound, Op: "ledger", Thing: thing, Message: "there is no such version", Hint: "see `stampmill image show " + image + "`"}
		}
		if owned = v.Owner == job; owned {
			return nil
		}
		if v.Owner != "" {
			open, err := t.open(ctx, []string{v.Owner})
			if err != nil || open[v.Owner] {
				return err
			}
		}
		v.Owner = job
		it, err := versionItem(v, read)
		if err != nil {
			return err
		}
		owned = true
		return t.write(ctx, g, thing, t.put(it, revised(read)))
	})
	return v, owned && err == nil, err
}
