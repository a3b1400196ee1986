package ec2

import (
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type instanceIDs struct {
	dryable
	IDs []string `query:"InstanceId"`
}

type stateXML struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

type stateChangeXML struct {
	InstanceID string   `xml:"instanceId"`
	Current    stateXML `xml:"currentState"`
	Previous   stateXML `xml:"previousState"`
}

type stateChangesXML struct {
	Instances list[stateChangeXML] `xml:"instancesSet"`
}

func stateOf(name string) stateXML { return stateXML{stateCodes[name], name} }

func (s *Service) startInstances(c *call, in *instanceIDs) (any, error) {
	instances, err := c.instancesByID(in.IDs, c.now)
	if err != nil {
		return nil, err
	}
	for _, i := range instances {
		if i.State != stateStopped && i.State != stateRunning && i.State != statePending {
			return nil, incorrectState(i, "started")
		}
		if i.rootVolume() == "" {
			return nil, api.Errorf("InvalidParameterValue", "Invalid value '%s' for instanceId. Instance does not have a volume attached at root (%s)", i.ID, i.RootDevice)
		}
	}
	if err := s.admitResources(c, len(instances)); err != nil {
		return nil, err
	}
	var changes []stateChangeXML
	for _, i := range instances {
		previous := i.State
		if i.State == stateStopped {
			if s.room(c, i.Zone, i.Type, i.Spot, 1) < 1 {
				return nil, insufficient(c, &launchPlan{kind: instanceTypes[i.Type], subnet: c.subnetIn(i.Zone)})
			}
			i.Launched, i.Reason, i.StateReasonCode, i.StateReason = c.now.Truncate(time.Second), "", "", ""
			s.begin(i, statePending, stateRunning, s.env.Scale(s.options.Pending))
		}
		changes = append(changes, stateChangeXML{i.ID, stateOf(i.State), stateOf(previous)})
	}
	return stateChangesXML{listOf(changes)}, nil
}

type stopInput struct {
	instanceIDs
	Force          bool `query:"Force"`
	SkipOSShutdown bool `query:"SkipOsShutdown"`
}

func (s *Service) stopInstances(c *call, in *stopInput) (any, error) {
	instances, err := c.instancesByID(in.IDs, c.now)
	if err != nil {
		return nil, err
	}
	for _, i := range instances {
		if err := s.stoppable(c, i); err != nil {
			return nil, err
		}
	}
	if err := s.admitResources(c, len(instances)); err != nil {
		return nil, err
	}
	var changes []stateChangeXML
	for _, i := range instances {
		previous := i.State
		if i.State == stateRunning {
			i.StateReasonCode, i.StateReason = "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"
			i.Reason = "User initiated (" + c.now.UTC().Format("2006-01-02 15:04:05") + " GMT)"
			s.begin(i, stateStopping, stateStopped, s.env.Scale(s.options.Stopping))
		}
		changes = append(changes, stateChangeXML{i.ID, stateOf(i.State), stateOf(previous)})
	}
	return stateChangesXML{listOf(changes)}, nil
}

func (s *Service) stoppable(c *call, i *instanceRecord) error {
	switch i.State {
	case stateRunning, stateStopping, stateStopped:
	default:
		return incorrectState(i, "stopped")
	}
	if i.NoStop {
		return api.Errorf("OperationNotPermitted", "The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", i.ID)
	}
	if request, ok := c.spots.get(i.SpotRequestID); ok && request.Type != "persistent" {
		return api.Errorf("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.", i.ID)
	}
	return nil
}

func (s *Service) rebootInstances(c *call, in *instanceIDs) (any, error) {
	instances, err := c.instancesByID(in.IDs, c.now)
	if err != nil {
		return nil, err
	}
	for _, i := range instances {
		if i.State != stateRunning {
			return nil, incorrectState(i, "rebooted")
		}
	}
	for _, i := range instances {
		i.StatusOK = c.now.Add(s.env.Scale(s.options.StatusChecks))
		s.saveInstance(i)
		s.after(func() { s.background.run(func() { s.reboot(i.ID) }) })
	}
	return done{true}, nil
}

type terminateInput struct {
	instanceIDs
	Force          bool `query:"Force"`
	SkipOSShutdown bool `query:"SkipOsShutdown"`
}

// terminateInstances ends none if one id is unknown. Termination protection spares the instances of its own
// Availability Zone; those of the others are terminated although the call fails.
func (s *Service) terminateInstances(c *call, in *terminateInput) (any, error) {
	instances, err := c.instancesByID(in.IDs, c.now)
	if err != nil {
		return nil, err
	}
	if err := s.admitResources(c, len(instances)); err != nil {
		return nil, err
	}
	spared := map[string]bool{}
	var protected []string
	for _, i := range instances {
		if i.NoTermination && i.live() {
			spared[i.Zone] = true
			protected = append(protected, i.ID)
		}
	}
	var changes []stateChangeXML
	for _, i := range instances {
		if spared[i.Zone] {
			continue
		}
		previous := i.State
		s.terminate(i, "Client.UserInitiatedShutdown", "User initiated shutdown")
		changes = append(changes, stateChangeXML{i.ID, stateOf(i.State), stateOf(previous)})
	}
	if len(protected) > 0 {
		return nil, api.Errorf("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", strings.Join(protected, ", "))
	}
	return stateChangesXML{listOf(changes)}, nil
}

// terminate begins the end of an instance that is not at its end yet.
func (s *Service) terminate(i *instanceRecord, code, text string) {
	if !i.live() {
		return
	}
	i.StateReasonCode, i.StateReason = code, code+": "+text
	i.Reason = "User initiated (" + time.Now().UTC().Format("2006-01-02 15:04:05") + " GMT)"
	s.begin(i, stateShuttingDown, stateTerminated, s.env.Scale(s.options.ShuttingDown))
}

// instancesByID finds what the ids name; one that describes cannot see fails all.
func (sc *scope) instancesByID(ids []string, now time.Time) ([]*instanceRecord, error) {
	if len(ids) == 0 {
		return nil, missing("InstanceId")
	}
	if len(ids) > maxInstanceIDs {
		return nil, api.Errorf("InvalidParameterValue", "%d instance ids are given, expected at most %d", len(ids), maxInstanceIDs)
	}
	var found []*instanceRecord
	var unknown []string
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		if !strings.HasPrefix(id, "i-") || len(id) < 10 {
			return nil, api.Errorf("InvalidInstanceID.Malformed", "Invalid id: \"%s\"", id)
		}
		if i, ok := sc.instances.get(id); ok && !now.Before(i.Visible) {
			found = append(found, i)
		} else {
			unknown = append(unknown, id)
		}
	}
	switch len(unknown) {
	case 0:
		return found, nil
	case 1:
		return nil, api.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", unknown[0])
	}
	return nil, api.Errorf("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(unknown, ", "))
}

// maxInstanceIDs is the limit of ids a call ("Launching" in aws-facts.md).
const maxInstanceIDs = 1000

// instance finds one instance that describes can see.
func (sc *scope) instance(id string, now time.Time) (*instanceRecord, error) {
	if id == "" {
		return nil, missing("InstanceId")
	}
	found, err := sc.instancesByID([]string{id}, now)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}
