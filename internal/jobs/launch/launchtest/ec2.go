package launchtest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Instance is an instance of this world, with what it was told.
type Instance struct {
	cloud.Instance
	UserData []byte
	dies     time.Time // when an accepted launch dies; zero: never
	leaves   time.Time // when shutting-down becomes terminated
	made     time.Time
}

// PendingTime is from the call to running; an instance can be described after PropagationTime.
const (
	PendingTime     = 5 * time.Second
	PropagationTime = 2 * time.Second
	ShuttingTime    = 5 * time.Second
)

type reservation struct {
	digest    [32]byte
	instances []string
}

// at brings the instances to what they are now.
func (w *World) at(now time.Time) {
	for _, i := range w.instances {
		switch {
		case i.State == "pending" && !i.dies.IsZero() && !now.Before(i.dies):
			i.State, i.StateReason = "terminated", "Server.InsufficientInstanceCapacity: no capacity after all"
		case i.State == "pending" && i.dies.IsZero() && now.Sub(i.made) >= PendingTime:
			i.State = "running"
		case i.State == "shutting-down" && !now.Before(i.leaves):
			i.State = "terminated"
		case i.State == "stopping" && !now.Before(i.leaves):
			i.State = "stopped"
		}
	}
}

func (w *World) ec2Call(action string, effect func() error) error {
	return w.call(func() error {
		w.EC2Calls[action]++
		w.at(time.Now())
		err := effect()
		if w.Each != nil {
			w.Each()
		}
		return err
	})
}

// Launch is RunInstances: client tokens, capacity by subnet, and launches that die after they were accepted.
func (w *World) Launch(_ context.Context, q cloud.LaunchRequest) (granted []cloud.Instance, err error) {
	err = w.ec2Call("RunInstances", func() error {
		encoded, err := json.Marshal(q)
		if err != nil {
			return err
		}
		digest := sha256.Sum256(encoded)
		if old, known := w.tokens[q.Token]; known {
			if old.digest != digest || w.Changed {
				return &jobs.Error{Class: jobs.Mismatch, Code: "IdempotentParameterMismatch", Op: "ec2 RunInstances"}
			}
			for _, id := range old.instances {
				if w.instances[id].State == "terminated" {
					return &jobs.Error{Class: jobs.NewAttempt, Code: "IdempotentInstanceTerminated", Op: "ec2 RunInstances"}
				}
				granted = append(granted, w.instances[id].Instance)
			}
			return nil
		}
		if w.Throttle > 0 {
			w.Throttle--
			return &jobs.Error{Class: jobs.Retry, Code: "RequestLimitExceeded", Op: "ec2 RunInstances"}
		}
		count := q.Max
		if room, limited := w.Capacity[q.SubnetID]; limited {
			count = min(count, room)
			w.Capacity[q.SubnetID] -= count
		}
		if count < q.Min {
			return &jobs.Error{Class: jobs.NextPool, Code: "InsufficientInstanceCapacity", Op: "ec2 RunInstances", Thing: q.SubnetID}
		}
		r := reservation{digest: digest}
		for index := range count {
			i := w.start(q, index)
			r.instances = append(r.instances, i.ID)
			granted = append(granted, i.Instance)
		}
		w.tokens[q.Token] = r
		slices.Reverse(granted) // the answer's order is not the launch order
		return nil
	})
	return granted, err
}

func (w *World) start(q cloud.LaunchRequest, index int) *Instance {
	w.started++
	i := &Instance{UserData: q.UserData, made: time.Now(), Instance: cloud.Instance{ID: fmt.Sprintf("i-%08d", w.started), ImageID: q.ImageID,
		Type: q.Type, State: "pending", SubnetID: q.SubnetID, Zone: q.SubnetID, LaunchIndex: index, ClientToken: q.Token, Tags: q.InstanceTags,
		Launched: time.Now().UTC()}}
	if w.Deaths > 0 && index%3 == 1 {
		w.Deaths--
		i.dies = i.made.Add(3 * time.Second)
	}
	w.instances[i.ID] = i
	return i
}

// sick: the server's checks fail.
func (w *World) sick(id string) bool {
	return w.Sick[w.instances[id].LaunchIndex] || w.SickImages[w.instances[id].ImageID]
}

func (w *World) find(keep func(*Instance) bool) []cloud.Instance {
	var found []cloud.Instance
	for _, i := range w.instances {
		if time.Since(i.made) >= max(PropagationTime, w.Lag) && keep(i) {
			found = append(found, i.Instance)
		}
	}
	return found
}

// Instances describes by id.
func (w *World) Instances(_ context.Context, ids ...string) (found []cloud.Instance, err error) {
	err = w.ec2Call("DescribeInstances", func() error {
		found = w.find(func(i *Instance) bool { return slices.Contains(ids, i.ID) })
		return nil
	})
	return found, err
}

