package ec2

import (
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// States of an attachment, of a volume or an interface.
const (
	attaching = "attaching"
	attached  = "attached"
	detaching = "detaching"
	busy      = "busy" // a detach that the guest holds up, until it is forced
)

// maxAttachments is how many volumes a Nitro instance takes, its root and its interfaces among them.
const maxAttachments = 28

type attachInput struct {
	volumeInput
	InstanceID string `query:"InstanceId"`
	Device     string `query:"Device"`
}

// attachVolume gives the instance the volume; a running server finds it at its next boot.
func (s *Service) attachVolume(c *call, in *attachInput) (any, error) {
	volume, err := c.volume(in.VolumeID, c.now)
	if err != nil {
		return nil, err
	}
	i, err := c.instance(in.InstanceID, c.now)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Device == "":
		return nil, missing("Device")
	case volume.InstanceID != "":
		return nil, api.Errorf("VolumeInUse", "%s is already attached to an instance", volume.ID)
	case volume.State != "available" || volume.ReservedBy != "":
		return nil, api.Errorf("IncorrectState", "The volume '%s' is not 'available'.", volume.ID)
	case volume.Zone != i.Zone:
		return nil, api.Errorf("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", volume.ID, i.ID)
	case i.State != stateRunning && i.State != stateStopped:
		return nil, api.Errorf("IncorrectState", "Instance '%s' is not 'running' or 'stopped'.", i.ID)
	case slices.ContainsFunc(i.Volumes, func(a attachedVolume) bool { return a.Device == in.Device }):
		return nil, api.Errorf("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", in.Device, in.Device)
	case len(i.Volumes) >= maxAttachments:
		return nil, api.Errorf("AttachmentLimitExceeded", "The instance '%s' has %d volumes attached, the most that its type takes", i.ID, len(i.Volumes))
	}
	volume.State, volume.InstanceID, volume.Device, volume.AttachedAt = "in-use", i.ID, in.Device, c.now
	volume.Attachment, volume.Next = attaching, c.now.Add(s.env.Scale(s.options.Attaching))
	i.Volumes = append(slices.Clone(i.Volumes), attachedVolume{Device: in.Device, VolumeID: volume.ID, At: c.now, Status: attaching})
	c.volumes.put(volume)
	s.saveInstance(i)
	s.armAttachment(volume)
	s.changed = true
	return c.showAttachment(volume), nil
}

type detachInput struct {
	attachInput
	Force bool `query:"Force"`
}

// detachVolume takes the volume from the instance. Of a running server this is a pulled plug: what it had not written is lost.
func (s *Service) detachVolume(c *call, in *detachInput) (any, error) {
	volume, err := c.volume(in.VolumeID, c.now)
	if err != nil {
		return nil, err
	}
	i, ok := c.instances.get(volume.InstanceID)
	switch {
	case !ok:
		return nil, api.Errorf("IncorrectState", "The volume '%s' is in the 'available' state.", volume.ID)
	case in.InstanceID != "" && in.InstanceID != i.ID, in.Device != "" && in.Device != volume.Device:
		return nil, api.Errorf("InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s' as device '%s'", volume.ID, in.InstanceID, in.Device)
	case volume.Attachment == busy && in.Force:
	case volume.Attachment != "":
		return nil, api.Errorf("IncorrectState", "The volume '%s' is '%s'.", volume.ID, volume.Attachment)
	case volume.Device == i.RootDevice && i.State != stateStopped:
		return nil, api.Errorf("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", volume.ID, i.ID)
	}
	if m := s.machineOf(i.ID); m != nil {
		s.keepDisks(i, m.Disks())
	}
	volume.Attachment, volume.Next = detaching, c.now.Add(s.env.Scale(s.options.Detaching))
	if !in.Force && s.takeStuck(volume.ID) {
		volume.Attachment, volume.Next = busy, time.Time{}
	}
	c.volumes.put(volume)
	s.showStatusOf(i, volume)
	s.armAttachment(volume)
	s.changed = true
	return c.showAttachment(volume), nil
}

// armAttachment ends what the volume is at: attaching or detaching.
func (s *Service) armAttachment(v *volumeRecord) {
	if v.Attachment != attaching && v.Attachment != detaching {
		return
	}
	at, next := v.Attachment, v.Next
	s.timers.at(next, func() {
		sc := s.scopeOf(&v.base)
		held, ok := sc.volumes.get(v.ID)
		if !ok || held != v || v.Attachment != at || !v.Next.Equal(next) {
			return
		}
		i, there := sc.instances.get(v.InstanceID)
		v.Attachment, v.Next = "", time.Time{}
		switch {
		case at == attaching:
			sc.volumes.put(v)
			if there {
				s.showStatusOf(i, v)
			}
		default:
			if there {
				i.Volumes = slices.DeleteFunc(slices.Clone(i.Volumes), func(a attachedVolume) bool { return a.VolumeID == v.ID })
				s.saveInstance(i)
			}
			s.freeVolume(sc, v)
		}
		s.changed = true
	})
}

// showStatusOf shows the attachment's state in the instance's block device mapping.
func (s *Service) showStatusOf(i *instanceRecord, v *volumeRecord) {
	i.Volumes = slices.Clone(i.Volumes)
	for n := range i.Volumes {
		if i.Volumes[n].VolumeID == v.ID {
			i.Volumes[n].Status = v.Attachment
			if v.Attachment == busy {
				i.Volumes[n].Status = detaching // the mapping's states know no busy
			}
		}
	}
	s.saveInstance(i)
}

// freeVolume makes the volume available.
func (s *Service) freeVolume(sc *scope, v *volumeRecord) {
	v.State, v.InstanceID, v.Device, v.Attachment, v.Next = "available", "", "", "", time.Time{}
	sc.volumes.put(v)
	s.changed = true
}

// stuckFault lets the next Count detaches, of one volume or of any, stay busy until they are forced.
type stuckFault struct {
	Volume string `json:"volume,omitempty"`
	Count  int    `json:"count"`
}

func (s *Service) takeStuck(volumeID string) bool {
	for n := range s.faults.StuckDetaches {
		fault := &s.faults.StuckDetaches[n]
		if fault.Count > 0 && (fault.Volume == "" || fault.Volume == volumeID) {
			fault.Count--
			s.saveFaults()
			return true
		}
	}
	return false
}
