package elbv2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
)

// Attached gives, by target group, which of the instances are registered there: one call for the VPC's target groups, four
// hundred a page, and one for each of them.
func (r *Region) Attached(ctx context.Context, vpcID string, instances map[string]bool) (map[string][]string, error) {
	pages := elasticloadbalancingv2.NewDescribeTargetGroupsPaginator(r.client, &elasticloadbalancingv2.DescribeTargetGroupsInput{PageSize: aws.Int32(400)})
	found := map[string][]string{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awserr.From(err, vpcID)
		}
		for _, group := range page.TargetGroups {
			if aws.ToString(group.VpcId) != vpcID || group.TargetType != "" && group.TargetType != types.TargetTypeEnumInstance {
				continue
			}
			arn := aws.ToString(group.TargetGroupArn)
			all, err := r.health(ctx, arn, nil)
			if awserr.IsCode(err, "TargetGroupNotFound") {
				continue // deleted since the page was read
			}
			if err != nil {
				return nil, err
			}
			for _, target := range all {
				if instances[target.InstanceID] && target.State != "draining" {
					found[arn] = append(found[arn], target.InstanceID)
				}
			}
		}
	}
	return found, nil
}
