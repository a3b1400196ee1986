package ec2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/seed"
)

// faults are what controls set. They are kept in the state, so that a restart does not lift them.
type faults struct {
	Capacity      []CapacityRule `json:",omitempty"`
	DeadLaunches  []launchFault  `json:",omitempty"`
	ImageFailures []countedFault `json:",omitempty"`
	CopyFailures  []countedFault `json:",omitempty"`
	BadKMSKeys    []string       `json:",omitempty"`
	RootFailures  []rootFault    `json:",omitempty"`
	StuckDetaches []stuckFault   `json:",omitempty"`
}

// launchFault lets the next Count launches in the pools that it matches die after they were accepted.
type launchFault struct {
	CapacityRule
	Count  int    `json:"count"`
	Reason string `json:"reason,omitempty"`
}

func (f launchFault) reason() string {
	if f.Reason == "" {
		return "Server.InsufficientInstanceCapacity"
	}
	return f.Reason
}

// countedFault lets the next Count images fail in a region, or in all.
type countedFault struct {
	Region string `json:"region,omitempty"`
	Count  int    `json:"count"`
}

const faultsKey = "faults"

func (s *Service) loadFaults() error {
	if raw, ok := s.tables.settings.Get(faultsKey); ok {
		return json.Unmarshal([]byte(raw), &s.faults)
	}
	return nil
}

func (s *Service) saveFaults() {
	encoded, err := json.Marshal(s.faults)
	if err != nil {
		panic("ec2: faults cannot be encoded: " + err.Error())
	}
	s.tables.settings.Put(faultsKey, string(encoded))
}

func (f *faults) setCapacity(rule CapacityRule) {
	kept := f.Capacity[:0:0]
	for _, r := range f.Capacity {
		if !r.same(rule) {
			kept = append(kept, r)
		}
	}
	if rule.Capacity >= 0 {
		kept = append(kept, rule)
	}
	f.Capacity = kept
}

func (s *Service) takeFault(from *[]countedFault, c *call) bool {
	for n := range *from {
		fault := &(*from)[n]
		if fault.Count > 0 && (fault.Region == "" || fault.Region == c.Region) {
			fault.Count--
			s.saveFaults()
			return true
		}
	}
	return false
}

