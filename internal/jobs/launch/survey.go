package launch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/userdata"
)

// survey is what a launch looks up before anything is made, and everything that is wrong with it.
type survey struct {
	need     int // about how many servers are to be launched
	pages    int // how many pages of running instances may be counted; 0: all
	findings []jobs.Finding
	// unsettled is how many of the findings may be gone in seconds: IAM tells late of what was just made.
	unsettled int

	image   cloud.Image
	types   map[string]cloud.InstanceType
	subnets map[string]cloud.Subnet
	vpc     string // which the pools' subnets have in common
	quotas  []quotaUse
	calls   map[string]int
}

func (s *survey) count(action string) {
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[action]++
}

func (s *survey) wrong(message, hint string, field ...any) {
	s.findings = append(s.findings, jobs.Finding{Field: field, Message: message, Hint: hint})
}

func (s *survey) warn(message, hint string, field ...any) {
	s.findings = append(s.findings, jobs.Finding{Field: field, Message: message, Hint: hint, Warning: true})
}

// advise makes a warning of what could not be asked: EC2 itself tells at the launch. Errors that pass are given back.
func (s *survey) advise(err error, field ...any) error {
	if !jobs.IsClass(err, jobs.Fatal, jobs.NotFound) {
		return err
	}
	s.warn("not looked at before the launch: "+err.Error(), "", field...)
	return nil
}

// survey looks everything up and keeps what it found, for every attempt of every batch. What fails a launch for good is
// gathered; any other error ends the survey.
func (l *launch) survey(ctx context.Context, s *survey) error {
	if err := l.lookImage(ctx, s); err != nil {
		return err
	}
	return l.surveyPlaces(ctx, s)
}

