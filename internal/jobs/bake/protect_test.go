package bake

import (
	"context"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

// shielded is EC2 with one AMI that is protected, or still being made.
type shielded struct {
	EC2
	protected, pending, gone bool
}

func (s *shielded) Deregister(context.Context, string, bool) error {
	if s.protected {
		return &jobs.Error{Code: "SomeCodeOfEC2"}
	}
	s.gone = true
	return nil
}

func (s *shielded) Unprotect(context.Context, string) error {
	if s.pending {
		return &jobs.Error{Class: jobs.Propagating, Code: "InvalidAMIID.Unavailable"}
	}
	s.protected = false
	return nil
}

func TestProtectionIsLiftedOnlyWhereItHinders(t *testing.T) {
	t.Parallel()
	b := &program{spec: Spec{Protect: &Protect{}}}
	for _, ami := range []*shielded{{protected: true}, {pending: true}} {
		if err := b.deregister(t.Context(), ami, "ami-1"); err != nil || !ami.gone {
			t.Errorf("%+v: %v", ami, err)
		}
	}
	if err := (&program{}).deregister(t.Context(), &shielded{protected: true}, "ami-1"); err == nil {
		t.Error("a protection that no spec of ours asked for was lifted")
	}
}