// Controls are the faults on demand, by name, each with its JSON parameters:
//
//	capacity           {"region","zone","type","market","account","capacity":N}  N live instances at most; negative: no limit
//	dead-launches      {"count":N,"reason":CODE, and a pool as above}            accepted launches that die while pending
//	image-failures     {"count":N,"region"}                                      CreateImage calls whose AMI fails
//	copy-failures      {"count":N,"region"}                                      CopyImage calls whose AMI fails
//	bad-kms-keys       {"keys":[…]}                                              keys that cannot encrypt (parts of their ids)
//	root-volume-failures {"count":N,"state":"failed|failed-detached","instance"} root volume replacements that fail
//	stuck-detaches     {"count":N,"volume"}                                      detaching volumes that stay busy until forced
//	marketplace        {"image":"ami-…","code":"…"}                              an AMI that carries a product code
//	new-base-ami       {"line":"al2023-x86_64","region"}                         a vendor's newer AMI; all regions without one
//	interrupt-spot     {"instance":"i-…","warning":"2m"}                         a spot interruption
//	kill-instance      {"instance":"i-…"}                                        a host that fails: the instance terminates
func (s *Service) Controls() map[string]func(json.RawMessage) (any, error) {
	return map[string]func(json.RawMessage) (any, error){
		"capacity": control(s, func(rule CapacityRule) (any, error) { s.faults.setCapacity(rule); return s.faults.Capacity, nil }),
		"dead-launches": control(s, func(f launchFault) (any, error) {
			if _, known := deathTexts[f.reason()]; !known {
				return nil, fmt.Errorf("dead-launches: reason %q is none that a launch can die of", f.Reason)
			}
			s.faults.DeadLaunches = append(s.faults.DeadLaunches, f)
			return s.faults.DeadLaunches, nil
		}),
		"image-failures": control(s, func(f countedFault) (any, error) {
			s.faults.ImageFailures = append(s.faults.ImageFailures, f)
			return s.faults.ImageFailures, nil
		}),
		"copy-failures": control(s, func(f countedFault) (any, error) {
			s.faults.CopyFailures = append(s.faults.CopyFailures, f)
			return s.faults.CopyFailures, nil
		}),
		"bad-kms-keys": control(s, func(p struct{ Keys []string }) (any, error) { s.faults.BadKMSKeys = p.Keys; return p.Keys, nil }),
		"new-base-ami": control(s, s.newBaseImage),
		"root-volume-failures": control(s, func(f rootFault) (any, error) {
			if err := f.check(); err != nil {
				return nil, err
			}
			s.faults.RootFailures = append(s.faults.RootFailures, f)
			return s.faults.RootFailures, nil
		}),
		"stuck-detaches": control(s, func(f stuckFault) (any, error) {
			s.faults.StuckDetaches = append(s.faults.StuckDetaches, f)
			return s.faults.StuckDetaches, nil
		}),
		"marketplace": control(s, s.giveProductCode),
		"interrupt-spot": control(s, func(p struct{ Instance, Warning string }) (any, error) {
			warning := spotWarning
			if p.Warning != "" {
				given, err := time.ParseDuration(p.Warning)
				if err != nil {
					return nil, fmt.Errorf("interrupt-spot: warning: %w", err)
				}
				warning = given
			}
			i, err := s.anyInstance(p.Instance)
			if err == nil && !i.Spot {
				err = fmt.Errorf("interrupt-spot: %s is no spot instance", i.ID)
			}
			if err != nil {
				return nil, err
			}
			s.interrupt(i, warning)
			return i.ID, nil
		}),
		"kill-instance": control(s, func(p struct{ Instance string }) (any, error) {
			i, err := s.anyInstance(p.Instance)
			if err != nil {
				return nil, err
			}
			s.terminate(i, "Server.InternalError", "Internal error")
			return i.ID, nil
		}),
	}
}

// control reads a control's parameters strictly and runs it under the lock.
func control[P any](s *Service, f func(P) (any, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var parameters P
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&parameters); err != nil {
			return nil, err
		}
		s.lock()
		defer s.unlock()
		result, err := f(parameters)
		s.saveFaults()
		return result, err
	}
}

func (s *Service) anyInstance(id string) (*instanceRecord, error) {
	for _, sc := range s.scopes {
		if i, ok := sc.instances.get(id); ok {
			return i, nil
		}
	}
	return nil, fmt.Errorf("there is no instance %q", id)
}

// newBaseImage releases a newer AMI of a vendor's line, a day after the newest one or now, whichever is later.
func (s *Service) newBaseImage(p struct{ Line, Region string }) (any, error) {
	made := map[string]string{}
	for _, r := range seed.Regions() {
		if p.Region != "" && p.Region != r.Name {
			continue
		}
		created := time.Now()
		for _, image := range s.region(r.Name).images.order {
			if image.SeedLine == p.Line && !image.Created.Add(24*time.Hour).Before(created) {
				created = image.Created.Add(24 * time.Hour)
			}
		}
		image, ok := seed.Newer(r.Name, p.Line, s.env.Seed, created.UTC())
		if !ok {
			return nil, fmt.Errorf("new-base-ami: there is no line %q", p.Line)
		}
		if _, there := s.region(r.Name).images.get(image.ID); there {
			return nil, fmt.Errorf("new-base-ami: %s has one of today already", p.Line)
		}
		s.addPublicImage(s.region(r.Name), r.Name, image)
		made[r.Name] = image.ID
	}
	s.changed = true
	return made, nil
}
