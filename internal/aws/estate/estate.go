// Package estate is what the reaper compares: in EC2 everything that carries this installation's tag, in the ledger every id
// that it names.
package estate

import (
	"context"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/ec2"
	"github.com/stampmill/stampmill/internal/aws/ledger"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// The kinds of things.
const (
	instance    = "instance"
	image       = "image"
	snapshot    = "snapshot"
	volume      = "volume"
	spotRequest = "spot-request"
)

// standing are the states of an instance that costs something and is not on its way out.
var standing = []string{"pending", "running", "stopping", "stopped"}

// Estate implements jobs.Estate.
type Estate struct {
	ec2          *ec2.Service
	ledger       *ledger.Ledger
	installation string
}

var _ jobs.Estate = (*Estate)(nil)

// New makes the estate of one installation.
func New(ec2 *ec2.Service, ledger *ledger.Ledger, installation string) *Estate {
	return &Estate{ec2: ec2, ledger: ledger, installation: installation}
}

// List gives what carries the installation's tag and was made by it: instances that stand, AMIs, snapshots (of deregistered
// AMIs too), volumes that are attached to nothing and hold no data of a fleet's, spot requests without an instance. Others copy tags
// along: the console's "launch more like this", backups and lifecycle policies of volumes. What they made is not ours.
func (e *Estate) List(ctx context.Context, target jobs.Target) ([]jobs.Thing, error) {
	region := e.ec2.For(target)
	ours := map[string]string{jobs.TagInstallation: e.installation}
	instances, err := region.InstancesTagged(ctx, ours, standing...)
	if err != nil {
		return nil, err
	}
	var things []jobs.Thing
	for _, i := range instances {
		if clone(i) {
			continue
		}
		things = append(things, jobs.Thing{Kind: instance, ID: i.ID, Tags: i.Tags, Created: i.Launched})
	}
	images, err := region.ImagesTagged(ctx, ours)
	if err != nil {
		return nil, err
	}
	for _, i := range images {
		if !captured(i.Tags) {
			continue
		}
		things = append(things, jobs.Thing{Kind: image, ID: i.ID, Tags: i.Tags, Created: i.Created})
	}
	snapshots, err := region.SnapshotsTagged(ctx, ours)
	if err != nil {
		return nil, err
	}
	for _, s := range snapshots {
		if !captured(s.Tags) {
			continue
		}
		things = append(things, jobs.Thing{Kind: snapshot, ID: s.ID, Tags: s.Tags, Created: s.Started})
	}
	volumes, err := region.FreeVolumes(ctx, ours)
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		if !data(v.Tags) {
			things = append(things, v)
		}
	}
	requests, err := region.OpenSpotRequests(ctx, ours)
	if err != nil {
		return nil, err
	}
	return append(things, requests...), nil
}

// clone reports whether somebody else launched the instance with a copy of our tags: our client tokens begin with the
// incarnation of the job or of the batch that they are of. A spot instance may carry a token of EC2's own.
func clone(i c.Instance) bool {
	if i.ClientToken == "" || i.Spot {
		return false
	}
	for _, incarnation := range []string{i.Tags[jobs.TagIncarnation], i.Tags[launch.TagBatch]} {
		if incarnation != "" && strings.HasPrefix(i.ClientToken, incarnation+"-") {
			return false
		}
	}
	return true
}

// data reports whether the volume outlived a server of a fleet and holds somebody's data: it does unless its server never held an
// ordinal, or it is a root volume that was kept only until its fleet was rolled.
func data(tags map[string]string) bool {
	fleet := tags[launch.TagFleet]
	return fleet != "" && tags[launch.TagVolume] != launch.VolumeNew && tags[rollout.TagReplaced] != fleet
}

// captured reports whether a bake made the AMI or snapshot: one that copied its tags from a server or a volume names that.
func captured(tags map[string]string) bool { return bake.IsImage(tags[jobs.TagThing]) }

// Remove terminates, deregisters, deletes or cancels the thing. One that is gone is no error.
func (e *Estate) Remove(ctx context.Context, target jobs.Target, thing jobs.Thing) error {
	if thing.Tags[jobs.TagInstallation] != e.installation {
		return jobs.Fatalf("reap", thing.ID, "it carries another installation's tag, or none", "")
	}
	region := e.ec2.For(target)
	switch thing.Kind {
	case instance:
		if err := region.Terminate(ctx, thing.ID); err != nil {
			return err
		}
		return e.ledger.DeleteKept(ctx, thing.ID)
	case image:
		return e.deregister(ctx, region, thing.ID)
	case snapshot:
		return region.DeleteSnapshot(ctx, thing.ID)
	case volume:
		return region.DeleteVolume(ctx, thing.ID)
	case spotRequest:
		return region.CancelSpotRequest(ctx, thing.ID)
	}
	return jobs.Fatalf("reap", thing.ID, "unknown kind "+thing.Kind, "")
}

// deregister lifts the protection that a bake may have put on before it was lost.
func (e *Estate) deregister(ctx context.Context, region *ec2.Region, id string) error {
	err := region.Deregister(ctx, id, true)
	if !awserr.IsCode(err, "OperationNotPermitted") {
		return err
	}
	if err := region.Unprotect(ctx, id); err != nil {
		return err
	}
	return region.Deregister(ctx, id, true)
}

// Named gives every id that the ledger names: the servers of fleets and the root volumes that they go back to, AMIs and snapshots of versions that are neither
// abandoned nor retired, and builders that are still to be kept.
func (e *Estate) Named(ctx context.Context) (map[string]bool, error) {
	named := map[string]bool{}
	if err := e.nameServers(ctx, named); err != nil {
		return nil, err
	}
	if err := e.nameVersions(ctx, named); err != nil {
		return nil, err
	}
	kept, err := e.ledger.ListKept(ctx)
	if err != nil {
		return nil, err
	}
	for id, until := range kept {
		if time.Now().Before(until) {
			named[id] = true
		}
	}
	return named, nil
}

func (e *Estate) nameServers(ctx context.Context, named map[string]bool) error {
	fleets, err := e.ledger.ListFleets(ctx)
	if err != nil {
		return err
	}
	for _, fleet := range fleets {
		servers, err := e.ledger.Servers(ctx, fleet.Name)
		if err != nil {
			return err
		}
		seconds, err := e.ledger.Seconds(ctx, fleet.Name)
		if err != nil {
			return err
		}
		for _, s := range append(servers, seconds...) {
			if s.InstanceID != "" {
				named[s.InstanceID] = true
			}
			if s.Kept != nil {
				named[s.Kept.Volume] = true
			}
		}
	}
	return nil
}

func (e *Estate) nameVersions(ctx context.Context, named map[string]bool) error {
	images, err := e.ledger.ListImages(ctx)
	if err != nil {
		return err
	}
	for _, image := range images {
		versions, err := e.ledger.Versions(ctx, image.Name)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if v.State == l.Abandoned || v.State == l.Retired {
				continue
			}
			for _, copied := range v.AMIs() {
				named[copied.AMI] = true
				for _, id := range copied.Snapshots {
					named[id] = true
				}
			}
		}
	}
	return nil
}
