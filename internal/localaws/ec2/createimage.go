package ec2

import (
	"cmp"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type createImageInput struct {
	dryable
	InstanceID        string             `query:"InstanceId"`
	Name              string             `query:"Name"`
	Description       string             `query:"Description"`
	NoReboot          bool               `query:"NoReboot"`
	BlockDevices      []blockDevice      `query:"BlockDeviceMapping"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

type imageIDXML struct {
	ImageID string `xml:"imageId"`
}

func (s *Service) createImage(c *call, in *createImageInput) (any, error) {
	i, err := c.instance(in.InstanceID, c.now)
	if err != nil {
		return nil, err
	}
	if i.State != stateRunning && i.State != stateStopped && i.State != stateStopping {
		return nil, incorrectState(i, "imaged")
	}
	if err := s.nameFree(c, in.Name); err != nil {
		return nil, err
	}
	imageTags, err := tagsFor(in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	snapshotTags, err := tagsFor(in.TagSpecifications, "snapshot", "image")
	if err != nil {
		return nil, err
	}
	image := &imageRecord{
		base: s.newBase(c.scope, s.newID("ami", c.Account, c.Region, in.Name), imageTags), Name: in.Name,
		Description: in.Description, Architecture: i.Architecture, Platform: i.Platform, Details: i.Details,
		UsageOperation: "RunInstances", Distribution: i.Distribution, RootDevice: i.RootDevice, Created: c.now,
		State: "pending", SourceInstanceID: i.ID, SourceImageID: i.ImageID, SourceRegion: i.Region,
	}
	if parent, ok := c.shared.images.get(i.ImageID); ok {
		image.BootMode, image.IMDSSupport, image.UsageOperation = parent.BootMode, parent.IMDSSupport, parent.UsageOperation
	}
	image.Visible = s.visibleAt(c.now, image.ID)
	takes := s.between(s.options.ImageMin, s.options.ImageMax, "image", image.ID)
	image.Due = c.now.Add(takes)
	if s.takeFault(&s.faults.ImageFailures, c) {
		image.FailsWith = "Client.InternalError"
	}
	snapshots, err := s.imageDevices(c, i, image, in.BlockDevices, snapshotTags, c.now.Add(takes*19/20))
	if err != nil {
		return nil, err
	}
	c.shared.images.put(image)
	s.armImage(image)
	s.changed = true
	s.capture(i, snapshots, !in.NoReboot)
	return imageIDXML{image.ID}, nil
}

// imageDevices gives the image a device and a snapshot for each volume of the instance that the request does not leave
// out, and what the request adds.
func (s *Service) imageDevices(c *call, i *instanceRecord, image *imageRecord, asked []blockDevice, tags []Tag, due time.Time) ([]*snapshotRecord, error) {
	asks := map[string]blockDevice{}
	for _, device := range asked {
		asks[device.DeviceName] = device
	}
	if root, ok := asks[i.RootDevice]; ok && root.NoDevice != nil {
		return nil, api.Errorf("InvalidBlockDeviceMapping", "The root device %s cannot be left out of an image", i.RootDevice)
	}
	var snapshots []*snapshotRecord
	for _, attached := range i.Volumes {
		ask, named := asks[attached.Device]
		delete(asks, attached.Device)
		volume, ok := c.volumes.get(attached.VolumeID)
		if !ok || named && ask.NoDevice != nil {
			continue
		}
		device := imageDevice{
			Device: attached.Device, SizeGiB: volume.SizeGiB, Type: volume.Type, IOPS: volume.IOPS, Throughput: volume.Throughput,
			Encrypted: volume.Encrypted, KMSKeyID: volume.KMSKeyID, DeleteOnTermination: attached.DeleteOnTermination,
		}
		if named && ask.EBS != nil {
			merged, err := s.mergeDevice(c, device, ask.EBS)
			if err != nil {
				return nil, err
			}
			device = merged
		}
		snapshot := s.newSnapshot(c, volume, s.newID("snap", image.ID, attached.Device), slices.Clone(tags), due)
		snapshot.Description = "Created by CreateImage(" + i.ID + ") for " + image.ID
		snapshot.Visible = image.Visible
		device.SnapshotID, device.KMSKeyID = snapshot.ID, ""
		image.Devices = append(image.Devices, device)
		snapshots = append(snapshots, snapshot)
	}
	for _, device := range asked {
		if _, extra := asks[device.DeviceName]; !extra || device.EBS == nil || device.NoDevice != nil {
			continue
		}
		added, err := s.mergeDevice(c, imageDevice{Device: device.DeviceName, DeleteOnTermination: true}, device.EBS)
		if err != nil {
			return nil, err
		}
		image.Devices = append(image.Devices, added)
	}
	for _, snapshot := range snapshots {
		c.shared.snapshots.put(snapshot)
		s.armSnapshot(snapshot)
	}
	return snapshots, nil
}

// capture takes the instance's content into the snapshots: of a running one either as it is, or after a clean shutdown
// and before the next boot.
func (s *Service) capture(i *instanceRecord, snapshots []*snapshotRecord, reboot bool) {
	m := s.machineOf(i.ID)
	if m == nil || !reboot {
		if m != nil {
			s.keepDisks(i, m.Disks())
		}
		s.captureAll(snapshots)
		return
	}
	s.after(func() { s.background.run(func() { s.captureWithReboot(i, snapshots) }) })
}

func (s *Service) captureWithReboot(i *instanceRecord, snapshots []*snapshotRecord) {
	p, leave := s.enter(i.ID)
	defer leave()
	s.mu.Lock()
	m := p.machine
	s.mu.Unlock()
	if m == nil {
		s.locked(func() { s.captureAll(snapshots) })
		return
	}
	m.PowerOff(false)
	s.lock()
	s.keepDisks(i, m.Disks())
	s.captureAll(snapshots)
	again := i.State == stateRunning
	if again {
		i.StatusOK = time.Now().Add(s.env.Scale(s.options.StatusChecks))
	} else {
		p.machine, i.Console, i.ConsoleAt = nil, m.Console(), time.Now()
	}
	s.saveInstance(i)
	s.unlock()
	if again {
		m.PowerOn()
	}
}

func (s *Service) captureAll(snapshots []*snapshotRecord) {
	for _, snapshot := range snapshots {
		s.captured(snapshot)
	}
}

// captured gives the snapshot its volume's content as it is now, unless it was deleted meanwhile.
func (s *Service) captured(snapshot *snapshotRecord) {
	if held, ok := s.region(snapshot.Region).snapshots.get(snapshot.ID); !ok || held != snapshot {
		return
	}
	s.forkContent(snapshot.VolumeID, snapshot.ID)
	snapshot.Captured = true
	s.region(snapshot.Region).snapshots.put(snapshot)
}

type copyImageInput struct {
	dryable
	ClientToken       string             `query:"ClientToken"`
	Name              string             `query:"Name"`
	Description       string             `query:"Description"`
	SourceImageID     string             `query:"SourceImageId"`
	SourceRegion      string             `query:"SourceRegion"`
	Encrypted         bool               `query:"Encrypted"`
	KMSKeyID          string             `query:"KmsKeyId"`
	CopyTags          bool               `query:"CopyImageTags"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
	Minutes           int32              `query:"SnapshotCopyCompletionDurationMinutes"`
}

// maxSnapshotCopies is how many snapshot copies one region takes at a time ("Errors by what to do" in aws-facts.md).
const maxSnapshotCopies = 20

func (s *Service) copyImage(c *call, in *copyImageInput) (any, error) {
	key, digest := "copy/"+c.Account+"/"+c.Region+"/"+in.ClientToken, requestDigest(c.Request)
	if err := checkToken(in.ClientToken); err != nil {
		return nil, err
	}
	if in.ClientToken != "" {
		if known, ok := s.token(key, c.now); ok {
			if known.Digest != digest {
				return nil, mismatch()
			}
			return imageIDXML{known.IDs[0]}, nil
		}
	}
	source, err := s.copySource(c, in)
	if err != nil {
		return nil, err
	}
	if err := s.nameFree(c, in.Name); err != nil {
		return nil, err
	}
	if s.copiesUnderWay(c)+len(source.Devices) > maxSnapshotCopies {
		return nil, api.Errorf("ResourceLimitExceeded", "Too many snapshot copies in progress. The limit is %d in this destination region.", maxSnapshotCopies)
	}
	if in.Minutes != 0 && (in.Minutes < 15 || in.Minutes > 2880 || in.Minutes%15 != 0) {
		return nil, api.Errorf("InvalidParameterValue", "Value (%d) for parameter snapshotCopyCompletionDurationMinutes is invalid. Expected 15 to 2880 in steps of 15.", in.Minutes)
	}
	image, err := s.copyOf(c, in, source)
	if err != nil {
		return nil, err
	}
	c.shared.images.put(image)
	s.armImage(image)
	s.changed = true
	if in.ClientToken != "" {
		s.tables.tokens.Put(key, &tokenRecord{Digest: digest, IDs: []string{image.ID}, At: c.now})
	}
	return imageIDXML{image.ID}, nil
}

func (s *Service) copySource(c *call, in *copyImageInput) (*imageRecord, error) {
	if in.SourceImageID == "" || in.SourceRegion == "" {
		return nil, missing("SourceImageId and SourceRegion")
	}
	if _, ok := regionNamed(in.SourceRegion); !ok {
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter sourceRegion is invalid: this endpoint serves %s", in.SourceRegion, regionNames())
	}
	there := *c
	there.scope = s.scope(c.Account, in.SourceRegion)
	source, err := s.usableImage(&there, in.SourceImageID)
	if err != nil {
		return nil, err
	}
	if source.State != "available" {
		return nil, api.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available: it is %s", source.ID, source.State)
	}
	for _, d := range source.Devices {
		snapshot, ok := s.region(in.SourceRegion).snapshots.get(d.SnapshotID)
		if ok && snapshot.Account != c.Account && !slices.Contains(snapshot.Users, c.Account) && !slices.Contains(snapshot.Users, "all") {
			return nil, api.Errorf("InvalidRequest", "You do not have permission to access the storage of this ami")
		}
	}
	return source, nil
}

func (s *Service) copiesUnderWay(c *call) int {
	count := 0
	for _, image := range c.shared.images.candidates([]filter{{Name: "owner-id", Values: []string{c.Account}}}) {
		if image.Token != "" && image.State == "pending" {
			count += len(image.Devices)
		}
	}
	return count
}

func (s *Service) copyOf(c *call, in *copyImageInput, source *imageRecord) (*imageRecord, error) {
	imageTags, err := tagsFor(in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	snapshotTags, err := tagsFor(in.TagSpecifications, "snapshot", "image")
	if err != nil {
		return nil, err
	}
	if in.CopyTags && source.Account == c.Account {
		for _, tag := range source.Tags {
			if !slices.ContainsFunc(imageTags, func(t Tag) bool { return t.Key == tag.Key }) {
				imageTags = withTags(imageTags, tag)
			}
		}
	}
	if in.KMSKeyID != "" && !in.Encrypted {
		return nil, api.Errorf("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	image := *source
	image.base = s.newBase(c.scope, s.newID("ami", c.Account, c.Region, in.Name), imageTags)
	image.Name, image.Description = in.Name, cmp.Or(in.Description, "[Copied "+source.ID+" from "+source.Region+"] "+source.Description)
	image.OwnerAlias, image.Permissions, image.SourceInstanceID = "", nil, ""
	image.SourceImageID, image.SourceRegion, image.Token = source.ID, source.Region, cmp.Or(in.ClientToken, "-")
	image.Created, image.State, image.Visible = c.now, "pending", s.visibleAt(c.now, image.ID)
	image.Deprecation, image.LastLaunched, image.ProtectedUntil = time.Time{}, time.Time{}, time.Time{}
	image.Protected, image.Cooldown, image.SeedLine, image.Parameters = false, false, "", nil
	takes := s.between(s.options.CopyMin, s.options.CopyMax, "copy", image.ID)
	image.Due = c.now.Add(takes)
	if s.takeFault(&s.faults.CopyFailures, c) {
		image.FailsWith = "Client.InternalError"
	}
	image.Devices = nil
	for _, d := range source.Devices {
		image.Devices = append(image.Devices, s.copyDevice(c, in, source, &image, d, snapshotTags, takes))
	}
	return &image, nil
}

func (s *Service) copyDevice(c *call, in *copyImageInput, source, image *imageRecord, d imageDevice, tags []Tag, takes time.Duration) imageDevice {
	origin, ok := s.region(source.Region).snapshots.get(d.SnapshotID)
	if !ok {
		return d
	}
	snapshot := *origin
	snapshot.base = s.newBase(c.scope, s.newID("snap", image.ID, d.Device), slices.Clone(tags))
	snapshot.VolumeID, snapshot.Users = "vol-ffffffff", nil
	snapshot.Description = "Copied for DestinationAmi " + image.ID + " from SourceAmi " + source.ID + " for SourceSnapshot " + origin.ID + "."
	snapshot.Started, snapshot.Due, snapshot.State, snapshot.Visible = c.now, c.now.Add(takes*19/20), "pending", image.Visible
	if in.Encrypted || d.Encrypted {
		snapshot.Encrypted = true
		snapshot.KMSKeyID = keyARN(c.Account, c.Region, cmp.Or(in.KMSKeyID, managedKey))
		if !s.keyUsable(c.Account, c.Region, snapshot.KMSKeyID) {
			snapshot.FailsWith = "Given key ID is not accessible"
			image.FailsWith = "Client.InvalidKMSKey"
		}
	}
	s.forkContent(origin.ID, snapshot.ID)
	c.shared.snapshots.put(&snapshot)
	s.armSnapshot(&snapshot)
	d.SnapshotID, d.Encrypted, d.KMSKeyID = snapshot.ID, snapshot.Encrypted, ""
	return d
}
