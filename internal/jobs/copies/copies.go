// Package copies makes copies of an AMI in other places, waits for them, opens them to others, and takes back what a job
// that failed had begun. A copy has a client token and the job's tags from its creation, so that it is made once, however
// often its worker dies, and is found again where it was not recorded.
package copies

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// EC2 is what a copy asks of the region that it is made in.
type EC2 interface {
	Images(ctx context.Context, ids ...string) ([]c.Image, error)
	ImagesTagged(ctx context.Context, tags map[string]string) ([]c.Image, error)
	Copy(ctx context.Context, q c.CopyRequest) (imageID string, err error)
	Deregister(ctx context.Context, imageID string, deleteSnapshots bool) error
}

// AMI is one that is being made, in a job's progress.
type AMI struct {
	ID        string    `json:"id,omitempty"`
	Snapshots []string  `json:"snapshots,omitempty"`
	Begun     time.Time `json:"begun,omitzero"`
	Available bool      `json:"available,omitempty"`
	// Seen: an undo was shown it.
	Seen bool `json:"seen,omitempty"`
	// Looked is when it was last seen pending, Took how long it took to become available.
	Looked time.Time     `json:"looked,omitzero"`
	Took   time.Duration `json:"took,omitempty"`
}

// Attempts is how often an AMI or a copy that EC2 gave up is begun anew.
const Attempts = 3

// Copier copies one AMI into several places: regions, and regions of other accounts.
type Copier struct {
	// Source is the AMI to copy.
	Source string
	// Places get a copy each, in this order. Each is a region, or ACCOUNT/REGION of another account.
	Places []string
	EC2    func(place string) EC2
	// Request is the copy that a place gets; token and tags of the thing are the copier's.
	Request func(turn *jobs.Turn, place string) c.CopyRequest
	// Made is the progress by place. It is not nil.
	Made  map[string]AMI
	Looks Looks
}

// Copy begins a copy in each place and waits for all, each place looked at when its own is due. One that failed is
// begun anew, alone.
func (k Copier) Copy(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	rest, pending := LongestLook, []jobs.Await(nil)
	for _, place := range k.Places {
		if k.Made[place].Available {
			continue
		}
		if k.Made[place].ID == "" {
			if err := k.begin(ctx, turn, place); err != nil {
				return jobs.Move{}, err
			}
		} else if k.Looks.Due(ctx, turn.Now(), k.Made[place], To(place), firstLook) {
			available, err := k.look(ctx, turn, place)
			if err != nil {
				return jobs.Move{}, err
			}
			if available {
				continue
			}
		}
		account, region := l.SplitPlace(place)
		pending = append(pending, jobs.Await{Account: account, Region: region, ID: k.Made[place].ID})
		rest = min(rest, k.Looks.Until(turn.Now(), k.Made[place], To(place), firstLook))
	}
	if len(pending) == 0 {
		return jobs.Done(), nil
	}
	return jobs.Look(rest, "copies in %d regions", len(pending)).Awaiting(pending...).InCompany(k.Looks.Pace(EventCompany)), nil
}

// Thing is what the copy in a place is called among what its job makes.
func Thing(place string) string { return prefix + place }

const prefix = "copy-"

// IsCopy reports whether a thing, as its tag names it, is a copy.
func IsCopy(thing string) bool { return strings.HasPrefix(thing, prefix) }

func (k Copier) begin(ctx context.Context, turn *jobs.Turn, place string) error {
	thing, ec2 := Thing(place), k.EC2(place)
	_, _, err := jobs.Make(ctx, turn, jobs.Making[string]{
		Thing:         thing,
		SkipFirstLook: true, // CopyImage has a token
		Recorded:      func() (string, bool) { return k.Made[place].ID, k.Made[place].ID != "" },
		Look: func(ctx context.Context) (string, bool, error) {
			found, err := ec2.ImagesTagged(ctx, turn.Tags(thing))
			if err != nil {
				return "", false, err
			}
			for _, i := range found {
				if Ours(turn, i.Tags) && (i.State == "pending" || i.State == "available") {
					return i.ID, true, nil
				}
			}
			return "", false, nil
		},
		Act: func(ctx context.Context, token string) (string, error) {
			q := k.Request(turn, place)
			q.Token, q.ImageTags[jobs.TagThing] = token, thing
			q.SnapshotTags = q.ImageTags
			return ec2.Copy(ctx, q)
		},
		Record: func(id string) { k.Made[place] = AMI{ID: id, Begun: turn.Now()} },
	})
	if jobs.IsClass(err, jobs.NewAttempt) {
		return k.another(ctx, turn, place, err.Error())
	}
	return err
}

// look reports whether the place's copy is available; one that failed is removed and begun anew.
func (k Copier) look(ctx context.Context, turn *jobs.Turn, place string) (bool, error) {
	made, ec2 := k.Made[place], k.EC2(place)
	found, err := ec2.Images(ctx, made.ID)
	if err != nil {
		return false, err
	}
	if len(found) == 0 {
		return false, &jobs.Error{Class: jobs.Propagating, Op: "await the copy in " + place, Thing: made.ID, Message: "it is not there"}
	}
	switch i := found[0]; i.State {
	case "available":
		made.Available, made.Snapshots, made.Took = true, i.Snapshots(), Took(ctx, turn.Now(), made.Begun, made.Looked)
		k.Made[place] = made
		return true, nil
	case "pending", "transient":
		made.Looked = turn.Now()
		k.Made[place] = made
		return false, nil
	default:
		if err := ec2.Deregister(ctx, made.ID, true); err != nil {
			return false, err
		}
		return false, k.another(ctx, turn, place, fmt.Sprintf("%s is %s: %s", made.ID, i.State, orUnknown(i.StateReason)))
	}
}

// another begins another attempt in the place, a few times.
func (k Copier) another(ctx context.Context, turn *jobs.Turn, place, reason string) error {
	thing := Thing(place)
	if turn.Attempt(thing) >= Attempts {
		return jobs.Fatalf("copy to "+place, k.Source, reason, "check the KMS key and its policy")
	}
	turn.Note("copy to %s: %s; it is begun anew", place, reason)
	delete(k.Made, place)
	if err := turn.NewAttempt(ctx, thing); err != nil {
		return err
	}
	return k.begin(ctx, turn, place)
}

func orUnknown(reason string) string {
	if reason == "" {
		return "EC2 tells no reason"
	}
	return reason
}

// OwnTags find everything that this run of the job made.
func OwnTags(turn *jobs.Turn) map[string]string {
	tags := turn.Tags("")
	delete(tags, jobs.TagThing)
	return tags
}

// Ours reports whether the tags say that this run made the thing.
func Ours(turn *jobs.Turn, tags map[string]string) bool {
	for key, value := range OwnTags(turn) {
		if tags[key] != value {
			return false
		}
	}
	return true
}
