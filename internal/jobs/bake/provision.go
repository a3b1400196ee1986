package bake

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/content"
	"github.com/stampmill/stampmill/internal/jobs/guest"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

const (
	defaultStepTimeout   = 30 * time.Minute
	defaultVerifyTimeout = 5 * time.Minute
	systemTimeout        = 10 * time.Minute // reboots, generalize
	restarts             = 3
)

// provisionSteps set the builder up through SSM.
func (b *program) provisionSteps() []jobs.Step {
	builder := &b.progress.Builder
	steps := []jobs.Step{{Name: "answers", Do: b.answers(thingBuilder, builder)}}
	for i := range b.spec.Steps {
		steps = append(steps, b.provisionStep(i))
	}
	steps = append(steps, b.verifySteps("verify", builder)...)
	if b.spec.generalizes() {
		steps = append(steps, jobs.Step{Name: "generalize", Do: b.generalize})
	} else {
		steps = append(steps, jobs.Step{Name: "content", Do: b.contents})
	}
	return steps
}

func (b *program) provisionStep(i int) jobs.Step {
	s := &b.spec.Steps[i]
	switch {
	case s.Reboot:
		return b.reboot(fmt.Sprintf("step-%d-reboot", i+1))
	case s.Copy != nil:
		return b.copyFile(fmt.Sprintf("step-%d-copy", i+1), s)
	}
	return b.run(fmt.Sprintf("step-%d-run", i+1), s)
}

func (b *program) run(name string, s *Step) jobs.Step {
	timeout := s.Timeout.Or(defaultStepTimeout)
	return jobs.Step{Name: name, Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		shell := b.shellFor(s.Shell)
		outcome, ended, move, err := b.carryOut(ctx, turn, order{step: name, server: b.progress.Builder.ID, shell: shell,
			timeout: timeout, command: b.wrapped(shell, s.Run, s.Env, s.Secrets, timeout)})
		switch {
		case !ended || err != nil:
			return move, err
		case outcome.OK():
			return jobs.Done(), nil
		case outcome.Died && s.Restartable && turn.Attempt(name) < restarts:
			turn.Note("%s: %s; it is run again", name, outcome)
			if err := turn.NewAttempt(ctx, name); err != nil {
				return jobs.Move{}, err
			}
			return jobs.Wait(b.pace(5*time.Second), "%s to run again", name), nil
		}
		return b.failed(turn, name, label(s.Name, s.Run), outcome), nil
	}}
}

func (b *program) reboot(name string) jobs.Step {
	return jobs.Step{Name: name, Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		shell := b.shell()
		outcome, ended, move, err := b.carryOut(ctx, turn, order{step: name, server: b.progress.Builder.ID, shell: shell,
			timeout: systemTimeout, command: func(_ context.Context, token string) (string, error) { return guest.Reboot(shell, token) }})
		if !ended || err != nil {
			return move, err
		}
		if !outcome.OK() {
			return b.failed(turn, name, "reboot", outcome), nil
		}
		return jobs.Done(), nil
	}}
}

func (b *program) copyFile(name string, s *Step) jobs.Step {
	timeout := s.Timeout.Or(defaultStepTimeout)
	return jobs.Step{Name: name, Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		shell := b.shell()
		outcome, ended, move, err := b.carryOut(ctx, turn, order{step: name, server: b.progress.Builder.ID, shell: shell, timeout: timeout,
			command: func(ctx context.Context, token string) (string, error) {
				text, err := b.copyScript(ctx, shell, s.Copy)
				if err != nil {
					return "", err
				}
				return wrap(shell, guest.Script{Token: token, Text: text, Timeout: timeout})
			}})
		if !ended || err != nil {
			return move, err
		}
		if !outcome.OK() {
			return b.failed(turn, name, s.Copy.To, outcome), nil
		}
		return jobs.Done(), nil
	}}
}

func (b *program) copyScript(ctx context.Context, shell string, s *Copy) (string, error) {
	file := s.From
	mode := s.Mode
	if mode == "" {
		mode = file.Mode
	}
	out := guest.Copy{To: s.To, Name: path.Base(file.Path), Folder: file.Folder, Mode: mode, Owner: s.Owner, Content: file.Content}
	if file.IsStored() {
		url, err := b.kind.Files.PresignGet(ctx, file.Key, presigned)
		if err != nil {
			return "", err
		}
		out.Content, out.Fetch, out.Digest = nil, url, file.Digest
	}
	return out.Script(shell)
}

