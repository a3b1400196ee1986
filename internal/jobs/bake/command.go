package bake

import (
	"context"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/guest"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// order is a script for a server.
type order struct {
	step, server, shell string
	timeout             time.Duration
	stops               bool // the script stops the server
	// command gives the text to send under the token.
	command func(ctx context.Context, token string) (string, error)
}

const (
	// deliveryTimeout is how long SSM keeps a command for an agent that is not there.
	deliveryTimeout = 10 * time.Minute
	// deliveries is how often a command is sent that never reached the agent.
	deliveries = 3
	// overtime is how much longer than its limit a command may seem to run: reboots, output, SSM itself.
	overtime = 30 * time.Minute
)

// carryOut sends the order once, and asks for its end. The command's id is saved with the wait that follows; if that is lost,
// the second command under the same token waits on the server for the first. Ended is false where the step has to return
// the move or the error.
func (b *program) carryOut(ctx context.Context, turn *jobs.Turn, o order) (outcome guest.Outcome, ended bool, move jobs.Move, err error) {
	if r := b.progress.Command; r == nil || r.Step != o.step || r.Server != o.server {
		b.progress.Command = &command{Step: o.step, Server: o.server}
	}
	r := b.progress.Command
	if r.ID == "" {
		if err := b.send(ctx, turn, o, r); err != nil {
			return outcome, false, move, err
		}
		return outcome, false, jobs.Wait(b.pace(2*time.Second), "%s on %s", o.step, o.server).Awaiting(jobs.Await{ID: r.ID}), nil
	}
	i, found, err := b.ssm().Invocation(ctx, r.ID, o.server)
	if err != nil {
		return outcome, false, move, err
	}
	r.Polls++
	if !found && turn.Now().Sub(r.Sent) > jobs.PropagationLimit {
		return b.resend(turn, o, r, guest.Outcome{Exit: -1, Undelivered: true})
	}
	if !found || !i.Ended() {
		return b.await(ctx, turn, o, r)
	}
	outcome = guest.Read(i)
	if outcome.Undelivered && !o.stops {
		return b.resend(turn, o, r, outcome)
	}
	b.progress.Command = nil
	turn.OnlySaw()
	return outcome, true, move, nil
}

func (b *program) send(ctx context.Context, turn *jobs.Turn, o order, r *command) error {
	script, err := o.command(ctx, turn.Token(o.step))
	if err != nil {
		return err
	}
	id, err := b.ssm().Send(ctx, c.Command{
		Shell: o.shell, Script: script, InstanceIDs: []string{o.server},
		Comment: jobs.Clip(fmt.Sprintf("stampmill %s %s", b.job.Name, o.step), 90),
		Timeout: o.timeout + time.Minute, DeliveryTimeout: deliveryTimeout,
		OutputBucket: b.kind.Files.Bucket(), OutputPrefix: fmt.Sprintf("logs/%s/r%d/%s", b.job.ID, b.job.Run, o.step),
	})
	if err != nil {
		return err
	}
	r.ID, r.Sent, r.Polls = id, turn.Now(), 0
	return nil
}

// resend sends a command again that never began, under the same token.
func (b *program) resend(turn *jobs.Turn, o order, r *command, outcome guest.Outcome) (guest.Outcome, bool, jobs.Move, error) {
	if r.Tries+1 >= deliveries {
		b.progress.Command = nil
		return outcome, true, jobs.Move{}, nil
	}
	turn.Note("%s: %s; it is sent again", o.step, outcome)
	b.progress.Command = &command{Step: o.step, Server: o.server, Tries: r.Tries + 1}
	return outcome, false, jobs.Wait(b.pace(10*time.Second), "the SSM agent on %s", o.server), nil
}

// await waits for a command, less often as it takes longer, and notices a server that went away under it.
func (b *program) await(ctx context.Context, turn *jobs.Turn, o order, r *command) (guest.Outcome, bool, jobs.Move, error) {
	age := turn.Now().Sub(r.Sent)
	none := guest.Outcome{}
	if age > o.timeout+deliveryTimeout+overtime {
		if err := b.ssm().CancelCommand(ctx, r.ID, o.server); err != nil {
			turn.Note("cancel %s: %v", r.ID, err)
		}
		b.progress.Command = nil
		return guest.Outcome{Exit: -1, TimedOut: true}, true, jobs.Move{}, nil
	}
	if turn.Woken() == o.server && !o.stops {
		if err := b.gone(ctx, o.server); err != nil {
			return none, false, jobs.Move{}, err
		}
	}
	if age > time.Minute && r.Polls%4 == 0 {
		agents, err := b.ssm().Managed(ctx, o.server)
		if err != nil {
			return none, false, jobs.Move{}, err
		}
		if agents[o.server].PingStatus != "Online" {
			if err := b.gone(ctx, o.server); err != nil {
				return none, false, jobs.Move{}, err
			}
		}
	}
	wait := jobs.Wait(b.pace(pollWait(r.Polls)), "%s on %s", o.step, o.server).Awaiting(jobs.Await{ID: r.ID})
	if age > b.pace(time.Minute) && !o.stops { // it is worth a write to learn at once that the server went away
		wait = wait.Awaiting(jobs.Await{ID: o.server})
	}
	return none, false, wait, nil
}

func pollWait(polls int) time.Duration {
	waits := []time.Duration{2, 2, 3, 5, 5, 10, 10, 15, 20}
	if polls < len(waits) {
		return waits[polls] * time.Second
	}
	return 30 * time.Second
}

// script is a spec's script for the wrapper: its text, or where the server fetches it.
func (b *program) script(ctx context.Context, token string, s *spec.Script, env, secrets map[string]string, timeout time.Duration) (guest.Script, error) {
	out := guest.Script{Token: token, Text: s.Text, Env: b.environment(env), Secrets: secrets, Region: b.region, Timeout: timeout}
	if !s.IsStored() {
		return out, nil
	}
	url, err := b.kind.Files.PresignGet(ctx, s.Key, presigned)
	out.Text, out.Fetch, out.Digest = "", url, s.Digest
	return out, err
}

// presigned is how long a server may take to fetch what it is told to: the delivery, and a reboot between.
const presigned = time.Hour

// wrapped makes an order's command of a script.
func (b *program) wrapped(shell string, s *spec.Script, env, secrets map[string]string, timeout time.Duration) func(context.Context, string) (string, error) {
	return func(ctx context.Context, token string) (string, error) {
		script, err := b.script(ctx, token, s, env, secrets, timeout)
		if err != nil {
			return "", err
		}
		return wrap(shell, script)
	}
}

// wrap makes what can never be sent an error that fails the job.
func wrap(shell string, s guest.Script) (string, error) {
	text, err := guest.Wrap(shell, s)
	if err != nil {
		return "", jobs.Fatalf("wrap the script", s.Token, err.Error(), "")
	}
	return text, nil
}

// failed ends the bake with what a script said.
func (b *program) failed(turn *jobs.Turn, step, label string, o guest.Outcome) jobs.Move {
	if tail := o.Tail(); tail != "" {
		turn.Note("%s wrote at its end:\n%s", step, tail)
	}
	return jobs.Fail("%s (%s): %s", step, label, o)
}
