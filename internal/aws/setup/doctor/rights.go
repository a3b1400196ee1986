package doctor

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/stampmill/stampmill/internal/jobs"
)

// trial is one action that workers need. Who may do it is answered by the call: EC2 checks rights before it says that a dry run
// would have succeeded. Try is nil where there is nothing to try it on.
type trial struct {
	action  string
	changes bool
	try     func(context.Context) error
}

// rights tries what workers call in the target, as whoever examines.
func (d *doctor) rights(ctx context.Context, l *looker) {
	var allowed, untried []string
	var denied []trial
	trials := l.looks()
	if d.knowsDryRuns(ctx, l) {
		trials = append(trials, l.acts(ctx, d.Installation)...)
	}
	for _, t := range trials {
		if t.try == nil {
			untried = append(untried, t.action)
			continue
		}
		err := t.try(ctx)
		switch {
		case err == nil && t.changes:
			d.find("rights", l.where, Problem,
				"look at what it did, and do not run doctor against this endpoint", "the endpoint carried out a dry run of %s", t.action)
			return
		case err == nil, codeIs(err, "DryRunOperation"):
			allowed = append(allowed, t.action)
		case refused(err):
			denied = append(denied, t)
		default: // what the thing's state forbids says nothing of rights
			untried = append(untried, t.action)
		}
	}
	d.tellRights(l, allowed, untried, denied)
}

// knowsDryRuns asks with a read whether the endpoint keeps dry runs dry: not every emulator does.
func (d *doctor) knowsDryRuns(ctx context.Context, l *looker) bool {
	_, err := l.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{DryRun: dry})
	if err != nil {
		return codeIs(err, "DryRunOperation") || refused(err)
	}
	d.find("rights", l.where, Warning, "", "this endpoint does not know dry runs: what workers may change is not tried")
	return false
}

func (d *doctor) tellRights(l *looker, allowed, untried []string, denied []trial) {
	if len(allowed) > 0 {
		d.ok("rights", l.where, "allowed: %s", strings.Join(allowed, ", "))
	}
	if len(untried) > 0 {
		d.ok("rights", l.where, "not tried, for lack of something of this installation to try them on: %s", strings.Join(untried, ", "))
	}
	if len(denied) == 0 {
		return
	}
	works := slices.ContainsFunc(allowed, func(action string) bool { return slices.Contains(workersOnly, action) })
	if !works && !d.AsWorker {
		d.find("rights", l.where, Warning, "run `stampmill doctor --worker` as the workers run: on their host, or with their role",
			"%s may not do what workers do, so that their rights are not known from here", d.who)
		return
	}
	for _, t := range denied {
		d.find("rights", l.where, Problem,
			"give the workers' role the stack's EC2PolicyArn; in another account, the role that specs name needs the same. Is the stack's Installation "+d.Installation+"?",
			"%s may not %s", d.actor(l), t.action)
	}
}

// actor is whose rights were tried.
func (d *doctor) actor(l *looker) string { return orDefault(l.target.Role, d.who) }

// launching is the trial of a launch. workersOnly are those that a person who mends does not need: who may do none of them is
// no worker.
const launching = "ec2:RunInstances with ec2:CreateTags"

var workersOnly = []string{launching, "ec2:CreateImage", "ec2:CopyImage", "ec2:StartInstances", "ec2:StopInstances"}

var dry = aws.Bool(true)

// looks are the reads.
func (l *looker) looks() []trial { return slices.Concat(l.looksAtEC2(), l.otherLooks()) }

func (l *looker) looksAtEC2() []trial {
	e := l.ec2
	return []trial{
		{"ec2:DescribeInstances", false, func(ctx context.Context) error {
			_, err := e.DescribeInstances(ctx, &ec2.DescribeInstancesInput{DryRun: dry})
			return err
		}},
		{"ec2:DescribeInstanceStatus", false, func(ctx context.Context) error {
			_, err := e.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{DryRun: dry})
			return err
		}},
		{"ec2:DescribeInstanceTypeOfferings", false, func(ctx context.Context) error {
			_, err := e.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{DryRun: dry})
			return err
		}},
		{"ec2:DescribeInstanceTypes", false, func(ctx context.Context) error {
			_, err := e.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{DryRun: dry})
			return err
		}},
		{"ec2:DescribeKeyPairs", false, func(ctx context.Context) error {
			_, err := e.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{DryRun: dry})
			return err
		}},
		{"ec2:DescribeImages", false, func(ctx context.Context) error {
			_, err := e.DescribeImages(ctx, &ec2.DescribeImagesInput{DryRun: dry, Owners: []string{"self"}})
			return err
		}},
		{"ec2:DescribeSnapshots", false, func(ctx context.Context) error {
			_, err := e.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{DryRun: dry, OwnerIds: []string{"self"}})
			return err
		}},
		{"ec2:DescribeVolumes", false, func(ctx context.Context) error {
			_, err := e.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{DryRun: dry})
			return err
		}},
		{"ec2:DescribeSpotInstanceRequests", false, func(ctx context.Context) error {
			_, err := e.DescribeSpotInstanceRequests(ctx, &ec2.DescribeSpotInstanceRequestsInput{DryRun: dry})
			return err
		}},
		{"ec2:DescribeSubnets", false, func(ctx context.Context) error {
			_, err := e.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{DryRun: dry})
			return err
		}},
		{"ec2:DescribeSecurityGroups", false, func(ctx context.Context) error {
			_, err := e.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{DryRun: dry})
			return err
		}},
		{"ec2:DescribeRegions", false, func(ctx context.Context) error {
			_, err := e.DescribeRegions(ctx, &ec2.DescribeRegionsInput{DryRun: dry})
			return err
		}},
		{"ec2:GetImageBlockPublicAccessState", false, func(ctx context.Context) error {
			_, err := e.GetImageBlockPublicAccessState(ctx, &ec2.GetImageBlockPublicAccessStateInput{DryRun: dry})
			return err
		}},
	}
}

