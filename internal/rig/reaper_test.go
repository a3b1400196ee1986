package rig_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/rig"
)

// grace is after what time a rig's reaper has removed what was nobody's: its grace, and a look before and after.
const grace = 30*time.Minute + 2*10*time.Minute + 5*time.Minute

// standing are the ids of all that EC2 has and is not on its way out: instances, images, snapshots and volumes.
func (b *bubble) standing() map[string]bool {
	all := b.EC2().Inspect()
	ids := map[string]bool{}
	for id, i := range b.running() {
		ids[id] = true
		for _, v := range i.Volumes {
			ids[v] = true
		}
	}
	for _, i := range all.Images {
		if i.State == "available" || i.State == "pending" {
			ids[i.ID] = true
		}
	}
	for _, s := range all.Snapshots {
		ids[s.ID] = true
	}
	return ids
}

// launch starts a server that is not Stampmill's.
func (b *bubble) launch(token string, tags map[string]string) string {
	b.t.Helper()
	made, err := b.User.EC2.For(jobs.Target{}).Launch(background, cloud.LaunchRequest{Token: token, ImageID: arm64(), Type: "t4g.nano",
		Min: 1, Max: 1, InstanceTags: tags, VolumeTags: tags})
	b.must(err)
	return made[0].ID
}

// forget deletes the job's row, as nothing but a mistake would.
func (b *bubble) forget(id string) {
	b.t.Helper()
	table := setup.JobsTable("stampmill")
	_, err := b.User.DynamoDB().DeleteItem(background, &dynamodb.DeleteItemInput{TableName: &table,
		Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}})
	b.must(err)
}

func named(spec, name string) string {
	return strings.Replace(spec, "name: web\n", "name: "+name+"\n", 1)
}

// estate makes everything that the reaper must leave alone: an image's version, a fleet's servers, a kept builder, and
// what only looks like ours.
func (b *bubble) estate() {
	b.t.Helper()
	b.ends(b.submit("image", plainBake().Spec), jobs.Succeeded)
	b.ends(b.submit("fleet", strings.Replace(smallLaunch(3), arm64(), "web", 1)), jobs.Succeeded)
	b.ends(b.submit("kept", named(failingBake().Spec, "kept")+"  onFailure: {keepBuilder: 3h}\n"), jobs.Failed)
	var ours map[string]string
	for _, i := range b.EC2().Inspect().Instances {
		if i.Tags[jobs.TagThing] == "builder" {
			ours = i.Tags
		}
	}
	other, half, name := maps.Clone(ours), map[string]string{}, map[string]string{"Name": ours["Name"]}
	other[jobs.TagInstallation] = "another"
	for _, key := range []string{"Name", jobs.TagInstallation, jobs.TagThing} {
		half[key] = ours[key]
	}
	b.launch("other", other)
	b.launch("half", half)
	b.launch("name", name)
	b.launch("none", nil)
}

// orphan lets a bake crash while its AMI is being made and loses the job: builder, AMI and snapshot are nobody's.
func (b *bubble) orphan() {
	b.t.Helper()
	id := b.submit("orphan", named(plainBake().Spec, "orphan"))
	b.until(id, "waiting for its AMI", time.Hour, func(job *jobs.Job) bool { return job.Wait != nil && strings.Contains(job.Wait.For, "the AMI ") })
	b.forget(id)
}

func TestTheReaperRemovesWhatACrashLeftAndNothingElse(t *testing.T) {
	t.Parallel()
	var late time.Duration
	w := wire{fault: func(r *api.Request) localaws.Fault {
		if r.Action != "RunInstances" || !bytes.Contains(r.Body, []byte("late")) {
			return localaws.Fault{}
		}
		if late == 0 {
			late = 40 * time.Minute
			return localaws.Fault{Late: late}
		}
		return localaws.Fault{Refuse: true}
	}}
	c := rig.Config{}
	c.Endpoint.Intercept = w.intercept
	installed(t, c, func(b *bubble) {
		b.worker(nil)
		b.estate()
		time.Sleep(time.Minute)
		keep := b.standing()
		b.orphan()
		slow := b.submit("late", named(plainBake().Spec, "late"))
		b.until(slow, "launching", time.Minute, func(job *jobs.Job) bool { return job.Error != "" })
		b.must(b.Cancel(background, slow, 1))
		b.ends(slow, jobs.Cancelled)

		time.Sleep(20 * time.Minute) // the AMI is made, and the grace is not over
		crashed := b.standing()
		if n := len(crashed) - len(keep); n != 4 { // builder, its volume, the AMI, its snapshot
			b.t.Errorf("%d things of the crash stand before the grace is over, want 4", n)
		}
		time.Sleep(25 * time.Minute) // the late call has taken effect
		lates := 0
		for id, i := range b.running() {
			if !keep[id] && strings.Contains(i.Tags["Name"], "late") {
				lates++
			}
		}
		if lates != 1 {
			b.t.Errorf("%d servers of the late call run, want 1; the test shows nothing", lates)
		}
		time.Sleep(grace)
		b.same(keep)
		time.Sleep(2 * time.Hour) // the kept builder's time is over
		after := b.standing()
		if gone := len(keep) - len(after); gone != 2 {
			b.t.Errorf("%d things went after the kept builder's time, want it and its volume", gone)
		}
	})
}

func (b *bubble) same(keep map[string]bool) {
	b.t.Helper()
	now := b.standing()
	for id := range keep {
		if !now[id] {
			b.t.Errorf("%s was removed", id)
		}
	}
	for id := range now {
		if !keep[id] {
			b.t.Errorf("%s was left: %s", id, b.describe(id))
		}
	}
}

func (b *bubble) describe(id string) string {
	all := b.EC2().Inspect()
	for _, i := range all.Instances {
		if i.ID == id {
			return fmt.Sprintf("%+v", i)
		}
	}
	for _, i := range all.Images {
		if i.ID == id {
			return fmt.Sprintf("%+v", i)
		}
	}
	for _, s := range all.Snapshots {
		if s.ID == id {
			return fmt.Sprintf("%+v", s)
		}
	}
	return "a volume"
}

// What a live job makes is no orphan, however long it takes: this AMI takes longer than the grace.
func TestTheReaperLeavesLiveJobsAlone(t *testing.T) {
	t.Parallel()
	c := rig.Config{}
	c.Endpoint.EC2.ImageMin, c.Endpoint.EC2.ImageMax = 90*time.Minute, 2*time.Hour
	installed(t, c, func(b *bubble) {
		b.worker(nil)
		b.ends(b.submit("k", plainBake().Spec), jobs.Succeeded)
		b.must(oneImage(b.Rig, nil))
	})
}
