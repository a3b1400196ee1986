package ec2

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// written is a running server that has something on its root, and an image of it.
func (b *bundle) written(t *testing.T, content string) (server, image string) {
	t.Helper()
	server = b.running(t)
	m, _ := b.service.Machine("000000000000", testRegion, server)
	m.Run(machine.Command{Script: content}, func(machine.Result) {})
	image = b.image(t, server, "of-"+content, false)
	time.Sleep(11 * time.Minute)
	return server, image
}

func (b *bundle) replaceRoot(t *testing.T, server string, change ...func(*sdk.CreateReplaceRootVolumeTaskInput)) (string, error) {
	t.Helper()
	in := &sdk.CreateReplaceRootVolumeTaskInput{InstanceId: &server, ClientToken: aws.String("token-" + server)}
	for _, f := range change {
		f(in)
	}
	out, err := b.CreateReplaceRootVolumeTask(t.Context(), in)
	if err != nil {
		return "", err
	}
	return *out.ReplaceRootVolumeTask.ReplaceRootVolumeTaskId, nil
}

func (b *bundle) taskState(t *testing.T, id string) types.ReplaceRootVolumeTaskState {
	t.Helper()
	out := must(b.DescribeReplaceRootVolumeTasks(t.Context(), &sdk.DescribeReplaceRootVolumeTasksInput{ReplaceRootVolumeTaskIds: []string{id}}))(t)
	return out.ReplaceRootVolumeTasks[0].TaskState
}

func (b *bundle) root(t *testing.T, server string) string {
	t.Helper()
	for _, d := range b.describe(t, server).BlockDeviceMappings {
		if *d.DeviceName == "/dev/xvda" {
			return *d.Ebs.VolumeId
		}
	}
	return ""
}

func TestARunningServerGetsTheRootOfAnImageAndItsFormerOneBack(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		_, image := b.written(t, "new")
		server := b.running(t)
		m, _ := b.service.Machine("000000000000", testRegion, server)
		m.Run(machine.Command{Script: "state"}, func(machine.Result) {})
		old := b.root(t, server)
		byImage := func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.ImageId = &image }
		task := must(b.replaceRoot(t, server, byImage))(t)
		if again := must(b.replaceRoot(t, server, byImage))(t); again != task {
			t.Error("the same token began another task")
		}
		time.Sleep(2 * time.Second)
		if s := b.taskState(t, task); s != "pending" {
			t.Errorf("after 2 s the task is %s", s)
		}
		time.Sleep(17 * time.Second)
		if s := b.taskState(t, task); s != "in-progress" {
			t.Errorf("after 19 s the task is %s", s)
		}
		if s := b.describe(t, server).State.Name; s != "running" {
			t.Errorf("meanwhile the server is %s", s)
		}
		time.Sleep(time.Minute)
		if s := b.taskState(t, task); s != "succeeded" {
			t.Fatalf("after a minute the task is %s", s)
		}
		if content := b.host.of(t, server).read("/dev/xvda", "/etc/motd"); content != "new" {
			t.Errorf("the server reads %q", content)
		}
		if id := *b.describe(t, server).ImageId; id != image {
			t.Errorf("the server's image is %s", id)
		}
		volume := must(b.DescribeVolumes(t.Context(), &sdk.DescribeVolumesInput{VolumeIds: []string{old}}))(t).Volumes[0]
		if volume.State != "available" || b.root(t, server) == old {
			t.Errorf("the old root is %s", volume.State)
		}
		back := must(b.replaceRoot(t, server, func(in *sdk.CreateReplaceRootVolumeTaskInput) {
			in.VolumeId, in.ClientToken, in.DeleteReplacedRootVolume = &old, aws.String("back"), aws.Bool(true)
		}))(t)
		_, err := b.AttachVolume(t.Context(), &sdk.AttachVolumeInput{VolumeId: &old, InstanceId: &server, Device: aws.String("/dev/sdf")})
		wantCode(t, err, "IncorrectState")
		time.Sleep(time.Minute)
		if s := b.taskState(t, back); s != "succeeded" {
			t.Fatalf("the way back is %s", s)
		}
		if content := b.host.of(t, server).read("/dev/xvda", "/etc/motd"); content != "state" || b.root(t, server) != old {
			t.Errorf("the server reads %q from %s", content, b.root(t, server))
		}
		if free := must(b.DescribeVolumes(t.Context(), &sdk.DescribeVolumesInput{Filters: []types.Filter{{Name: aws.String("status"), Values: []string{"available"}}}}))(t); len(free.Volumes) != 0 {
			t.Errorf("%d volumes are left over", len(free.Volumes))
		}
	})
}

