package ec2

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine"
)

// power is the machine of one instance. What it does to the machine happens one at a time, without the service's lock:
// the gate is a channel so that waiting for it counts as waiting in virtual time.
type power struct {
	gate    chan struct{}
	machine machine.Machine // nil: off. Guarded by the service's lock, changed with the gate held
	view    atomic.Pointer[view]
}

// view is what a machine may ask at any time, also while the service calls it: so it needs no lock.
type view struct {
	userData []byte
	tags     map[string]string
}

func (s *Service) power(id string) *power {
	p, ok := s.powers[id]
	if !ok {
		p = &power{gate: make(chan struct{}, 1)}
		p.view.Store(&view{})
		s.powers[id] = p
	}
	return p
}

// enter waits for the gate; the function that it returns leaves it.
func (s *Service) enter(id string) (*power, func()) {
	s.mu.Lock()
	p := s.power(id)
	s.mu.Unlock()
	p.gate <- struct{}{}
	return p, func() { <-p.gate }
}

// powerOn boots the instance's machine, if the instance still runs.
func (s *Service) powerOn(i *instanceRecord) {
	p, leave := s.enter(i.ID)
	defer leave()
	s.mu.Lock()
	if i.State != stateRunning || p.machine != nil || s.timers.stopped || i.rootVolume() == "" {
		s.mu.Unlock()
		return
	}
	config := s.machineConfig(i, p)
	s.mu.Unlock()
	m := s.host.New(config)
	s.mu.Lock()
	p.machine = kept{m, func() { s.keepRunning(i, p) }}
	// The boot is through by now: what it wrote is worth keeping.
	s.timers.at(i.StatusOK, func() { s.after(func() { s.keepRunning(i, p) }) })
	s.mu.Unlock()
	m.PowerOn()
}

// release is the name of the vendor's AMI that the instance runs; empty where it is somebody else's.
func (s *Service) release(i *instanceRecord) string {
	if image, ok := s.region(i.Region).images.get(i.ImageID); ok && image.SeedLine != "" {
		return image.Name
	}
	return ""
}

func (s *Service) machineConfig(i *instanceRecord, p *power) machine.Config {
	s.refreshView(i)
	var groups []string
	for _, g := range i.Groups {
		groups = append(groups, g.Name)
	}
	disks := map[string]machine.Disk{}
	for _, attached := range i.Volumes {
		disk := s.takeContent(attached.VolumeID)
		switch {
		case disk == nil && attached.Device == i.RootDevice:
			disk = s.options.BaseDisk(i.Distribution, i.Architecture, s.release(i))
		case disk == nil:
			disk = s.options.EmptyDisk()
		}
		disks[attached.Device] = disk
	}
	return machine.Config{
		Identity: machine.Identity{
			InstanceID: i.ID, ImageID: i.ImageID, InstanceType: i.Type, Account: i.Account, Region: i.Region, Zone: i.Zone,
			PrivateIP: i.PrivateIP, PrivateDNS: privateDNS(i.Region, i.PrivateIP), SubnetID: i.SubnetID,
			Architecture: i.Architecture, Platform: platformOf(i), Distribution: i.Distribution,
			KeyName: i.KeyName, InstanceProfileARN: i.ProfileARN, MAC: i.MAC, SecurityGroups: groups,
			LaunchIndex: i.LaunchIndex, ReservationID: i.ReservationID, PendingTime: i.Launched,
		},
		Disks: disks, RootDevice: i.RootDevice,
		UserData:      func() []byte { return p.view.Load().userData },
		Tags:          func() map[string]string { return p.view.Load().tags },
		Metadata:      i.Metadata.HTTPEndpoint != "disabled",
		TokenRequired: i.Metadata.HTTPTokens == "required",
		Speed:         max(1, s.env.Speed),
		Network:       s.env.Roundtrip,
		PoweredOff:    func() { s.background.run(func() { s.serverShutDown(i) }) },
	}
}

func platformOf(i *instanceRecord) string {
	if i.Platform == "windows" {
		return "windows"
	}
	return "linux"
}

// powerOff ends the machine and keeps its disks and console; without a machine it does nothing.
func (s *Service) powerOff(id string, kill bool) {
	p, leave := s.enter(id)
	defer leave()
	s.mu.Lock()
	m := p.machine
	s.mu.Unlock()
	if m == nil {
		return
	}
	m.PowerOff(kill)
	disks, console := m.Disks(), m.Console()
	s.mu.Lock()
	defer s.mu.Unlock()
	p.machine = nil
	for _, sc := range s.scopes {
		if i, ok := sc.instances.get(id); ok {
			s.keepDisks(i, disks)
			i.Console, i.ConsoleAt = console, time.Now()
			sc.instances.put(i)
		}
	}
}

func (s *Service) reboot(id string) {
	p, leave := s.enter(id)
	defer leave()
	s.mu.Lock()
	m := p.machine
	s.mu.Unlock()
	if m == nil {
		return
	}
	if s.devicesChanged(id, m) {
		s.powerCycle(p, id, m)
		return
	}
	m.Reboot()
}

