package lifecycle

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// guarded is EC2 with one AMI that is protected: for as long as nobody lifts it, or a day longer.
type guarded struct {
	EC2
	protected, cooldown bool
	tags                map[string]string
	calls               []string
}

func (g *guarded) Images(context.Context, ...string) ([]c.Image, error) {
	return []c.Image{{ID: "ami-1", Tags: g.tags}}, nil
}

func (g *guarded) Deregister(context.Context, string, bool) error {
	g.calls = append(g.calls, "deregister")
	if g.protected {
		return &jobs.Error{Class: jobs.Fatal, Message: "deregistration protection is on"}
	}
	return nil
}

func (g *guarded) Unprotect(context.Context, string) error {
	g.calls = append(g.calls, "unprotect")
	g.protected = g.cooldown
	return nil
}

func TestProtectionIsLiftedOnlyWhereTheVersionsOwnBakePutIt(t *testing.T) {
	t.Parallel()
	ours := map[string]string{jobs.TagInstallation: "test"}
	for name, tc := range map[string]struct {
		ec2   guarded
		spec  string
		calls string
		want  string // of the error; empty: it is gone
	}{
		"not protected":              {ec2: guarded{tags: ours}, calls: "deregister"},
		"protected by its Bake":      {ec2: guarded{tags: ours, protected: true}, spec: `{"protect": {}}`, calls: "deregister unprotect deregister"},
		"in a cooldown":              {ec2: guarded{tags: ours, protected: true, cooldown: true}, spec: `{"protect": {"cooldown": true}}`, calls: "deregister unprotect deregister", want: "24 hours"},
		"protected by somebody else": {ec2: guarded{tags: ours, protected: true}, spec: `{}`, calls: "deregister", want: "protection is on"},
		"not ours":                   {ec2: guarded{}, spec: `{"protect": {}}`, want: "installation's tag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := Line{EC2: func(string, string) EC2 { return &tc.ec2 }}
			v := l.Version{Image: "web", Number: 1, Spec: json.RawMessage(tc.spec)}
			err := line.Remove(t.Context(), &jobs.Turn{Installation: "test"}, v, l.Located{Region: "eu-west-1", RegionalCopy: l.RegionalCopy{AMI: "ami-1"}})
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) || !slices.Equal(tc.ec2.calls, strings.Fields(tc.calls)) {
				t.Errorf("it ends with %v after %v, want %q after %q", err, tc.ec2.calls, tc.want, tc.calls)
			}
		})
	}
}
