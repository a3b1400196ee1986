package cloudwatch

import (
	"fmt"
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
)

func setup(t *testing.T) (*Region, *localaws.Server) {
	t.Helper()
	endpoint, err := localaws.New(localaws.Config{Seed: 1, Unlimited: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := endpoint.Close(); err != nil {
			t.Error(err)
		}
	})
	sdk, err := clients.New(clients.Config{Region: "eu-west-1", Endpoint: endpoint.URL(), Transport: endpoint.RoundTripper(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	return New(sdk).For(jobs.Target{}), endpoint
}

func put(t *testing.T, r *Region, name string, state types.StateValue) {
	t.Helper()
	_, err := r.client.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{AlarmName: &name, Namespace: aws.String("web"), MetricName: aws.String("5xx"),
		Statistic: types.StatisticSum, Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1),
		ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold})
	if err == nil && state != types.StateValueInsufficientData {
		_, err = r.client.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: state, StateReason: aws.String("test")})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAlarmsAreToldByTheirStatesAndMissingOnesNotAtAll(t *testing.T) {
	t.Parallel()
	r, _ := setup(t)
	want := map[string]string{"fine": "OK", "raised": "ALARM", "new": "INSUFFICIENT_DATA"}
	for name, state := range want {
		put(t, r, name, types.StateValue(state))
	}
	got, err := r.State(t.Context(), "fine", "raised", "new", "nobodys")
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got, err := r.State(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("of no names: %v, %v", got, err) // CloudWatch would tell every alarm of the account
	}
}

func TestManyAlarmsAreAskedForInParts(t *testing.T) {
	t.Parallel()
	r, endpoint := setup(t)
	var names []string
	for i := range 205 {
		names = append(names, fmt.Sprintf("alarm-%03d", i))
		put(t, r, names[i], types.StateValueOk)
	}
	endpoint.ResetCalls()
	got, err := r.State(t.Context(), names...)
	if err != nil || len(got) != 205 || endpoint.Calls()["monitoring:DescribeAlarms"].Calls != 3 {
		t.Errorf("%d states by %+v, %v", len(got), endpoint.Calls(), err)
	}
}

func TestAThrottleIsTriedAgainAndADenialIsNot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule  localaws.Rule
		class jobs.Class
	}{
		"throttled": {localaws.Rule{Code: "Throttling"}, jobs.Retry},
		"denied":    {localaws.Rule{Code: "AccessDenied", Status: 403}, jobs.Fatal},
		"broken":    {localaws.Rule{Code: "InternalServiceFault", Status: 500}, jobs.Retry},
		"lost":      {localaws.Rule{Drop: true}, jobs.Retry},
	} {
		r, endpoint := setup(t)
		tc.rule.Service, tc.rule.Action = "monitoring", "DescribeAlarms"
		if _, err := endpoint.AddFault(tc.rule); err != nil {
			t.Fatal(err)
		}
		if got, err := r.State(t.Context(), "web-5xx"); !jobs.IsClass(err, tc.class) {
			t.Errorf("%s: %v, %v; want class %v", name, got, err, tc.class)
		}
	}
}
