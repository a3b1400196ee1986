package ec2

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine"
)

// Instance is what other services and tests see of an instance, without propagation delay.
type Instance struct {
	ID, Account, Region, Zone      string
	State, StateReason             string
	ImageID, Type, SubnetID, VPCID string
	PrivateIP                      string
	ProfileARN, Platform           string // Platform: windows or linux
	Tags                           map[string]string
	LaunchIndex                    int
	ReservationID, ClientToken     string
	Launched                       time.Time
	Spot                           bool
	UserData                       []byte
	Volumes                        []string
}

// Image is an AMI as it truly is; those of vendors are not among them.
type Image struct {
	ID, Account, Region, Name, State string
	Tags                             map[string]string
	Snapshots                        []string
	SourceInstanceID, SourceImageID  string
	Created                          time.Time
	// Due is when its making ends, or ended.
	Due      time.Time
	Public   bool
	Accounts []string
}

// Snapshot is an EBS snapshot as it truly is.
type Snapshot struct {
	ID, Account, Region, State, VolumeID string
	Tags                                 map[string]string
	// Accounts may make volumes of it.
	Accounts []string
}

// Volume is an EBS volume as it truly is.
type Volume struct {
	ID, Account, Region, State, InstanceID string
	Tags                                   map[string]string
	Device                                 string
	SnapshotID                             string // that it was made of
}

// Interface is a network interface that was made by itself, as it truly is.
type Interface struct {
	ID, Account, Region, State, InstanceID string
	Tags                                   map[string]string
}

// Address is an Elastic IP address as it truly is.
type Address struct {
	ID, Account, Region, PublicIP, InstanceID string
	Tags                                      map[string]string
}

// Inspection is everything that accounts own in all regions, as it truly is.
type Inspection struct {
	Instances []Instance
	Images    []Image
	Snapshots []Snapshot
	Volumes   []Volume
	// Interfaces are those beside the instances' own first ones.
	Interfaces []Interface
	Addresses  []Address
}

// Inspect lists what is there, also what describes do not show yet, in the order of its making.
func (s *Service) Inspect() Inspection {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all Inspection
	for _, i := range inOrder(s.tables.instances.All()) {
		all.Instances = append(all.Instances, inspectInstance(i))
	}
	for _, i := range inOrder(s.tables.images.All()) {
		if i.SeedLine != "" {
			continue
		}
		image := Image{
			ID: i.ID, Account: i.Account, Region: i.Region, Name: i.Name, State: i.State, Tags: tagMap(i.Tags), Created: i.Created, Due: i.Due,
			SourceInstanceID: i.SourceInstanceID, SourceImageID: i.SourceImageID, Public: i.public(),
		}
		for _, d := range i.Devices {
			image.Snapshots = append(image.Snapshots, d.SnapshotID)
		}
		for _, p := range i.Permissions {
			if p.UserID != "" {
				image.Accounts = append(image.Accounts, p.UserID)
			}
		}
		all.Images = append(all.Images, image)
	}
	for _, r := range inOrder(s.tables.snapshots.All()) {
		if !slices.Contains(r.Users, "all") {
			all.Snapshots = append(all.Snapshots, Snapshot{r.ID, r.Account, r.Region, r.State, r.VolumeID, tagMap(r.Tags), slices.Clone(r.Users)})
		}
	}
	for _, v := range inOrder(s.tables.volumes.All()) {
		all.Volumes = append(all.Volumes, Volume{v.ID, v.Account, v.Region, v.State, v.InstanceID, tagMap(v.Tags), v.Device, v.SnapshotID})
	}
	for _, n := range inOrder(s.tables.interfaces.All()) {
		all.Interfaces = append(all.Interfaces, Interface{n.ID, n.Account, n.Region, n.state(), n.InstanceID, tagMap(n.Tags)})
	}
	for _, a := range inOrder(s.tables.elastic.All()) {
		all.Addresses = append(all.Addresses, Address{a.ID, a.Account, a.Region, a.PublicIP, a.InstanceID, tagMap(a.Tags)})
	}
	return all
}

// Inspection is what GET /_localaws/inspect shows of EC2.
func (s *Service) Inspection() any { return s.Inspect() }

// Summary counts what accounts own in all regions, by state, as it truly is.
func (s *Service) Summary() any {
	all := s.Inspect()
	counts := map[string]map[string]int{"instances": {}, "images": {}, "snapshots": {}, "volumes": {}}
	for _, i := range all.Instances {
		counts["instances"][i.State]++
	}
	for _, i := range all.Images {
		counts["images"][i.State]++
	}
	for _, r := range all.Snapshots {
		counts["snapshots"][r.State]++
	}
	for _, v := range all.Volumes {
		counts["volumes"][v.State]++
	}
	return counts
}

