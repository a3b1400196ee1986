package budget_test

import (
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/budget"
)

func TestLimitsAreAWSsUnlessOnesOwnAreGivenLessTheHeadroomAndWhatSlowCallsLose(t *testing.T) {
	t.Parallel()
	l, err := budget.ParseLimits([]string{"RunInstances:resources=5000/10", " eu-west-1/RunInstances=20/8", "CreateImage=10/0.5", "", "us-west-2/*=1000/1000"}, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		region, action string
		want           budget.Limit
	}{
		{"us-east-1", "RunInstances", budget.Limit{Requests: budget.Rate{Size: 3, Refill: 1.8}, Resources: budget.Rate{Size: 4500, Refill: 9}}},
		{"eu-west-1", "RunInstances", budget.Limit{Requests: budget.Rate{Size: 12, Refill: 7.2}, Resources: budget.Rate{Size: 4500, Refill: 9}}},
		{"eu-west-1", "CreateImage", budget.Limit{Requests: budget.Rate{Size: 9, Refill: 0.45}}},
		{"eu-west-1", "DescribeImages", budget.Limit{Requests: budget.Rate{Size: 80, Refill: 18}}},
		{"eu-west-1", "DescribeInstances" + budget.Unfiltered, budget.Limit{Requests: budget.Rate{Size: 40, Refill: 9}}},
		{"us-west-2", "DescribeImages", budget.Limit{Requests: budget.Rate{Size: 500, Refill: 900}}},
	} {
		if got := l.Of(c.region, c.action); got != c.want {
			t.Errorf("%s in %s: %+v, want %+v", c.action, c.region, got, c.want)
		}
	}
}

func TestLimitsThatWouldNeverGrantAreRefused(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"RunInstances=0/2":               "zero or less",
		"RunInstances=5/-1":              "zero or less",
		"RunInstances=0.5/1":             "less than one token",
		"RunInstances=5":                 "expected [REGION/]ACTION",
		"RunInstances=five/2":            `the size is "five"`,
		"RunInstances=NaN/2":             "expected a number",
		"RunInstances=1e400/2":           "expected a number",
		"RunInstance=5/2":                `no action "RunInstance"`,
		"eu-west-1/Run=5/2":              `no action "Run"`,
		"CreateImage:resources=5/2":      "resources are limited for RunInstances",
		"RunInstances:servers=5/2":       `has no "servers"`,
		"Describe=5/2":                   "no action",
		"RunInstances:resources=1000/0.": "zero or less",
	} {
		if _, err := budget.ParseLimits([]string{entry}, 0); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), entry) {
			t.Errorf("%s: %v; want %q", entry, err, want)
		}
	}
	for _, headroom := range []float64{-0.1, 1, 2} {
		if _, err := budget.ParseLimits(nil, headroom); err == nil {
			t.Errorf("a headroom of %g is taken", headroom)
		}
	}
}
