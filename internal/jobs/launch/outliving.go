package launch

import (
	"context"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// TagVolume is on the volumes that a launch made. Those that EC2 does not delete with their server are somebody's data once that
// has held an ordinal, and nobody's if it never did: all of them are new at first, and kept from then on. The reaper removes no
// fleet's volume but a new one.
const (
	TagVolume  = jobs.TagPrefix + "volume"
	VolumeNew  = "new"
	VolumeKept = "kept"
)

// volumesPause is until the next look where one of the volumes went meanwhile.
const volumesPause = 5 * time.Second

// outliving are the ordinals whose servers have volumes that stay when they go.
func outliving(servers []ledger.Server, byID map[string]cloud.Instance) ordinals.Set {
	var list []int
	for _, server := range servers {
		if len(byID[server.InstanceID].Outlives) > 0 {
			list = append(list, server.Ordinal)
		}
	}
	return ordinals.Of(list...)
}

// keepVolumes marks the volumes of the servers that this launch is about to be held to.
func (l *launch) keepVolumes(ctx context.Context) (jobs.Move, error) {
	set := common(l.progress.Up, l.progress.Outliving)
	if set.Empty() {
		return jobs.Done(), nil
	}
	servers, err := l.servers(ctx, set)
	if err != nil {
		return jobs.Move{}, err
	}
	instances, err := l.ec2().Instances(ctx, ids(servers)...)
	if err != nil {
		return jobs.Move{}, err
	}
	return KeepVolumes(ctx, l.ec2(), instances)
}

// KeepVolumes marks the volumes that outlive the instances as somebody's data, before these hold their ordinals.
func KeepVolumes(ctx context.Context, ec2 Tags, instances []cloud.Instance) (jobs.Move, error) {
	var volumes []string
	for _, instance := range instances {
		volumes = append(volumes, instance.Outlives...)
	}
	if len(volumes) == 0 {
		return jobs.Done(), nil
	}
	slices.Sort(volumes)
	err := ec2.Tag(ctx, volumes, map[string]string{TagVolume: VolumeKept})
	if jobs.IsClass(err, jobs.NotFound) {
		return jobs.Look(volumesPause, "%d volumes to be marked, one of which went", len(volumes)), nil
	}
	return jobs.Done(), err
}
