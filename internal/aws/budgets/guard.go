package budgets

import (
	"context"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// Guard is the middleware for an EC2 client of the target in the region.
func (b *Budgets) Guard(target jobs.Target, region string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		handle := func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			out middleware.InitializeOutput, metadata middleware.Metadata, err error,
		) {
			action := awsmiddleware.GetOperationName(ctx)
			c := asks(action, in.Parameters)
			c.bucket = Name(target, region, c.action)
			if err := b.admit(ctx, &c); err != nil {
				return out, metadata, err
			}
			out, metadata, err = next.HandleInitialize(ctx, in)
			if known := awserr.From(err, ""); awserr.IsThrottle(known) {
				if later := b.refused(ctx, c, known); later != nil {
					err = later
				}
			}
			return out, metadata, err
		}
		// Around what bounds and observes the call: a call that was refused here was never made.
		return stack.Initialize.Insert(middleware.InitializeMiddlewareFunc("StampmillBudget", handle), clients.CallMiddleware, middleware.Before)
	}
}

// asks says of which bucket a call takes, and how many tokens besides the request's.
func asks(action string, parameters any) call {
	c := call{action: action, looks: budget.Looks(action)}
	filtered := true
	switch in := parameters.(type) {
	case *ec2.RunInstancesInput:
		c.resources = float64(max(value(in.MaxCount), 1))
	case *ec2.StartInstancesInput:
		c.resources = float64(len(in.InstanceIds))
	case *ec2.StopInstancesInput:
		c.resources = float64(len(in.InstanceIds))
	case *ec2.TerminateInstancesInput:
		c.resources = float64(len(in.InstanceIds))
	case *ec2.DescribeInstancesInput:
		filtered = len(in.Filters) > 0 || in.MaxResults != nil || in.NextToken != nil
	case *ec2.DescribeInstanceStatusInput:
		filtered = len(in.Filters) > 0 || in.MaxResults != nil || in.NextToken != nil
	case *ec2.DescribeSnapshotsInput:
		filtered = len(in.Filters) > 0 || in.MaxResults != nil || in.NextToken != nil
	case *ec2.DescribeVolumesInput:
		filtered = len(in.Filters) > 0 || in.MaxResults != nil || in.NextToken != nil
	case *ec2.DescribeSecurityGroupsInput:
		filtered = len(in.Filters) > 0 || in.MaxResults != nil || in.NextToken != nil
	}
	if !filtered {
		c.action += budget.Unfiltered
	}
	return c
}

func value(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}
