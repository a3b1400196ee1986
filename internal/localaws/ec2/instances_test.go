package ec2

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

func token(text string) func(*sdk.RunInstancesInput) {
	return func(in *sdk.RunInstancesInput) { in.ClientToken = aws.String(text) }
}

func tagged(kind types.ResourceType, key, value string) types.TagSpecification {
	return types.TagSpecification{ResourceType: kind, Tags: []types.Tag{{Key: aws.String(key), Value: aws.String(value)}}}
}

func ids(out *sdk.RunInstancesOutput) []string {
	var all []string
	for _, i := range out.Instances {
		all = append(all, *i.InstanceId)
	}
	return all
}

func (b *bundle) describe(t *testing.T, id string) types.Instance {
	t.Helper()
	out := must(b.DescribeInstances(context.Background(), &sdk.DescribeInstancesInput{InstanceIds: []string{id}}))(t)
	return out.Reservations[0].Instances[0]
}

func TestAnInstanceRunsStopsStartsAndEnds(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		out := b.run(t, 1, func(in *sdk.RunInstancesInput) {
			in.UserData = aws.String(base64.StdEncoding.EncodeToString([]byte("#!/bin/sh")))
			in.TagSpecifications = []types.TagSpecification{tagged("instance", "Name", "web"), tagged("volume", "Of", "web")}
			in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("web")}
		})
		id := ids(out)[0]
		if s := out.Instances[0].State.Name; s != "pending" {
			t.Fatalf("after RunInstances it is %s", s)
		}
		time.Sleep(6 * time.Second)
		i := b.describe(t, id)
		if i.State.Name != "running" || *i.Tags[0].Value != "web" || i.PublicIpAddress == nil || len(i.BlockDeviceMappings) != 1 {
			t.Fatalf("after 6 s: %+v", i)
		}
		m := b.host.of(t, id)
		if !m.isOn() || string(m.config.UserData()) != "#!/bin/sh" || m.config.Identity.Distribution != "amazon" {
			t.Fatalf("machine: on %v, %+v", m.isOn(), m.config.Identity)
		}
		must(b.StopInstances(ctx, &sdk.StopInstancesInput{InstanceIds: []string{id}}))(t)
		time.Sleep(12 * time.Second)
		if i = b.describe(t, id); i.State.Name != "stopped" || i.PublicIpAddress != nil || m.isOn() {
			t.Fatalf("after stop: %s, on %v", i.State.Name, m.isOn())
		}
		must(b.StartInstances(ctx, &sdk.StartInstancesInput{InstanceIds: []string{id}}))(t)
		time.Sleep(6 * time.Second)
		must(b.TerminateInstances(ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
		time.Sleep(10 * time.Second)
		if i = b.describe(t, id); i.State.Name != "terminated" || *i.StateReason.Code != "Client.UserInitiatedShutdown" {
			t.Fatalf("after terminate: %s", i.State.Name)
		}
		if left := b.service.Inspect(); len(left.Volumes) != 0 {
			t.Fatalf("volumes are left: %v", left.Volumes)
		}
		time.Sleep(time.Hour)
		_, err := b.DescribeInstances(ctx, &sdk.DescribeInstancesInput{InstanceIds: []string{id}})
		wantCode(t, err, "InvalidInstanceID.NotFound")
		states := b.events.states()
		want := "[pending running stopping stopped pending running shutting-down terminated]"
		if fmt.Sprint(states) != want {
			t.Errorf("events tell %v, want %s", states, want)
		}
	})
}

