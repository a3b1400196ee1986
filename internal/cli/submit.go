package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// specFlags are what every command that reads spec files takes.
type specFlags struct {
	vars     []string
	varFiles []string
}

func (f *specFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.vars, "var", nil, "a variable, NAME=VALUE; may be repeated")
	cmd.Flags().StringArrayVar(&f.varFiles, "vars", nil, "a YAML file of variables; --var goes over it")
}

func (f *specFlags) load(files []string) ([]spec.Document, error) {
	vars := map[string]string{}
	for _, file := range f.varFiles {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, exitf(ExitUsage, "--vars: %w", err)
		}
		var more map[string]any
		if err := yaml.Unmarshal(content, &more); err != nil {
			return nil, exitf(ExitInvalid, "--vars %s: expected a YAML map of names to values: %s", file, yaml.FormatError(err, false, true))
		}
		for name, value := range more {
			vars[name] = fmt.Sprint(value)
		}
	}
	for _, pair := range f.vars {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, exitf(ExitUsage, "--var is %q; expected NAME=VALUE", pair)
		}
		vars[name] = value
	}
	return spec.Load(files, vars, Registry())
}

// submission is what submit tells of each document.
type submission struct {
	Job  string `json:"job"`
	Kind string `json:"kind"`
	Name string `json:"name"`
	Key  string `json:"key"`
}

func (c *command) submit() *cobra.Command {
	var specs specFlags
	var key, priority string
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "submit FILE…",
		Short: "Check spec files and enqueue a job for each document",
		Long: `Checks all files first; nothing is sent if one document is wrong. Prints each job's id.

Without --key each call is a new request. With it, submitting again names the same job: a pipeline that is
run twice bakes once. The same key with another spec is refused.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			documents, err := specs.load(files)
			if err != nil {
				return err
			}
			if err := errors.Join(checkPriority(priority), onlyJobs(documents)); err != nil {
				return err
			}
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			sent, err := c.send(cmd.Context(), a, documents, key, priority)
			if err != nil {
				return err
			}
			if !wait || c.output == "table" {
				if err := c.print(sent, func(w io.Writer) {
					for _, s := range sent {
						row(w, s.Job)
					}
				}); err != nil || !wait {
					return err
				}
			}
			ids := make([]string, len(sent))
			for i, s := range sent {
				ids[i] = s.Job
			}
			return c.waitFor(cmd.Context(), a, ids, timeout, nil)
		},
	}
	specs.add(cmd)
	cmd.Flags().StringVar(&key, "key", "", "names the request: the same key is the same job (default: a new one each call)")
	cmd.Flags().StringVar(&priority, "priority", "", "high, normal or low; goes over the documents' own")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the jobs have ended, with progress")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "with --wait: give up waiting after this long (the jobs go on)")
	return cmd
}

func checkPriority(priority string) error {
	if priority != "" && priority != "high" && priority != "normal" && priority != "low" {
		return exitf(ExitUsage, "--priority is %q; expected high, normal or low", priority)
	}
	return nil
}

// send puts what the documents refer to into the bucket, then the submissions onto the queues, in the files' order.
func (c *command) send(ctx context.Context, a *app.App, documents []spec.Document, key, priority string) ([]submission, error) {
	for _, d := range documents {
		for _, upload := range d.Uploads {
			if err := a.Files.PutIfAbsent(ctx, upload.Key, upload.Content); err != nil {
				return nil, fmt.Errorf("upload what %s:%d refers to: %w", d.File, d.Line, err)
			}
		}
	}
	var sent []submission
	for _, d := range documents {
		m := message(d, key, priority)
		if err := a.Queue.Send(ctx, jobs.SubmitLane(m.Priority), m, 0); err != nil {
			return nil, fmt.Errorf("submit %s %s: %w (%d of %d documents were sent; submit again with the same --key to send the rest)",
				d.Kind, d.Name, err, len(sent), len(documents))
		}
		sent = append(sent, submission{Job: m.JobID(""), Kind: d.Kind, Name: d.Name, Key: m.Key})
	}
	return sent, nil
}

func message(d spec.Document, key, priority string) *jobs.Message {
	m := &jobs.Message{Type: jobs.Submit, Kind: d.Kind, Name: d.Name, Role: d.Role, Region: d.Region, Key: d.Key,
		Priority: jobs.Priority(d.Priority), Labels: d.Labels, Spec: d.Spec}
	if key != "" {
		m.Key = key
	}
	if m.Key == "" {
		m.Key = jobs.NewIncarnation()
	}
	if priority != "" {
		m.Priority = jobs.Priority(priority)
	}
	return m
}

func (c *command) validate() *cobra.Command {
	var specs specFlags
	cmd := &cobra.Command{
		Use: "validate FILE…", Short: "Check spec files; needs no AWS account", Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			documents, err := specs.load(files)
			if err != nil {
				return err
			}
			type valid struct {
				Kind string `json:"kind"`
				Name string `json:"name"`
				File string `json:"file"`
				Line int    `json:"line"`
			}
			list := make([]valid, len(documents))
			for i, d := range documents {
				list[i] = valid{d.Kind, d.Name, d.File, d.Line}
			}
			return c.print(list, func(w io.Writer) {
				for _, d := range documents {
					row(w, "valid", d.Kind, d.Name, fmt.Sprintf("%s:%d", d.File, d.Line))
				}
			})
		},
	}
	specs.add(cmd)
	return cmd
}

func (c *command) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [KIND|message]",
		Short: "Print a JSON Schema (2020-12): of a kind's documents, or of queue messages",
		Long:  "Without an argument: the schema of spec files, all kinds. With a kind: its spec's. `message`: what anyone may put on the queues.",
		Args:  cobra.MaximumNArgs(1), ValidArgs: append(Registry().Names(), "message"),
		RunE: func(_ *cobra.Command, args []string) error {
			registry := Registry()
			var schema []byte
			var err error
			switch {
			case len(args) == 0:
				schema, err = registry.DocumentSchema()
			case args[0] == "message":
				schema, err = registry.MessageSchema()
			default:
				if _, ok := registry[args[0]]; !ok {
					return exitf(ExitUsage, "there is no kind %q; expected message or one of %s", args[0], strings.Join(registry.Names(), ", "))
				}
				schema, err = registry.Schema(args[0])
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.Out, strings.TrimSpace(string(schema)))
			return err
		},
	}
}

func labelText(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, name+"="+labels[name])
	}
	return strings.Join(parts, ",")
}
