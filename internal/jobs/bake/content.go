package bake

import (
	"context"
	"fmt"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/content"
	"github.com/stampmill/stampmill/internal/jobs/guest"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// contents reads what is on the builder, where no generalize tells it on its way.
func (b *program) contents(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.shell() != guest.Shell {
		return jobs.Done(), nil
	}
	outcome, ended, move, err := b.carryOut(ctx, turn, order{step: "content", server: b.progress.Builder.ID, shell: b.shell(), timeout: systemTimeout,
		command: func(_ context.Context, token string) (string, error) {
			return wrap(b.shell(), guest.Script{Token: token, Text: content.Script, Timeout: systemTimeout, Repeatable: true})
		}})
	if !ended || err != nil {
		return move, err
	}
	return jobs.Done(), b.keepContent(ctx, turn, outcome)
}

// keepContent puts the list of packages that a script's output has into the bucket, under a key made of its content, with the
// checksums of what made the version. A list that cannot be had is a warning: no image fails for it.
func (b *program) keepContent(ctx context.Context, turn *jobs.Turn, outcome guest.Outcome) error {
	manager, packages, found, err := content.Read(outcome.Stdout)
	if !found || b.progress.Content != nil {
		return nil
	}
	if err != nil {
		turn.Warn("the packages of this version are not known: %v", err)
		return nil
	}
	d := content.Document{Manager: manager, Packages: packages, Spec: b.job.Digest}
	d.Scripts, d.Files = b.checksums()
	raw, key, digest, err := d.Encode()
	if err != nil {
		return err
	}
	if err := b.kind.Files.Put(ctx, key, raw); err != nil {
		if jobs.IsClass(err, jobs.Retry) {
			return err
		}
		turn.Warn("the packages of this version could not be kept: %v", err)
		return nil
	}
	b.progress.Content = &l.Content{Key: key, Digest: digest, Manager: manager, Packages: len(packages)}
	return nil
}

// checksums are those of the scripts and files of the spec, in order.
func (b *program) checksums() (scripts, files []content.Checksum) {
	for i := range b.spec.Steps {
		switch s := &b.spec.Steps[i]; {
		case s.Run != nil:
			digest := s.Run.Digest
			if digest == "" {
				digest = content.Digest([]byte(s.Run.Text))
			}
			scripts = append(scripts, content.Checksum{Step: fmt.Sprintf("step-%d-run", i+1), Label: label(s.Name, s.Run), Digest: digest})
		case s.Copy != nil:
			digest := s.Copy.From.Digest
			if digest == "" {
				digest = content.Digest(s.Copy.From.Content)
			}
			files = append(files, content.Checksum{Step: fmt.Sprintf("step-%d-copy", i+1), Label: s.Copy.To, Digest: digest})
		}
	}
	return scripts, files
}
