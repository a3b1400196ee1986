package bake_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

func (r *region) call(name string, effect func() error) error {
	return r.w.call(name+" "+r.name, effect)
}

// see is the instance as it is now.
func (i *instance) see() c.Instance {
	age := time.Since(i.since)
	switch {
	case i.State == "pending" && age >= 5*time.Second:
		i.State = "running"
	case i.State == "stopping" && age >= 10*time.Second:
		i.State = "stopped"
	case i.State == "shutting-down" && age >= 5*time.Second:
		i.State = "terminated"
	}
	return i.Instance
}

func (i *ami) see() c.Image {
	if i.State == "pending" && time.Since(i.begun) >= i.takes {
		i.State = "available"
		if i.fails {
			i.State, i.StateReason = "failed", "Client.InternalError"
		}
	}
	return i.Image
}

func carries(tags, wanted map[string]string) bool {
	for key, value := range wanted {
		if tags[key] != value {
			return false
		}
	}
	return true
}

func (r *region) Launch(_ context.Context, q c.LaunchRequest) (made []c.Instance, err error) {
	err = r.call("RunInstances", func() error {
		for _, i := range r.instances {
			if i.ClientToken == q.Token {
				if i.Type != q.Type {
					return &jobs.Error{Class: jobs.Mismatch, Code: "IdempotentParameterMismatch"}
				}
				made = []c.Instance{i.see()}
				return nil
			}
		}
		if r.w.full[q.Type] {
			return &jobs.Error{Class: jobs.NextPool, Code: "InsufficientInstanceCapacity", Thing: q.Type}
		}
		i := &instance{c.Instance{ID: r.w.id("i"), ImageID: q.ImageID, Type: q.Type, SubnetID: q.SubnetID, State: "pending", ClientToken: q.Token,
			Tags: q.InstanceTags, Spot: q.Spot, Volumes: map[string]string{"/dev/xvda": "vol-1"}}, time.Now(), time.Now()}
		r.instances[i.ID] = i
		made = []c.Instance{i.Instance}
		return nil
	})
	return made, err
}

func (r *region) Instances(_ context.Context, ids ...string) (found []c.Instance, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = r.call("DescribeInstances", func() error {
		for _, id := range ids {
			if i := r.instances[id]; i != nil && time.Since(i.made) >= r.w.lag {
				found = append(found, i.see())
			}
		}
		return nil
	})
	return found, err
}

func (r *region) InstancesByToken(_ context.Context, token string) ([]c.Instance, error) {
	return r.describe(func(i c.Instance) bool { return i.ClientToken == token })
}

func (r *region) InstancesTagged(_ context.Context, tags map[string]string, _ ...string) ([]c.Instance, error) {
	return r.describe(func(i c.Instance) bool { return carries(i.Tags, tags) && i.State != "terminated" })
}

func (r *region) describe(fits func(c.Instance) bool) (found []c.Instance, err error) {
	err = r.call("DescribeInstances", func() error {
		for _, i := range r.instances {
			if seen := i.see(); fits(seen) && time.Since(i.made) >= r.w.lag {
				found = append(found, seen)
			}
		}
		return nil
	})
	return found, err
}

func (r *region) to(name, state string, ids []string) error {
	return r.call(name, func() error {
		for _, id := range ids {
			if i := r.instances[id]; i != nil && i.see().State != "terminated" && i.State != state {
				i.State, i.since = state, time.Now()
			}
		}
		return nil
	})
}

func (r *region) Stop(_ context.Context, ids ...string) error {
	return r.to("StopInstances", "stopping", ids)
}
func (r *region) Terminate(_ context.Context, ids ...string) error {
	return r.to("TerminateInstances", "shutting-down", ids)
}

func (r *region) Subnets(_ context.Context, ids []string, _ map[string]string) ([]c.Subnet, error) {
	return []c.Subnet{{ID: "subnet-1", VpcID: "vpc-1"}}, nil
}
func (r *region) SecurityGroups(context.Context, []string, string) ([]string, error) {
	return []string{"sg-1"}, nil
}
func (r *region) StatusOK(_ context.Context, ids ...string) (map[string]bool, error) {
	return map[string]bool{ids[0]: true}, nil
}
func (r *region) Console(context.Context, string) (string, error) { return "", nil }

