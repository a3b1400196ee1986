package ec2

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// running launches one instance and waits until it runs.
func (b *bundle) running(t *testing.T, change ...func(*sdk.RunInstancesInput)) string {
	t.Helper()
	id := ids(b.run(t, 1, change...))[0]
	time.Sleep(10 * time.Second)
	return id
}

func (b *bundle) image(t *testing.T, instance, name string, noReboot bool) string {
	t.Helper()
	return *must(b.CreateImage(t.Context(), &sdk.CreateImageInput{
		InstanceId: &instance, Name: &name, NoReboot: &noReboot,
		TagSpecifications: []types.TagSpecification{tagged("image", "Of", name), tagged("snapshot", "Of", name)},
	}))(t).ImageId
}

func (b *bundle) describeImage(t *testing.T, id string) types.Image {
	t.Helper()
	return must(b.DescribeImages(t.Context(), &sdk.DescribeImagesInput{ImageIds: []string{id}}))(t).Images[0]
}

func TestAnImageHoldsWhatTheDiskHeldAtThatMoment(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		id := b.running(t)
		m := b.host.of(t, id)
		m.write("/dev/xvda", "/etc/motd", "one")
		image := b.image(t, id, "web-1", true)
		m.write("/dev/xvda", "/etc/motd", "two")
		rebooted := b.image(t, id, "web-2", false)
		time.Sleep(5 * time.Second)
		if m.booted() != 2 {
			t.Errorf("the instance booted %d times, want once more for the image without NoReboot", m.booted())
		}
		if s := b.describeImage(t, image).State; s != "pending" {
			t.Errorf("after 5 s the image is %s", s)
		}
		time.Sleep(10 * time.Minute)
		for image, want := range map[string]string{image: "one", rebooted: "two"} {
			shown := b.describeImage(t, image)
			if shown.State != "available" || len(shown.BlockDeviceMappings) != 1 || len(shown.Tags) != 1 {
				t.Fatalf("image: %+v", shown)
			}
			clone := b.running(t, func(in *sdk.RunInstancesInput) { in.ImageId = &image })
			content := b.host.of(t, clone).read("/dev/xvda", "/etc/motd")
			if content != want {
				t.Errorf("a server of %s reads %q; want %q", *shown.Name, content, want)
			}
		}
		m.write("/dev/xvda", "/etc/motd", "three")
		if content := b.host.of(t, id).read("/dev/xvda", "/etc/motd"); content != "three" {
			t.Errorf("the source reads %q", content)
		}
	})
}

func TestImagesLeaveOutAndAddDevices(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		data := []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sdf"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(20), VolumeType: "gp3"}}}
		id := b.running(t, func(in *sdk.RunInstancesInput) { in.BlockDeviceMappings = data })
		if n := len(b.describe(t, id).BlockDeviceMappings); n != 2 {
			t.Fatalf("the instance has %d devices", n)
		}
		out := must(b.CreateImage(t.Context(), &sdk.CreateImageInput{
			InstanceId: &id, Name: aws.String("no-data"),
			BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sdf"), NoDevice: aws.String("")}},
		}))(t)
		time.Sleep(10 * time.Minute)
		if devices := b.describeImage(t, *out.ImageId).BlockDeviceMappings; len(devices) != 1 || *devices[0].DeviceName != "/dev/xvda" {
			t.Errorf("devices: %+v", devices)
		}
	})
}

func TestAnImageThatIsUndoneAtOnceLeavesNoSnapshot(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		image := b.image(t, b.running(t), "web", false)
		must(b.DeregisterImage(t.Context(), &sdk.DeregisterImageInput{ImageId: &image, DeleteAssociatedSnapshots: aws.Bool(true)}))(t)
		time.Sleep(time.Hour)
		if left := b.service.Inspect(); len(left.Images)+len(left.Snapshots) != 0 {
			t.Errorf("left: %+v, %+v", left.Images, left.Snapshots)
		}
	}, withoutPropagation)
}

