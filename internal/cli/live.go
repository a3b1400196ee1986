package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/guest"
)

const (
	// peekTimeout is how long a look at a builder's files may take.
	peekTimeout = 30 * time.Second
	// peekPoll is how often the look's end is asked for.
	peekPoll = 500 * time.Millisecond
)

// at is where a bake's script runs, as its progress has it.
type at struct {
	Source struct {
		Platform string `json:"platform"`
	} `json:"source"`
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
	Command *struct {
		Step   string `json:"step"`
		Server string `json:"server"`
		ID     string `json:"id"`
	} `json:"command"`
}

// whereabouts reads where a job's script runs; found is false where none does.
func whereabouts(job *jobs.Job) (where at, found bool) {
	if len(job.Data) == 0 || json.Unmarshal(job.Data, &where) != nil {
		return at{}, false
	}
	return where, true
}

// running prints what the script that runs now has written since the last look: the wrapper on the server keeps it in
// files. SSM itself shows a script's output only at its end.
func (l *logReader) running(ctx context.Context, job *jobs.Job) {
	where, found := whereabouts(job)
	if !found || where.Command == nil || where.Command.ID == "" || l.noLive {
		return
	}
	if where.Source.Platform == guest.Windows {
		l.withoutLive("output is not shown live on Windows; each script's comes when it has ended")
		return
	}
	step := where.Command.Step
	if step == "generalize" || strings.Contains(step, "freeze") || strings.Contains(step, "thaw") {
		return // what the agent keeps of a look now would be in the image
	}
	token := (&jobs.Turn{Job: job}).Token(step)
	for more := true; more; {
		out, ok := l.peek(ctx, job, where.Command.Server, guest.Peek(token, l.live[step+" stdout"], l.live[step+" stderr"]))
		if !ok {
			return
		}
		var stdout, stderr []byte
		stdout, stderr, more = guest.ReadPeek(out)
		l.write(step+" stdout", string(stdout))
		l.write(step+" stderr", string(stderr))
		l.live[step+" stdout"] += len(stdout)
		l.live[step+" stderr"] += len(stderr)
	}
}

// peek runs a script that reads on the server, and gives what it printed. Without ok there is nothing to be had now.
func (l *logReader) peek(ctx context.Context, job *jobs.Job, server, script string) (string, bool) {
	ssm := l.app.SSM.For(job.Target)
	id, err := ssm.Send(ctx, cloud.Command{Shell: guest.Shell, Script: script, InstanceIDs: []string{server},
		Comment: "stampmill logs --follow", Timeout: peekTimeout, DeliveryTimeout: peekTimeout})
	if jobs.IsClass(err, jobs.Fatal) {
		l.withoutLive(fmt.Sprintf("output is not shown live: %s\neach script's comes when it has ended", l.explain(err)))
	}
	if err != nil {
		return "", false // the server may be booting, or gone; the stored output tells in the end
	}
	for deadline := time.Now().Add(peekTimeout); time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return "", false
		case <-time.After(peekPoll):
		}
		i, found, err := ssm.Invocation(ctx, id, server)
		if jobs.IsClass(err, jobs.Fatal) {
			l.withoutLive(fmt.Sprintf("output is not shown live: %s\neach script's comes when it has ended", l.explain(err)))
		}
		if err != nil {
			return "", false
		}
		if found && i.Ended() {
			return i.Stdout, i.Status == "Success"
		}
	}
	return "", false
}

func (l *logReader) withoutLive(note string) {
	if !l.noLive {
		fmt.Fprintln(l.Err, lines(note))
	}
	l.noLive = true
}

// builderConsole prints the console of a builder that is provisioned by user data, while it is there.
func (l *logReader) builderConsole(ctx context.Context, job *jobs.Job) {
	where, found := whereabouts(job)
	if !found || where.Builder.ID == "" || job.Step != "provision" || l.noLive {
		return
	}
	text, err := l.app.EC2.For(job.Target).Console(ctx, where.Builder.ID)
	switch {
	case jobs.IsClass(err, jobs.Fatal):
		l.withoutLive(fmt.Sprintf("the console is not shown live: %s\nit comes when the builder has ended", l.explain(err)))
	case err == nil:
		l.writeConsole(text)
	}
}
