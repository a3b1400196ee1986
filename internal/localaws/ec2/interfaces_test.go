package ec2

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestASecondInterfaceHasOneHolderAndMoves(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		first, second := b.running(t), b.running(t)
		subnet := *b.describe(t, first).SubnetId
		create := &sdk.CreateNetworkInterfaceInput{SubnetId: &subnet, ClientToken: aws.String("n"), TagSpecifications: []types.TagSpecification{tagged("network-interface", "Of", "web")}}
		id := must(b.CreateNetworkInterface(ctx, create))(t).NetworkInterface.NetworkInterfaceId
		if again := must(b.CreateNetworkInterface(ctx, create))(t).NetworkInterface.NetworkInterfaceId; *again != *id {
			t.Error("the same token made another interface")
		}
		time.Sleep(3 * time.Second)
		attach := func(server string) (*sdk.AttachNetworkInterfaceOutput, error) {
			return b.AttachNetworkInterface(ctx, &sdk.AttachNetworkInterfaceInput{NetworkInterfaceId: id, InstanceId: &server, DeviceIndex: aws.Int32(1)})
		}
		byID := must(b.DescribeNetworkInterfaces(ctx, &sdk.DescribeNetworkInterfacesInput{Filters: []types.Filter{{Name: aws.String("network-interface-id"), Values: []string{*id}}}}))(t)
		if len(byID.NetworkInterfaces) != 1 {
			t.Errorf("%d interfaces are found by their id", len(byID.NetworkInterfaces))
		}
		attachment := must(attach(first))(t).AttachmentId
		_, err := attach(second)
		wantCode(t, err, "InvalidNetworkInterface.InUse")
		time.Sleep(3 * time.Second)
		must(b.ModifyNetworkInterfaceAttribute(ctx, &sdk.ModifyNetworkInterfaceAttributeInput{
			NetworkInterfaceId: id, Attachment: &types.NetworkInterfaceAttachmentChanges{AttachmentId: attachment, DeleteOnTermination: aws.Bool(false)},
		}))(t)
		_, err = b.DeleteNetworkInterface(ctx, &sdk.DeleteNetworkInterfaceInput{NetworkInterfaceId: id})
		wantCode(t, err, "InvalidParameterValue")
		if n := len(b.describe(t, first).NetworkInterfaces); n != 2 {
			t.Errorf("the first server shows %d interfaces", n)
		}
		must(b.DetachNetworkInterface(ctx, &sdk.DetachNetworkInterfaceInput{AttachmentId: attachment}))(t)
		_, err = attach(second)
		wantCode(t, err, "InvalidNetworkInterface.InUse")
		time.Sleep(4 * time.Second)
		must(attach(second))(t)
		must(b.TerminateInstances(ctx, &sdk.TerminateInstancesInput{InstanceIds: []string{second}}))(t)
		time.Sleep(10 * time.Second)
		found := must(b.DescribeNetworkInterfaces(ctx, &sdk.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{*id}}))(t).NetworkInterfaces[0]
		if found.Status != "available" || found.Attachment != nil {
			t.Errorf("after its server's end the interface is %s", found.Status)
		}
		all := must(b.DescribeNetworkInterfaces(ctx, &sdk.DescribeNetworkInterfacesInput{Filters: []types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{first}}}}))(t)
		if len(all.NetworkInterfaces) != 1 || *all.NetworkInterfaces[0].Attachment.DeviceIndex != 0 {
			t.Errorf("the first server has %d interfaces", len(all.NetworkInterfaces))
		}
		_, err = b.DetachNetworkInterface(ctx, &sdk.DetachNetworkInterfaceInput{AttachmentId: all.NetworkInterfaces[0].Attachment.AttachmentId})
		wantCode(t, err, "OperationNotPermitted")
		must(b.DeleteNetworkInterface(ctx, &sdk.DeleteNetworkInterfaceInput{NetworkInterfaceId: id}))(t)
	})
}

