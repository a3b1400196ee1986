package rig

import (
	"context"

	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Apply keeps the policies of a spec's documents. Paths in it are relative to folder.
func (r *Rig) Apply(ctx context.Context, text, folder string) error {
	documents, err := spec.Parse("policy.yaml", []byte(text), folder, nil, cli.Registry())
	if err != nil {
		return err
	}
	for _, d := range documents {
		if err := cli.Apply(ctx, r.User, d); err != nil {
			return err
		}
	}
	return nil
}
