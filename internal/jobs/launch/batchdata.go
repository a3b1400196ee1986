package launch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/jobs/userdata"
)

// presignFor is how long servers may fetch their manifest: a presigned address lives 7 days at most.
const presignFor = 7 * 24 * time.Hour

// prepareUserData makes the attempt's user data before the attempt is saved. What does not fit goes into a manifest with a
// presigned address; as another address would be another parameter under the same token, that user data is kept.
func (b *batch) prepareUserData(ctx context.Context, turn *jobs.Turn, stamp Stamp) error {
	a := b.progress.Attempt
	if data, err := stamp.Server.userData(); err != nil || len(data) > 0 {
		a.UserData = spec.Digest(data)
		return err
	}
	told, err := b.told(ctx, stamp)
	if err != nil || told.Empty() {
		return err
	}
	data, fits, err := told.Build()
	if err != nil {
		return jobs.Fatalf("build the user data", b.spec.Fleet, err.Error(), "")
	}
	if !fits {
		folder := fmt.Sprintf("%s%s/%s-r%d-a%d", stampFolder, b.job.ID, turn.Job.Incarnation, turn.Job.Run, b.progress.Attempts+1)
		if data, err = b.manifest(ctx, told, folder); err != nil {
			return err
		}
		// Named by its content: a delivery that lost its claim may put its own, with another address, beside it.
		a.Key = folder + "-" + strings.TrimPrefix(spec.Digest(data), "sha256:")[:16] + ".userdata"
		if err := b.Files.Put(ctx, a.Key, data); err != nil {
			return err
		}
	}
	a.UserData = spec.Digest(data)
	return nil
}

func (b *batch) manifest(ctx context.Context, told userdata.Batch, folder string) ([]byte, error) {
	key := folder + ".manifest"
	if err := b.Files.Put(ctx, key, told.Manifest()); err != nil {
		return nil, err
	}
	url, err := b.Files.PresignGet(ctx, key, presignFor)
	if err != nil {
		return nil, err
	}
	data, err := told.Fetching(url)
	if err != nil {
		return nil, jobs.Fatalf("build the user data", b.spec.Fleet, err.Error(), "")
	}
	return data, nil
}

// userData gives the attempt's user data again. If this worker's version would build other bytes than those that were
// saved, EC2 says so, and the attempt's servers are found by their token.
func (b *batch) userData(ctx context.Context, stamp Stamp) ([]byte, error) {
	a := b.progress.Attempt
	if a.UserData == "" {
		return nil, nil
	}
	if a.Key != "" {
		data, found, err := b.Files.Get(ctx, a.Key)
		if err == nil && !found {
			err = jobs.Fatalf("read the user data", a.Key, "it is not in the bucket any more", "submit the launch again")
		}
		return data, err
	}
	if data, err := stamp.Server.userData(); err != nil || len(data) > 0 {
		return data, err
	}
	told, err := b.told(ctx, stamp)
	if err != nil {
		return nil, err
	}
	data, _, err := told.Build()
	return data, err
}

// told is what the attempt's servers are told.
func (b *batch) told(ctx context.Context, stamp Stamp) (userdata.Batch, error) {
	bootstrap, err := readBootstrap(ctx, b.Files, stamp.Bootstrap)
	if err != nil {
		return userdata.Batch{}, err
	}
	told, err := stamp.batch(b.spec.Fleet, b.progress.Attempt.Ordinals.List(), bootstrap)
	if err != nil {
		return userdata.Batch{}, jobs.Fatalf("build the user data", b.spec.Fleet, err.Error(), "")
	}
	return told, nil
}

// readBootstrap gives the bootstrap script's text, from the spec or from the bucket; empty: there is none.
func readBootstrap(ctx context.Context, files Files, script *spec.Script) (string, error) {
	switch {
	case script == nil:
		return "", nil
	case !script.IsStored():
		return script.Text, nil
	}
	content, found, err := files.Get(ctx, script.Key)
	if err != nil {
		return "", err
	}
	if !found || !script.Matches(content) {
		return "", jobs.Fatalf("read the bootstrap script", script.Key, "it is not in the bucket as it was submitted", "submit again")
	}
	return string(content), nil
}