func TestAClientTokenMakesOneReservation(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		first, second := b.run(t, 3, token("t1")), b.run(t, 3, token("t1"))
		if *first.ReservationId != *second.ReservationId || !slices.Equal(ids(first), ids(second)) {
			t.Fatal("the same token made another reservation")
		}
		_, err := b.tryRun(4, token("t1"))
		wantCode(t, err, "IdempotentParameterMismatch")
		inZone := func(zone string) func(*sdk.RunInstancesInput) {
			return func(in *sdk.RunInstancesInput) { in.Placement = &types.Placement{AvailabilityZone: aws.String(zone)} }
		}
		a := b.run(t, 1, token("t1"), inZone("eu-west-1a"))
		z := b.run(t, 1, token("t1"), inZone("eu-west-1b"))
		if *a.ReservationId == *z.ReservationId || *a.ReservationId == *first.ReservationId {
			t.Error("a token in another Availability Zone did not launch again")
		}
		time.Sleep(5 * time.Second)
		must(b.TerminateInstances(t.Context(), &sdk.TerminateInstancesInput{InstanceIds: ids(first)}))(t)
		_, err = b.tryRun(3, token("t1"))
		wantCode(t, err, "IdempotentInstanceTerminated")
		time.Sleep(24 * time.Hour)
		_, err = b.tryRun(3, token("t1"))
		wantCode(t, err, "IdempotentInstanceTerminated")
	})
}

func TestCapacityGrantsAsManyAsThereIsRoomFor(t *testing.T) {
	t.Parallel()
	limited := func(_ *api.Env, o *Options) {
		o.Capacity = []CapacityRule{{Type: "m7g.large", Capacity: 7}, {Zone: "eu-west-1a", Type: "m7g.large", Capacity: 2}}
	}
	virtual(t, func(t *testing.T, b *bundle) {
		if got := len(b.run(t, 5).Instances); got != 5 {
			t.Fatalf("granted %d of 5: another zone has room", got)
		}
		if got := len(b.run(t, 10).Instances); got != 2 {
			t.Fatalf("granted %d of 10, want the 2 that are left", got)
		}
		_, err := b.tryRun(1)
		wantCode(t, err, "InsufficientInstanceCapacity")
		must(b.service.Controls()["capacity"]([]byte(`{"type":"m7g.large","capacity":-1}`)))(t)
		if got := len(b.run(t, 10).Instances); got != 10 {
			t.Fatalf("granted %d of 10 without a limit", got)
		}
	}, limited)
}

func TestLaunchIndexesAreOnePerInstance(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		seen := map[int32]bool{}
		for _, i := range b.run(t, 20).Instances {
			seen[*i.AmiLaunchIndex] = true
		}
		for n := range int32(20) {
			if !seen[n] {
				t.Errorf("no instance has launch index %d", n)
			}
		}
	})
}

func TestDescribesMissANewInstanceForAWhile(t *testing.T) {
	t.Parallel()
	slow := func(_ *api.Env, o *Options) { o.Propagation = 5 * time.Minute }
	virtual(t, func(t *testing.T, b *bundle) {
		id := ids(b.run(t, 1, token("late")))[0]
		_, err := b.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{InstanceIds: []string{id}})
		wantCode(t, err, "InvalidInstanceID.NotFound")
		_, err = b.TerminateInstances(t.Context(), &sdk.TerminateInstancesInput{InstanceIds: []string{id}})
		wantCode(t, err, "InvalidInstanceID.NotFound")
		byToken := &sdk.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("client-token"), Values: []string{"late"}}}}
		if out := must(b.DescribeInstances(t.Context(), byToken))(t); len(out.Reservations) != 0 {
			t.Fatal("the filter found it at once")
		}
		if all := b.service.Inspect().Instances; len(all) != 1 {
			t.Fatalf("Inspect shows %d instances", len(all))
		}
		time.Sleep(5 * time.Minute)
		if out := must(b.DescribeInstances(t.Context(), byToken))(t); len(out.Reservations) != 1 {
			t.Fatal("the filter does not find it after the propagation limit")
		}
	}, slow)
}

func TestOneUnknownIDFailsTheWholeBatch(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		batch := append(ids(b.run(t, 2)), "i-00000000000000000")
		_, err := b.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{InstanceIds: batch})
		wantCode(t, err, "InvalidInstanceID.NotFound")
		_, err = b.TerminateInstances(t.Context(), &sdk.TerminateInstancesInput{InstanceIds: batch})
		wantCode(t, err, "InvalidInstanceID.NotFound")
		for _, i := range b.service.Inspect().Instances {
			if i.State != "pending" {
				t.Errorf("%s is %s", i.ID, i.State)
			}
		}
	}, withoutPropagation)
}

