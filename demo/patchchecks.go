package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// aftermath is what AWS and the ledger say after the patch day.
type aftermath struct {
	fleets map[string][]ledger.Server
	before map[string][]ledger.Server
	amis   map[string]string // by version: web@2
	runs   map[string]string // AMI by the id of each server that runs
	group  []string          // the Auto Scaling group's instances
	drift  string            // empty: stampmill drift found none
}

// remember keeps the fleets as they were before the patch day.
func (s *show) remember(ctx context.Context) (err error) {
	s.before, err = s.holders(ctx)
	return err
}

func (s *show) holders(ctx context.Context) (map[string][]ledger.Server, error) {
	all := map[string][]ledger.Server{}
	for _, name := range []string{fleet, legacy, cache} {
		out, err := s.Stampmill(ctx, "fleet", "servers", name, "-o", "json")
		if err != nil {
			return nil, err
		}
		var list []ledger.Server
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			return nil, fmt.Errorf("stampmill fleet servers %s -o json: %w", name, err)
		}
		all[name] = list
	}
	return all, nil
}

// after asks the ledger and the command line what became of the fleets.
func (s *show) after(ctx context.Context, e *estate) (*aftermath, error) {
	a := &aftermath{before: s.before, amis: map[string]string{}, runs: map[string]string{}}
	var err error
	if a.fleets, err = s.holders(ctx); err != nil {
		return nil, err
	}
	for _, version := range []string{"web@1", "web@2"} {
		ami, err := s.Stampmill(ctx, "image", "show", version, "--ami")
		if err != nil {
			return nil, err
		}
		a.amis[version] = strings.TrimSpace(ami)
	}
	for _, i := range e.instances {
		if i.State.Name != types.InstanceStateNameRunning {
			continue
		}
		a.runs[*i.InstanceId] = *i.ImageId
		if inGroup(i) {
			a.group = append(a.group, *i.InstanceId)
		}
	}
	if _, err := s.Stampmill(ctx, "drift"); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		a.drift = err.Error()
	}
	return a, nil
}

func inGroup(i types.Instance) bool {
	for _, tag := range i.Tags {
		if *tag.Key == "aws:autoscaling:groupName" && *tag.Value == group {
			return true
		}
	}
	return false
}

// on says which servers of the fleet do not run the version, by the ledger and by EC2. A root volume that was replaced
// leaves the instance's own ImageId as it was launched: there the ledger counts, and drift looks at EC2.
func (a *aftermath) on(name, version string) string {
	list := a.fleets[name]
	if len(list) != len(a.before[name]) {
		return unequal("servers of "+name, len(list), len(a.before[name]))
	}
	for n, server := range list {
		ami, runs := a.runs[server.InstanceID]
		switch {
		case !runs:
			return fmt.Sprintf("EC2 does not run %s, ordinal %d of %s", server.InstanceID, server.Ordinal, name)
		case server.Image != version, name != cache && ami != a.amis[version]:
			return fmt.Sprintf("%s, ordinal %d of %s, runs %s (%s)", server.InstanceID, server.Ordinal, name, server.Image, ami)
		case server.Hostname != a.before[name][n].Hostname:
			return fmt.Sprintf("ordinal %d of %s is called %s, and was called %s", server.Ordinal, name, server.Hostname, a.before[name][n].Hostname)
		}
	}
	return ""
}

func (a *aftermath) kept(name string) string {
	for n, server := range a.fleets[name] {
		if old := a.before[name][n].InstanceID; server.InstanceID != old {
			return fmt.Sprintf("ordinal %d of %s is %s, and was %s", server.Ordinal, name, server.InstanceID, old)
		}
	}
	return ""
}

func (a *aftermath) replaced(name string) string {
	for n, server := range a.fleets[name] {
		if server.InstanceID == a.before[name][n].InstanceID {
			return fmt.Sprintf("ordinal %d of %s is still %s", server.Ordinal, name, server.InstanceID)
		}
	}
	return ""
}

func (a *aftermath) groupOn(version string) string {
	for _, id := range a.group {
		if a.runs[id] != a.amis[version] {
			return fmt.Sprintf("%s runs %s", id, a.runs[id])
		}
	}
	return unequal("servers of "+group, len(a.group), groupServers)
}