func TestAnImageNameIsTakenUntilAWhileAfterDeregistering(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx, id := t.Context(), b.running(t)
		image := b.image(t, id, "web", true)
		create := func() error {
			_, err := b.CreateImage(ctx, &sdk.CreateImageInput{InstanceId: &id, Name: aws.String("web"), NoReboot: aws.Bool(true)})
			return err
		}
		wantCode(t, create(), "InvalidAMIName.Duplicate")
		time.Sleep(10 * time.Minute)
		snapshot := *b.describeImage(t, image).BlockDeviceMappings[0].Ebs.SnapshotId
		_, err := b.DeleteSnapshot(ctx, &sdk.DeleteSnapshotInput{SnapshotId: &snapshot})
		wantCode(t, err, "InvalidSnapshot.InUse")
		out := must(b.DeregisterImage(ctx, &sdk.DeregisterImageInput{ImageId: &image, DeleteAssociatedSnapshots: aws.Bool(true)}))(t)
		if len(out.DeleteSnapshotResults) != 1 || out.DeleteSnapshotResults[0].ReturnCode != "success" {
			t.Errorf("snapshots: %+v", out.DeleteSnapshotResults)
		}
		wantCode(t, create(), "InvalidAMIName.Duplicate")
		_, err = b.tryRun(1, func(in *sdk.RunInstancesInput) { in.ImageId = &image })
		wantCode(t, err, "InvalidAMIID.Unavailable")
		_, err = b.DescribeImages(ctx, &sdk.DescribeImagesInput{ImageIds: []string{image}})
		wantCode(t, err, "InvalidAMIID.NotFound")
		time.Sleep(time.Minute)
		if err := create(); err != nil {
			t.Errorf("a minute later: %v", err)
		}
		if left := b.service.Inspect(); len(left.Images) != 1 || len(left.Snapshots) != 1 {
			t.Errorf("%d images and %d snapshots are there, want one of each", len(left.Images), len(left.Snapshots))
		}
	})
}

func TestACopyComesOnceForATokenAndFailsLaterForABadKey(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx, id := t.Context(), b.running(t)
		b.host.of(t, id).write("/dev/xvda", "/etc/motd", "copied")
		image := b.image(t, id, "web", true)
		there := b.client("us-east-1", api.DefaultAccount)
		copyTo := func(name, token, key string) (*sdk.CopyImageOutput, error) {
			in := &sdk.CopyImageInput{Name: &name, ClientToken: &token, SourceImageId: &image, SourceRegion: aws.String(testRegion), CopyImageTags: aws.Bool(true)}
			if key != "" {
				in.Encrypted, in.KmsKeyId = aws.Bool(true), &key
			}
			return there.CopyImage(ctx, in)
		}
		time.Sleep(3 * time.Second)
		_, err := copyTo("web", "t", "")
		wantCode(t, err, "InvalidAMIID.Unavailable")
		time.Sleep(10 * time.Minute)
		must(b.service.Controls()["bad-kms-keys"]([]byte(`{"keys":["alias/gone"]}`)))(t)
		first := *must(copyTo("web", "t", ""))(t).ImageId
		if again := *must(copyTo("web", "t", ""))(t).ImageId; again != first {
			t.Error("the same token made another copy")
		}
		_, err = copyTo("other", "t", "")
		wantCode(t, err, "IdempotentParameterMismatch")
		bad := *must(copyTo("bad", "u", "alias/gone"))(t).ImageId
		time.Sleep(10 * time.Minute)
		out := must(there.DescribeImages(ctx, &sdk.DescribeImagesInput{Owners: []string{"self"}}))(t)
		states := map[string]string{}
		for _, i := range out.Images {
			states[*i.ImageId] = string(i.State)
			if *i.SourceImageId != image || len(i.Tags) != 1 {
				t.Errorf("%s: source %s, tags %v", *i.Name, *i.SourceImageId, i.Tags)
			}
		}
		if states[first] != "available" || states[bad] != "failed" {
			t.Errorf("states: %v", states)
		}
		run := must(there.RunInstances(ctx, &sdk.RunInstancesInput{ImageId: &first, InstanceType: "m7g.large", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}))(t)
		time.Sleep(10 * time.Second)
		if content := b.host.of(t, *run.Instances[0].InstanceId).read("/dev/xvda", "/etc/motd"); content != "copied" {
			t.Errorf("a server of the copy reads %q", content)
		}
	})
}

func TestSharingFollowsEC2sRules(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx, id := t.Context(), b.running(t)
		image := b.image(t, id, "web", true)
		encrypted := b.running(t, func(in *sdk.RunInstancesInput) {
			in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{Encrypted: aws.Bool(true)}}}
		})
		secret := b.image(t, encrypted, "secret", true)
		time.Sleep(10 * time.Minute)
		other := b.client(testRegion, "111122223333")
		share := func(image string, p types.LaunchPermission) error {
			_, err := b.ModifyImageAttribute(ctx, &sdk.ModifyImageAttributeInput{ImageId: &image, LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{p}}})
			return err
		}
		_, err := other.DescribeImages(ctx, &sdk.DescribeImagesInput{ImageIds: []string{image}})
		wantCode(t, err, "InvalidAMIID.NotFound")
		if err := share(image, types.LaunchPermission{UserId: aws.String("111122223333")}); err != nil {
			t.Fatal(err)
		}
		must(other.DescribeImages(ctx, &sdk.DescribeImagesInput{ImageIds: []string{image}}))(t)
		shared := must(other.DescribeImages(ctx, &sdk.DescribeImagesInput{ExecutableUsers: []string{"self"}}))(t)
		if len(shared.Images) != 1 {
			t.Errorf("the other account finds %d images shared with it", len(shared.Images))
		}
		_, err = other.DeregisterImage(ctx, &sdk.DeregisterImageInput{ImageId: &image})
		wantCode(t, err, "AuthFailure")
		wantCode(t, share(secret, types.LaunchPermission{UserId: aws.String("111122223333")}), "InvalidParameter")
		wantCode(t, share(image, types.LaunchPermission{Group: "all"}), "OperationNotPermitted")
		must(b.DisableImageBlockPublicAccess(ctx, &sdk.DisableImageBlockPublicAccessInput{}))(t)
		if err := share(image, types.LaunchPermission{Group: "all"}); err != nil {
			t.Error(err)
		}
		got := must(b.DescribeImageAttribute(ctx, &sdk.DescribeImageAttributeInput{ImageId: &image, Attribute: "launchPermission"}))(t)
		if len(got.LaunchPermissions) != 2 {
			t.Errorf("permissions: %+v", got.LaunchPermissions)
		}
	})
}

