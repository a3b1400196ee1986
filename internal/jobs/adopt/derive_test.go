package adopt

import (
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

func TestSuccessorsOfServersWithoutPublicAddressesGetNone(t *testing.T) {
	t.Parallel()
	private, open, stopped := cloud.Instance{State: "running"}, cloud.Instance{State: "running", PublicIP: "192.0.2.1"}, cloud.Instance{State: "stopped"}
	no, yes := false, true
	for name, tc := range map[string]struct {
		servers  []cloud.Instance
		template bool
		want     *bool
	}{
		"all private":                    {servers: []cloud.Instance{private, private}, want: &no},
		"all public":                     {servers: []cloud.Instance{open, open}, want: &yes},
		"all public, of a template":      {servers: []cloud.Instance{open}, template: true, want: &yes},
		"some of each":                   {servers: []cloud.Instance{private, open}},
		"one stopped: it may be public":  {servers: []cloud.Instance{private, stopped}},
		"a template says it for private": {servers: []cloud.Instance{private}, template: true},
	} {
		var servers []found
		for _, i := range tc.servers {
			servers = append(servers, found{Instance: i})
		}
		got := derive("web@1", servers, nil, tc.template).Server.PublicIP
		if (got == nil) != (tc.want == nil) || got != nil && *got != *tc.want {
			t.Errorf("%s: public addresses: %v, want %v", name, text(got), text(tc.want))
		}
	}
}

func text(b *bool) string {
	switch {
	case b == nil:
		return "as the subnet says"
	case *b:
		return "yes"
	}
	return "no"
}
