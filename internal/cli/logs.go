package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/content"
	"github.com/stampmill/stampmill/internal/jobs/guest"
)

func (c *command) logs() *cobra.Command {
	var follow bool
	var run int
	cmd := &cobra.Command{
		Use: "logs JOB", Short: "Print the output of a job's scripts, also after its servers are gone", Args: cobra.ExactArgs(1),
		Long: `Prints every script's output, whole, in the order in which the scripts ran, from the installation's bucket.
A builder without SSM (provision: userData) has the last 64 KB of its console instead.

With --follow it goes on until the job has ended, and shows what a script writes while it runs: it reads the
output's file on the builder by SSM Run Command (AWS-RunShellScript), which changes nothing there. That needs
ssm:SendCommand and ssm:GetCommandInvocation; without them, and on Windows, each script's output comes when it
has ended.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			id := args[0]
			if follow {
				full, err := findOrAwaited(cmd.Context(), a, args)
				if err != nil {
					return err
				}
				id = full[0]
			}
			l := &logReader{command: c, app: a, id: id, run: run, seen: map[string]bool{}, live: map[string]int{}}
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
	ended   bool            // the last text ended its line
	seen    map[string]bool // keys of the bucket that were printed
	live    map[string]int  // bytes that were printed while the script ran, by step and stream
	console string          // what was printed of the console last
	noLive  bool
	waited  bool
}

// followInterval is how often a job that is followed is looked at.
const followInterval = 2 * time.Second

func (l *logReader) read(ctx context.Context, follow bool) error {
	for {
		job, err := l.load(ctx, follow)
		if err != nil {
			return err
		}
		if job != nil {
			if err := l.look(ctx, job, follow); err != nil {
				return err
			}
			if job.Finished() || !follow || job.Run != l.run {
				l.endLine()
				if l.heading == "" {
					fmt.Fprintln(l.Err, "there is no output: no script has ended yet, or the job has none")
				}
				return nil
			}
		}
		select {
		case <-ctx.Done():
			l.endLine()
			return exitf(ExitFailure, "stopped following; the job goes on")
		case <-time.After(followInterval):
		}
	}
}

// load finds the job; one that is followed may still be on its queue.
func (l *logReader) load(ctx context.Context, follow bool) (*jobs.Job, error) {
	job, err := find(ctx, l.app, l.id)
	var coded *exit
	if follow && wholeID.MatchString(l.id) && errors.As(err, &coded) && coded.code == ExitNotFound {
		if !l.waited {
			l.waited = true
			fmt.Fprintf(l.Err, "waiting for a worker to take %s\n", l.id)
		}
		return nil, nil
	}
	if err == nil && l.run == 0 {
		l.run = job.Run
	}
	return job, err
}

func (l *logReader) look(ctx context.Context, job *jobs.Job, follow bool) error {
	if err := l.stored(ctx, job); err != nil {
		return err
	}
	if job.Finished() || job.Run != l.run {
		return nil
	}
	l.builderConsole(ctx, job)
	if follow {
		l.running(ctx, job)
	}
	return nil
}

// stored prints what stands in the bucket: logs/JOB/rRUN/STEP/…/stdout or stderr, and logs/JOB/rRUN/console.
func (l *logReader) stored(ctx context.Context, job *jobs.Job) error {
	prefix := fmt.Sprintf("logs/%s/r%d/", job.ID, l.run)
	keys, err := l.app.Files.List(ctx, prefix)
	if err != nil {
		return err
	}
	slices.SortStableFunc(keys, func(a, b string) int { return compareSteps(a[len(prefix):], b[len(prefix):]) })
	for _, key := range keys {
		if l.seen[key] {
			continue
		}
		content, found, err := l.app.Files.Get(ctx, key)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		l.seen[key] = true
		l.writeStored(key[len(prefix):], string(content))
	}
	return nil
}

// writeStored prints what was not printed while the script ran. A command that was sent twice has the same output twice.
func (l *logReader) writeStored(key, text string) {
	step, rest, inStep := strings.Cut(key, "/")
	if !inStep {
		l.writeConsole(text)
		return
	}
	stream := rest[strings.LastIndexByte(rest, '/')+1:]
	if stream == "stderr" {
		text = guest.Errors(text)
	}
	at := step + " " + stream
	from := min(l.live[at], len(text))
	l.live[at] = max(l.live[at], len(text))
	l.write(at, text[from:])
}

// writeConsole prints what the console has beyond what was printed of it. It is the last 64 KB: its beginning goes.
func (l *logReader) writeConsole(text string) {
	text = strings.ReplaceAll(text, "\r", "")
	fresh := text
	if end := l.console[max(len(l.console)-256, 0):]; end != "" {
		if at := strings.LastIndex(text, end); at >= 0 {
			fresh = text[at+len(end):]
		}
	}
	if text != "" {
		l.console = text
	}
	l.write("console", fresh)
}

// compareSteps orders step-2-run before step-10-run, and what a name does not tell by the name.
func compareSteps(a, b string) int {
	na, nb := stepNumber(a), stepNumber(b)
	if na != nb {
		return na - nb
	}
	return strings.Compare(a, b)
}

// stepNumber puts the steps into the order in which a bake has them.
func stepNumber(key string) int {
	step, _, _ := strings.Cut(key, "/")
	words := strings.Split(step, "-")
	number := 0
	for _, word := range words {
		if n, err := strconv.Atoi(word); err == nil {
			number = min(n, 999)
			break
		}
	}
	order := []string{"step", "verify", "generalize", "freeze", "thaw", "boot", "test", "undo", "console"}
	if at := slices.Index(order, words[0]); at >= 0 {
		return at*1000 + number
	}
	return len(order)*1000 + number
}

// write prints a text under a heading where another script or stream begins. What a terminal would obey is not printed: a
// script's output is hostile to a terminal.
func (l *logReader) write(heading, text string) {
	if text == "" {
		return
	}
	if heading != l.heading {
		l.endLine()
		l.heading = heading
		fmt.Fprintf(l.Out, "── %s ──\n", oneLine(heading))
	}
	text = lines(strings.ReplaceAll(content.Without(text), "\r", ""))
	fmt.Fprint(l.Out, text)
	l.ended = strings.HasSuffix(text, "\n")
}

func (l *logReader) endLine() {
	if l.heading != "" && !l.ended {
		fmt.Fprintln(l.Out)
	}
	l.ended = true
}
