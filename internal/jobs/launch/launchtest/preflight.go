package launchtest

import (
	"context"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// free is how many addresses the subnet has: more than any test takes, unless Free says.
func (w *World) free(subnet string) int {
	if free, said := w.Free[subnet]; said {
		return free
	}
	return 100_000
}

// Types tells of two vCPUs each, and of the architecture by the family's name.
func (w *World) Types(_ context.Context, names []string) (map[string]cloud.InstanceType, error) {
	types := map[string]cloud.InstanceType{}
	for _, name := range names {
		family, _, _ := strings.Cut(name, ".")
		t := cloud.InstanceType{Name: name, VCPUs: 2, Architectures: []string{"arm64"}}
		if strings.HasSuffix(family, "i") {
			t.Architectures = []string{"x86_64"}
		}
		types[name] = t
	}
	return types, w.ec2Call("DescribeInstanceTypes", func() error { return nil })
}

// RunningVCPUs counts two for each living instance.
func (w *World) RunningVCPUs(context.Context, int) (used map[cloud.Running]int, whole bool, err error) {
	err = w.ec2Call("DescribeInstances", func() error {
		used = map[cloud.Running]int{}
		for _, i := range w.instances {
			if i.State == "pending" || i.State == "running" {
				used[cloud.Running{Type: i.Type, Spot: i.Spot}] += 2
			}
		}
		return nil
	})
	return used, true, err
}

// KeyPair knows ops.
func (w *World) KeyPair(_ context.Context, name string) (bool, error) {
	return name == "ops", w.ec2Call("DescribeKeyPairs", func() error { return nil })
}

// GroupVPCs knows ids that begin with sg-1.
func (w *World) GroupVPCs(_ context.Context, ids []string) (map[string]string, error) {
	vpcs := map[string]string{}
	for _, id := range ids {
		if strings.HasPrefix(id, "sg-1") {
			vpcs[id] = "vpc-1"
		}
	}
	return vpcs, w.ec2Call("DescribeSecurityGroups", func() error { return nil })
}

// AllowedAMIs is AllowedImages.
func (w *World) AllowedAMIs(context.Context) (string, error) {
	return w.AllowedImages, w.ec2Call("GetAllowedImagesSettings", func() error { return nil })
}

// InstanceProfile tells of Profiles.
func (w *World) InstanceProfile(_ context.Context, nameOrARN string) (profile cloud.InstanceProfile, exists bool, err error) {
	err = w.call(func() error {
		name := nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]
		if !time.Now().Before(w.ProfilesFrom) {
			profile, exists = w.Profiles[name]
		}
		if name == "denied" {
			return &jobs.Error{Class: jobs.Fatal, Code: "AccessDenied", Op: "iam GetInstanceProfile", Message: "not authorized"}
		}
		return nil
	})
	return profile, exists, err
}

// EC2 is a quota: Quota, or an error where it is below 0.
func (w *World) EC2(context.Context, string) (quota float64, err error) {
	err = w.call(func() error {
		if quota = w.Quota; quota < 0 {
			return &jobs.Error{Class: jobs.Fatal, Code: "AccessDeniedException", Op: "servicequotas GetServiceQuota", Message: "not authorized"}
		}
		return nil
	})
	return quota, err
}
