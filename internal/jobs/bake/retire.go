package bake

import (
	"cmp"
	"context"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
)

// retire brings versions beyond those to keep that nothing uses to their next stage, in every region.
func (b *program) retire(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	out, err := b.lifecycle(b.progress.Version).Retire(ctx, turn)
	b.progress.Retired = append(b.progress.Retired, out.Retired...)
	return jobs.Done(), err
}

func (b *program) lifecycle(own int) lifecycle.Line {
	return lifecycle.Line{Image: b.job.Name, Catalog: b.kind.Catalog, Keep: b.spec.Keep.keep(), Own: own,
		EC2: func(role, region string) lifecycle.EC2 {
			return b.kind.EC2(jobs.Target{Role: cmp.Or(role, b.job.Target.Role), Region: region})
		}}
}

func (k Keep) keep() lifecycle.Keep {
	return lifecycle.Keep{Versions: k.Versions, Age: time.Duration(k.Age), Deprecated: time.Duration(k.Deprecated), Disabled: time.Duration(k.Disabled)}
}

// deregister removes an AMI, protected or not.
func (b *program) deregister(ctx context.Context, ec2 EC2, id string) error {
	return copies.Deregister(ctx, ec2, id, b.spec.Protect != nil)
}
