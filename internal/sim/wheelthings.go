package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	truth "github.com/stampmill/stampmill/internal/localaws/ec2"
)

// furnish notes the data volume of each server, and gives the first one an address.
func (w *wheel) furnish(ctx context.Context, s *schedule) error {
	servers, err := s.rig.User.Ledger.Servers(ctx, wheelName)
	if err != nil {
		return err
	}
	w.estate = map[int]string{}
	for _, server := range servers {
		if w.estate[server.Ordinal] = s.dataVolume(server.InstanceID); w.estate[server.Ordinal] == "" {
			return fmt.Errorf("ordinal %d has no data volume", server.Ordinal)
		}
	}
	client := s.rig.User.Clients.For(jobs.Target{}).EC2
	address, err := client.AllocateAddress(ctx, &ec2.AllocateAddressInput{TagSpecifications: []types.TagSpecification{{
		ResourceType: types.ResourceTypeElasticIp, Tags: []types.Tag{{Key: aws.String(jobs.TagInstallation), Value: aws.String(s.rig.User.Common.Installation)}},
	}}})
	if err != nil {
		return err
	}
	_, err = client.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: address.AllocationId, InstanceId: aws.String(servers[0].InstanceID)})
	return err
}

// dataVolume is the one that the instance has beside its root.
func (s *schedule) dataVolume(instanceID string) string {
	for _, volume := range s.rig.EC2().Inspect().Volumes {
		if volume.InstanceID == instanceID && volume.Device == "/dev/sdf" {
			return volume.ID
		}
	}
	return ""
}

// judgeEstate: every ordinal has the volume that it had, and the first one its address.
func (e *end) judgeEstate(w *wheel) {
	if w.estate == nil {
		return
	}
	for _, server := range e.servers[wheelName] {
		if got := e.dataVolume(server.InstanceID); got != w.estate[server.Ordinal] {
			e.violate("ordinal %d had the volume %s and has %q", server.Ordinal, w.estate[server.Ordinal], got)
		}
		for _, address := range e.rig.EC2().Inspect().Addresses {
			if server.Ordinal == 0 && address.InstanceID != server.InstanceID {
				e.violate("the address of ordinal 0 is at %q, want %s", address.InstanceID, server.InstanceID)
			}
		}
	}
}

// explainKept: a volume that is not to go with its server stays when a server goes that never came to hold its ordinal, as the
// spec has it: nobody but the user may delete it.
func (e *end) explainKept(explained map[string]string) {
	w := e.plan.wheel
	if w == nil || w.sort != stateful {
		return
	}
	for _, volume := range e.rig.EC2().Inspect().Volumes {
		if volume.State == "available" && volume.Tags[launch.TagFleet] == wheelName && volume.SnapshotID == "" && !slices.Contains(slices.Collect(maps.Values(w.estate)), volume.ID) {
			explained[volume.ID] = "kept by its spec"
		}
	}
}

// judgeRoots: each server runs from a root volume of the AMI that the ledger says it runs.
func (e *end) judgeRoots() {
	before, newest := e.bases()
	snapshots := map[string]string{wheelName + "@1": before.SnapshotID, wheelName + "@2": newest.SnapshotID}
	all := e.rig.EC2().Inspect()
	for _, server := range e.servers[wheelName] {
		at := slices.IndexFunc(all.Volumes, func(v truth.Volume) bool { return v.InstanceID == server.InstanceID && v.Device == before.RootDevice })
		if at < 0 {
			e.violate("ordinal %d has no root volume", server.Ordinal)
		} else if got := all.Volumes[at].SnapshotID; got != snapshots[server.Image] {
			e.violate("ordinal %d is said to run %s, and its root volume is of %s, want %s", server.Ordinal, server.Image, got, snapshots[server.Image])
		}
		if server.Kept != nil {
			e.violate("ordinal %d still keeps the root volume %s", server.Ordinal, server.Kept.Volume)
		}
	}
}