func TestTerminationProtectionSparesItsZoneOnly(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		launch := func(zone string, protect bool) string {
			return ids(b.run(t, 1, func(in *sdk.RunInstancesInput) {
				in.Placement = &types.Placement{AvailabilityZone: aws.String(zone)}
				in.DisableApiTermination = aws.Bool(protect)
			}))[0]
		}
		protected, neighbour, other := launch("eu-west-1a", true), launch("eu-west-1a", false), launch("eu-west-1b", false)
		_, err := b.TerminateInstances(t.Context(), &sdk.TerminateInstancesInput{InstanceIds: []string{protected, neighbour, other}})
		wantCode(t, err, "OperationNotPermitted")
		for id, want := range map[string]string{protected: "pending", neighbour: "pending", other: "shutting-down"} {
			if got, _ := b.service.State("000000000000", testRegion, id); got != want {
				t.Errorf("%s is %s, want %s", id, got, want)
			}
		}
	}, withoutPropagation)
}

func TestAnAcceptedLaunchCanStillDie(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		must(b.service.Controls()["dead-launches"]([]byte(`{"count":2,"reason":"Server.InsufficientInstanceCapacity"}`)))(t)
		b.run(t, 3)
		time.Sleep(10 * time.Second)
		count := map[string]int{}
		for _, i := range b.service.Inspect().Instances {
			count[i.State+" "+i.StateReason]++
		}
		if count["terminated Server.InsufficientInstanceCapacity"] != 2 || count["running "] != 1 {
			t.Errorf("states: %v", count)
		}
	})
}

func TestRunInstancesRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, code string
		change     func(*sdk.RunInstancesInput)
	}{
		{"an unknown AMI", "InvalidAMIID.NotFound", func(in *sdk.RunInstancesInput) { in.ImageId = aws.String("ami-00000000000000000") }},
		{"a malformed AMI id", "InvalidAMIID.Malformed", func(in *sdk.RunInstancesInput) { in.ImageId = aws.String("web") }},
		{"an unknown type", "InvalidParameterValue", func(in *sdk.RunInstancesInput) { in.InstanceType = "z9.large" }},
		{"another architecture", "InvalidParameterValue", func(in *sdk.RunInstancesInput) { in.InstanceType = "m5.large" }},
		{"an unknown subnet", "InvalidSubnetID.NotFound", func(in *sdk.RunInstancesInput) { in.SubnetId = aws.String("subnet-1") }},
		{"an unknown group", "InvalidGroup.NotFound", func(in *sdk.RunInstancesInput) { in.SecurityGroupIds = []string{"sg-1"} }},
		{"an unknown key", "InvalidKeyPair.NotFound", func(in *sdk.RunInstancesInput) { in.KeyName = aws.String("none") }},
		{"too much user data", "InvalidParameterValue", func(in *sdk.RunInstancesInput) {
			in.UserData = aws.String(base64.StdEncoding.EncodeToString(make([]byte, 16<<10+1)))
		}},
		{"tag keys that metadata cannot serve", "InvalidParameterValue", func(in *sdk.RunInstancesInput) {
			in.MetadataOptions = &types.InstanceMetadataOptionsRequest{InstanceMetadataTags: "enabled"}
			in.TagSpecifications = []types.TagSpecification{tagged("instance", "a/b", "c")}
		}},
		{"a root volume below its snapshot", "InvalidBlockDeviceMapping", func(in *sdk.RunInstancesInput) {
			in.BlockDeviceMappings = []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(4)}}}
		}},
		{"a long token", "InvalidParameterValue", token(strings.Repeat("x", 65))},
		{"a dry run", "DryRunOperation", func(in *sdk.RunInstancesInput) { in.DryRun = aws.Bool(true) }},
		{"a parameter that it does not know", "UnknownParameter", func(in *sdk.RunInstancesInput) {
			in.KernelId = aws.String("aki-1")
		}},
		{"a spot price below the market", "SpotMaxPriceTooLow", func(in *sdk.RunInstancesInput) {
			in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: "spot", SpotOptions: &types.SpotMarketOptions{MaxPrice: aws.String("0.0001")}}
		}},
	}
	virtual(t, func(t *testing.T, b *bundle) {
		for _, c := range cases {
			_, err := b.tryRun(1, c.change)
			t.Log(c.name, err)
			wantCode(t, err, c.code)
		}
		if left := b.service.Inspect().Instances; len(left) != 0 {
			t.Errorf("refused calls made %d instances", len(left))
		}
	})
}

