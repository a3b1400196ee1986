package adopt

import (
	"context"
	"encoding/json"

	"github.com/stampmill/stampmill/internal/jobs"
)

// surveyGroup finds the Auto Scaling group. It keeps its own servers: the fleet names the group, no rows and no tags are
// written.
func (a *adoption) surveyGroup(ctx context.Context, s *survey) error {
	name := a.spec.Fleet.Group
	if a.Groups == nil {
		s.wrong("", "this installation knows no Auto Scaling groups")
		return nil
	}
	group, known, err := a.Groups(a.job.Target).GroupNamed(ctx, name)
	s.calls["DescribeAutoScalingGroups"]++
	if err != nil {
		return err
	}
	if !known {
		s.wrong("check its name, region and account", "there is no Auto Scaling group %s", name)
		return nil
	}
	fleets, err := a.Ledger.ListFleets(ctx)
	if err != nil {
		return err
	}
	for _, fleet := range fleets {
		if fleet.Group == name && fleet.Target == a.job.Target && fleet.Imported != a.job.Incarnation {
			s.wrong("a group is one fleet", "the Auto Scaling group %s is the fleet %s already", name, fleet.Name)
		}
	}
	s.group = group
	if s.roll.Image, err = a.groupImage(ctx, s, group); err != nil {
		return err
	}
	s.roll.Count = group.Desired
	if a.spec.Fleet.Launch != nil {
		s.warn("leave --spec out", "a group's servers are launched by the group: its Launch spec is kept and not used")
		if s.roll.Spec, err = json.Marshal(a.spec.Fleet.Launch); err != nil {
			return jobs.Fatalf("write the Launch spec", a.job.Name, err.Error(), "")
		}
	}
	return nil
}

// groupImage is what most of the group's servers run.
func (a *adoption) groupImage(ctx context.Context, s *survey, group Group) (string, error) {
	instances, err := a.ec2().Instances(ctx, group.Instances...)
	s.calls["DescribeInstances"]++
	if err != nil {
		return "", err
	}
	for _, i := range numbered(instances) {
		s.servers = append(s.servers, found{Instance: i})
	}
	ami := ""
	if len(s.servers) > 0 {
		ami, _ = usual(s.servers, func(f found) (string, bool) { return f.ImageID, true })
	} else {
		s.warn("", "the group has no servers: what it runs is not known before its first rollout")
	}
	if s.refs, err = a.versions(ctx); err != nil {
		return "", err
	}
	return a.fleetImage(ctx, s, ami)
}
