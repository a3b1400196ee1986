package distribute

import (
	"context"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// borrowers are the accounts that make copies for themselves.
func (c *Change) borrowers() []string {
	var accounts []string
	for _, place := range c.Copies {
		if account, _ := l.SplitPlace(place); account != "" && !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
	}
	return accounts
}

// loans fixes what the accounts lack that make copies. It is a step of its own, so that it is saved before anything is lent.
func (p *program) loans(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	change := p.progress.Change
	loans, err := copies.Loans(ctx, p.ec2(change.Home), change.Source, change.Snapshots, change.borrowers())
	p.progress.Loans = loans
	return jobs.Done(), err
}

// lend gives it.
func (p *program) lend(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	change := p.progress.Change
	for _, loan := range p.progress.Loans {
		if err := loan.Give(ctx, p.ec2(change.Home), change.Source); err != nil {
			return jobs.Move{}, err
		}
		turn.Note("%s in %s is lent to %s until its copies are there", change.Source, change.Home, loan.Account)
	}
	return jobs.Done(), nil
}

// takeBack ends the loans.
func (p *program) takeBack(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if _, err := p.endLoans(ctx); err != nil {
		return jobs.Move{}, err
	}
	for _, loan := range p.progress.Loans {
		turn.Note("what was lent to %s is taken back", loan.Account)
	}
	p.progress.Loans = nil
	return jobs.Done(), nil
}

// undoLend ends the loans of a job that does not go on, also those that a lost call may still give.
func (p *program) undoLend(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if len(p.progress.Loans) == 0 {
		return jobs.Done(), nil
	}
	return jobs.Unmake(ctx, turn, "what was lent for the copies", p.endLoans)
}

func (p *program) endLoans(ctx context.Context) (gone bool, err error) {
	gone = true
	for _, loan := range p.progress.Loans {
		ended, err := loan.TakeBack(ctx, p.ec2(p.progress.Change.Home), p.progress.Change.Source)
		if err != nil {
			return false, err
		}
		gone = gone && ended
	}
	return gone, nil
}
