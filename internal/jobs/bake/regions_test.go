package bake_test

import (
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
)

func TestCopiesThatCannotGoAreRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"eu-north-1": "there is no region eu-north-1",
		"me-south-1": "the region me-south-1 is not enabled for the account (aws account enable-region --region-name me-south-1",
	} {
		inTime(t, func(t *testing.T, w *world) {
			job := w.bake(`{"from":{"ami":"ami-00000001"},"steps":[{"run":"true"}],"copyTo":{"us-east-1":{},"` + region + `":{}}}`)
			w.wantState(job, jobs.Failed)
			if !strings.Contains(job.Failure, want) {
				t.Errorf("the failure is %q, want %q", job.Failure, want)
			}
			if n := w.count("RunInstances "+home, "CreateImage "+home); n > 0 {
				t.Errorf("%d things were made", n)
			}
			if n := w.count("DescribeImages "+region, "DescribeSnapshots "+region); n > 0 {
				t.Errorf("the undo looks %d times into a region where nothing can be", n)
			}
		})
	}
}

// A policy from before this look does not allow it.
func TestABakeThatMayNotAskForRegionsGoesOn(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		if _, err := in.Endpoint.AddFault(localaws.Rule{Service: "ec2", Action: "DescribeRegions", Code: "UnauthorizedOperation", Status: 403}); err != nil {
			t.Fatal(err)
		}
		job := in.submit("web", "from: {ami: AMI}\nbuilder: {types: [m7g.large], instanceProfile: builder}\ncopyTo: {us-east-1: {}}")
		in.want(job, jobs.Succeeded)
		if told := strings.Join(job.Warnings, "\n"); !strings.Contains(told, "whether the account has enabled us-east-1 could not be checked") || !strings.Contains(told, "ec2:DescribeRegions") {
			t.Errorf("the warnings are %q", told)
		}
	})
}
