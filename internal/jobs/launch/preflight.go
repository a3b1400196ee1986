package launch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/userdata"
)

// preflight looks up everything that the servers need, so that a wrong name costs nothing, and keeps what it found: every
// attempt of every batch asks for the same.
func (l *launch) preflight(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	fleet, known, err := l.Ledger.GetFleet(ctx, l.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	if known && fleet.Target != l.job.Target {
		return jobs.Fail("the fleet %s is in %s, this launch is for %s; choose another name", l.fleet(), place(fleet.Target), place(l.job.Target)), nil
	}
	if l.progress.Image, err = l.resolveImage(ctx); err != nil {
		return jobs.Move{}, err
	}
	if l.progress.Image.Platform == "windows" && l.spec.Hostname != "" {
		name, err := userdata.Hostname(l.spec.Hostname, l.fleet(), max(l.spec.Count-1, 0))
		if err != nil || len(name) > 15 || strings.Contains(name, ".") {
			return jobs.Fail("hostname %q: Windows takes at most 15 characters without dots", l.spec.Hostname), nil //nolint:nilerr // the move tells
		}
	}
	if err := l.checkTemplate(ctx); err != nil {
		return jobs.Move{}, err
	}
	vpc, err := l.resolvePools(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if names := l.spec.Server.SecurityGroups; len(names) > 0 {
		if l.progress.Groups, err = l.ec2().SecurityGroups(ctx, names, vpc); err != nil {
			return jobs.Move{}, err
		}
	}
	l.progress.TargetGroups = nil
	for _, name := range l.spec.Attach.TargetGroups {
		arn, err := l.TargetGroups(l.job.Target).TargetGroup(ctx, name)
		if err != nil {
			return jobs.Move{}, err
		}
		l.progress.TargetGroups = append(l.progress.TargetGroups, arn)
	}
	turn.Note("servers will be stamped from %s (%s)", l.progress.Image.Ref, l.progress.Image.AMI)
	return jobs.Done(), nil
}

func place(target jobs.Target) string {
	if text := target.String(); text != "" {
		return text
	}
	return "the worker's own account and region"
}

// resolveImage finds the AMI, and that it can be launched here.
func (l *launch) resolveImage(ctx context.Context) (image, error) {
	found := image{Ref: l.spec.Image, AMI: l.spec.Image}
	name, ssm := strings.CutPrefix(l.spec.Image, "ssm:")
	switch {
	case ssm:
		value, ok, err := l.Parameters(l.job.Target).Parameter(ctx, name)
		if err != nil {
			return image{}, err
		}
		if !ok || !strings.HasPrefix(value, "ami-") {
			return image{}, jobs.Fatalf("find the image", name, fmt.Sprintf("the parameter is %q, expected an AMI id", value),
				"check its name and region")
		}
		found = image{Ref: value, AMI: value}
	case !strings.HasPrefix(l.spec.Image, "ami-"):
		var err error
		if found, err = l.ownImage(ctx); err != nil {
			return image{}, err
		}
	}
	images, err := l.ec2().Images(ctx, found.AMI)
	if err != nil {
		return image{}, err
	}
	if len(images) == 0 {
		return image{}, jobs.Fatalf("find the image", found.Ref, found.AMI+" is not in this region, or not visible to this account",
			"copy it here or share it")
	}
	if images[0].State != "available" {
		return image{}, jobs.Fatalf("find the image", found.Ref, fmt.Sprintf("%s is %s, expected available", found.AMI, images[0].State), "")
	}
	found.Platform = images[0].Platform
	return found, nil
}

// ownImage finds web or web@41 in the catalog.
func (l *launch) ownImage(ctx context.Context) (image, error) {
	const op = "find the image"
	name, version, pinned := strings.Cut(l.spec.Image, "@")
	entry, ok, err := l.Ledger.GetImage(ctx, name)
	if err != nil {
		return image{}, err
	}
	number := entry.Current
	if pinned {
		if number, err = strconv.Atoi(version); err != nil {
			return image{}, jobs.Fatalf(op, l.spec.Image, "the version is no number", "write web@41")
		}
	}
	if !ok || number == 0 {
		return image{}, jobs.Fatalf(op, l.spec.Image, "there is no such image with a current version", "bake it first, or see `stampmill image list`")
	}
	ref := fmt.Sprintf("%s@%d", name, number)
	v, ok, err := l.Ledger.GetVersion(ctx, name, number)
	if err != nil {
		return image{}, err
	}
	hint := "see `stampmill image show " + name + "`"
	switch {
	case !ok:
		return image{}, jobs.Fatalf(op, ref, "there is no such version", hint)
	case v.State != ledger.Available:
		return image{}, jobs.Fatalf(op, ref, fmt.Sprintf("the version is %s, expected available", v.State), hint)
	}
	region := l.job.Target.Region
	if region == "" {
		region = l.Region
	}
	regional, ok := v.Regions[region]
	if !ok {
		return image{}, jobs.Fatalf(op, ref, "it is not in "+orWord(region, "the worker's own region"), "copy it there with copyTo or a Distribute job")
	}
	return image{Ref: ref, AMI: regional.AMI}, nil
}

func orWord(text, word string) string {
	if text == "" {
		return word
	}
	return text
}

func (l *launch) checkTemplate(ctx context.Context) error {
	template := l.spec.LaunchTemplate.cloud()
	if template == nil {
		return nil
	}
	exists, _, err := l.ec2().TemplateVersion(ctx, *template)
	if err == nil && !exists {
		err = jobs.Fatalf("find the launch template", template.Name+template.ID, "there is no version "+template.Version, "check name, region and version")
	}
	return err
}

// resolvePools makes the ladder, and finds the VPC that its subnets have in common.
func (l *launch) resolvePools(ctx context.Context) (vpc string, err error) {
	offered, err := l.offered(ctx)
	if err != nil {
		return "", err
	}
	l.progress.Ladder = nil
	pools := l.spec.Pools
	if len(pools) == 0 {
		pools = []Pool{{}}
	}
	for i, pool := range pools {
		var subnets []cloud.Subnet
		if !pool.Subnets.IsZero() || l.spec.LaunchTemplate == nil {
			if subnets, err = l.subnets(ctx, i, pool); err != nil {
				return "", err
			}
		}
		for _, subnet := range subnets {
			if vpc != "" && subnet.VpcID != vpc && len(l.spec.Server.SecurityGroups) > 0 {
				return "", jobs.Fatalf("find the subnets", subnet.ID, "it is in "+subnet.VpcID+", another one is in "+vpc,
					"security groups belong to one VPC: keep the pools in one")
			}
			vpc = subnet.VpcID
		}
		ladder := rungs(i, pool.Market == "spot", pool.Types, subnets, offered)
		if len(ladder) == 0 {
			return "", jobs.Fatalf("find the pools", fmt.Sprintf("pool %d", i+1),
				fmt.Sprintf("EC2 offers none of %s in the zones of its subnets", strings.Join(pool.Types, ", ")), "choose other types or subnets")
		}
		l.progress.Ladder = append(l.progress.Ladder, ladder...)
	}
	return vpc, nil
}

func (l *launch) subnets(ctx context.Context, i int, pool Pool) ([]cloud.Subnet, error) {
	subnets, err := l.ec2().Subnets(ctx, pool.Subnets.IDs, pool.Subnets.Tag)
	if err != nil {
		return nil, err
	}
	if len(subnets) == 0 {
		return nil, jobs.Fatalf("find the subnets", fmt.Sprintf("pool %d", i+1), fmt.Sprintf("no subnet fits %v %v", pool.Subnets.IDs, pool.Subnets.Tag),
			"name existing subnets, or tags that subnets carry")
	}
	slices.SortFunc(subnets, func(a, b cloud.Subnet) int { return strings.Compare(a.Zone+a.ID, b.Zone+b.ID) })
	return subnets, nil
}

// offered says in which zones EC2 has each type, and refuses a type that the region does not have at all.
func (l *launch) offered(ctx context.Context) (map[string][]string, error) {
	var types []string
	for _, pool := range l.spec.Pools {
		types = append(types, pool.Types...)
	}
	slices.Sort(types)
	if types = slices.Compact(types); len(types) == 0 {
		return nil, nil
	}
	offered, err := l.ec2().TypesOffered(ctx, types)
	if err != nil {
		return nil, err
	}
	for _, name := range types {
		if len(offered[name]) == 0 {
			return nil, jobs.Fatalf("find the instance type", name, "EC2 does not offer it in this region", "choose another type")
		}
	}
	return offered, nil
}