// surveyPlaces is the survey without the image, which may not be there yet where it is planned.
func (l *launch) surveyPlaces(ctx context.Context, s *survey) error {
	for _, look := range []func(context.Context, *survey) error{
		l.lookTemplate, l.lookPools, l.lookTypes, l.lookGroups, l.lookKey, l.lookProfile, l.lookKeys, l.lookTargetGroups, l.lookAddresses, l.lookQuotas,
	} {
		if err := look(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (l *launch) lookImage(ctx context.Context, s *survey) error {
	found, details, err := l.resolveImage(ctx)
	if err != nil {
		return jobs.Gather(&s.findings, err, "image")
	}
	l.progress.Image, s.image = found, details
	s.count("DescribeImages")
	if found.Platform == "windows" && l.spec.Hostname != "" {
		name, err := userdata.Hostname(l.spec.Hostname, l.fleet(), max(l.spec.Count-1, 0))
		if err != nil || len(name) > 15 || strings.Contains(name, ".") {
			s.wrong(fmt.Sprintf("hostname %q: Windows takes at most 15 characters without dots", l.spec.Hostname), "", "hostname")
		}
	}
	findings, err := preflight.AllowedAMI(ctx, details, func(ctx context.Context) (string, error) {
		s.count("GetAllowedImagesSettings")
		return l.ec2().AllowedAMIs(ctx)
	}, "image")
	s.findings = append(s.findings, findings...)
	return err
}

func (l *launch) lookTemplate(ctx context.Context, s *survey) error {
	template := l.spec.LaunchTemplate.cloud()
	if template == nil {
		return nil
	}
	exists, _, err := l.ec2().TemplateVersion(ctx, *template)
	s.count("DescribeLaunchTemplateVersions")
	if err == nil && !exists {
		err = jobs.Fatalf("find the launch template", template.Name+template.ID, "there is no version "+template.Version, "check name, region and version")
	}
	return jobs.Gather(&s.findings, err, "launchTemplate")
}

// lookTypes finds what the types have, and that the image runs on them.
func (l *launch) lookTypes(ctx context.Context, s *survey) error {
	var types []string
	for _, rung := range l.progress.Ladder {
		if rung.Type != "" && !slices.Contains(types, rung.Type) {
			types = append(types, rung.Type)
		}
	}
	if len(types) == 0 {
		return nil
	}
	var err error
	s.types, err = l.ec2().Types(ctx, types)
	s.count("DescribeInstanceTypes")
	if err != nil || s.image.Architecture == "" {
		return s.advise(err, "pools")
	}
	for i, pool := range l.spec.Pools {
		for j, name := range pool.Types {
			if t, ok := s.types[name]; ok && len(t.Architectures) > 0 && !slices.Contains(t.Architectures, s.image.Architecture) {
				s.wrong(fmt.Sprintf("%s is %s, the image %s is %s", name, strings.Join(t.Architectures, " and "), s.image.ID, s.image.Architecture),
					"choose types of the image's architecture", "pools", i, "types", j)
			}
		}
	}
	return nil
}

// lookGroups finds the groups by name, and that those named by id exist.
func (l *launch) lookGroups(ctx context.Context, s *survey) error {
	names := l.spec.Server.SecurityGroups
	if len(names) == 0 {
		return nil
	}
	var ids []string
	for _, name := range names {
		if strings.HasPrefix(name, "sg-") {
			ids = append(ids, name)
		}
	}
	if len(ids) < len(names) {
		s.count("DescribeSecurityGroups")
	}
	groups, err := l.ec2().SecurityGroups(ctx, names, s.vpc)
	if err != nil {
		return jobs.Gather(&s.findings, err, "server", "securityGroups")
	}
	l.progress.Groups = groups
	if len(ids) == 0 {
		return nil
	}
	vpcs, err := l.ec2().GroupVPCs(ctx, ids)
	s.count("DescribeSecurityGroups")
	if err != nil {
		return s.advise(err, "server", "securityGroups")
	}
	for i, name := range names {
		switch vpc, exists := vpcs[name]; {
		case !strings.HasPrefix(name, "sg-"):
		case !exists:
			s.wrong("there is no security group "+name+" in this region", "check its id, region and account", "server", "securityGroups", i)
		case s.vpc != "" && vpc != s.vpc:
			s.wrong(fmt.Sprintf("the security group %s is in %s, the pools' subnets are in %s", name, vpc, s.vpc), "keep both in one VPC",
				"server", "securityGroups", i)
		}
	}
	return nil
}

func (l *launch) lookKey(ctx context.Context, s *survey) error {
	name := l.spec.Server.KeyName
	if name == "" {
		return nil
	}
	exists, err := l.ec2().KeyPair(ctx, name)
	s.count("DescribeKeyPairs")
	if err == nil && !exists {
		s.wrong("there is no key pair "+name+" in this region", "check its name and region", "server", "keyName")
	}
	return s.advise(err, "server", "keyName")
}

// lookKeys finds KMS keys of other regions; whether a key can be used, only EC2 tells.
func (l *launch) lookKeys(_ context.Context, s *survey) error {
	for _, device := range slices.Sorted(maps.Keys(l.spec.Server.Volumes)) {
		s.findings = append(s.findings, preflight.Key(l.spec.Server.Volumes[device].KMSKey, l.region(), "server", "volumes", device, "kmsKey")...)
	}
	return nil
}

func (l *launch) lookProfile(ctx context.Context, s *survey) error {
	name := l.spec.Server.InstanceProfile
	if name == "" || l.Profiles == nil {
		return nil
	}
	findings, missing := preflight.Profile(ctx, l.Profiles(l.job.Target), name, "server", "instanceProfile")
	s.findings = append(s.findings, findings...)
	if missing {
		s.unsettled++
	}
	return ctx.Err()
}

func (l *launch) lookTargetGroups(ctx context.Context, s *survey) error {
	l.progress.TargetGroups = nil
	for i, name := range l.spec.Attach.TargetGroups {
		arn, err := l.TargetGroups(l.job.Target).TargetGroup(ctx, name)
		if err != nil {
			if err := jobs.Gather(&s.findings, err, "attach", "targetGroups", i); err != nil {
				return err
			}
			continue
		}
		l.progress.TargetGroups = append(l.progress.TargetGroups, arn)
	}
	return nil
}
