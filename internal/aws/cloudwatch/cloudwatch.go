// Package cloudwatch is CloudWatch as the kinds need it: the states of alarms.
package cloudwatch

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

// namesPerCall is how many names DescribeAlarms takes.
const namesPerCall = 100

// Service gives regions.
type Service struct{ clients *clients.Clients }

// New makes the service.
func New(clients *clients.Clients) *Service { return &Service{clients: clients} }

// For is the target's region.
func (s *Service) For(target jobs.Target) *Region {
	return &Region{client: s.clients.For(target).Alarms}
}

// Region is CloudWatch in one account and region. It is safe for concurrent use.
type Region struct {
	client *cloudwatch.Client
}

// State gives OK, ALARM or INSUFFICIENT_DATA by the alarm's name, for metric and composite alarms. A name that is missing in the
// answer is no alarm's.
func (r *Region) State(ctx context.Context, names ...string) (map[string]string, error) {
	states := map[string]string{}
	for chunk := range slices.Chunk(names, namesPerCall) {
		out, err := r.client.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: chunk, MaxRecords: aws.Int32(namesPerCall),
			AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}})
		if err != nil {
			return nil, awserr.From(err, strings.Join(chunk, ", "))
		}
		for _, alarm := range out.MetricAlarms {
			states[aws.ToString(alarm.AlarmName)] = string(alarm.StateValue)
		}
		for _, alarm := range out.CompositeAlarms {
			states[aws.ToString(alarm.AlarmName)] = string(alarm.StateValue)
		}
	}
	return states, nil
}