func TestAnAddressMovesOnlyWhereReassociationIsAllowed(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		first, second := b.running(t), b.running(t)
		own := *b.describe(t, first).PublicIpAddress
		address := must(b.AllocateAddress(ctx, &sdk.AllocateAddressInput{Domain: "vpc"}))(t)
		associate := func(server string, again bool) (*sdk.AssociateAddressOutput, error) {
			return b.AssociateAddress(ctx, &sdk.AssociateAddressInput{AllocationId: address.AllocationId, InstanceId: &server, AllowReassociation: &again})
		}
		association := must(associate(first, false))(t).AssociationId
		if same := must(associate(first, false))(t).AssociationId; *same != *association {
			t.Error("the same association twice are two")
		}
		if ip := *b.describe(t, first).PublicIpAddress; ip != *address.PublicIp {
			t.Errorf("the first server has %s", ip)
		}
		byHolder := must(b.DescribeAddresses(ctx, &sdk.DescribeAddressesInput{Filters: []types.Filter{{Name: aws.String("instance-id"), Values: []string{first}}}}))(t)
		if len(byHolder.Addresses) != 1 {
			t.Errorf("%d addresses are found by their holder", len(byHolder.Addresses))
		}
		_, err := associate(second, false)
		wantCode(t, err, "Resource.AlreadyAssociated")
		_, err = b.ReleaseAddress(ctx, &sdk.ReleaseAddressInput{AllocationId: address.AllocationId})
		wantCode(t, err, "InvalidIPAddress.InUse")
		association = must(associate(second, true))(t).AssociationId
		if ip := *b.describe(t, first).PublicIpAddress; ip != own {
			t.Errorf("without it the first server has %s", ip)
		}
		must(b.StopInstances(ctx, &sdk.StopInstancesInput{InstanceIds: []string{second}}))(t)
		time.Sleep(15 * time.Second)
		if ip := *b.describe(t, second).PublicIpAddress; ip != *address.PublicIp {
			t.Errorf("the stopped server has %s", ip)
		}
		must(b.DisassociateAddress(ctx, &sdk.DisassociateAddressInput{AssociationId: association}))(t)
		_, err = b.DisassociateAddress(ctx, &sdk.DisassociateAddressInput{AssociationId: association})
		wantCode(t, err, "InvalidAssociationID.NotFound")
		must(b.ReleaseAddress(ctx, &sdk.ReleaseAddressInput{AllocationId: address.AllocationId}))(t)
		_, err = b.DescribeAddresses(ctx, &sdk.DescribeAddressesInput{AllocationIds: []string{*address.AllocationId}})
		wantCode(t, err, "InvalidAllocationID.NotFound")
	})
}

func TestAStuckVolumeIsFreedByForceOnly(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		server := b.running(t)
		zone := b.describe(t, server).Placement.AvailabilityZone
		volume := must(b.CreateVolume(ctx, &sdk.CreateVolumeInput{AvailabilityZone: zone, Size: aws.Int32(10)}))(t).VolumeId
		time.Sleep(4 * time.Second)
		must(b.AttachVolume(ctx, &sdk.AttachVolumeInput{VolumeId: volume, InstanceId: &server, Device: aws.String("/dev/sdf")}))(t)
		_, err := b.AttachVolume(ctx, &sdk.AttachVolumeInput{VolumeId: volume, InstanceId: &server, Device: aws.String("/dev/sdg")})
		wantCode(t, err, "VolumeInUse")
		time.Sleep(3 * time.Second)
		must(b.RebootInstances(ctx, &sdk.RebootInstancesInput{InstanceIds: []string{server}}))(t)
		time.Sleep(5 * time.Second)
		b.host.of(t, server).write("/dev/sdf", "/data", "precious")
		must(b.service.Controls()["stuck-detaches"]([]byte(`{"count":1}`)))(t)
		must(b.DetachVolume(ctx, &sdk.DetachVolumeInput{VolumeId: volume}))(t)
		time.Sleep(time.Minute)
		attachment := must(b.DescribeVolumes(ctx, &sdk.DescribeVolumesInput{VolumeIds: []string{*volume}}))(t).Volumes[0].Attachments[0]
		if attachment.State != "busy" {
			t.Errorf("the attachment is %s", attachment.State)
		}
		_, err = b.DetachVolume(ctx, &sdk.DetachVolumeInput{VolumeId: volume})
		wantCode(t, err, "IncorrectState")
		must(b.DetachVolume(ctx, &sdk.DetachVolumeInput{VolumeId: volume, Force: aws.Bool(true)}))(t)
		time.Sleep(4 * time.Second)
		must(b.DeleteVolume(ctx, &sdk.DeleteVolumeInput{VolumeId: volume}))(t)
	})
}