func TestPagesShowEachInstanceOnce(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		want := append(ids(b.run(t, 7)), ids(b.run(t, 6))...)
		var got []string
		pages := sdk.NewDescribeInstancesPaginator(b, &sdk.DescribeInstancesInput{MaxResults: aws.Int32(5)})
		for pages.HasMorePages() {
			for _, r := range must(pages.NextPage(t.Context()))(t).Reservations {
				for _, i := range r.Instances {
					got = append(got, *i.InstanceId)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages show %v, want %v", got, want)
		}
		_, err := b.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{InstanceIds: want[:1], MaxResults: aws.Int32(5)})
		wantCode(t, err, "InvalidParameterCombination")
	}, withoutPropagation)
}

func TestFiltersFindByTagWithAndWithoutWildcards(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		for n := range 10 {
			b.run(t, 1, func(in *sdk.RunInstancesInput) {
				in.TagSpecifications = []types.TagSpecification{tagged("instance", "Name", fmt.Sprintf("web-%02d", n))}
			})
		}
		for _, c := range []struct {
			name   string
			values []string
			want   int
		}{
			{"tag:Name", []string{"web-03"}, 1}, {"tag:Name", []string{"web-03", "web-04", "none"}, 2}, {"tag:Name", []string{"web-*"}, 10},
			{"tag:Name", []string{"web-0?"}, 10}, {"tag:Name", []string{"WEB-03"}, 0}, {"tag-key", []string{"Name"}, 10},
			{"instance-state-name", []string{"pending"}, 10}, {"image-id", []string{baseImage("al2023-arm64")}, 10},
		} {
			out := must(b.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String(c.name), Values: c.values}}}))(t)
			if len(out.Reservations) != c.want {
				t.Errorf("%s=%v found %d, want %d", c.name, c.values, len(out.Reservations), c.want)
			}
		}
		_, err := b.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("no-such"), Values: []string{"x"}}}})
		wantCode(t, err, "InvalidParameterValue")
	}, withoutPropagation)
}

func TestStatusChecksPassAfterTheBoot(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		id := ids(b.run(t, 1))[0]
		status := func(all bool) []types.InstanceStatus {
			return must(b.DescribeInstanceStatus(t.Context(), &sdk.DescribeInstanceStatusInput{InstanceIds: []string{id}, IncludeAllInstances: aws.Bool(all)}))(t).InstanceStatuses
		}
		if len(status(false)) != 0 || len(status(true)) != 1 {
			t.Error("a pending instance shows only with IncludeAllInstances")
		}
		time.Sleep(6 * time.Second)
		if s := status(false)[0].InstanceStatus.Status; s != "initializing" {
			t.Errorf("just running: %s", s)
		}
		time.Sleep(20 * time.Second)
		if s := status(false)[0]; s.InstanceStatus.Status != "ok" || s.SystemStatus.Status != "ok" {
			t.Errorf("after 20 s: %s", s.InstanceStatus.Status)
		}
	}, withoutPropagation)
}

func TestAShutdownFromInsideDoesWhatTheInstanceSays(t *testing.T) {
	t.Parallel()
	for behavior, want := range map[types.ShutdownBehavior]string{"stop": "stopped", "terminate": "terminated"} {
		t.Run(string(behavior), func(t *testing.T) {
			t.Parallel()
			virtual(t, func(t *testing.T, b *bundle) {
				id := ids(b.run(t, 1, func(in *sdk.RunInstancesInput) { in.InstanceInitiatedShutdownBehavior = behavior }))[0]
				time.Sleep(6 * time.Second)
				b.host.of(t, id).config.PoweredOff()
				time.Sleep(12 * time.Second)
				i := b.describe(t, id)
				if string(i.State.Name) != want || *i.StateReason.Code != "Client.InstanceInitiatedShutdown" {
					t.Errorf("it is %s (%s)", i.State.Name, *i.StateReason.Code)
				}
			})
		})
	}
}

func profile(name string) *types.IamInstanceProfileSpecification {
	return &types.IamInstanceProfileSpecification{Name: aws.String(name)}
}
