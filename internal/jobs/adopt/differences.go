package adopt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
)

// tellDifferences warns of servers that are not as most are: type, zone and market stay each server's own; of all else the Launch
// spec says one thing for all.
func (a *adoption) tellDifferences(s *survey) {
	by := map[string][]int{}
	for _, row := range s.roll.Servers {
		for _, trait := range row.Differs {
			by[trait] = append(by[trait], row.Ordinal)
		}
	}
	for _, trait := range slices.Sorted(maps.Keys(by)) {
		hint := "a successor would get what most have: give a Launch spec with --spec, or import them as a fleet of their own"
		if trait == traitArchitecture {
			hint = "no image runs on both: import them as a fleet of their own"
		}
		s.warn(hint, "%s differ of the ordinals %s: most have %s", trait, ordinals.Of(by[trait]...), orText(a.shown(s, trait), "none"))
	}
	stopped := 0
	for _, server := range s.servers {
		if server.State != "running" && server.State != "pending" {
			stopped++
		}
	}
	if stopped > 0 {
		s.warn("a rollout counts them as unavailable", "%d servers do not run", stopped)
	}
	if keys := own(s.servers); len(keys) > 0 && a.spec.Fleet.Launch == nil {
		s.warn("a successor does not get them", "not all servers have these tags with the same value: %s", strings.Join(keys, ", "))
	}
}

func (a *adoption) shown(s *survey, trait string) string {
	if trait == traitUserData {
		return "the user data of " + s.values[trait][:min(16, len(s.values[trait]))]
	}
	return s.values[trait]
}

// own are the keys of tags that differ by server, at most five, and how many more.
func own(servers []found) []string {
	shared := common(servers)
	keys := map[string]bool{}
	for _, server := range servers {
		for key := range server.Tags {
			if _, is := shared[key]; !is && !strings.Contains(key, ":") {
				keys[key] = true
			}
		}
	}
	list := slices.Sorted(maps.Keys(keys))
	if len(list) > 5 {
		list = append(list[:5], fmt.Sprintf("and %d more", len(keys)-5))
	}
	return list
}
