package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
)

func (c *command) logs() *cobra.Command {
	var follow bool
	var run int
	cmd := &cobra.Command{
		Use: "logs JOB", Short: "Print the output of a job's scripts, also after its servers are gone", Args: cobra.ExactArgs(1),
		Long: `Prints every script's output, whole, in the order in which the scripts ran. A builder without SSM has the
last 64 KB of its console instead. With --follow it goes on until the job has ended; a script that still
runs shows what SSM has of it so far.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			l := &logReader{command: c, app: a, id: args[0], run: run, printed: map[string]int{}}
			return l.read(cmd.Context(), follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job has ended")
	cmd.Flags().IntVar(&run, "run", 0, "the run that is meant (default: the last one)")
	return cmd
}

// logReader prints what is new in a job's output each time it looks.
type logReader struct {
	*command
	app     *app.App
	id      string
	run     int
	heading string
	printed map[string]int // bytes printed by key
}

func (l *logReader) read(ctx context.Context, follow bool) error {
	for {
		job, err := find(ctx, l.app, l.id)
		if err != nil {
			return err
		}
		if l.run == 0 {
			l.run = job.Run
		}
		if err := l.stored(ctx, job); err != nil {
			return err
		}
		if job.Finished() || !follow {
			if len(l.printed) == 0 {
				fmt.Fprintln(l.Err, "no script has ended yet, or the job has none")
			}
			return nil
		}
		if err := l.running(ctx, job); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return exitf(ExitFailure, "stopped following; the job goes on")
		case <-time.After(2 * time.Second):
		}
	}
}

// stored prints what stands in the bucket. Keys are logs/JOB/rRUN/STEP/…/stdout or stderr.
func (l *logReader) stored(ctx context.Context, job *jobs.Job) error {
	prefix := fmt.Sprintf("logs/%s/r%d/", job.ID, l.run)
	keys, err := l.app.Files.List(ctx, prefix)
	if err != nil {
		return err
	}
	slices.SortStableFunc(keys, func(a, b string) int { return compareSteps(a[len(prefix):], b[len(prefix):]) })
	for _, key := range keys {
		if l.printed[key] > 0 {
			continue
		}
		content, found, err := l.app.Files.Get(ctx, key)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		step, rest, _ := strings.Cut(key[len(prefix):], "/")
		name := rest[strings.LastIndexByte(rest, '/')+1:]
		already := l.printed["live/"+step+"/"+name]
		l.printed[key] = len(content) + 1
		l.write(step, name, content, already)
	}
	return nil
}

// compareSteps orders step-2-run before step-10-run, and what a name does not tell by the name.
func compareSteps(a, b string) int {
	na, nb := stepNumber(a), stepNumber(b)
	if na != nb {
		return na - nb
	}
	return strings.Compare(a, b)
}

func stepNumber(key string) int {
	step, _, _ := strings.Cut(key, "/")
	for _, part := range strings.Split(step, "-") {
		if n, err := strconv.Atoi(part); err == nil {
			return n
		}
	}
	order := []string{"provision", "freeze", "verify", "generalize", "boot", "test"}
	if at := slices.IndexFunc(order, func(word string) bool { return strings.HasPrefix(step, word) }); at >= 0 {
		return 1000 + at
	}
	return 2000
}

// running prints what SSM has of the script that runs now.
func (l *logReader) running(ctx context.Context, job *jobs.Job) error {
	var data struct {
		Command *struct {
			Step   string `json:"step"`
			Server string `json:"server"`
			ID     string `json:"id"`
		} `json:"command"`
	}
	if len(job.Data) == 0 || json.Unmarshal(job.Data, &data) != nil || data.Command == nil || data.Command.ID == "" {
		return nil
	}
	invocation, found, err := l.app.SSM.For(job.Target).Invocation(ctx, data.Command.ID, data.Command.Server)
	if err != nil || !found {
		return nil // it is told again, or stored, at the next look
	}
	for name, text := range map[string]string{"stdout": invocation.Stdout, "stderr": invocation.Stderr} {
		key := "live/" + data.Command.Step + "/" + name
		if len(text) > l.printed[key] {
			l.write(data.Command.Step, name, []byte(text), l.printed[key])
			l.printed[key] = len(text)
		}
	}
	return nil
}

// write prints content from a byte on, under a heading where another script or stream begins. Control characters other
// than the usual ones are shown, not obeyed: a script's output is hostile to a terminal.
func (l *logReader) write(step, stream string, content []byte, from int) {
	if from >= len(content) {
		return
	}
	if heading := step + " " + stream; heading != l.heading {
		l.heading = heading
		fmt.Fprintf(l.Out, "── %s ──\n", heading)
	}
	text := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f {
			return r
		}
		if r == '\r' {
			return -1
		}
		return '·'
	}, string(content[from:]))
	fmt.Fprint(l.Out, text)
	if !strings.HasSuffix(text, "\n") {
		fmt.Fprintln(l.Out)
	}
}
