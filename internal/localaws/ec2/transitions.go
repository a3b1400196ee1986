package ec2

import (
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// Instance states.
const (
	statePending      = "pending"
	stateRunning      = "running"
	stateShuttingDown = "shutting-down"
	stateTerminated   = "terminated"
	stateStopping     = "stopping"
	stateStopped      = "stopped"
)

var stateCodes = map[string]int{
	statePending: 0, stateRunning: 16, stateShuttingDown: 32, stateTerminated: 48, stateStopping: 64, stateStopped: 80,
}

// begin moves the instance into a state that ends by itself, with the next one after the duration.
func (s *Service) begin(i *instanceRecord, state, next string, lasts time.Duration) {
	i.State, i.Next, i.Due = state, next, time.Now().Add(lasts)
	s.saveInstance(i)
	s.stateChanged(i)
	s.arm(i)
}

func (s *Service) arm(i *instanceRecord) {
	due, next := i.Due, i.Next
	s.timers.at(due, func() {
		if i.Next == next && i.Due.Equal(due) {
			s.advance(i)
		}
	})
}

// advance brings the state that is due.
func (s *Service) advance(i *instanceRecord) {
	switch {
	case i.Next == stateRunning && i.DiesOf != "":
		s.die(i)
	case i.Next == stateRunning:
		s.nowRunning(i)
	case i.Next == stateStopped:
		// The machine goes off first, then the instance is stopped: its disks are final when someone sees it.
		s.after(func() { s.background.run(func() { s.powerOff(i.ID, false); s.locked(func() { s.nowStopped(i) }) }) })
	case i.Next == stateTerminated:
		s.after(func() { s.background.run(func() { s.powerOff(i.ID, true); s.locked(func() { s.nowTerminated(i) }) }) })
	}
}

func (s *Service) locked(f func()) {
	s.lock()
	defer s.unlock()
	f()
}

func (s *Service) nowRunning(i *instanceRecord) {
	now := time.Now()
	i.State, i.Next, i.Due = stateRunning, "", time.Time{}
	i.StatusOK = now.Add(s.env.Scale(s.options.StatusChecks))
	if i.UsesPublicSubnet {
		i.PublicIP = publicAddress(i.Sequence)
	}
	if i.ElasticIP != "" {
		i.PublicIP = i.ElasticIP
	}
	s.saveInstance(i)
	s.stateChanged(i)
	s.after(func() { s.powerOn(i) })
}

func (s *Service) nowStopped(i *instanceRecord) {
	if i.State != stateStopping {
		return
	}
	i.State, i.Next, i.Due, i.PublicIP, i.StatusOK = stateStopped, "", time.Time{}, i.ElasticIP, time.Time{}
	s.saveInstance(i)
	s.stateChanged(i)
}

func (s *Service) nowTerminated(i *instanceRecord) {
	if i.State != stateShuttingDown {
		return
	}
	s.bury(i)
}

// die ends an accepted launch that never came up.
func (s *Service) die(i *instanceRecord) {
	i.StateReasonCode, i.StateReason = i.DiesOf, i.DiesOf+": "+deathTexts[i.DiesOf]
	i.Reason = i.DiesOf
	s.bury(i)
}

var deathTexts = map[string]string{
	"Server.InsufficientInstanceCapacity": "Insufficient capacity to satisfy instance request",
	"Server.InternalError":                "Internal error on launch",
	"Client.InternalError":                "Client error on launch",
	"Client.VolumeLimitExceeded":          "Volume limit exceeded",
	"Client.InvalidKMSKey.InvalidState":   "The KMS key provided is in an incorrect state",
}

// bury makes the instance terminated: its volumes go or are free, its address is free, and after a while it is gone.
func (s *Service) bury(i *instanceRecord) {
	sc := s.scopeOf(&i.base)
	now := time.Now()
	for _, attached := range i.Volumes {
		volume, ok := sc.volumes.get(attached.VolumeID)
		if !ok {
			continue
		}
		if attached.DeleteOnTermination {
			s.dropVolume(sc, volume)
			continue
		}
		s.freeVolume(sc, volume)
	}
	s.buryNetwork(sc, i)
	if sc.addresses[i.PrivateIP] == i.ID {
		delete(sc.addresses, i.PrivateIP)
	}
	i.State, i.Next, i.Due, i.TerminatedAt = stateTerminated, "", time.Time{}, now
	i.Volumes, i.PrivateIP, i.PublicIP, i.StatusOK = nil, "", "", time.Time{}
	s.saveInstance(i)
	s.endSpotRequest(sc, i)
	s.stateChanged(i)
	s.armBurial(i)
}

func (s *Service) armBurial(i *instanceRecord) {
	s.timers.at(i.TerminatedAt.Add(s.env.Scale(s.options.TerminatedVisible)), func() {
		s.scopeOf(&i.base).instances.remove(i)
		delete(s.powers, i.ID)
		s.changed = true
	})
}

// resume takes up an instance after a restart of the endpoint.
func (s *Service) resume(i *instanceRecord) {
	switch {
	case i.State == stateTerminated:
		s.armBurial(i)
	case i.Next != "":
		s.arm(i)
	case i.State == stateRunning:
		s.after(func() { s.powerOn(i) })
	}
}

func (s *Service) stateChanged(i *instanceRecord) {
	s.emit(i.Account, i.Region, "EC2 Instance State-change Notification",
		[]string{"arn:aws:ec2:" + i.Region + ":" + i.Account + ":instance/" + i.ID},
		map[string]any{"instance-id": i.ID, "state": i.State})
}

func (s *Service) saveInstance(i *instanceRecord) {
	i.shown = nil
	s.scopeOf(&i.base).instances.put(i)
	s.refreshView(i)
}

func (s *Service) scopeOf(b *base) *scope { return s.scopes[scopeKey{b.Account, b.Region}] }

func incorrectState(i *instanceRecord, doing string) error {
	return api.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s.", i.ID, doing)
}
