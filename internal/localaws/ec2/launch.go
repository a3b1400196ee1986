package ec2

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// launch makes the granted instances with their volumes.
func (s *Service) launch(c *call, p *launchPlan) []*instanceRecord {
	identity := []string{c.Account, c.Region, p.subnet.Zone, p.in.ClientToken}
	reservation := s.newID("r", identity...)
	image := p.image
	if c.now.Sub(image.LastLaunched) > time.Minute && image.Account == c.Account {
		image.LastLaunched = c.now
		c.shared.images.put(image)
	}
	instances := make([]*instanceRecord, p.count)
	visible := s.visibleAt(c.now, reservation)
	for index := range instances {
		id := s.newID("i", append(identity, strconv.Itoa(index))...)
		i := s.newInstance(c, p, id, reservation, index)
		i.Visible = visible
		s.makeVolumes(c, p, i)
		if p.spot {
			i.SpotRequestID = s.makeSpotRequest(c, p, i)
		}
		s.decideFate(i, p)
		s.begin(i, statePending, stateRunning, s.env.Scale(s.options.Pending))
		instances[index] = i
	}
	return instances
}

func (s *Service) newInstance(c *call, p *launchPlan, id, reservation string, index int) *instanceRecord {
	i := &instanceRecord{
		base:          s.newBase(c.scope, id, p.instanceTags),
		ReservationID: reservation, ClientToken: p.in.ClientToken, LaunchIndex: index,
		ImageID: p.image.ID, Type: p.kind.name, KeyName: p.data.KeyName,
		Zone: p.subnet.Zone, SubnetID: p.subnet.ID, VPCID: p.subnet.VPCID, Groups: p.groups,
		UserData: p.userData, Metadata: p.metadata,
		Architecture: p.image.Architecture, Platform: p.image.Platform, Details: p.image.Details,
		Distribution: p.image.Distribution, RootDevice: p.image.RootDevice,
		InterfaceID: "eni-" + id[2:], InterfaceTags: p.interfaceTags, MAC: macOf(id),
		Spot: p.spot, ShutdownBehavior: "stop", Tenancy: "default", Launched: c.now.Truncate(time.Second),
		UsesPublicSubnet: p.publicIP == nil || *p.publicIP,
	}
	d := p.data
	i.Extras = d.launchExtras
	if d.Profile != nil {
		i.ProfileARN = d.Profile.ARN
	}
	prefer(&i.ShutdownBehavior, d.ShutdownBehavior)
	i.NoTermination, i.NoStop, i.EBSOptimized = isTrue(d.NoTermination), isTrue(d.NoStop), isTrue(d.EBSOptimized)
	i.Monitoring = d.Monitoring != nil && d.Monitoring.Enabled
	if d.Credit != nil {
		i.CPUCredits = d.Credit.CPUCredits
	}
	if d.Placement != nil {
		i.PlacementGroup = d.Placement.GroupName
		prefer(&i.Tenancy, d.Placement.Tenancy)
	}
	if p.template != nil {
		i.Tags = withTags(i.Tags, Tag{"aws:ec2launchtemplate:id", p.template.ID}, Tag{"aws:ec2launchtemplate:version", strconv.Itoa(p.template.Number)})
	}
	i.PrivateIP = c.takeAddress(p.subnet, p.in.PrivateIP, id)
	return i
}

func (s *Service) makeVolumes(c *call, p *launchPlan, i *instanceRecord) {
	for _, d := range p.devices {
		v := &volumeRecord{
			base:    s.newBase(c.scope, s.newID("vol", i.ID, d.Device), slices.Clone(p.volumeTags)),
			SizeGiB: d.SizeGiB, Type: d.Type, IOPS: d.IOPS, Throughput: d.Throughput, SnapshotID: d.SnapshotID,
			Encrypted: d.Encrypted, KMSKeyID: d.KMSKeyID, Zone: i.Zone, Created: c.now, State: "in-use",
			InstanceID: i.ID, Device: d.Device, AttachedAt: c.now, Visible: i.Visible,
		}
		s.forkContent(d.SnapshotID, v.ID)
		if d.Device == i.RootDevice {
			i.LaunchSnapshot = d.SnapshotID
		}
		c.volumes.put(v)
		i.Volumes = append(i.Volumes, attachedVolume{Device: d.Device, VolumeID: v.ID, DeleteOnTermination: d.DeleteOnTermination, At: c.now})
	}
}

// decideFate lets accepted launches die where a control or a wrong key says so.
func (s *Service) decideFate(i *instanceRecord, p *launchPlan) {
	i.DiesOf = p.diesOf
	if i.DiesOf != "" {
		return
	}
	for n := range s.faults.DeadLaunches {
		fault := &s.faults.DeadLaunches[n]
		if fault.Count > 0 && fault.matches(i.Account, i.Region, i.Zone, i.Type, market(i.Spot)) {
			fault.Count--
			i.DiesOf = fault.reason()
			s.saveFaults()
			return
		}
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

// macOf is a locally administered address made from the instance's id.
func macOf(id string) string {
	digits := id[len(id)-10:]
	parts := []string{"06"}
	for at := 0; at < len(digits); at += 2 {
		parts = append(parts, digits[at:at+2])
	}
	return strings.Join(parts, ":")
}

func privateDNS(region, ip string) string {
	host := "ip-" + strings.ReplaceAll(ip, ".", "-")
	if region == "us-east-1" {
		return host + ".ec2.internal"
	}
	return host + "." + region + ".compute.internal"
}

// publicAddress is the public address of a running instance, from a block that documentation uses.
func publicAddress(sequence uint64) string {
	return fmt.Sprintf("198.%d.%d.%d", 18+sequence>>16&1, sequence>>8&255, sequence&255)
}

func publicDNS(region, ip string) string {
	host := "ec2-" + strings.ReplaceAll(ip, ".", "-")
	if region == "us-east-1" {
		return host + ".compute-1.amazonaws.com"
	}
	return host + "." + region + ".compute.amazonaws.com"
}
