package ec2

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

const unknownInstance = "InvalidInstanceID.NotFound"

// Alive are the states of an instance that is not terminated.
var Alive = []string{"pending", "running", "shutting-down", "stopping", "stopped"}

// Instances gives the instances with the ids, in the ids' order; unknown ones are absent. Calls that come together share
// requests.
func (r *Region) Instances(ctx context.Context, ids ...string) ([]c.Instance, error) {
	return values(ctx, r.instances, ids)
}

// StatusOK tells of running instances whether both their status checks are ok; unknown and other ones are absent. Calls that
// come together share requests.
func (r *Region) StatusOK(ctx context.Context, ids ...string) (map[string]bool, error) {
	if len(ids) == 0 {
		return map[string]bool{}, nil
	}
	found, err := r.statuses.Get(ctx, ids...)
	return found, wrap(err, ids...)
}

// Console is the last 64 KB of the instance's console output; empty while there is none. The latest is asked for, since EC2
// else tells only what it kept when the instance last started or stopped; types that are not on Nitro have no other.
func (r *Region) Console(ctx context.Context, id string) (string, error) {
	out, err := r.client.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: aws.String(id), Latest: aws.Bool(true)})
	if awserr.IsCode(err, "UnsupportedOperation", "IncorrectInstanceState") {
		out, err = r.client.GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: aws.String(id)})
	}
	if err != nil {
		return "", wrap(err, id)
	}
	text, err := base64.StdEncoding.DecodeString(aws.ToString(out.Output))
	if err != nil {
		return aws.ToString(out.Output), nil //nolint:nilerr // some endpoints give the text itself
	}
	return string(text), nil
}

// fetchInstances asks by filter, which forgives unknown ids; for more than a filter takes it asks by id first, one call
// instead of several.
func (r *Region) fetchInstances(ctx context.Context, ids []string) (map[string]c.Instance, error) {
	found := make(map[string]c.Instance, len(ids))
	if len(ids) > filterValues {
		out, err := r.client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids})
		if err == nil {
			for _, reservation := range out.Reservations {
				for _, i := range reservation.Instances {
					found[aws.ToString(i.InstanceId)] = instance(i)
				}
			}
			return found, nil
		}
		if !awserr.IsAboutOne(err) {
			return nil, wrap(err, ids...)
		}
	}
	for chunk := range slices.Chunk(ids, filterValues) {
		list, err := r.describe(ctx, []types.Filter{filter("instance-id", chunk...)})
		if err != nil {
			return nil, err
		}
		for _, i := range list {
			found[i.ID] = i
		}
	}
	return found, nil
}

// describe gives all pages of what the filters let through.
func (r *Region) describe(ctx context.Context, filters []types.Filter) ([]c.Instance, error) {
	pages := ec2.NewDescribeInstancesPaginator(r.client, &ec2.DescribeInstancesInput{Filters: filters, MaxResults: aws.Int32(pageSize)})
	var list []c.Instance
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap(err, filterText(filters))
		}
		for _, reservation := range page.Reservations {
			for _, i := range reservation.Instances {
				list = append(list, instance(i))
			}
		}
	}
	return list, nil
}

// fetchStatuses asks by id, since the call has no filter for them; unknown ones are split off.
func (r *Region) fetchStatuses(ctx context.Context, ids []string) (map[string]bool, error) {
	found := make(map[string]bool, len(ids))
	err := r.known(ids, func(ids []string) error {
		out, err := r.client.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: ids})
		if err != nil {
			return err
		}
		for _, s := range out.InstanceStatuses {
			found[aws.ToString(s.InstanceId)] = passed(s.InstanceStatus) && passed(s.SystemStatus)
		}
		return nil
	})
	return found, err
}

func passed(s *types.InstanceStatusSummary) bool {
	return s != nil && s.Status == types.SummaryStatusOk
}

// filterText names what a filter looked for, for errors.
func filterText(filters []types.Filter) string {
	var text strings.Builder
	for _, f := range filters {
		if name := aws.ToString(f.Name); name != "instance-state-name" && len(f.Values) > 0 {
			text.WriteString(" " + name + "=" + f.Values[0])
			if len(f.Values) > 1 {
				text.WriteString(",…")
			}
		}
	}
	return "with" + text.String()
}