func (r *region) Images(_ context.Context, ids ...string) ([]c.Image, error) {
	return r.describeImages(func(i c.Image) bool { return slices.Contains(ids, i.ID) })
}
func (r *region) ImagesNamed(_ context.Context, name string) ([]c.Image, error) {
	return r.describeImages(func(i c.Image) bool { return i.Name == name })
}
func (r *region) ImagesTagged(_ context.Context, tags map[string]string) ([]c.Image, error) {
	return r.describeImages(func(i c.Image) bool { return carries(i.Tags, tags) })
}
func (r *region) NewestImage(context.Context, string, string, string) (c.Image, bool, error) {
	return r.images["ami-00000001"].Image, true, nil
}
func (r *region) ImageUsers(_ context.Context, ids ...string) (map[string][]string, error) {
	users := map[string][]string{}
	for _, i := range r.instances {
		if slices.Contains(ids, i.ImageID) && i.see().State != "terminated" {
			users[i.ImageID] = append(users[i.ImageID], i.ID)
		}
	}
	return users, nil
}

func (r *region) describeImages(fits func(c.Image) bool) (found []c.Image, err error) {
	err = r.call("DescribeImages", func() error {
		for _, i := range r.images {
			if seen := i.see(); fits(seen) && time.Since(i.begun) >= r.w.lag {
				found = append(found, seen)
			}
		}
		return nil
	})
	return found, err
}

func (r *region) make(name, token string, tags map[string]string) (string, error) {
	for _, i := range r.images {
		if token != "" && i.SourceImageID == token { // the copy's token is kept there
			return i.ID, nil
		}
		if i.Name == name {
			return "", &jobs.Error{Class: jobs.Duplicate, Code: "InvalidAMIName.Duplicate"}
		}
	}
	id, snapshot := r.w.id("ami"), r.w.id("snap")
	r.snapshots[snapshot] = c.Snapshot{ID: snapshot, State: "pending", Tags: maps.Clone(tags)}
	r.images[id] = &ami{takes: r.w.takes, Image: c.Image{ID: id, Name: name, State: "pending", Tags: maps.Clone(tags), SourceImageID: token, Architecture: "arm64",
		RootDevice: "/dev/xvda", Volumes: []c.Volume{{Device: "/dev/xvda", SnapshotID: snapshot}}}, begun: time.Now(), fails: r.bad > 0}
	r.bad = max(r.bad-1, 0)
	return id, nil
}

func (r *region) Capture(_ context.Context, q c.CaptureRequest) (id string, err error) {
	err = r.call("CreateImage", func() error {
		if i := r.instances[q.InstanceID]; i == nil || (!q.NoReboot && i.see().State != "stopped") {
			return jobs.Fatalf("CreateImage", q.InstanceID, "it is not stopped", "")
		}
		id, err = r.make(q.Name, "", q.ImageTags)
		return err
	})
	return id, err
}

func (r *region) Copy(_ context.Context, q c.CopyRequest) (id string, err error) {
	err = r.call("CopyImage", func() error {
		source := r.w.region(q.SourceRegion).images[q.ImageID]
		if source == nil || source.see().State != "available" {
			return jobs.Fatalf("CopyImage", q.ImageID, "it is not available", "")
		}
		id, err = r.make(q.Name, q.Token, q.ImageTags)
		return err
	})
	return id, err
}

func (r *region) Deregister(_ context.Context, id string, snapshots bool) error {
	return r.call("DeregisterImage", func() error {
		i := r.images[id]
		if i == nil {
			return nil
		}
		delete(r.images, id)
		if i.State != "failed" && snapshots { // one that failed leaves its snapshots
			for _, s := range i.Snapshots() {
				delete(r.snapshots, s)
			}
		}
		return nil
	})
}

func (r *region) DeprecateAt(_ context.Context, id string, at time.Time) error {
	r.images[id].DeprecationTime = at
	return nil
}
func (r *region) Protect(context.Context, string, bool) error { return nil }
func (r *region) Unprotect(context.Context, string) error     { return nil }
func (r *region) Disable(_ context.Context, id string) error {
	return r.call("DisableImage", func() error { r.images[id].State = "disabled"; return nil })
}
func (r *region) AskUsage(context.Context, string, string, map[string]string) (string, error) {
	return "amiur-1", r.call("CreateImageUsageReport", func() error { return nil })
}
func (r *region) Usage(context.Context, string) ([]c.Usage, bool, bool, error) {
	return nil, true, true, r.call("DescribeImageUsageReports", func() error { return nil })
}

func (r *region) Snapshots(context.Context, ...string) ([]c.Snapshot, error) { return nil, nil }
func (r *region) SnapshotsTagged(_ context.Context, tags map[string]string) (found []c.Snapshot, err error) {
	err = r.call("DescribeSnapshots", func() error {
		for _, s := range r.snapshots {
			if carries(s.Tags, tags) {
				found = append(found, s)
			}
		}
		return nil
	})
	return found, err
}
func (r *region) DeleteSnapshot(_ context.Context, id string) error {
	return r.call("DeleteSnapshot", func() error { delete(r.snapshots, id); return nil })
}

