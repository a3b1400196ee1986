package app

import (
	"context"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/aws/autoscaling"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/adopt"
	"github.com/stampmill/stampmill/internal/jobs/drift"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// groups are Auto Scaling groups as an import needs to know them.
type groups struct{ *autoscaling.Region }

// GroupNamed gives the group with its instances that are not on their way out.
func (g groups) GroupNamed(ctx context.Context, name string) (adopt.Group, bool, error) {
	found, known, err := g.Group(ctx, name)
	if err != nil || !known {
		return adopt.Group{}, false, err
	}
	shown := adopt.Group{Name: found.Name, Desired: found.Desired}
	if found.Template.ID != "" {
		shown.Template = found.Template.Name + " " + found.Template.Version
	}
	for _, m := range found.Members {
		if m.Stays() {
			shown.Instances = append(shown.Instances, m.InstanceID)
		}
	}
	return shown, true, nil
}

// GroupStands gives the group with the template version of each instance. A group on $Latest or $Default names no number: there
// only the images are compared.
func (g groups) GroupStands(ctx context.Context, name string) (drift.Group, bool, error) {
	found, known, err := g.Group(ctx, name)
	if err != nil || !known {
		return drift.Group{}, false, err
	}
	stands := drift.Group{Desired: found.Desired, Instances: map[string]string{}}
	if found.Template.ID != "" && !strings.HasPrefix(found.Template.Version, "$") {
		stands.Template = found.Template.ID + " " + found.Template.Version
	}
	for _, m := range found.Members {
		if m.Stays() {
			stands.Instances[m.InstanceID] = m.Template.ID + " " + m.Template.Version
		}
	}
	return stands, true, nil
}

// GroupServers counts the instances of an Auto Scaling group that run the version and are not on their way out.
func (a *App) GroupServers(ctx context.Context, target jobs.Target, name string, v ledger.Version) (int, error) {
	group, known, err := a.Groups.For(target).Group(ctx, name)
	if err == nil && !known {
		err = jobs.Fatalf("autoscaling DescribeAutoScalingGroups", name, "there is no such group any more", "check region and account")
	}
	if err != nil {
		return 0, err
	}
	amis := map[string]bool{}
	for _, copied := range v.Regions {
		amis[copied.AMI] = true
	}
	running := 0
	for _, m := range group.Members {
		if m.Stays() && (amis[m.ImageID] || m.ImageID == "") { // not every endpoint names the AMI
			running++
		}
	}
	return running, nil
}

// Drift looks at fleets, or at all of them.
func (a *App) Drift(ctx context.Context, userData bool, fleets ...string) (drift.Report, error) {
	return drift.Look(ctx, drift.Config{
		EC2:    func(t jobs.Target) drift.EC2 { return a.EC2.For(t) },
		Groups: func(t jobs.Target) drift.Groups { return groups{a.Groups.For(t)} },
		Ledger: a.Ledger, Installation: a.Common.Installation, Region: a.Clients.Region(), Now: time.Now, UserData: userData, Fleets: fleets,
	})
}