func TestDeregistrationProtectionHoldsThroughItsCooldown(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		image := b.image(t, b.running(t), "web", true)
		time.Sleep(10 * time.Minute)
		must(b.EnableImageDeregistrationProtection(ctx, &sdk.EnableImageDeregistrationProtectionInput{ImageId: &image, WithCooldown: aws.Bool(true)}))(t)
		must(b.DisableImageDeregistrationProtection(ctx, &sdk.DisableImageDeregistrationProtectionInput{ImageId: &image}))(t)
		_, err := b.DeregisterImage(ctx, &sdk.DeregisterImageInput{ImageId: &image})
		wantCode(t, err, "OperationNotPermitted")
		time.Sleep(24 * time.Hour)
		must(b.DeregisterImage(ctx, &sdk.DeregisterImageInput{ImageId: &image}))(t)
	})
}

func TestADisabledImageIsHiddenUntilAskedFor(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		image := b.image(t, b.running(t), "web", true)
		time.Sleep(10 * time.Minute)
		must(b.DisableImage(ctx, &sdk.DisableImageInput{ImageId: &image}))(t)
		for include, want := range map[bool]int{false: 0, true: 1} {
			out := must(b.DescribeImages(ctx, &sdk.DescribeImagesInput{Owners: []string{"self"}, IncludeDisabled: &include}))(t)
			if len(out.Images) != want {
				t.Errorf("IncludeDisabled %v shows %d images", include, len(out.Images))
			}
		}
		_, err := b.tryRun(1, func(in *sdk.RunInstancesInput) { in.ImageId = &image })
		wantCode(t, err, "InvalidAMIID.Unavailable")
	})
}

func TestImagesTakeFourToTenMinutes(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		id, began := b.running(t), time.Now()
		taken := map[string]time.Duration{}
		var mu sync.Mutex
		b.service.OnChange(func() {
			mu.Lock()
			defer mu.Unlock()
			for _, image := range b.service.Inspect().Images {
				if _, known := taken[image.ID]; !known && image.State == "available" {
					taken[image.ID] = time.Since(began)
				}
			}
		})
		for n := range 20 {
			b.image(t, id, fmt.Sprintf("web-%d", n), true)
		}
		time.Sleep(time.Hour)
		mu.Lock()
		defer mu.Unlock()
		seen := map[time.Duration]bool{}
		for _, d := range taken {
			if d < 4*time.Minute || d > 10*time.Minute {
				t.Errorf("an image took %s", d)
			}
			seen[d] = true
		}
		if len(taken) != 20 || len(seen) < 15 {
			t.Errorf("%d images took %d different times", len(taken), len(seen))
		}
	})
}

func TestTheNewestBaseAMIIsFoundByOwnerAndName(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		newest := func() string {
			out := must(b.DescribeImages(t.Context(), &sdk.DescribeImagesInput{
				Owners: []string{"099720109477"}, Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*"}}},
			}))(t)
			return *slices.MaxFunc(out.Images, func(a, b types.Image) int { return compare(*a.CreationDate, *b.CreationDate) }).ImageId
		}
		const parameter = "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
		old := newest()
		if id, _, ok := b.service.PublicParameter(testRegion, parameter); !ok || id != old {
			t.Errorf("the parameter names %s, the newest is %s", id, old)
		}
		must(b.service.Controls()["new-base-ami"]([]byte(`{"line":"ubuntu-24.04-arm64"}`)))(t)
		if newest() == old {
			t.Error("there is no newer AMI after new-base-ami")
		}
		if id, _, _ := b.service.PublicParameter(testRegion, parameter); id != newest() {
			t.Error("the parameter does not name the newer AMI")
		}
	})
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
