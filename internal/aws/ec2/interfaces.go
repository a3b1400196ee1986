package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Interfaces gives the network interfaces with the ids; unknown ones are absent.
func (r *Region) Interfaces(ctx context.Context, ids ...string) ([]c.NetworkInterface, error) {
	return r.interfacesBy(ctx, "network-interface-id", ids)
}

// InterfacesOf gives the network interfaces of the instances, their first ones (index 0) among them.
func (r *Region) InterfacesOf(ctx context.Context, instanceIDs ...string) ([]c.NetworkInterface, error) {
	return r.interfacesBy(ctx, "attachment.instance-id", instanceIDs)
}

func (r *Region) interfacesBy(ctx context.Context, name string, values []string) ([]c.NetworkInterface, error) {
	var list []c.NetworkInterface
	for chunk := range slices.Chunk(values, filterValues) {
		pages := ec2.NewDescribeNetworkInterfacesPaginator(r.client, &ec2.DescribeNetworkInterfacesInput{
			Filters: []types.Filter{filter(name, chunk...)}, MaxResults: aws.Int32(pageSize)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, wrap(err, chunk...)
			}
			for _, n := range page.NetworkInterfaces {
				list = append(list, networkInterface(n))
			}
		}
	}
	return list, nil
}

func networkInterface(n types.NetworkInterface) c.NetworkInterface {
	out := c.NetworkInterface{ID: aws.ToString(n.NetworkInterfaceId), Zone: aws.ToString(n.AvailabilityZone), State: string(n.Status), Tags: tagMap(n.TagSet)}
	if a := n.Attachment; a != nil {
		out.InstanceID, out.AttachmentID, out.Attachment = aws.ToString(a.InstanceId), aws.ToString(a.AttachmentId), string(a.Status)
		out.DeviceIndex, out.DeleteOnTermination = int(aws.ToInt32(a.DeviceIndex)), aws.ToBool(a.DeleteOnTermination)
	}
	return out
}

// AttachInterface attaches a free interface as the instance's interface of that index. It stays behind when the instance is
// terminated.
func (r *Region) AttachInterface(ctx context.Context, id, instanceID string, index int) error {
	_, err := r.client.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{
		NetworkInterfaceId: aws.String(id), InstanceId: aws.String(instanceID), DeviceIndex: aws.Int32(int32(index))}) //nolint:gosec // an index of a few
	return wrap(err, id)
}

// DetachInterface ends the attachment.
func (r *Region) DetachInterface(ctx context.Context, attachmentID string) error {
	_, err := r.client.DetachNetworkInterface(ctx, &ec2.DetachNetworkInterfaceInput{AttachmentId: aws.String(attachmentID)})
	return wrap(err, attachmentID)
}

// Addresses gives the Elastic IP addresses with the allocation ids; unknown ones are absent.
func (r *Region) Addresses(ctx context.Context, ids ...string) ([]c.Address, error) {
	return r.addressesBy(ctx, "allocation-id", ids)
}

// AddressesOf gives the Elastic IP addresses of the instances.
func (r *Region) AddressesOf(ctx context.Context, instanceIDs ...string) ([]c.Address, error) {
	return r.addressesBy(ctx, "instance-id", instanceIDs)
}

func (r *Region) addressesBy(ctx context.Context, name string, values []string) ([]c.Address, error) {
	var list []c.Address
	for chunk := range slices.Chunk(values, filterValues) {
		out, err := r.client.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: []types.Filter{filter(name, chunk...)}})
		if err != nil {
			return nil, wrap(err, chunk...)
		}
		for _, a := range out.Addresses {
			list = append(list, c.Address{ID: aws.ToString(a.AllocationId), AssociationID: aws.ToString(a.AssociationId), PublicIP: aws.ToString(a.PublicIp),
				InterfaceID: aws.ToString(a.NetworkInterfaceId), InstanceID: aws.ToString(a.InstanceId), Tags: tagMap(a.Tags)})
		}
	}
	return list, nil
}

// Associate gives the network interface the address, and takes it from the one that has it in the same call.
func (r *Region) Associate(ctx context.Context, addressID, interfaceID string) error {
	_, err := r.client.AssociateAddress(ctx, &ec2.AssociateAddressInput{
		AllocationId: aws.String(addressID), NetworkInterfaceId: aws.String(interfaceID), AllowReassociation: aws.Bool(true)})
	return wrap(err, addressID)
}