func (l *looker) otherLooks() []trial {
	return []trial{
		{"iam:GetInstanceProfile", false, func(ctx context.Context) error {
			_, err := l.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: aws.String("stampmill-doctor")})
			if codeIs(err, "NoSuchEntity") { // whoever may not look is told that first
				return nil
			}
			return err
		}},
		{"elasticloadbalancing:DescribeTargetGroups", false, func(ctx context.Context) error {
			_, err := l.elbv2.DescribeTargetGroups(ctx, &elasticloadbalancingv2.DescribeTargetGroupsInput{PageSize: aws.Int32(1)})
			return err
		}},
		{"ssm:DescribeInstanceInformation", false, func(ctx context.Context) error {
			_, err := l.ssm.DescribeInstanceInformation(ctx, &ssm.DescribeInstanceInformationInput{MaxResults: aws.Int32(5)})
			return err
		}},
		{"ssm:ListCommandInvocations", false, func(ctx context.Context) error {
			_, err := l.ssm.ListCommandInvocations(ctx, &ssm.ListCommandInvocationsInput{MaxResults: aws.Int32(1)})
			return err
		}},
		{"ssm:GetParameter", false, func(ctx context.Context) error {
			_, err := l.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(publicImage)})
			return err
		}},
	}
}

// publicImage names an AMI that everybody may launch, a dry run of it at least.
const publicImage = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"

// acts are the dry runs of what changes. Most of them are allowed on what carries the installation's tag only, and so are
// tried on such a thing.
func (l *looker) acts(ctx context.Context, installation string) []trial {
	have := l.have(ctx, installation)
	return slices.Concat(l.onServer(have.instance, installation), []trial{l.launch(ctx, installation)}, l.onImage(have.image, installation),
		l.onOthers(have))
}

// belongings are a thing of this installation of each kind; empty: there is none.
type belongings struct{ instance, image, snapshot, volume, spot string }

// have finds them. What may not be listed counts as not there: the looks tell.
func (l *looker) have(ctx context.Context, installation string) belongings {
	mine := []types.Filter{{Name: aws.String("tag:" + jobs.TagInstallation), Values: []string{installation}}}
	standing := append(slices.Clone(mine), types.Filter{Name: aws.String("instance-state-name"), Values: []string{"running", "stopped"}})
	few, self := aws.Int32(5), []string{"self"}
	var b belongings
	instances, err := l.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: standing, MaxResults: few})
	if err == nil && len(instances.Reservations) > 0 {
		b.instance = aws.ToString(instances.Reservations[0].Instances[0].InstanceId)
	}
	images, err := l.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: mine, Owners: self})
	if err == nil && len(images.Images) > 0 {
		b.image = aws.ToString(images.Images[0].ImageId)
	}
	snapshots, err := l.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{Filters: mine, OwnerIds: self, MaxResults: few})
	if err == nil && len(snapshots.Snapshots) > 0 {
		b.snapshot = aws.ToString(snapshots.Snapshots[0].SnapshotId)
	}
	volumes, err := l.ec2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: mine, MaxResults: few})
	if err == nil && len(volumes.Volumes) > 0 {
		b.volume = aws.ToString(volumes.Volumes[0].VolumeId)
	}
	requests, err := l.ec2.DescribeSpotInstanceRequests(ctx, &ec2.DescribeSpotInstanceRequestsInput{Filters: mine, MaxResults: few})
	if err == nil && len(requests.SpotInstanceRequests) > 0 {
		b.spot = aws.ToString(requests.SpotInstanceRequests[0].SpotInstanceRequestId)
	}
	return b
}