func (r *region) ShareImage(_ context.Context, id string, add, _ c.Share) error {
	return r.call("ModifyImageAttribute", func() error { r.shares[id] = add; return nil })
}
func (r *region) ImageShares(_ context.Context, id string) (share c.Share, err error) {
	err = r.call("DescribeImageAttribute", func() error { share = r.shares[id]; return nil })
	return share, err
}
func (r *region) BlockPublicAccess(context.Context) (string, error) { return "block-new-sharing", nil }

func (r *region) AddTemplateVersion(_ context.Context, _ c.LaunchTemplate, _, imageID, token, _ string) (version string, err error) {
	err = r.call("CreateLaunchTemplateVersion", func() error {
		if at := slices.Index(r.templates, token+" "+imageID); at >= 0 {
			version = fmt.Sprint(at + 1)
			return nil
		}
		r.templates = append(r.templates, token+" "+imageID)
		version = fmt.Sprint(len(r.templates))
		return nil
	})
	return version, err
}
func (r *region) TemplateVersion(context.Context, c.LaunchTemplate) (exists bool, imageID string, err error) {
	return true, "ami-00000001", nil
}

func (r *region) SetTemplateDefault(_ context.Context, _ c.LaunchTemplate, version string) error {
	r.defaults = version
	return nil
}

var tokenOf = regexp.MustCompile(`(?:token='|/run/)([a-z0-9-]+)'`)

// Send runs the script once under its token, as the wrapper does on a server.
func (r *region) Send(_ context.Context, q c.Command) (id string, err error) {
	err = r.call("SendCommand", func() error {
		token := tokenOf.FindStringSubmatch(q.Script)
		if token == nil {
			return errors.New("the command carries no token")
		}
		if i := r.instances[q.InstanceIDs[0]]; i == nil || i.see().State != "running" {
			return jobs.Fatalf("SendCommand", q.InstanceIDs[0], "it is not running", "")
		}
		r.w.ran[token[1]] = 1
		id = r.w.id("command")
		step := q.Comment[strings.LastIndexByte(q.Comment, ' ')+1:]
		result := c.Invocation{CommandID: id, InstanceID: q.InstanceIDs[0], Status: "Success", ExitCode: r.w.answer[step], Stdout: "said " + step}
		if result.ExitCode != 0 {
			result.Status = "Failed"
		}
		r.commands[id] = result
		return nil
	})
	return id, err
}

func (r *region) Invocation(_ context.Context, id, _ string) (i c.Invocation, ok bool, err error) {
	err = r.call("GetCommandInvocation", func() error { i, ok = r.commands[id]; return nil })
	return i, ok, err
}
func (r *region) CancelCommand(context.Context, string, ...string) error { return nil }

func (r *region) Managed(_ context.Context, ids ...string) (map[string]c.ManagedInstance, error) {
	all := map[string]c.ManagedInstance{}
	err := r.call("DescribeInstanceInformation", func() error {
		for _, id := range ids {
			if i := r.instances[id]; i != nil && i.see().State == "running" && time.Since(i.since) > 20*time.Second {
				all[id] = c.ManagedInstance{InstanceID: id, PingStatus: "Online"}
			}
		}
		return nil
	})
	return all, err
}

func (r *region) Parameter(_ context.Context, name string) (value string, ok bool, err error) {
	err = r.call("GetParameter", func() error { value, ok = r.params[name]; return nil })
	return value, ok, err
}
func (r *region) PutParameter(_ context.Context, name, value, _ string) error {
	return r.call("PutParameter", func() error { r.params[name] = value; return nil })
}

func (r *region) TypesOffered(_ context.Context, types []string) (map[string][]string, error) {
	offered := map[string][]string{}
	for _, name := range types {
		offered[name] = []string{r.name + "a"}
	}
	return offered, nil
}

func (r *region) Types(_ context.Context, types []string) (map[string]c.InstanceType, error) {
	found := map[string]c.InstanceType{}
	for _, name := range types {
		found[name] = c.InstanceType{Name: name, VCPUs: 2}
	}
	return found, nil
}

func (r *region) AllowedAMIs(context.Context) (string, error) { return "disabled", nil }

// Regions knows all but eu-north-1, and has not enabled me-south-1.
func (r *region) Regions(_ context.Context, names ...string) (map[string]string, error) {
	status := map[string]string{}
	for _, name := range names {
		switch name {
		case "eu-north-1":
		case "me-south-1":
			status[name] = "not-opted-in"
		default:
			status[name] = "opted-in"
		}
	}
	return status, r.call("DescribeRegions", func() error { return nil })
}

func (r *region) KeyPair(context.Context, string) (bool, error) { return true, nil }
