package doctor

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/jobs"
)

// mostTargets is how many accounts and regions are examined: each takes some fifty calls.
const mostTargets = 20

// identify asks who this is; without an answer nothing else is worth asking.
func (d *doctor) identify(ctx context.Context) bool {
	who, err := d.own.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		d.find("identity", d.own.where, Problem,
			orDefault(hint(err), "set AWS_PROFILE, or the keys, or run `aws sso login`; check AWS_REGION and AWS_ENDPOINT_URL"),
			"AWS does not say who this is: %s", reason(err))
		return false
	}
	d.who = aws.ToString(who.Arn)
	if d.Bucket == "" {
		d.Bucket = setup.Bucket(d.Prefix, aws.ToString(who.Account), d.Clients.Region())
	}
	d.ok("identity", d.own.where, "this is %s, prefix %s, installation %s", d.who, d.Prefix, d.Installation)
	return true
}

// targets are the accounts and regions to examine, the installation's own first.
func (d *doctor) targets(ctx context.Context) []jobs.Target {
	own := jobs.Target{Region: d.Clients.Region()}
	known, err := d.Known(ctx)
	if err != nil && !codeIs(err, noTable) {
		d.find("targets", "catalog", Warning,
			"mend what else is wrong first; --role and --region name targets by hand",
			"the accounts and regions of jobs, images and fleets cannot be read: %s", reason(err))
	}
	var all []jobs.Target
	for _, t := range slices.Concat([]jobs.Target{own}, d.Targets, known) {
		if t.Region == "" {
			t.Region = own.Region
		}
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	if len(all) > mostTargets {
		d.find("targets", "catalog", Warning,
			"examine the others with --role and --region", "%d accounts and regions are known; the first %d are examined", len(all), mostTargets)
		all = all[:mostTargets]
	}
	return all
}

// reach finds out whether the role can be assumed and the region be used.
func (d *doctor) reach(ctx context.Context, l *looker) bool {
	if l.target.Role != "" {
		if _, err := l.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
			d.find("targets", l.where, Problem,
				"the role's trust policy must name the workers' role, and the stack's AssumeRoleArns the role; if workers run as somebody else, run doctor as they do",
				"%s cannot assume the role: %s", d.who, reason(err))
			return false
		}
	}
	_, err := l.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{MaxResults: aws.Int32(5)})
	switch {
	case err == nil, refused(err): // what may not be asked is told with the rights
		d.ok("targets", l.where, "can be reached")
		return true
	case codeIs(err, "AuthFailure", "OptInRequired", "InvalidClientTokenId", "UnrecognizedClientException"):
		d.find("targets", l.where, Problem,
			"enable the region for the account (account:EnableRegion), or take it out of specs and STAMPMILL_TARGETS",
			"the region cannot be used: %s", reason(err))
	default:
		d.find("targets", l.where, Problem, "is it a region, and is there a way to its endpoint from here?", "EC2 does not answer: %s", reason(err))
	}
	return false
}
