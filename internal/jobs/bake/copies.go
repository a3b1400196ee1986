package bake

import (
	"context"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/copies"
)

// copies begins a copy in each region and waits for all.
func (b *program) copies(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.progress.Copies == nil {
		b.progress.Copies = map[string]image{}
	}
	others := slices.DeleteFunc(sortedKeys(b.spec.CopyTo), func(region string) bool { return region == b.region })
	return copies.Copier{Source: b.progress.Image.ID, Places: others, Made: b.progress.Copies, Looks: b.looks(),
		EC2: func(region string) copies.EC2 { return b.ec2In(region) },
		Request: func(turn *jobs.Turn, region string) c.CopyRequest {
			target := b.spec.CopyTo[region]
			return c.CopyRequest{SourceRegion: b.region, ImageID: b.progress.Image.ID, Name: b.amiName(turn, thingImage), Description: b.description(),
				KMSKey: target.KMSKey, Encrypted: target.Encrypted || target.KMSKey != "", ImageTags: b.versionTags(turn)}
		},
	}.Copy(ctx, turn)
}

// IsImage reports whether a thing, as its tag names it, is an AMI with its snapshots.
func IsImage(thing string) bool {
	return thing == thingImage || thing == thingSource || copies.IsCopy(thing)
}