// devicesChanged says that volumes came or went since the machine was switched on.
func (s *Service) devicesChanged(id string, m machine.Machine) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.instanceByID(id)
	if !ok {
		return false
	}
	disks := m.Disks()
	for _, v := range i.Volumes {
		if disks[v.Device] == nil {
			return true
		}
	}
	return len(disks) != len(i.Volumes)
}

// powerCycle reboots with the volumes that the instance has now. It needs the gate.
func (s *Service) powerCycle(p *power, id string, m machine.Machine) {
	m.PowerOff(false)
	disks := m.Disks()
	s.mu.Lock()
	p.machine = nil
	i, ok := s.instanceByID(id)
	if !ok || i.State != stateRunning || s.timers.stopped || i.rootVolume() == "" {
		s.mu.Unlock()
		return
	}
	s.keepDisks(i, disks)
	config := s.machineConfig(i, p)
	s.mu.Unlock()
	next := s.host.New(config)
	s.mu.Lock()
	p.machine = kept{next, func() { s.keepRunning(i, p) }}
	s.mu.Unlock()
	next.PowerOn()
}

func (s *Service) instanceByID(id string) (*instanceRecord, bool) {
	for _, sc := range s.scopes {
		if i, ok := sc.instances.get(id); ok {
			return i, true
		}
	}
	return nil, false
}

// serverShutDown does what the instance says about a shutdown from inside.
func (s *Service) serverShutDown(i *instanceRecord) {
	s.lock()
	defer s.unlock()
	if i.State != stateRunning {
		return
	}
	const code = "Client.InstanceInitiatedShutdown"
	if i.ShutdownBehavior == "terminate" {
		s.terminate(i, code, "Instance initiated shutdown")
		return
	}
	i.StateReasonCode, i.StateReason = code, code+": Instance initiated shutdown"
	s.begin(i, stateStopping, stateStopped, s.env.Scale(s.options.Stopping))
}

// refreshView shows the instance's machine its user data and tags as they are now.
func (s *Service) refreshView(i *instanceRecord) {
	p, ok := s.powers[i.ID]
	if !ok {
		return
	}
	v := &view{userData: i.UserData}
	if i.Metadata.InstanceMetadataTags == "enabled" {
		v.tags = make(map[string]string, len(i.Tags))
		for _, tag := range i.Tags {
			v.tags[tag.Key] = tag.Value
		}
	}
	p.view.Store(v)
}

// content is what is on a volume or in a snapshot. It is encoded only when the state log asks for it, and decoded only
// when a machine needs it.
type content struct {
	disk    machine.Disk
	encoded []byte
}

// MarshalJSON encodes the disk for the state log.
func (c *content) MarshalJSON() ([]byte, error) {
	if c.disk == nil {
		return json.Marshal(c.encoded)
	}
	encoded, err := c.disk.Encode()
	if err != nil {
		return nil, err
	}
	return json.Marshal(encoded)
}

// UnmarshalJSON keeps what the state log had.
func (c *content) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &c.encoded) }

// takeContent is a disk with the content of the volume or snapshot; nil for one that has none yet: a blank volume, or the
// root of a public AMI.
func (s *Service) takeContent(id string) machine.Disk {
	c, ok := s.tables.contents.Get(id)
	if !ok {
		return nil
	}
	if c.disk == nil {
		disk, err := s.options.DecodeDisk(c.encoded)
		if err != nil {
			panic("ec2: the disk of " + id + " in the state file cannot be read: " + err.Error())
		}
		c.disk = disk
	}
	return c.disk.Fork()
}

// forkContent gives one volume or snapshot the content of another.
func (s *Service) forkContent(from, to string) {
	if disk := s.takeContent(from); disk != nil {
		s.tables.contents.Put(to, &content{disk: disk})
	}
}

// keepDisks stores what a machine's disks hold as the content of the instance's volumes.
func (s *Service) keepDisks(i *instanceRecord, disks map[string]machine.Disk) {
	for _, attached := range i.Volumes {
		if disk := disks[attached.Device]; disk != nil {
			s.tables.contents.Put(attached.VolumeID, &content{disk: disk.Fork()})
		}
	}
}

// kept is a machine whose disks are stored before a command's result is known, so that a kill of the endpoint does not
// undo what a caller was told.
type kept struct {
	machine.Machine
	keep func()
}

// Run runs the command and keeps the disks before it tells the result.
func (k kept) Run(c machine.Command, done func(machine.Result)) {
	k.Machine.Run(c, func(r machine.Result) {
		k.keep()
		done(r)
	})
}

// keepRunning stores what a running machine's disks hold, so that a kill of the endpoint is no more than a crash of its
// servers.
func (s *Service) keepRunning(i *instanceRecord, p *power) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.machine != nil {
		s.keepDisks(i, p.machine.Disks())
	}
}

// machineOf is the instance's machine while it is on.
func (s *Service) machineOf(id string) machine.Machine {
	if p, ok := s.powers[id]; ok {
		return p.machine
	}
	return nil
}
