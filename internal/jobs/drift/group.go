package drift

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// group compares an Auto Scaling group's servers: by the group's launch template, and by the image.
func (l *look) group(ctx context.Context, h here, f ledger.Fleet, ami string, out *Fleet) error {
	if l.Groups == nil {
		return fmt.Errorf("this installation knows no Auto Scaling groups")
	}
	group, found, err := l.Groups(f.Target).GroupStands(ctx, f.Group)
	l.count("DescribeAutoScalingGroups", 1)
	if err != nil {
		return err
	}
	if !found {
		out.Findings = append(out.Findings, Finding{Kind: Gone, Want: "the Auto Scaling group " + f.Group, Found: "it is not there any more"})
		return nil
	}
	out.Count, out.Stand = group.Desired, len(group.Instances)
	ids := slices.Sorted(maps.Keys(group.Instances))
	images, err := l.EC2(f.Target).ImageMetadata(ctx, nil, ids...)
	if err != nil {
		return err
	}
	l.count("DescribeInstanceImageMetadata", (len(ids)+199)/200)
	for _, m := range images {
		h.images[m.InstanceID] = m
	}
	for _, id := range ids {
		m := h.images[id]
		if version := group.Instances[id]; group.Template != "" && version != group.Template {
			out.Findings = append(out.Findings, Finding{Kind: Template, Instance: id, Want: group.Template, Found: orText(version, "none")})
		}
		if want := orText(ami, f.Image); m.ImageID != "" && want != "" && m.ImageID != want {
			out.Findings = append(out.Findings, Finding{Kind: Image, Instance: id, Want: f.Image, Found: m.ImageID})
		}
		s := Server{Instance: id, Image: m.ImageID, AgeDays: -1}
		if !m.ImageCreated.IsZero() {
			s.AgeDays = days(l.Now(), m.ImageCreated)
		}
		out.OldestDays = max(out.OldestDays, s.AgeDays)
		out.Servers = append(out.Servers, s)
	}
	return nil
}
