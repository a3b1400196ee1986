package copies

import (
	"context"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Lender is what a loan asks of the region in which the AMI is that is copied.
type Lender interface {
	ImageShares(ctx context.Context, imageID string) (c.Share, error)
	ShareImage(ctx context.Context, imageID string, add, remove c.Share) error
	// SnapshotShares tells which accounts may make volumes of the snapshot.
	SnapshotShares(ctx context.Context, snapshotID string) (c.Share, error)
	ShareSnapshot(ctx context.Context, snapshotID string, add, remove []string) error
}

// Loan is what another account is given so that it can copy an AMI, and what is taken back when its copy is there: the right to
// launch from the AMI and to read its snapshots, as far as it did not have them before.
type Loan struct {
	Account string `json:"account"`
	// Image: it may not launch from the AMI otherwise. Snapshots are those that it may not read otherwise.
	Image     bool     `json:"image,omitempty"`
	Snapshots []string `json:"snapshots,omitempty"`
}

// Loans are what the accounts lack to copy the AMI. They are saved before the first is given: afterwards nothing tells what
// an account had before.
func Loans(ctx context.Context, ec2 Lender, ami string, snapshots, accounts []string) ([]Loan, error) {
	if len(accounts) == 0 {
		return nil, nil
	}
	open, err := ec2.ImageShares(ctx, ami)
	if err != nil {
		return nil, err
	}
	loans := make([]Loan, len(accounts))
	for i, account := range accounts {
		loans[i] = Loan{Account: account, Image: !slices.Contains(open.Accounts, account)}
	}
	for _, snapshot := range snapshots {
		open, err := ec2.SnapshotShares(ctx, snapshot)
		if err != nil {
			return nil, err
		}
		for i, account := range accounts {
			if !open.Public && !slices.Contains(open.Accounts, account) {
				loans[i].Snapshots = append(loans[i].Snapshots, snapshot)
			}
		}
	}
	return slices.DeleteFunc(loans, func(l Loan) bool { return !l.Image && len(l.Snapshots) == 0 }), nil
}

// Give lends it.
func (l Loan) Give(ctx context.Context, ec2 Lender, ami string) error {
	for _, snapshot := range l.Snapshots {
		if err := ec2.ShareSnapshot(ctx, snapshot, []string{l.Account}, nil); err != nil {
			return err
		}
	}
	if !l.Image {
		return nil
	}
	return ec2.ShareImage(ctx, ami, c.Share{Accounts: []string{l.Account}}, c.Share{})
}

// TakeBack ends the loan. Gone reports that nothing of it was there any more. It is taken back whatever EC2 shows, which may
// be late with what was given.
func (l Loan) TakeBack(ctx context.Context, ec2 Lender, ami string) (gone bool, err error) {
	gone = true
	for _, snapshot := range l.Snapshots {
		open, err := ec2.SnapshotShares(ctx, snapshot)
		if err == nil {
			gone = gone && !slices.Contains(open.Accounts, l.Account)
			err = ec2.ShareSnapshot(ctx, snapshot, nil, []string{l.Account})
		}
		if err != nil && !isGone(err) {
			return false, err
		}
	}
	if !l.Image {
		return gone, nil
	}
	open, err := ec2.ImageShares(ctx, ami)
	if err == nil {
		gone = gone && !slices.Contains(open.Accounts, l.Account)
		err = ec2.ShareImage(ctx, ami, c.Share{}, c.Share{Accounts: []string{l.Account}})
	}
	if err != nil && !isGone(err) {
		return false, err
	}
	return gone, nil
}

// isGone: what is not there is lent to nobody.
func isGone(err error) bool { return jobs.IsClass(err, jobs.NotFound, jobs.Propagating) }