// verifySteps ask the server whether it is as it should be.
func (b *program) verifySteps(prefix string, on *server) []jobs.Step {
	var steps []jobs.Step
	for i := range b.spec.Verify {
		steps = append(steps, b.verify(fmt.Sprintf("%s-%d", prefix, i+1), &b.spec.Verify[i], on))
	}
	return steps
}

func (b *program) verify(name string, v *Verify, on *server) jobs.Step {
	timeout := v.Timeout.Or(defaultVerifyTimeout)
	return jobs.Step{Name: name, Do: func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		shell := b.shellFor(v.Shell)
		o := order{step: name, server: on.ID, shell: shell, timeout: timeout}
		if v.HTTP != nil {
			probe := v.HTTP.probe()
			o.command = func(_ context.Context, token string) (string, error) {
				return wrap(shell, guest.Script{Token: token, Text: probe.Script(shell), Timeout: timeout})
			}
		} else {
			o.command = b.wrapped(shell, v.Run, v.Env, v.Secrets, timeout)
		}
		outcome, ended, move, err := b.carryOut(ctx, turn, o)
		if !ended || err != nil {
			return move, err
		}
		if reason := v.wrong(outcome); reason != "" {
			if tail := outcome.Tail(); tail != "" {
				turn.Note("%s wrote at its end:\n%s", name, tail)
			}
			return jobs.Fail("%s (%s): %s", name, v.label(), reason), nil
		}
		return jobs.Done(), nil
	}}
}

// label names what is asked for: the address, or the script.
func (v *Verify) label() string {
	if v.HTTP != nil {
		return v.HTTP.probe().URL()
	}
	return label("", v.Run)
}

// wrong says what is not as expected; empty: nothing.
func (v *Verify) wrong(o guest.Outcome) string {
	if o.Died || o.TimedOut || o.Undelivered {
		return o.String()
	}
	if o.Exit != v.ExitCode {
		if v.ExitCode == 0 {
			return o.String()
		}
		return fmt.Sprintf("%s, expected %d", o, v.ExitCode)
	}
	if v.Output != "" && !strings.Contains(o.Stdout, v.Output) {
		return fmt.Sprintf("expected %q in its output", v.Output)
	}
	if v.Matches != "" {
		if fits, err := regexp.MatchString(v.Matches, o.Stdout); err != nil || !fits {
			return fmt.Sprintf("expected output that matches %q", v.Matches)
		}
	}
	return ""
}

func (h *HTTP) probe() guest.Probe {
	return guest.Probe{Port: h.Port, Path: h.Path, TLS: h.TLS, Status: h.Status, Contains: h.Contains, Within: h.Within.Or(30 * time.Second)}
}

// generalize removes from the builder what its clones must not share. It may run twice.
func (b *program) generalize(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	shell := b.shell()
	outcome, ended, move, err := b.carryOut(ctx, turn, order{step: "generalize", server: b.progress.Builder.ID, shell: shell, timeout: systemTimeout, stops: guest.StopsItself(shell),
		command: func(_ context.Context, token string) (string, error) {
			return wrap(shell, guest.Script{Token: token, Text: b.inventory() + guest.Generalize(shell), Timeout: systemTimeout, Repeatable: true})
		}})
	if r := b.progress.Command; !ended && guest.StopsItself(shell) && r != nil && !r.Sent.IsZero() && turn.Now().Sub(r.Sent) > time.Minute {
		b.progress.Command = nil // sysprep may have stopped the agent before it could tell; the next step sees the server stop
		return jobs.Done(), nil
	}
	if !ended || err != nil {
		return move, err
	}
	if guest.StopsItself(shell) && (outcome.Died || outcome.Undelivered || outcome.Exit < 0) {
		return jobs.Done(), nil // the server went off under it, as it should; the next step sees it stop
	}
	if !outcome.OK() {
		return b.failed(turn, "generalize", "system", outcome), nil
	}
	return jobs.Done(), b.keepContent(ctx, turn, outcome)
}

// inventory is what the script that generalizes tells before: the packages, for no round trip of their own.
func (b *program) inventory() string {
	if b.shell() != guest.Shell {
		return ""
	}
	return content.Script
}

func (b *program) shellFor(asked string) string {
	if asked != "" {
		return asked
	}
	return b.shell()
}

func label(name string, s *spec.Script) string {
	if name != "" {
		return name
	}
	return s.Label()
}
