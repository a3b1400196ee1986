package app

import (
	"context"

	"github.com/stampmill/stampmill/internal/aws/autoscaling"
	"github.com/stampmill/stampmill/internal/jobs/adopt"
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
