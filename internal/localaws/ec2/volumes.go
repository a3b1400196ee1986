package ec2

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type volumeXML struct {
	VolumeID    string              `xml:"volumeId"`
	Size        int32               `xml:"size"`
	SnapshotID  string              `xml:"snapshotId"`
	Zone        string              `xml:"availabilityZone"`
	Status      string              `xml:"status"`
	CreateTime  string              `xml:"createTime"`
	Attachments list[attachmentXML] `xml:"attachmentSet"`
	Tags        list[Tag]           `xml:"tagSet"`
	VolumeType  string              `xml:"volumeType"`
	IOPS        int32               `xml:"iops,omitempty"`
	Throughput  int32               `xml:"throughput,omitempty"`
	Encrypted   bool                `xml:"encrypted"`
	KMSKeyID    string              `xml:"kmsKeyId,omitempty"`
	MultiAttach bool                `xml:"multiAttachEnabled"`
}

type attachmentXML struct {
	VolumeID            string `xml:"volumeId"`
	InstanceID          string `xml:"instanceId"`
	Device              string `xml:"device"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

func (sc *scope) showVolume(v *volumeRecord) volumeXML {
	x := volumeXML{
		VolumeID: v.ID, Size: v.SizeGiB, SnapshotID: v.SnapshotID, Zone: v.Zone, Status: v.State, CreateTime: stamp(v.Created),
		Tags: listOf(v.Tags), VolumeType: v.Type, IOPS: v.IOPS, Throughput: v.Throughput, Encrypted: v.Encrypted, KMSKeyID: v.KMSKeyID,
	}
	if v.InstanceID != "" {
		x.Attachments.Items = []attachmentXML{sc.showAttachment(v)}
	}
	return x
}

func (sc *scope) showAttachment(v *volumeRecord) attachmentXML {
	status := cmp.Or(v.Attachment, attached)
	x := attachmentXML{VolumeID: v.ID, InstanceID: v.InstanceID, Device: v.Device, Status: status, AttachTime: stamp(v.AttachedAt)}
	if i, ok := sc.instances.get(v.InstanceID); ok {
		x.DeleteOnTermination = slices.ContainsFunc(i.Volumes, func(a attachedVolume) bool { return a.VolumeID == v.ID && a.DeleteOnTermination })
	}
	return x
}

var volumeFields = fields[*volumeRecord]{
	"volume-id":              func(v *volumeRecord) []string { return one(v.ID) },
	"status":                 func(v *volumeRecord) []string { return one(v.State) },
	"size":                   func(v *volumeRecord) []string { return one(strconv.Itoa(int(v.SizeGiB))) },
	"snapshot-id":            func(v *volumeRecord) []string { return one(v.SnapshotID) },
	"availability-zone":      func(v *volumeRecord) []string { return one(v.Zone) },
	"volume-type":            func(v *volumeRecord) []string { return one(v.Type) },
	"encrypted":              func(v *volumeRecord) []string { return yesNo(v.Encrypted) },
	"attachment.instance-id": func(v *volumeRecord) []string { return one(v.InstanceID) },
	"attachment.device":      func(v *volumeRecord) []string { return one(v.Device) },
	"attachment.status": func(v *volumeRecord) []string {
		if v.InstanceID == "" {
			return nil
		}
		return one(cmp.Or(v.Attachment, attached))
	},
	"create-time": func(v *volumeRecord) []string { return one(stamp(v.Created)) },
}

type describeVolumesInput struct {
	dryable
	paging
	IDs     []string `query:"VolumeId"`
	Filters []filter `query:"Filter"`
}

type describeVolumesXML struct {
	Volumes   list[volumeXML] `xml:"volumeSet"`
	NextToken string          `xml:"nextToken,omitempty"`
}

func (s *Service) describeVolumes(c *call, in *describeVolumesInput) (any, error) {
	if err := volumeFields.check(in.Filters); err != nil {
		return nil, err
	}
	if len(in.IDs) > 0 && in.MaxResults != nil {
		return nil, api.Errorf("InvalidParameterCombination", "The parameter volumeSet cannot be used with the parameter maxResults")
	}
	var candidates []*volumeRecord
	for _, id := range in.IDs {
		volume, err := c.volume(id, c.now)
		if err != nil {
			return nil, err
		}
		candidates = append(candidates, volume)
	}
	slices.SortFunc(candidates, bySequence)
	if len(in.IDs) == 0 {
		candidates = c.volumes.candidates(in.Filters)
	}
	var found []*volumeRecord
	for _, v := range candidates {
		if !c.now.Before(v.Visible) && volumeFields.match(in.Filters, v) {
			found = append(found, v)
		}
	}
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeVolumesXML{NextToken: next}
	for _, v := range found {
		answer.Volumes.Items = append(answer.Volumes.Items, c.showVolume(v))
	}
	return answer, nil
}

func (sc *scope) volume(id string, now time.Time) (*volumeRecord, error) {
	if id == "" {
		return nil, missing("VolumeId")
	}
	if !strings.HasPrefix(id, "vol-") {
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter volumeId is invalid. Expected: 'vol-...'.", id)
	}
	volume, ok := sc.volumes.get(id)
	if !ok || now.Before(volume.Visible) {
		return nil, api.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
	}
	return volume, nil
}

type createVolumeInput struct {
	dryable
	Zone              string             `query:"AvailabilityZone"`
	Size              int32              `query:"Size"`
	SnapshotID        string             `query:"SnapshotId"`
	VolumeType        string             `query:"VolumeType"`
	IOPS              int32              `query:"Iops"`
	Throughput        int32              `query:"Throughput"`
	Encrypted         *bool              `query:"Encrypted"`
	KMSKeyID          string             `query:"KmsKeyId"`
	ClientToken       string             `query:"ClientToken"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

func (s *Service) createVolume(c *call, in *createVolumeInput) (any, error) {
	if !slices.Contains(c.zones, in.Zone) {
		return nil, api.Errorf("InvalidZone.NotFound", "The zone '%s' does not exist.", in.Zone)
	}
	key, digest := "volume/"+c.Account+"/"+c.Region+"/"+in.ClientToken, requestDigest(c.Request)
	if err := checkToken(in.ClientToken); err != nil {
		return nil, err
	}
	if known, ok := s.token(key, c.now); ok && in.ClientToken != "" {
		volume, there := c.volumes.get(known.IDs[0])
		if known.Digest != digest || !there {
			return nil, mismatch()
		}
		return c.showVolume(volume), nil
	}
	tags, err := tagsFor(in.TagSpecifications, "volume")
	if err != nil {
		return nil, err
	}
	device, err := s.mergeDevice(c, imageDevice{Device: "the volume"}, &ebsDevice{
		SnapshotID: in.SnapshotID, VolumeSize: in.Size, VolumeType: in.VolumeType, IOPS: in.IOPS, Throughput: in.Throughput,
		Encrypted: in.Encrypted, KMSKeyID: in.KMSKeyID,
	})
	if err != nil {
		return nil, err
	}
	id := s.newID("vol", c.Account, c.Region, in.Zone, in.ClientToken)
	volume := &volumeRecord{
		base: s.newBase(c.scope, id, tags), SizeGiB: device.SizeGiB, Type: device.Type, IOPS: device.IOPS,
		Throughput: device.Throughput, SnapshotID: in.SnapshotID, Encrypted: device.Encrypted, KMSKeyID: device.KMSKeyID,
		Zone: in.Zone, Created: c.now, State: "creating", Visible: s.visibleAt(c.now, id),
	}
	s.forkContent(in.SnapshotID, id)
	c.volumes.put(volume)
	s.armVolume(volume)
	if in.ClientToken != "" {
		s.tables.tokens.Put(key, &tokenRecord{Digest: digest, IDs: []string{id}, At: c.now})
	}
	return c.showVolume(volume), nil
}

// volumeCreation is how long a volume is creating; AWS takes a few seconds.
const volumeCreation = 3 * time.Second

func (s *Service) armVolume(v *volumeRecord) {
	if v.State != "creating" || v.ReservedBy != "" {
		return
	}
	s.timers.at(v.Created.Add(s.env.Scale(volumeCreation)), func() {
		volumes := s.scopeOf(&v.base).volumes
		if held, ok := volumes.get(v.ID); ok && held == v && v.State == "creating" {
			v.State = "available"
			volumes.put(v)
			s.changed = true
		}
	})
}

type volumeInput struct {
	dryable
	VolumeID string `query:"VolumeId"`
}

func (s *Service) deleteVolume(c *call, in *volumeInput) (any, error) {
	volume, err := c.volume(in.VolumeID, c.now)
	if err != nil {
		return nil, err
	}
	switch {
	case volume.InstanceID != "":
		return nil, api.Errorf("VolumeInUse", "Volume %s is currently attached to %s", volume.ID, volume.InstanceID)
	case volume.State != "available" || volume.ReservedBy != "":
		return nil, api.Errorf("IncorrectState", "The volume '%s' is not 'available'.", volume.ID)
	}
	s.dropVolume(c.scope, volume)
	return done{true}, nil
}

func (s *Service) dropVolume(sc *scope, v *volumeRecord) {
	sc.volumes.remove(v)
	s.tables.contents.Delete(v.ID)
	s.changed = true
}
