package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/jobs"
)

// planView is what a document would do.
type planView struct {
	Kind  string   `json:"kind"`
	Name  string   `json:"name"`
	File  string   `json:"file"`
	Line  int      `json:"line"`
	Steps []string `json:"steps"`
	Finds []string `json:"finds,omitempty"`
}

func (c *command) plan() *cobra.Command {
	var specs specFlags
	cmd := &cobra.Command{
		Use: "plan FILE…", Short: "Show what spec files would make; changes nothing", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			documents, err := specs.load(files)
			if err != nil {
				return err
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			var plans []planView
			for _, d := range documents {
				kind := a.Kinds[d.Kind]
				job := &jobs.Job{ID: "plan", Kind: d.Kind, Name: d.Name, Target: jobs.Target{Role: d.Role, Region: d.Region}, Spec: d.Spec,
					Incarnation: jobs.NewIncarnation(), Run: 1, Labels: d.Labels}
				program, err := kind.Program(job)
				if err != nil {
					return fmt.Errorf("%s:%d: %w", d.File, d.Line, err)
				}
				p := planView{Kind: d.Kind, Name: d.Name, File: d.File, Line: d.Line}
				for _, step := range program.Steps() {
					p.Steps = append(p.Steps, step.Name)
				}
				if planner, ok := program.(jobs.Planner); ok {
					if p.Finds, err = planner.Plan(cmd.Context()); err != nil {
						return fmt.Errorf("%s:%d: %s %s: %w", d.File, d.Line, d.Kind, d.Name, err)
					}
				}
				plans = append(plans, p)
			}
			return c.print(plans, func(w io.Writer) {
				for i, p := range plans {
					if i > 0 {
						fmt.Fprintln(w)
					}
					fmt.Fprintf(w, "%s %s (%s:%d)\n", p.Kind, p.Name, p.File, p.Line)
					for _, line := range p.Finds {
						fmt.Fprintf(w, "  %s\n", oneLine(line))
					}
					for n, step := range p.Steps {
						fmt.Fprintf(w, "  %d. %s\n", n+1, step)
					}
				}
			})
		},
	}
	specs.add(cmd)
	return cmd
}
