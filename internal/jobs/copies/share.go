package copies

import (
	"context"
	"fmt"
	"strings"

	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Snapshots tells of snapshots.
type Snapshots interface {
	Snapshots(ctx context.Context, ids ...string) ([]c.Snapshot, error)
}

// Unshareable says why an AMI with these snapshots cannot be opened to others; empty: it can. What is encrypted under the
// AWS-managed key could not be launched by them.
func Unshareable(ctx context.Context, ec2 Snapshots, region string, ids []string, public bool) (string, error) {
	snapshots, err := ec2.Snapshots(ctx, ids...)
	if err != nil {
		return "", err
	}
	for _, snapshot := range snapshots {
		if snapshot.Encrypted && (public || ManagedKey(snapshot.KMSKey)) {
			return fmt.Sprintf("the snapshot %s in %s is encrypted (%s): such an image cannot be shared; name a customer-managed kmsKey, and for a public image none",
				snapshot.ID, region, snapshot.KMSKey), nil
		}
	}
	return "", nil
}

// ManagedKey reports whether a key is AWS's own for volumes, which no other account can use.
func ManagedKey(key string) bool { return strings.HasSuffix(key, "alias/aws/ebs") }
