package cli_test

import (
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/cli"
)

// A plan of a group's rollout tells its waves and who does what, and writes nothing.
func TestAPlanOfAGroupsRolloutTellsItsWavesAndWhoLaunches(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		amis := s.imported()
		s.pooled(amis[0])
		plan := s.must(cli.ExitOK, "plan", s.file("rollout.yaml", "kind: Rollout\nname: pool\nspec: {fleet: pool, image: web@2, waves: [1, 100%]}\n"))
		cells(t, plan, "pool has 4 servers", "1: 1 server", "2: 3 servers")
		wants(t, plan, "2 instance refreshes of the group pool")
		if strings.Contains(plan, "RunInstances") {
			t.Errorf("AWS launches a group's instances:\n%s", plan)
		}
		if servers, err := s.User.Ledger.Servers(t.Context(), "pool"); err != nil || len(servers) > 0 {
			t.Errorf("the plan wrote %v, %v", servers, err)
		}
	})
}
