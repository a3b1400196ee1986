package adopt

import (
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// maxDerivedTags leaves room for the tags that a launch adds.
const maxDerivedTags = 40

// derive makes the Launch spec of which successors of the servers can be made: what most of them have. The servers are in the
// order of their ordinals; known is the AMI that most of them run, if EC2 still has it.
func derive(image string, servers []found, known *cloud.Image, template bool) launch.Spec {
	_, model := models(servers)
	of := func(trait string) found { return servers[max(model[trait], 0)] }
	s := launch.Spec{Image: image, Count: len(servers), Pools: pools(servers), Tags: common(servers)}
	if template {
		t := of(traitTemplate).template()
		s.LaunchTemplate = &launch.Template{ID: t.ID, Version: t.Version}
	}
	metadata := of(traitMetadata)
	s.Server = launch.Server{
		SecurityGroups: slices.Sorted(slices.Values(of(traitGroups).SecurityGroupIDs)), InstanceProfile: of(traitProfile).InstanceProfile,
		KeyName: of(traitKey).KeyName, MetadataTags: metadata.MetadataTags, MetadataHops: metadata.MetadataHops,
		MetadataTokens: metadata.MetadataTokens, Monitoring: of(traitMonitoring).Monitoring, Volumes: volumes(of(traitVolumes), known),
	}
	if model[traitUserData] >= 0 && len(of(traitUserData).data) > 0 {
		s.Server.UserData = launch.RawUserData(of(traitUserData).data)
	}
	s.Server.PublicIP = public(servers, template)
	s.Attach.TargetGroups = slices.Sorted(slices.Values(of(traitTargets).targets))
	s.Healthy.TargetGroup = len(s.Attach.TargetGroups) > 0
	s.Healthy.StatusChecks = true
	return s
}

// public says whether successors get public addresses: as all of the servers have one, or as none has. A subnet that gives addresses
// would expose those otherwise. Stopped servers have none, whatever they get when they run, and a launch template says it itself.
func public(servers []found, template bool) *bool {
	all := servers[0].PublicIP != ""
	for _, f := range servers {
		if (f.PublicIP != "") != all || !all && (template || f.State != "running") {
			return nil
		}
	}
	return &all
}

// pools are the servers' types in their subnets, one a market: what most servers have comes first.
func pools(servers []found) []launch.Pool {
	var list []launch.Pool
	for _, spot := range []bool{false, true} {
		types, subnets := map[string]int{}, map[string]int{}
		for _, s := range servers {
			if s.Spot == spot {
				types[s.Type]++
				subnets[s.SubnetID]++
			}
		}
		if len(types) == 0 {
			continue
		}
		pool := launch.Pool{Types: frequent(types), Subnets: spec.Selector{IDs: frequent(subnets)}}
		if spot {
			pool.Market = "spot"
		}
		list = append(list, pool)
	}
	if len(list) == 2 && onSpot(servers)*2 > len(servers) {
		slices.Reverse(list)
	}
	return list
}

func onSpot(servers []found) (n int) {
	for _, s := range servers {
		if s.Spot {
			n++
		}
	}
	return n
}

// frequent are the keys, the most frequent first.
func frequent(counts map[string]int) []string {
	return slices.SortedStableFunc(slices.Values(slices.Sorted(maps.Keys(counts))), func(a, b string) int { return counts[b] - counts[a] })
}

// common are the tags that all servers have with the same value, but for AWS's and our own.
func common(servers []found) map[string]string {
	tags := map[string]string{}
	for key, value := range servers[0].Tags {
		if !strings.HasPrefix(strings.ToLower(key), "aws:") && !strings.HasPrefix(key, jobs.TagPrefix) {
			tags[key] = value
		}
	}
	for _, s := range servers[1:] {
		maps.DeleteFunc(tags, func(key, value string) bool { has, ok := s.Tags[key]; return !ok || has != value })
	}
	for len(tags) > maxDerivedTags {
		delete(tags, slices.Max(slices.Collect(maps.Keys(tags))))
	}
	if len(tags) == 0 {
		return nil
	}
	return tags
}

// volumes are those that go with the server and are not as the image makes them. One that stays holds data: a successor gets
// that very volume or none.
func volumes(f found, known *cloud.Image) map[string]launch.Volume {
	list := map[string]launch.Volume{}
	for device, v := range f.volumes {
		if !goes(v) {
			continue
		}
		if known != nil && slices.ContainsFunc(known.Volumes, func(of cloud.Volume) bool { return asImaged(v, of) }) {
			continue
		}
		volume := launch.Volume{Size: spec.Size(v.Size), Type: v.Type}
		switch v.Type {
		case "io1", "io2":
			volume.IOPS = v.IOPS
		case "gp3":
			volume.IOPS, volume.Throughput = v.IOPS, v.Throughput
		}
		if v.Encrypted != nil && *v.Encrypted {
			volume.Encrypted, volume.KMSKey = v.Encrypted, v.KMSKey
		}
		list[device] = volume
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// asImaged: a launch of the image makes this volume by itself.
func asImaged(v cloud.AttachedVolume, of cloud.Volume) bool {
	encrypted := func(b *bool) bool { return b != nil && *b }
	return v.Device == of.Device && v.Size == of.Size && v.Type == of.Type && (of.IOPS == 0 || v.IOPS == of.IOPS) &&
		(of.Throughput == 0 || v.Throughput == of.Throughput) && encrypted(v.Encrypted) == encrypted(of.Encrypted)
}
