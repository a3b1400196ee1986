package rollout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// prepare refuses what EC2 cannot replace in place, before the first server is touched.
func (r *inPlace) prepare(ctx context.Context, turn *jobs.Turn, ref string) (image, []jobs.Finding, error) {
	if r.Roots == nil {
		return image{}, []jobs.Finding{{Field: []any{"strategy"}, Message: "root volumes cannot be replaced here", Hint: "write strategy: replace"}}, nil
	}
	fleet, known, err := r.Ledger.GetFleet(ctx, r.fleet())
	if err != nil || !known {
		return image{}, nil, orGone(err, r.fleet())
	}
	if fleet.Group != "" {
		return image{}, []jobs.Finding{{Field: []any{"strategy"}, Message: "the fleet is the Auto Scaling group " + fleet.Group,
			Hint: "write strategy: refresh: the group would replace servers that leave its target groups"}}, nil
	}
	found, findings, err := r.replace.prepare(ctx, turn, ref)
	if err != nil || r.progress.Planned { // on the way back, servers are taken as they are
		return found, findings, err
	}
	servers, instances, err := r.look(ctx)
	if err != nil {
		return image{}, nil, err
	}
	amis, err := r.roots().Images(ctx, found.AMI)
	if err != nil {
		return image{}, nil, err
	}
	var ami cloud.Image
	if len(amis) > 0 {
		ami = amis[0]
	}
	if ami.Marketplace {
		findings = append(findings, jobs.Finding{Field: []any{"image"}, Message: found.AMI + " carries a product code: EC2 does not replace root volumes by AMIs of AWS Marketplace",
			Hint: "write strategy: replace"})
	}
	return found, append(findings, refuseServers(servers, instances, found, ami)...), nil
}

// refuseServers names, by reason, the servers whose roots cannot be replaced by the image's.
func refuseServers(servers []ledger.Server, instances map[string]cloud.Instance, to image, ami cloud.Image) []jobs.Finding {
	reasons := map[string][]ledger.Server{}
	for _, server := range servers {
		instance, seen := instances[server.InstanceID]
		if !seen || instance.State == "terminated" || instance.State == "shutting-down" || server.Image == to.Ref {
			continue
		}
		if reason := whyNot(instance, ami); reason != "" {
			reasons[reason] = append(reasons[reason], server)
		}
	}
	var findings []jobs.Finding
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		findings = append(findings, jobs.Finding{Field: []any{"strategy"}, Hint: "write strategy: replace, or take them out of the fleet first",
			Message: fmt.Sprintf("the root volumes of ordinals %s cannot be replaced in place: %s", held(reasons[reason]), reason)})
	}
	return findings
}

func whyNot(instance cloud.Instance, ami cloud.Image) string {
	switch {
	case instance.State != "running":
		return "the server is " + instance.State + ", expected running"
	case strings.Contains(instance.Type, ".metal") && !strings.HasPrefix(instance.Type, "mac"):
		return "its type " + instance.Type + " is bare metal"
	case instance.Volumes[instance.RootDevice] == "":
		return "its root is no EBS volume"
	case ami.Architecture != "" && instance.Architecture != "" && ami.Architecture != instance.Architecture:
		return fmt.Sprintf("it is %s, and the image %s", instance.Architecture, ami.Architecture)
	case ami.ID != "" && orLinux(ami.Platform) != orLinux(instance.Platform):
		return fmt.Sprintf("it runs %s, and the image is of %s", orLinux(instance.Platform), orLinux(ami.Platform))
	}
	return ""
}

func orLinux(platform string) string {
	if platform == "" {
		return "linux"
	}
	return platform
}