func inOrder[T record](all func(func(string, T) bool)) []T {
	var records []T
	for _, r := range all {
		records = append(records, r)
	}
	slices.SortFunc(records, bySequence)
	return records
}

func inspectInstance(i *instanceRecord) Instance {
	shown := Instance{
		ID: i.ID, Account: i.Account, Region: i.Region, Zone: i.Zone, State: i.State, StateReason: i.StateReasonCode,
		ImageID: i.ImageID, Type: i.Type, SubnetID: i.SubnetID, VPCID: i.VPCID, PrivateIP: i.PrivateIP, ProfileARN: i.ProfileARN,
		Platform: platformOf(i), Tags: tagMap(i.Tags), LaunchIndex: i.LaunchIndex, ReservationID: i.ReservationID,
		ClientToken: i.ClientToken, Launched: i.Launched, Spot: i.Spot, UserData: i.UserData,
	}
	for _, v := range i.Volumes {
		shown.Volumes = append(shown.Volumes, v.VolumeID)
	}
	return shown
}

func tagMap(tags []Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, tag := range tags {
		m[tag.Key] = tag.Value
	}
	return m
}

// Instances are the account's instances in the region, in the order of their launch.
func (s *Service) Instances(account, region string) []Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc, ok := s.scopes[scopeKey{account, region}]
	if !ok {
		return nil
	}
	shown := make([]Instance, 0, len(sc.instances.order))
	for _, i := range sc.instances.order {
		shown = append(shown, inspectInstance(i))
	}
	return shown
}

// Instance is one of them.
func (s *Service) Instance(account, region, id string) (Instance, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.find(account, region, id)
	if !ok {
		return Instance{}, false
	}
	return inspectInstance(i), true
}

// State is the instance's state; false if there is no such instance.
func (s *Service) State(account, region, id string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.find(account, region, id)
	if !ok {
		return "", false
	}
	return i.State, true
}

// Machine is the instance's machine while it is on.
func (s *Service) Machine(account, region, id string) (machine.Machine, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.find(account, region, id); !ok {
		return nil, false
	}
	m := s.machineOf(id)
	return m, m != nil
}

// Get asks the server's own service, as a load balancer's health check does.
func (s *Service) Get(account, region, id string, port int, path string) (status int, err error) {
	m, ok := s.Machine(account, region, id)
	if !ok {
		return 0, fmt.Errorf("instance %s does not run", id)
	}
	status, _, err = m.Get(port, path)
	return status, err
}

// ImageExists says whether the account can launch the image in the region, as Parameter Store's aws:ec2:image type asks.
func (s *Service) ImageExists(account, region, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	image, ok := s.region(region).images.get(id)
	return ok && image.launchableBy(account) && (image.State == "available" || image.State == "pending")
}

// PublicParameter is the newest public AMI that an SSM public parameter such as
// /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64 names in the region.
func (s *Service) PublicParameter(region, name string) (imageID string, created time.Time, ok bool) {
	parameter, ok := s.PublicParameters(region)[name]
	return parameter.ImageID, parameter.Created, ok
}

// PublicParameter is the value of an SSM public parameter that names an AMI.
type PublicParameter struct {
	ImageID string
	Created time.Time
}

// PublicParameters are the region's SSM public parameters for AMIs by name.
func (s *Service) PublicParameters(region string) map[string]PublicParameter {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]PublicParameter{}
	for _, image := range s.region(region).images.order {
		for _, name := range image.Parameters {
			if held, ok := all[name]; !ok || cmp.Compare(held.Created.UnixNano(), image.Created.UnixNano()) < 0 {
				all[name] = PublicParameter{image.ID, image.Created}
			}
		}
	}
	return all
}

// Disk is a fork of what is on the volume now, of a running server's too; nil for a blank one.
func (s *Service) Disk(account, region, volumeID string) machine.Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc, ok := s.scopes[scopeKey{account, region}]
	if !ok {
		return nil
	}
	volume, ok := sc.volumes.get(volumeID)
	if !ok {
		return nil
	}
	if m := s.machineOf(volume.InstanceID); m != nil {
		if disk := m.Disks()[volume.Device]; disk != nil {
			return disk.Fork()
		}
	}
	return s.takeContent(volumeID)
}

func (s *Service) find(account, region, id string) (*instanceRecord, bool) {
	sc, ok := s.scopes[scopeKey{account, region}]
	if !ok {
		return nil, false
	}
	return sc.instances.get(id)
}