// InstancesTagged describes by tags and states.
func (w *World) InstancesTagged(_ context.Context, tags map[string]string, states ...string) (found []cloud.Instance, err error) {
	err = w.ec2Call("DescribeInstances", func() error {
		found = w.find(func(i *Instance) bool {
			for key, value := range tags {
				if i.Tags[key] != value {
					return false
				}
			}
			if len(states) == 0 {
				return i.State != "terminated"
			}
			return slices.Contains(states, i.State)
		})
		return nil
	})
	return found, err
}

// InstancesByToken describes by client token.
func (w *World) InstancesByToken(_ context.Context, token string) (found []cloud.Instance, err error) {
	err = w.ec2Call("DescribeInstances", func() error {
		found = w.find(func(i *Instance) bool { return i.ClientToken == token })
		return nil
	})
	return found, err
}

// StatusOK passes every running server.
func (w *World) StatusOK(_ context.Context, ids ...string) (map[string]bool, error) {
	ok := map[string]bool{}
	err := w.ec2Call("DescribeInstanceStatus", func() error {
		for _, id := range ids {
			ok[id] = w.instances[id].State == "running" && !w.sick(id)
		}
		return nil
	})
	return ok, err
}

// Terminate ends instances.
func (w *World) Terminate(_ context.Context, ids ...string) error {
	return w.ec2Call("TerminateInstances", func() error {
		for _, id := range ids {
			if i := w.instances[id]; i != nil && i.State != "terminated" && i.State != "shutting-down" {
				i.State, i.leaves = "shutting-down", time.Now().Add(cmp.Or(w.Shutting, ShuttingTime))
			}
		}
		return nil
	})
}

// Tag takes what volumes are marked with.
func (w *World) Tag(_ context.Context, _ []string, _ map[string]string) error {
	return w.ec2Call("CreateTags", func() error { return nil })
}

// Stop stops running instances.
func (w *World) Stop(_ context.Context, ids ...string) error {
	return w.ec2Call("StopInstances", func() error {
		for _, id := range ids {
			if i := w.instances[id]; i != nil && i.State == "running" {
				i.State, i.leaves = "stopping", time.Now().Add(ShuttingTime)
			}
		}
		return nil
	})
}

// Start starts stopped instances.
func (w *World) Start(_ context.Context, ids ...string) error {
	return w.ec2Call("StartInstances", func() error {
		for _, id := range ids {
			if i := w.instances[id]; i != nil && i.State == "stopped" {
				i.State, i.made = "pending", time.Now().Add(-PropagationTime) // it is known to EC2
			}
		}
		return nil
	})
}

// Images knows every AMI.
func (w *World) Images(_ context.Context, ids ...string) (images []cloud.Image, err error) {
	err = w.ec2Call("DescribeImages", func() error {
		for _, id := range ids {
			if !strings.Contains(id, "dead") {
				image := cloud.Image{ID: id, State: "available", Platform: "linux", Architecture: "arm64"}
				if w.AllowedImages != "" {
					image.Allowed = new(bool)
				}
				images = append(images, image)
			}
		}
		return nil
	})
	return images, err
}

// Subnets gives the ids as subnets in zones of the same name; without any, three.
func (w *World) Subnets(_ context.Context, ids []string, _ map[string]string) (subnets []cloud.Subnet, err error) {
	err = w.ec2Call("DescribeSubnets", func() error {
		if len(ids) == 0 {
			ids = []string{"subnet-a", "subnet-b", "subnet-c"}
		}
		for _, id := range ids {
			subnets = append(subnets, cloud.Subnet{ID: id, Zone: id, VpcID: "vpc-1", FreeAddresses: w.free(id)})
		}
		return nil
	})
	return subnets, err
}

// SecurityGroups gives an id for each name.
func (w *World) SecurityGroups(_ context.Context, names []string, _ string) (ids []string, err error) {
	for _, name := range names {
		ids = append(ids, "sg-"+name)
	}
	return ids, w.ec2Call("DescribeSecurityGroups", func() error { return nil })
}

// TypesOffered offers every type but x9 in every zone.
func (w *World) TypesOffered(_ context.Context, types []string) (map[string][]string, error) {
	offered := map[string][]string{}
	for _, name := range types {
		if !strings.HasPrefix(name, "x9") {
			offered[name] = []string{"subnet-a", "subnet-b", "subnet-c"}
		}
	}
	return offered, w.ec2Call("DescribeInstanceTypeOfferings", func() error { return nil })
}

// TemplateVersion knows versions up to 9.
func (w *World) TemplateVersion(_ context.Context, template cloud.LaunchTemplate) (exists bool, imageID string, err error) {
	return len(template.Version) == 1 || template.Version == "$Default", "", w.ec2Call("DescribeLaunchTemplateVersions", func() error { return nil })
}
