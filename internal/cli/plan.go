package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/policy"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// planView is what a document would do.
type planView struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Finds are for people, Details the same for programs. Steps are the job's, in order.
	Finds   []jobs.PlanLine `json:"finds,omitempty"`
	Details any             `json:"details,omitempty"`
	Steps   []string        `json:"steps"`
	// Problems would keep the job from its end; Warnings would not.
	Problems []spec.Problem `json:"problems,omitempty"`
	Warnings []spec.Problem `json:"warnings,omitempty"`
}

func (c *command) plan() *cobra.Command {
	var specs specFlags
	var priority string
	cmd := &cobra.Command{
		Use: "plan FILE…", Short: "Show what spec files would make; changes nothing", Args: cobra.MinimumNArgs(1),
		Long: `Looks up everything that the jobs would look up, and tells what they would make: which AMI a source comes to,
which version comes next, which servers are missing and where they would go, what would be retired.
What stands against it is told all at once, each with the place in the file that causes it: a vCPU quota or free addresses
that are too few, a type that a zone does not offer, an image, a key pair or a group that is not there. With such a problem
the exit code is 1; a warning alone leaves it 0.
Nothing is changed and nothing is sent. A document that needs what one before it makes says so.`,
		RunE: func(cmd *cobra.Command, files []string) error {
			documents, err := specs.load(files)
			if err != nil {
				return err
			}
			if err := checkPriority(priority); err != nil {
				return err
			}
			limits, err := workersLimits()
			if err != nil {
				return err
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			for i := range documents {
				documents[i].Priority = cmp.Or(priority, documents[i].Priority)
			}
			plans, err := planAll(cmd.Context(), a.Planners(planFiles{a.Files, documents}, limits), documents)
			if len(plans) > 0 {
				if printed := c.print(plans, func(w io.Writer) { planTable(w, plans) }); printed != nil {
					return printed
				}
			}
			return err
		},
	}
	specs.add(cmd)
	cmd.Flags().StringVar(&priority, "priority", "", "high, normal or low; goes over the documents' own, as submit's does")
	return cmd
}

// planAll plans the documents in the files' order. One that cannot be planned is told at the end, with the others' plans.
func planAll(ctx context.Context, kinds jobs.Kinds, documents []spec.Document) ([]planView, error) {
	before := jobs.Foreseen{Images: map[string]string{}, Fleets: map[string]string{}}
	var plans []planView
	var failed []error
	for _, d := range documents {
		p, err := planOne(ctx, kinds, d, before)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s:%d: %s %s: %w", d.File, d.Line, d.Kind, d.Name, err))
		} else {
			plans = append(plans, p)
		}
		if len(p.Problems) > 0 {
			failed = append(failed, fmt.Errorf("%s:%d: %s %s cannot go: %s", d.File, d.Line, d.Kind, d.Name, problemsText(p.Problems)))
		}
		by := fmt.Sprintf("%s %s (%s:%d)", d.Kind, d.Name, d.File, d.Line)
		switch d.Kind {
		case bake.Name:
			before.Images[d.Name] = by
		case launch.KindName:
			before.Fleets[d.Name] = by
		}
	}
	return plans, errors.Join(failed...)
}

func planOne(ctx context.Context, kinds jobs.Kinds, d spec.Document, before jobs.Foreseen) (planView, error) {
	p := planView{Kind: d.Kind, Name: d.Name, File: d.File, Line: d.Line}
	if d.Kind == policy.KindName {
		return planPolicy(p, d)
	}
	program, err := kinds[d.Kind].Program(&jobs.Job{ID: "plan", Kind: d.Kind, Name: d.Name, Spec: d.Spec, Run: 1, Labels: d.Labels, Priority: jobs.Priority(d.Priority),
		Target: jobs.Target{Role: d.Role, Region: d.Region}, Incarnation: jobs.NewIncarnation(), State: jobs.Open})
	if err != nil {
		return p, err
	}
	for _, step := range program.Steps() {
		p.Steps = append(p.Steps, step.Name)
	}
	if planner, ok := program.(jobs.Planner); ok {
		plan, err := planner.Plan(ctx, before)
		if err != nil {
			return p, err
		}
		p.Finds, p.Details = plan.Lines, plan.Details
		for _, finding := range plan.Findings {
			problem := d.At(finding.Field, finding.Message, finding.Hint)
			if finding.Warning {
				p.Warnings = append(p.Warnings, problem)
			} else {
				p.Problems = append(p.Problems, problem)
			}
		}
		slices.SortStableFunc(p.Problems, byPlace)
		slices.SortStableFunc(p.Warnings, byPlace)
	}
	return p, nil
}

// byPlace puts problems into the file's order.
func byPlace(a, b spec.Problem) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

func planTable(w io.Writer, plans []planView) {
	for i, p := range plans {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s %s (%s:%d)\n", p.Kind, p.Name, oneLine(p.File), p.Line)
		for _, line := range p.Finds {
			fmt.Fprintf(w, "  %s\t%s\n", oneLine(line.About), oneLine(line.Text))
		}
		for _, warning := range p.Warnings {
			fmt.Fprintf(w, "  warning\t%s\n", oneLine(warning.String()))
		}
		if len(p.Steps) == 0 {
			continue
		}
		about := "job"
		for _, line := range wrapWords(strings.Join(p.Steps, " → "), 100) {
			fmt.Fprintf(w, "  %s\t%s\n", about, line)
			about = ""
		}
	}
}

// problemsText writes one problem a line.
func problemsText(problems []spec.Problem) string {
	lines := []string{count(len(problems), "problem")}
	for _, p := range problems {
		lines = append(lines, "  "+oneLine(p.String()))
	}
	return strings.Join(lines, "\n")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// wrapWords breaks a text at spaces into lines of at most so many characters.
func wrapWords(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// planFiles gives plans what a submission would upload, and writes nothing.
type planFiles struct {
	app.Files
	documents []spec.Document
}

// Put writes nothing: a plan changes nothing.
func (planFiles) Put(context.Context, string, []byte) error {
	return errors.New("a plan writes no file")
}

// Get gives what would be uploaded, else what the bucket has.
func (f planFiles) Get(ctx context.Context, key string) ([]byte, bool, error) {
	for _, d := range f.documents {
		for _, upload := range d.Uploads {
			if upload.Key == key {
				return upload.Content, true, nil
			}
		}
	}
	return f.Files.Get(ctx, key)
}
