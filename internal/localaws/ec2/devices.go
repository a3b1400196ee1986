package ec2

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// planDevices lays the request's block devices over the AMI's.
func (s *Service) planDevices(c *call, p *launchPlan) error {
	p.devices = slices.Clone(p.image.Devices)
	for _, asked := range p.data.BlockDevices {
		if err := s.overlayDevice(c, p, asked); err != nil {
			return err
		}
	}
	for i := range p.devices {
		d := &p.devices[i]
		if d.Encrypted && d.KMSKeyID != "" && !s.keyUsable(c.Account, c.Region, d.KMSKeyID) {
			p.diesOf = "Client.InvalidKMSKey.InvalidState"
		}
	}
	return nil
}

func (s *Service) overlayDevice(c *call, p *launchPlan, asked blockDevice) error {
	if asked.DeviceName == "" {
		return missing("BlockDeviceMapping.DeviceName")
	}
	at := slices.IndexFunc(p.devices, func(d imageDevice) bool { return d.Device == asked.DeviceName })
	switch {
	case asked.VirtualName != "":
		return nil // instance store volumes do not exist on the types that this endpoint has
	case asked.NoDevice != nil:
		if asked.DeviceName == p.image.RootDevice {
			return api.Errorf("InvalidBlockDeviceMapping", "The root device %s cannot be suppressed", asked.DeviceName)
		}
		if at >= 0 {
			p.devices = slices.Delete(p.devices, at, at+1)
		}
		return nil
	case asked.EBS == nil:
		return nil
	}
	device := imageDevice{Device: asked.DeviceName, DeleteOnTermination: true}
	if at >= 0 {
		device = p.devices[at]
		if own := asked.EBS.SnapshotID; own != "" && device.SnapshotID != "" && own != device.SnapshotID && asked.DeviceName == p.image.RootDevice {
			return api.Errorf("InvalidBlockDeviceMapping", "snapshotId cannot be modified on root device")
		}
	}
	merged, err := s.mergeDevice(c, device, asked.EBS)
	if err != nil {
		return err
	}
	if at >= 0 {
		p.devices[at] = merged
	} else {
		p.devices = append(p.devices, merged)
	}
	return nil
}

func (s *Service) mergeDevice(c *call, d imageDevice, asked *ebsDevice) (imageDevice, error) {
	if asked.SnapshotID != "" {
		snapshot, err := s.usableSnapshot(c, asked.SnapshotID)
		if err != nil {
			return d, err
		}
		d.SnapshotID, d.Encrypted, d.KMSKeyID = snapshot.ID, snapshot.Encrypted, snapshot.KMSKeyID
		d.SizeGiB = snapshot.SizeGiB
	}
	smallest := int32(0)
	if snapshot, ok := c.shared.snapshots.get(d.SnapshotID); ok {
		smallest = snapshot.SizeGiB
	}
	if asked.VolumeType != "" && asked.VolumeType != d.Type {
		d.Type, d.IOPS, d.Throughput = asked.VolumeType, 0, 0
	}
	d.Type = cmp.Or(d.Type, "gp2")
	d.SizeGiB = cmp.Or(asked.VolumeSize, d.SizeGiB)
	d.IOPS = cmp.Or(asked.IOPS, d.IOPS)
	d.Throughput = cmp.Or(asked.Throughput, d.Throughput)
	if asked.DeleteOnTermination != nil {
		d.DeleteOnTermination = *asked.DeleteOnTermination
	}
	if asked.Encrypted != nil {
		if d.Encrypted && !*asked.Encrypted {
			return d, api.Errorf("InvalidParameterDependency", "The volume of '%s' is encrypted by its snapshot; the parameter encrypted cannot be false.", d.Device)
		}
		d.Encrypted = *asked.Encrypted
	}
	if asked.KMSKeyID != "" {
		if !d.Encrypted {
			return d, api.Errorf("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
		}
		d.KMSKeyID = keyARN(c.Account, c.Region, asked.KMSKeyID)
	}
	return settleVolume(c, d, smallest)
}

// settleVolume checks size, type and speed of a volume, and fills what AWS fills.
func settleVolume(c *call, d imageDevice, smallest int32) (imageDevice, error) {
	if d.SizeGiB == 0 {
		return d, api.Errorf("InvalidBlockDeviceMapping", "The device '%s' has neither a size nor a snapshot", d.Device)
	}
	if d.SizeGiB < smallest {
		return d, api.Errorf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", d.SizeGiB, d.SnapshotID, smallest)
	}
	largest := int32(65536)
	if !slices.Contains([]string{"gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"}, d.Type) {
		return d, api.Errorf("InvalidParameterValue", "Invalid value '%s' for VolumeType.", d.Type)
	}
	if d.Type == "standard" {
		largest = 1024
	}
	if d.SizeGiB < 1 || d.SizeGiB > largest {
		return d, api.Errorf("InvalidParameterValue", "Volume of %dGiB is outside 1 to %d GiB of type %s", d.SizeGiB, largest, d.Type)
	}
	switch d.Type {
	case "gp3":
		d.IOPS, d.Throughput = cmp.Or(d.IOPS, 3000), cmp.Or(d.Throughput, 125)
	case "io1", "io2":
		if d.IOPS == 0 {
			return d, api.Errorf("MissingParameter", "The parameter iops must be specified for %s volumes.", d.Type)
		}
		d.Throughput = 0
	default:
		if d.Throughput != 0 {
			return d, api.Errorf("InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", d.Type)
		}
		if d.Type == "gp2" {
			d.IOPS = min(16000, max(100, 3*d.SizeGiB))
		}
	}
	if d.Encrypted && d.KMSKeyID == "" {
		d.KMSKeyID = keyARN(c.Account, c.Region, managedKey)
	}
	return d, nil
}

// managedKey is the AWS-managed key for EBS; what it encrypts cannot be shared.
const managedKey = "alias/aws/ebs"

// keyARN makes an ARN of a key's id or alias.
func keyARN(account, region, key string) string {
	if strings.HasPrefix(key, "arn:") {
		return key
	}
	if !strings.HasPrefix(key, "alias/") {
		key = "key/" + key
	}
	return "arn:aws:kms:" + region + ":" + account + ":" + key
}

func (s *Service) keyUsable(account, region, key string) bool {
	if s.options.KMSKeyUsable != nil {
		return s.options.KMSKeyUsable(account, region, key)
	}
	for _, bad := range s.faults.BadKMSKeys {
		if strings.Contains(key, bad) {
			return false
		}
	}
	return true
}
