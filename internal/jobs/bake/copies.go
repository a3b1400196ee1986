package bake

import (
	"context"
	"fmt"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// copies begins a copy in each region and waits for all, each region looked at when its own is due. One that failed is
// begun anew, alone.
func (b *program) copies(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.progress.Copies == nil {
		b.progress.Copies = map[string]image{}
	}
	now, rest, pending := turn.Now(), longestLook, []jobs.Await(nil)
	for _, region := range sortedKeys(b.spec.CopyTo) {
		if region == b.region || b.progress.Copies[region].Available {
			continue
		}
		if b.progress.Copies[region].ID == "" {
			if err := b.beginCopy(ctx, turn, region); err != nil {
				return jobs.Move{}, err
			}
		} else if b.due(ctx, now, b.progress.Copies[region], copyTo(region), firstCopyLook) {
			available, err := b.lookAtCopy(ctx, turn, region)
			if err != nil {
				return jobs.Move{}, err
			}
			if available {
				continue
			}
		}
		pending = append(pending, jobs.Await{Region: region, ID: b.progress.Copies[region].ID})
		rest = min(rest, b.untilLook(turn.Now(), b.progress.Copies[region], copyTo(region), firstCopyLook))
	}
	if len(pending) == 0 {
		return jobs.Done(), nil
	}
	return jobs.Look(rest, "copies in %d regions", len(pending)).Awaiting(pending...).InCompany(b.pace(eventCompany)), nil
}

func copyThing(region string) string { return copyPrefix + region }

const copyPrefix = "copy-"

// IsImage reports whether a thing of a bake, as its tag names it, is an AMI with its snapshots.
func IsImage(thing string) bool {
	return thing == thingImage || thing == thingSource || strings.HasPrefix(thing, copyPrefix)
}

func (b *program) beginCopy(ctx context.Context, turn *jobs.Turn, region string) error {
	thing, target := copyThing(region), b.spec.CopyTo[region]
	ec2 := b.ec2In(region)
	_, _, err := jobs.Make(ctx, turn, jobs.Making[string]{
		Thing:         thing,
		SkipFirstLook: true, // CopyImage has a token
		Recorded:      func() (string, bool) { return b.progress.Copies[region].ID, b.progress.Copies[region].ID != "" },
		Look: func(ctx context.Context) (string, bool, error) {
			found, err := ec2.ImagesTagged(ctx, turn.Tags(thing))
			if err != nil {
				return "", false, err
			}
			for _, i := range found {
				if ours(turn, i.Tags) && (i.State == "pending" || i.State == "available") {
					return i.ID, true, nil
				}
			}
			return "", false, nil
		},
		Act: func(ctx context.Context, token string) (string, error) {
			tags := b.versionTags(turn)
			tags[jobs.TagThing] = thing
			return ec2.Copy(ctx, c.CopyRequest{Token: token, SourceRegion: b.region, ImageID: b.progress.Image.ID,
				Name: b.amiName(turn, thingImage), Description: b.description(), KMSKey: target.KMSKey,
				Encrypted: target.Encrypted || target.KMSKey != "", ImageTags: tags, SnapshotTags: tags})
		},
		Record: func(id string) { b.progress.Copies[region] = image{ID: id, Begun: turn.Now()} },
	})
	if jobs.IsClass(err, jobs.NewAttempt) {
		return b.anotherCopy(ctx, turn, region, err.Error())
	}
	return err
}

// lookAtCopy reports whether the region's copy is available; one that failed is removed and begun anew.
func (b *program) lookAtCopy(ctx context.Context, turn *jobs.Turn, region string) (bool, error) {
	made, ec2 := b.progress.Copies[region], b.ec2In(region)
	found, err := ec2.Images(ctx, made.ID)
	if err != nil {
		return false, err
	}
	if len(found) == 0 {
		return false, &jobs.Error{Class: jobs.Propagating, Op: "await the copy in " + region, Thing: made.ID, Message: "it is not there"}
	}
	switch i := found[0]; i.State {
	case "available":
		made.Available, made.Snapshots, made.Took = true, i.Snapshots(), took(ctx, turn.Now(), made.Begun, made.Looked)
		b.progress.Copies[region] = made
		return true, nil
	case "pending", "transient":
		made.Looked = turn.Now()
		b.progress.Copies[region] = made
		return false, nil
	default:
		if err := ec2.Deregister(ctx, made.ID, true); err != nil {
			return false, err
		}
		return false, b.anotherCopy(ctx, turn, region, fmt.Sprintf("%s is %s: %s", made.ID, i.State, orUnknown(i.StateReason)))
	}
}

// anotherCopy begins another attempt in the region, a few times.
func (b *program) anotherCopy(ctx context.Context, turn *jobs.Turn, region, reason string) error {
	thing := copyThing(region)
	if turn.Attempt(thing) >= attempts {
		return jobs.Fatalf("copy to "+region, b.progress.Image.ID, reason, "check the KMS key and its policy")
	}
	turn.Note("copy to %s: %s; it is begun anew", region, reason)
	delete(b.progress.Copies, region)
	if err := turn.NewAttempt(ctx, thing); err != nil {
		return err
	}
	return b.beginCopy(ctx, turn, region)
}
