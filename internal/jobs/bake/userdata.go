package bake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	"github.com/stampmill/stampmill/internal/jobs/guest"
)

// What the builder writes on its console. It stops itself only when everything has succeeded.
const (
	consoleFailed = "stampmill: provision failed: "
	consoleLook   = time.Minute
)

// userData is everything that the builder does at its first boot, where no SSM reaches it.
func (b *program) userData() ([]byte, error) {
	parts := guest.Provision{Generalize: b.spec.generalizes(), Region: b.region}
	for i := range b.spec.Steps {
		s := &b.spec.Steps[i]
		part := guest.Part{Name: fmt.Sprintf("step-%d", i+1), Env: b.environment(s.Env), Secrets: s.Secrets, Timeout: s.Timeout.Or(defaultStepTimeout)}
		if s.Copy != nil {
			text, err := b.copyScript(context.Background(), b.shell(), s.Copy)
			if err != nil {
				return nil, err
			}
			part.Text, part.Env = text, nil
		} else {
			part.Text = s.Run.Text
		}
		parts.Parts = append(parts.Parts, part)
	}
	for i := range b.spec.Verify {
		v := &b.spec.Verify[i]
		part := guest.Part{Name: fmt.Sprintf("verify-%d", i+1), Env: b.environment(v.Env), Secrets: v.Secrets,
			Timeout: v.Timeout.Or(defaultVerifyTimeout), Exit: v.ExitCode, Output: v.Output, Matches: v.Matches}
		if v.HTTP != nil {
			part.Text, part.Env = v.HTTP.probe().Script(b.shell()), nil
		} else {
			part.Text = v.Run.Text
		}
		parts.Parts = append(parts.Parts, part)
	}
	data, err := parts.UserData(b.shell())
	if err != nil {
		return nil, jobs.Fatalf("user data", b.job.Name, err.Error(), "provision with SSM")
	}
	return data, nil
}

// provisioned waits until the builder has stopped itself.
func (b *program) provisioned(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	s := &b.progress.Builder
	age, limit := turn.Now().Sub(s.Since), b.spec.Builder.Within.Or(bootLimit)
	if age < b.pace(copies.Young) {
		return jobs.Look(b.pace(time.Minute), "the builder %s to stop itself", s.ID).Awaiting(jobs.Await{ID: s.ID}), nil
	}
	found, err := b.ec2().Instances(ctx, s.ID)
	if err != nil {
		return jobs.Move{}, err
	}
	if len(found) > 0 {
		switch i := found[0]; i.State {
		case "stopped":
			s.Volumes = i.Volumes
			return jobs.Done(), nil
		case "terminated", "shutting-down":
			return jobs.Fail("the builder %s is %s: %s", s.ID, i.State, orUnknown(i.StateReason)), nil
		}
	}
	if turn.Now().Sub(s.Looked) >= b.pace(consoleLook) || age > limit {
		s.Looked = turn.Now()
		console, err := b.ec2().Console(ctx, s.ID)
		if err != nil {
			return jobs.Move{}, err
		}
		if at := strings.LastIndex(console, consoleFailed); at >= 0 {
			turn.Note("the console says at its end:\n%s", lastOf(console[:at], 2<<10))
			line, _, _ := strings.Cut(console[at+len(consoleFailed):], "\n")
			return jobs.Fail("provision: %s", jobs.Clip(strings.TrimSpace(line), 200)), nil
		}
		if age > limit {
			turn.Note("the console says at its end:\n%s", lastOf(console, 2<<10))
			return jobs.Fail("the builder %s did not stop itself within %s", s.ID, limit), nil
		}
	}
	return jobs.Look(b.pace(15*time.Second), "the builder %s to stop itself", s.ID).Awaiting(jobs.Await{ID: s.ID}), nil
}

func lastOf(text string, n int) string {
	return strings.ToValidUTF8(text[max(len(text)-n, 0):], "")
}

// keepConsole puts the console of a builder without SSM into the bucket before it goes: there is no other output of its
// scripts. It is for people, so that what keeps it from being kept does not hold the bake up.
func (b *program) keepConsole(ctx context.Context, turn *jobs.Turn) {
	id := b.progress.Builder.ID
	if !b.spec.inUserData() || id == "" || b.progress.Console {
		return
	}
	b.progress.Console = true
	console, err := b.ec2().Console(ctx, id)
	if err == nil && console != "" {
		err = b.kind.Files.Put(ctx, fmt.Sprintf("logs/%s/r%d/console", b.job.ID, b.job.Run), []byte(console))
	}
	if err != nil {
		turn.Note("the console of %s was not kept: %v", id, err)
	}
}
