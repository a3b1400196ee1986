package launch

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// TagVolume is on the volumes of a launch whose spec has some stay when their servers go. Those are somebody's data once their server
// has held an ordinal, and nobody's if it never did: all of them are new at first, and kept from then on. The reaper removes no
// fleet's volume but a new one, so that one which a person asked EC2 to keep stays, whatever the spec says.
const (
	TagVolume  = jobs.TagPrefix + "volume"
	VolumeNew  = "new"
	VolumeKept = "kept"
)

const (
	// volumesPause is until the next look where volumes are not shown yet, or one of them went meanwhile.
	volumesPause = 5 * time.Second
	// shownFor is how long EC2 shows a terminated instance ("for approximately one hour"): a younger one that is not shown will be.
	shownFor = time.Hour
)

// outliving are the devices whose volumes stay when the server goes.
func (s Server) outliving() (devices []string) {
	for _, device := range slices.Sorted(maps.Keys(s.Volumes)) {
		if deletes := s.Volumes[device].DeleteOnTermination; deletes != nil && !*deletes {
			devices = append(devices, device)
		}
	}
	return devices
}

// keepVolumes marks the volumes of the servers that this launch is about to be held to.
func (l *launch) keepVolumes(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	devices := l.spec.Server.outliving()
	if len(devices) == 0 || l.progress.Up.Empty() {
		return jobs.Done(), nil
	}
	servers, err := l.servers(ctx, l.progress.Up)
	if err != nil {
		return jobs.Move{}, err
	}
	return KeepVolumes(ctx, l.ec2(), devices, ids(servers), turn.Now().Sub(l.progress.LaunchedAt))
}

// KeepVolumes marks all volumes of the servers as somebody's data, before these hold their ordinals: servers that are at most that
// old. It waits until EC2 shows the volumes at the devices.
func KeepVolumes(ctx context.Context, ec2 Marker, devices, servers []string, age time.Duration) (jobs.Move, error) {
	instances, err := ec2.Instances(ctx, servers...)
	if err != nil {
		return jobs.Move{}, err
	}
	if missing := len(servers) - len(instances); missing > 0 && age < shownFor {
		return jobs.Look(volumesPause, "%d servers to be shown, whose volumes are to be marked", missing), nil
	}
	var volumes []string
	for _, instance := range instances {
		if !shows(instance, devices) {
			return jobs.Look(volumesPause, "the volumes of %s to be shown", instance.ID), nil
		}
		volumes = slices.AppendSeq(volumes, maps.Values(instance.Volumes))
	}
	if len(volumes) == 0 {
		return jobs.Done(), nil
	}
	slices.Sort(volumes)
	err = ec2.Tag(ctx, volumes, map[string]string{TagVolume: VolumeKept})
	if jobs.IsClass(err, jobs.NotFound) {
		return jobs.Look(volumesPause, "%d volumes to be marked, one of which went", len(volumes)), nil
	}
	return jobs.Done(), err
}

// shows: the instance has a volume at each of the devices, or is gone.
func shows(instance cloud.Instance, devices []string) bool {
	switch instance.State {
	case "shutting-down", "terminated":
		return true
	}
	return !slices.ContainsFunc(devices, func(device string) bool { return instance.Volumes[device] == "" })
}
