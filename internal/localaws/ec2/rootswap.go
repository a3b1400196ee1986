package ec2

import (
	"fmt"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// replacementRoot makes or finds the volume that becomes the instance's root. It has the old one's type and speed, and the
// larger of both sizes; an encrypted root stays encrypted by its own key.
func (s *Service) replacementRoot(c *call, in *createRootTaskInput, i *instanceRecord, old *volumeRecord) (*volumeRecord, error) {
	if in.VolumeID != "" {
		return s.preparedRoot(c, in.VolumeID, i, old)
	}
	source := i.LaunchSnapshot
	size := old.SizeGiB
	var encryptedBy string
	switch {
	case in.ImageID != "":
		image, err := s.replacementImage(c, in.ImageID, i)
		if err != nil {
			return nil, err
		}
		root := slices.IndexFunc(image.Devices, func(d imageDevice) bool { return d.Device == image.RootDevice })
		if root < 0 {
			return nil, api.Errorf("InvalidParameterValue", "The image '%s' has no root device", image.ID)
		}
		source, size, encryptedBy = image.Devices[root].SnapshotID, max(size, image.Devices[root].SizeGiB), image.Devices[root].KMSKeyID
	case in.SnapshotID != "":
		snapshot, err := s.usableSnapshot(c, in.SnapshotID)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(append(slices.Clone(i.FormerRoots), old.ID), snapshot.VolumeID) {
			return nil, api.Errorf("InvalidParameterValue", "The snapshot '%s' was not created from a root volume of the instance '%s'", snapshot.ID, i.ID)
		}
		if snapshot.State != "completed" {
			return nil, api.Errorf("IncorrectState", "The snapshot '%s' is not completed.", snapshot.ID)
		}
		source, size, encryptedBy = snapshot.ID, max(size, snapshot.SizeGiB), snapshot.KMSKeyID
	}
	id := s.newID("vol", c.Account, c.Region, i.ID, "root", source, in.ClientToken)
	volume := &volumeRecord{
		base: s.newBase(c.scope, id, nil), SizeGiB: size, Type: old.Type, IOPS: old.IOPS, Throughput: old.Throughput, SnapshotID: source,
		Encrypted: old.Encrypted, KMSKeyID: old.KMSKeyID, Zone: i.Zone, Created: c.now, State: "creating", ReservedBy: i.ID, Visible: s.visibleAt(c.now, id),
	}
	if !old.Encrypted && encryptedBy != "" {
		volume.Encrypted, volume.KMSKeyID = true, encryptedBy
	}
	s.forkContent(source, id)
	c.volumes.put(volume)
	return volume, nil
}

// replacementImage is an AMI with the same key characteristics as the instance.
func (s *Service) replacementImage(c *call, id string, i *instanceRecord) (*imageRecord, error) {
	image, err := s.usableImage(c, id)
	if err != nil {
		return nil, err
	}
	switch {
	case image.State != "available":
		return nil, api.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available: it is %s", image.ID, image.State)
	case image.ProductCode != "":
		return nil, api.Errorf("UnsupportedOperation", "The image '%s' is an AWS Marketplace AMI, with product code %s: it cannot replace a root volume", image.ID, image.ProductCode)
	case image.Architecture != i.Architecture:
		return nil, api.Errorf("InvalidParameterValue", "The architecture '%s' of the AMI '%s' does not match the architecture '%s' of the instance", image.Architecture, image.ID, i.Architecture)
	case image.Platform != i.Platform || image.Details != i.Details:
		return nil, api.Errorf("InvalidParameterValue", "The billing information '%s' of the AMI '%s' does not match '%s' of the instance", image.Details, image.ID, i.Details)
	}
	return image, nil
}

// preparedRoot is a volume that is there already and free.
func (s *Service) preparedRoot(c *call, id string, i *instanceRecord, old *volumeRecord) (*volumeRecord, error) {
	volume, err := c.volume(id, c.now)
	if err != nil {
		return nil, err
	}
	switch {
	case volume.InstanceID != "":
		return nil, api.Errorf("VolumeInUse", "%s is already attached to an instance", volume.ID)
	case volume.State != "available" || volume.ReservedBy != "":
		return nil, api.Errorf("IncorrectState", "The volume '%s' is not 'available'.", volume.ID)
	case volume.Zone != i.Zone:
		return nil, api.Errorf("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", volume.ID, i.ID)
	case old.Encrypted && !volume.Encrypted:
		return nil, api.Errorf("InvalidParameterValue", "The root volume of '%s' is encrypted, but '%s' is not", i.ID, volume.ID)
	}
	volume.ReservedBy = i.ID
	c.volumes.put(volume)
	return volume, nil
}

func (s *Service) armRootTask(t *rootTaskRecord) {
	if t.ended() {
		return
	}
	next := t.Next
	s.timers.at(next, func() {
		if held, ok := s.scopeOf(&t.base).rootTasks.get(t.ID); ok && held == t && t.Next.Equal(next) && !t.ended() {
			s.advanceRootTask(t)
		}
	})
}

// advanceRootTask brings the task's next state: the machine goes off while it is in progress, and boots from the new root.
func (s *Service) advanceRootTask(t *rootTaskRecord) {
	sc := s.scopeOf(&t.base)
	i, there := sc.instances.get(t.InstanceID)
	switch {
	case !there || i.State != stateRunning && t.State != taskFailing:
		s.abandonRootTask(sc, t)
	case t.State == taskPending && t.EndsAs == taskFailed:
		s.rootTaskEnters(sc, t, taskFailing, s.env.Scale(s.options.RootPending))
	case t.State == taskPending:
		s.rootTaskEnters(sc, t, taskInProgress, s.between(s.options.RootSwap, 2*s.options.RootSwap, "root-swap", t.ID))
		i.StatusOK = t.Next.Add(s.env.Scale(s.options.StatusChecks))
		s.saveInstance(i)
		s.after(func() { s.background.run(func() { s.powerOff(i.ID, true) }) })
	case t.State == taskFailing:
		s.abandonRootTask(sc, t)
		s.after(func() { s.background.run(func() { s.reboot(i.ID) }) })
	case t.EndsAs == taskFailedDetached:
		s.detachRoot(sc, i, t)
		s.dropReplacement(sc, t)
		s.endRootTask(sc, t, taskFailedDetached)
	default:
		// The machine is off by now or goes off first: its disk is the old volume's last content.
		s.after(func() { s.background.run(func() { s.powerOff(i.ID, true); s.locked(func() { s.swapRoot(sc, i, t) }) }) })
	}
}

func (s *Service) rootTaskEnters(sc *scope, t *rootTaskRecord, state string, lasts time.Duration) {
	t.State, t.Next = state, time.Now().Add(lasts)
	sc.rootTasks.put(t)
	s.changed = true
	s.armRootTask(t)
}

func (s *Service) endRootTask(sc *scope, t *rootTaskRecord, state string) {
	t.State, t.Completed = state, time.Now()
	sc.rootTasks.put(t)
	s.changed = true
}

// abandonRootTask leaves the instance as it was.
func (s *Service) abandonRootTask(sc *scope, t *rootTaskRecord) {
	s.dropReplacement(sc, t)
	s.endRootTask(sc, t, taskFailed)
}

// dropReplacement deletes a volume that the task made and frees one that was there before it.
func (s *Service) dropReplacement(sc *scope, t *rootTaskRecord) {
	volume, ok := sc.volumes.get(t.VolumeID)
	switch {
	case !ok:
	case t.Made:
		s.dropVolume(sc, volume)
	default:
		volume.ReservedBy = ""
		sc.volumes.put(volume)
	}
}

func (s *Service) swapRoot(sc *scope, i *instanceRecord, t *rootTaskRecord) {
	volume, ok := sc.volumes.get(t.VolumeID)
	if t.ended() || !ok || i.State != stateRunning {
		if !t.ended() {
			s.abandonRootTask(sc, t)
		}
		return
	}
	goes := s.detachRoot(sc, i, t) && t.Made // the attribute does not transfer to a volume that was there
	now := time.Now()
	volume.State, volume.InstanceID, volume.Device, volume.AttachedAt, volume.ReservedBy = "in-use", i.ID, i.RootDevice, now, ""
	sc.volumes.put(volume)
	i.Volumes = append([]attachedVolume{{Device: i.RootDevice, VolumeID: volume.ID, DeleteOnTermination: goes, At: now}}, i.Volumes...)
	if image, ok := sc.shared.images.get(t.ImageID); ok {
		i.ImageID, i.Distribution = image.ID, image.Distribution
	}
	i.StatusOK = now.Add(s.env.Scale(s.options.StatusChecks))
	s.saveInstance(i)
	if old, ok := sc.volumes.get(t.OldVolume); ok && t.DeleteOld {
		s.dropVolume(sc, old)
	}
	s.endRootTask(sc, t, taskSucceeded)
	s.after(func() { s.powerOn(i) })
}

// detachRoot takes the root volume away and tells whether it was to go with the instance.
func (s *Service) detachRoot(sc *scope, i *instanceRecord, t *rootTaskRecord) (deleteOnTermination bool) {
	i.Volumes = slices.DeleteFunc(slices.Clone(i.Volumes), func(a attachedVolume) bool {
		if a.VolumeID == t.OldVolume {
			deleteOnTermination = a.DeleteOnTermination
		}
		return a.VolumeID == t.OldVolume
	})
	i.FormerRoots = append(slices.Clone(i.FormerRoots), t.OldVolume)
	s.saveInstance(i)
	if old, ok := sc.volumes.get(t.OldVolume); ok {
		s.freeVolume(sc, old)
	}
	return deleteOnTermination
}

type productCode struct {
	Code string `xml:"productCode"`
	Type string `xml:"type"`
}

// giveProductCode makes an AMI one of AWS Marketplace.
func (s *Service) giveProductCode(p struct{ Image, Code string }) (any, error) {
	for _, region := range s.regions {
		if image, ok := region.images.get(p.Image); ok {
			image.ProductCode = p.Code
			region.images.put(image)
			return p.Code, nil
		}
	}
	return nil, fmt.Errorf("marketplace: there is no image %q", p.Image)
}
