package launch

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// settles is how long IAM is given to tell of an instance profile that was made just before the launch.
const settles = 30 * time.Second

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
	l.follow(fleet)
	if known && fleet.Group != "" {
		return jobs.Fail("the fleet %s is the Auto Scaling group %s, which launches its servers itself; change the group's desired capacity", l.fleet(), fleet.Group), nil
	}
	look := &survey{pages: usagePages}
	if look.need, err = l.lacking(ctx, known); err != nil {
		return jobs.Move{}, err
	}
	if err := l.survey(ctx, look); err != nil {
		return jobs.Move{}, err
	}
	var wrong, warnings []string
	for _, finding := range look.findings {
		if finding.Warning {
			warnings = append(warnings, finding.String())
		} else {
			wrong = append(wrong, finding.String())
		}
	}
	if len(wrong) > 0 && len(wrong) == look.unsettled && turn.Now().Sub(turn.StepSince()) < settles {
		return jobs.Wait(settles/3, "IAM to tell of the instance profile %s, if it was just made", l.spec.Server.InstanceProfile), nil
	}
	for _, warning := range warnings {
		turn.Warn("%s", warning)
	}
	if len(wrong) > 0 {
		return jobs.Fail("%s", strings.Join(wrong, "; ")), nil
	}
	turn.Note("servers will be stamped from %s (%s)", l.progress.Image.Ref, l.progress.Image.AMI)
	return jobs.Done(), nil
}

// follow keeps a fleet that was rolled on its own image: a spec that names no version means that one, whatever is current,
// so that what is added to a fleet that was held back, or rolled back, is like the rest of it.
func (l *launch) follow(fleet ledger.Fleet) {
	name, _, versioned := strings.Cut(fleet.Image, "@")
	if fleet.Rollout != "" && versioned && l.spec.Image == name {
		l.spec.Image = fleet.Image
	}
}

// lacking is about how many servers the fleet lacks: what the ledger names may have died since.
func (l *launch) lacking(ctx context.Context, known bool) (int, error) {
	if !known {
		return l.spec.Count, nil
	}
	servers, err := l.Ledger.Servers(ctx, l.fleet())
	return max(l.spec.Count-len(servers), 0), err
}

func place(target jobs.Target) string {
	if text := target.String(); text != "" {
		return text
	}
	return "the worker's own account and region"
}

// resolveImage finds the AMI, and that it can be launched here.
func (l *launch) resolveImage(ctx context.Context) (image, cloud.Image, error) {
	found := image{Ref: l.spec.Image, AMI: l.spec.Image}
	name, ssm := strings.CutPrefix(l.spec.Image, "ssm:")
	switch {
	case ssm:
		value, ok, err := l.Parameters(l.job.Target).Parameter(ctx, name)
		if err != nil {
			return image{}, cloud.Image{}, err
		}
		if !ok || !strings.HasPrefix(value, "ami-") {
			return image{}, cloud.Image{}, jobs.Fatalf("find the image", name, fmt.Sprintf("the parameter is %q, expected an AMI id", value),
				"check its name and region")
		}
		found = image{Ref: value, AMI: value}
	case !strings.HasPrefix(l.spec.Image, "ami-"):
		var err error
		if found, err = l.ownImage(ctx); err != nil {
			return image{}, cloud.Image{}, err
		}
	}
	images, err := l.ec2().Images(ctx, found.AMI)
	if err != nil {
		return image{}, cloud.Image{}, err
	}
	if len(images) == 0 {
		return image{}, cloud.Image{}, jobs.Fatalf("find the image", found.Ref, found.AMI+" is not in this region, or not visible to this account",
			"copy it here or share it; the account's Allowed AMIs settings may hide it, too")
	}
	if images[0].State != "available" {
		return image{}, cloud.Image{}, jobs.Fatalf("find the image", found.Ref, fmt.Sprintf("%s is %s, expected available", found.AMI, images[0].State), "")
	}
	found.Platform = images[0].Platform
	return found, images[0], nil
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
	region := l.region()
	regional := v.For(l.job.Target, region)
	if regional.AMI == "" {
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
