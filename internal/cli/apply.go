package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/policy"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// applied is what apply tells of each document.
type applied struct {
	Name       string     `json:"name"`
	Change     string     `json:"change"` // kept, changed, unchanged
	Generation int        `json:"generation"`
	Next       *time.Time `json:"next,omitempty"`
}

func (c *command) apply() *cobra.Command {
	var specs specFlags
	cmd := &cobra.Command{
		Use: "apply FILE…", Short: "Keep policies: what workers do by themselves, and when", Args: cobra.MinimumNArgs(1),
		Long: `Checks all files first; nothing is kept if one document is wrong. Scripts and files that a policy's work refers to are read
now, so that workers need none of them. Applying the same again changes nothing. Where the occasions of a policy
change, they count from now on; a policy that is paused stays so. - is the standard input.`,
		RunE: func(cmd *cobra.Command, files []string) error {
			documents, err := specs.load(files)
			if err != nil {
				return err
			}
			policies := make([]policy.Policy, len(documents))
			for i, d := range documents {
				if policies[i], err = policyOf(d); err != nil {
					return err
				}
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			var list []applied
			for i, d := range documents {
				kept, err := keep(cmd.Context(), a, d, policies[i])
				if err != nil {
					return fmt.Errorf("%s:%d: policy %s: %w (%d of %d are kept; apply again)", d.File, d.Line, d.Name, err, i, len(documents))
				}
				list = append(list, kept)
			}
			return c.print(list, func(w io.Writer) {
				for _, one := range list {
					row(w, one.Name, one.Change, nextText(one.Next))
				}
			})
		},
	}
	specs.add(cmd)
	return cmd
}

// Apply keeps what a document says as a policy, as the command apply does.
func Apply(ctx context.Context, a *app.App, d spec.Document) error {
	p, err := policyOf(d)
	if err != nil {
		return err
	}
	_, err = keep(ctx, a, d, p)
	return err
}

// policyOf reads a document as a policy.
func policyOf(d spec.Document) (policy.Policy, error) {
	if d.Kind != policy.KindName {
		return policy.Policy{}, exitf(ExitInvalid, "%s:%d: expected a document of kind Policy, found %s; jobs are sent by stampmill submit", d.File, d.Line, d.Kind)
	}
	if d.Key != "" {
		return policy.Policy{}, exitf(ExitInvalid, "%s:%d: a policy has no key: remove it", d.File, d.Line)
	}
	s, err := spec.Read[policy.Spec](d.Spec)
	if err != nil {
		return policy.Policy{}, err
	}
	return policy.Policy{Head: policy.Head{Name: d.Name}, Target: jobs.Target{Role: d.Role, Region: d.Region}, Labels: d.Labels,
		Priority: jobs.Priority(d.Priority), Spec: s}, nil
}

// keep stores what the policy's work needs, then the policy.
func keep(ctx context.Context, a *app.App, d spec.Document, next policy.Policy) (applied, error) {
	for _, upload := range d.Uploads {
		if err := a.Files.PutIfAbsent(ctx, upload.Key, upload.Content); err != nil {
			return applied{}, fmt.Errorf("upload what it refers to: %w", err)
		}
	}
	change := ""
	p, err := changePolicy(ctx, a, next.Name, func(stands *policy.Policy) (policy.Policy, error) {
		change = "kept"
		if stands != nil {
			change = "changed"
		}
		return policy.Apply(stands, next, time.Now())
	})
	if errors.Is(err, policy.ErrSame) {
		change, err = "unchanged", nil
	}
	result := applied{Name: p.Name, Change: change, Generation: p.Generation}
	if at, ok := p.NextTick(time.Now()); ok && !p.Paused {
		result.Next = &at
	}
	return result, err
}

// changePolicy reads, changes and writes a policy; again while workers change it meanwhile.
func changePolicy(ctx context.Context, a *app.App, name string, change func(*policy.Policy) (policy.Policy, error)) (policy.Policy, error) {
	for round := 0; ; round++ {
		stands, found, err := a.Ledger.Policy(ctx, name)
		if err != nil {
			return policy.Policy{}, err
		}
		var before *policy.Policy
		if found {
			before = &stands
		}
		next, err := change(before)
		if err != nil {
			return next, err
		}
		kept, err := a.Ledger.KeepPolicy(ctx, next)
		if err == nil || !errors.Is(err, policy.ErrChanged) || round == 10 {
			return kept, err
		}
	}
}

func nextText(next *time.Time) string {
	if next == nil {
		return ""
	}
	return "next " + next.Format("Mon 2006-01-02 15:04 MST")
}

// forget deletes a policy; again while workers change it meanwhile.
func forget(ctx context.Context, a *app.App, name string) error {
	for round := 0; ; round++ {
		p, found, err := a.Ledger.Policy(ctx, name)
		if err != nil {
			return err
		}
		if !found {
			return noPolicy(name)
		}
		if err = a.Ledger.DeletePolicy(ctx, p); !errors.Is(err, policy.ErrChanged) || round == 10 {
			return err
		}
	}
}

func ignoreSame(err error) error {
	if errors.Is(err, policy.ErrSame) {
		return nil
	}
	return err
}

// onlyJobs refuses documents that apply keeps.
func onlyJobs(documents []spec.Document) error {
	for _, d := range documents {
		if Registry().IsKept(d.Kind) {
			return exitf(ExitInvalid, "%s:%d: a %s is no job: stampmill apply keeps it", d.File, d.Line, d.Kind)
		}
	}
	return nil
}

// plannedTicks is how many ticks a plan shows.
const plannedTicks = 5

// planPolicy tells when a policy would act.
func planPolicy(view planView, d spec.Document) (planView, error) {
	p, err := policyOf(d)
	if err != nil {
		return view, err
	}
	view.Finds = append(view.Finds, jobs.PlanLine{About: "does", Text: strings.TrimSpace(strings.Join(p.Spec.Do.Kinds(), " ") + " " + p.Spec.Do.Name)},
		jobs.PlanLine{About: "when", Text: compact(p.Spec.When)})
	about, at := "ticks", time.Now()
	for range plannedTicks {
		next, ok := p.NextTick(at)
		if !ok {
			break
		}
		view.Finds = append(view.Finds, jobs.PlanLine{About: about, Text: next.Format("Mon 2006-01-02 15:04 MST")})
		about, at = "", next
	}
	view.Steps = []string{}
	return view, nil
}
