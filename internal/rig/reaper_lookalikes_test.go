package rig_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/rig"
)

// with is the tags with some changed; an empty value takes one away.
func with(tags map[string]string, changes ...string) map[string]string {
	changed := maps.Clone(tags)
	for i := 0; i < len(changes); i += 2 {
		if changed[changes[i]] = changes[i+1]; changes[i+1] == "" {
			delete(changed, changes[i])
		}
	}
	return changed
}

// everything are the ids of all that stands, free volumes too.
func (b *bubble) everything() map[string]bool {
	ids := b.standing()
	for _, v := range b.EC2().Inspect().Volumes {
		ids[v.ID] = true
	}
	return ids
}

// volume makes a volume that is attached to nothing.
func (b *bubble) volume(tags map[string]string) {
	b.t.Helper()
	_, err := b.User.Clients.For(jobs.Target{}).EC2.CreateVolume(background, &ec2.CreateVolumeInput{
		AvailabilityZone: aws.String(rig.Region + "a"), Size: aws.Int32(8),
		TagSpecifications: []types.TagSpecification{tagged(types.ResourceTypeVolume, tags)}})
	b.must(err)
}

// snapshot makes a snapshot of the server's volume, without an AMI.
func (b *bubble) snapshot(server string, tags map[string]string) {
	b.t.Helper()
	_, err := b.User.Clients.For(jobs.Target{}).EC2.CreateSnapshot(background, &ec2.CreateSnapshotInput{
		VolumeId: aws.String(b.running()[server].Volumes[0]), TagSpecifications: []types.TagSpecification{tagged(types.ResourceTypeSnapshot, tags)}})
	b.must(err)
}

func tagged(resource types.ResourceType, tags map[string]string) types.TagSpecification {
	spec := types.TagSpecification{ResourceType: resource}
	for key, value := range tags {
		spec.Tags = append(spec.Tags, types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	return spec
}

// image makes an AMI of a server, with its snapshot.
func (b *bubble) image(server, name string, tags map[string]string) {
	b.t.Helper()
	_, err := b.User.EC2.For(jobs.Target{}).Capture(background, cloud.CaptureRequest{InstanceID: server, Name: name, NoReboot: true,
		ImageTags: tags, SnapshotTags: tags})
	b.must(err)
}

// lookAlikes are the ways in which something may look like a thing of the job without being one beyond doubt.
func lookAlikes(ours map[string]string) map[string]map[string]string {
	return map[string]map[string]string{
		"the same name only":             {"Name": ours["Name"]},
		"without our incarnation":        with(ours, jobs.TagIncarnation, ""),
		"without the run":                with(ours, jobs.TagRun, ""),
		"without the job":                with(ours, jobs.TagJob, ""),
		"without the installation":       with(ours, jobs.TagInstallation, ""),
		"half of our tags":               with(ours, jobs.TagIncarnation, "", jobs.TagRun, "", jobs.TagJob, ""),
		"another installation's":         with(ours, jobs.TagInstallation, "another"),
		"a longer prefix":                with(ours, jobs.TagInstallation, "stampmill-2"),
		"a shorter prefix":               with(ours, jobs.TagInstallation, "stamp"),
		"the installation in upper case": with(ours, jobs.TagInstallation, "STAMPMILL"),
	}
}

// Whatever looks like ours and is not, beyond doubt, stays; beside it goes a true orphan of each kind.
func TestLookAlikesStayAndTheTrueOrphansBesideThemGo(t *testing.T) {
	t.Parallel()
	config := rig.Config{}
	config.Endpoint.Unlimited = true
	installed(t, config, func(b *bubble) {
		b.worker(nil)
		b.estate()
		var builder, server, version map[string]string
		for _, i := range b.running() {
			if i.Tags[jobs.TagThing] == "builder" && i.Tags[jobs.TagInstallation] == "stampmill" && i.Tags[jobs.TagRun] != "" {
				builder = i.Tags
			}
			if i.Tags[launch.TagFleet] != "" {
				server = i.Tags
			}
		}
		version = b.EC2().Inspect().Images[0].Tags
		gone := with(builder, jobs.TagJob, "bake-gone-aaaaaaaaaaaaaaaa", jobs.TagIncarnation, "incarnation", jobs.TagRun, "1")
		token := 0
		serve := func(tags map[string]string) string {
			token++ // as ours: it begins with the incarnation, so that nothing but the tags tells
			return b.launch(fmt.Sprintf("incarnation-%d", token), tags)
		}
		for _, tags := range lookAlikes(gone) {
			serve(tags)
			b.volume(tags)
		}
		copied := b.launch("launched more like this", gone) // the console copies all tags, but not the token
		b.launch("another like a fleet's", with(server, jobs.TagJob, "launch-gone-aaaaaaaaaaaaaaaa"))
		b.volume(with(server, jobs.TagJob, "launch-gone-aaaaaaaaaaaaaaaa", jobs.TagIncarnation, "incarnation")) // somebody's data
		time.Sleep(time.Minute)
		n := 0
		for _, tags := range lookAlikes(with(version, jobs.TagJob, "bake-gone-aaaaaaaaaaaaaaaa", jobs.TagIncarnation, "incarnation")) {
			n++
			b.image(copied, fmt.Sprintf("web-%d", n), tags)
		}
		b.image(copied, "backup", gone) // a backup copies the server's tags
		b.snapshot(copied, gone)        // so does a lifecycle policy of volumes
		time.Sleep(15 * time.Minute)    // they are made, and no grace is over
		keep := b.everything()

		b.orphan() // a builder with its volume, an AMI and its snapshot
		b.volume(gone)
		lost := serve(gone)
		time.Sleep(time.Minute)
		if added := len(b.everything()) - len(keep); added < 5 {
			b.t.Fatalf("only %d true orphans stand beside them; the test shows nothing", added)
		}
		time.Sleep(grace)
		b.unchanged(keep)
		records, err := b.User.Store.Orphans(background, false, 100)
		b.must(err)
		kinds := map[string]int{}
		for _, r := range records {
			if r.State != jobs.OrphanRemoved && r.Kind != "snapshot" { // an AMI's snapshot may go with it
				b.t.Errorf("the record of %s %s is %s", r.Kind, r.ID, r.State)
			}
			kinds[r.Kind]++
			if keep[r.ID] {
				b.t.Errorf("the record says that %s was removed", r.ID)
			}
		}
		if kinds["instance"] != 2 || kinds["image"] != 1 || kinds["volume"] != 1 || b.running()[lost].ID != "" {
			b.t.Errorf("removed %v; expected two instances, an image and a volume", kinds)
		}
	})
}

// unchanged: exactly these things stand.
func (b *bubble) unchanged(keep map[string]bool) {
	b.t.Helper()
	now := b.everything()
	for id := range keep {
		if !now[id] {
			b.t.Errorf("%s was removed: it was not ours to touch", id)
		}
	}
	for id := range now {
		if !keep[id] {
			b.t.Errorf("%s was left: %s", id, b.describe(id))
		}
	}
}