func TestRootVolumesAreReplacedOnlyWhereAWSDoesIt(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		server, image := b.written(t, "x")
		other := baseImage("al2023-x86_64")
		must(b.service.Controls()["marketplace"]([]byte(`{"image":"` + image + `","code":"abc"}`)))(t)
		stopped := b.running(t)
		must(b.StopInstances(t.Context(), &sdk.StopInstancesInput{InstanceIds: []string{stopped}}))(t)
		time.Sleep(15 * time.Second)
		metal := b.running(t, func(in *sdk.RunInstancesInput) { in.InstanceType = "m7g.metal" })
		foreign := *must(b.CreateVolume(t.Context(), &sdk.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1c"), Size: aws.Int32(10)}))(t).VolumeId
		time.Sleep(5 * time.Second)
		for _, test := range []struct {
			server, code string
			change       func(*sdk.CreateReplaceRootVolumeTaskInput)
		}{
			{stopped, "IncorrectInstanceState", func(*sdk.CreateReplaceRootVolumeTaskInput) {}},
			{metal, "UnsupportedOperation", func(*sdk.CreateReplaceRootVolumeTaskInput) {}},
			{server, "UnsupportedOperation", func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.ImageId = &image }},
			{server, "InvalidParameterValue", func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.ImageId = &other }},
			{server, "InvalidAMIID.NotFound", func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.ImageId = aws.String("ami-0123456789abcdef0") }},
			{server, "InvalidParameterCombination", func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.ImageId, in.VolumeId = &other, &foreign }},
			{server, "InvalidVolume.ZoneMismatch", func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.VolumeId = &foreign }},
			{"i-0123456789abcdef0", "InvalidInstanceID.NotFound", func(*sdk.CreateReplaceRootVolumeTaskInput) {}},
		} {
			_, err := b.replaceRoot(t, test.server, test.change)
			wantCode(t, err, test.code)
		}
		task := must(b.replaceRoot(t, server))(t)
		_, err := b.replaceRoot(t, server, func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.ClientToken = aws.String("second") })
		wantCode(t, err, "IncorrectState")
		_, err = b.replaceRoot(t, server, func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.ImageId = &other })
		wantCode(t, err, "IdempotentParameterMismatch")
		time.Sleep(time.Minute)
		if s := b.taskState(t, task); s != "succeeded" {
			t.Errorf("back to the launch state: %s", s)
		}
		_, err = b.DescribeReplaceRootVolumeTasks(t.Context(), &sdk.DescribeReplaceRootVolumeTasksInput{ReplaceRootVolumeTaskIds: []string{"replacevol-0123456789abcdef0"}})
		wantCode(t, err, "InvalidReplaceRootVolumeTaskId.NotFound")
		_, err = b.DescribeReplaceRootVolumeTasks(t.Context(), &sdk.DescribeReplaceRootVolumeTasksInput{MaxResults: aws.Int32(51)})
		wantCode(t, err, "InvalidParameterValue")
	})
}

func TestAFailedReplacementLeavesTheOldRootOrNone(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		server := b.running(t)
		old := b.root(t, server)
		fail := func(state string) string {
			must(b.service.Controls()["root-volume-failures"]([]byte(`{"count":1,"state":"` + state + `"}`)))(t)
			task := must(b.replaceRoot(t, server, func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.ClientToken = &state }))(t)
			time.Sleep(2 * time.Minute)
			return string(b.taskState(t, task))
		}
		if s := fail("failed"); s != "failed" || b.root(t, server) != old {
			t.Errorf("the task is %s, the root %s", s, b.root(t, server))
		}
		if s := fail("failed-detached"); s != "failed-detached" || b.root(t, server) != "" {
			t.Errorf("the task is %s, the root %q", s, b.root(t, server))
		}
		must(b.StopInstances(t.Context(), &sdk.StopInstancesInput{InstanceIds: []string{server}}))(t)
		time.Sleep(15 * time.Second)
		_, err := b.StartInstances(t.Context(), &sdk.StartInstancesInput{InstanceIds: []string{server}})
		wantCode(t, err, "InvalidParameterValue")
		must(b.AttachVolume(t.Context(), &sdk.AttachVolumeInput{VolumeId: &old, InstanceId: &server, Device: aws.String("/dev/xvda")}))(t)
		time.Sleep(5 * time.Second)
		must(b.StartInstances(t.Context(), &sdk.StartInstancesInput{InstanceIds: []string{server}}))(t)
		time.Sleep(10 * time.Second)
		if s := b.describe(t, server).State.Name; s != "running" || !b.host.of(t, server).isOn() {
			t.Errorf("with its root again the server is %s", s)
		}
		if free := must(b.DescribeVolumes(t.Context(), &sdk.DescribeVolumesInput{Filters: []types.Filter{{Name: aws.String("status"), Values: []string{"available", "creating"}}}}))(t); len(free.Volumes) != 0 {
			t.Errorf("%d volumes are left over", len(free.Volumes))
		}
	})
}

func TestAReplacementGoesOnAfterAKilledEndpoint(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{time.Second, 17 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			store := must(state.Open(path))(t)
			b := startOn(t, store, withoutPropagation)
			_, image := b.written(t, "new")
			server := b.running(t)
			task := must(b.replaceRoot(t, server, func(in *sdk.CreateReplaceRootVolumeTaskInput) { in.ImageId = &image }))(t)
			time.Sleep(after)
			if err := store.Flush(); err != nil {
				t.Fatal(err)
			}
			copied := must(state.Open(path))(t)
			b.service.Close()

			again := startOn(t, copied, withoutPropagation)
			defer again.service.Close()
			time.Sleep(2 * time.Minute)
			if s := again.taskState(t, task); s != "succeeded" {
				t.Errorf("the task is %s", s)
			}
			if content := again.host.of(t, server).read("/dev/xvda", "/etc/motd"); content != "new" {
				t.Errorf("the server reads %q", content)
			}
		})
	}
}
