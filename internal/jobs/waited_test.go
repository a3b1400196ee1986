package jobs

import (
	"testing"
	"time"
)

func TestOfChildrenThatRanSideBySideTheLongestWaitCounts(t *testing.T) {
	t.Parallel()
	job := &Job{}
	job.waited("own/eu-west-1/RunInstances", 2*time.Second)
	before := job.Waited
	job.waitedWith([]ChildResult{
		{Waited: map[string]float64{"own/eu-west-1/RunInstances": 30, "own/eu-west-1/CreateImage": 1}},
		{Waited: map[string]float64{"own/eu-west-1/RunInstances": 50}},
		{},
	})
	if got := job.Waited["own/eu-west-1/RunInstances"]; got != 52 {
		t.Errorf("it waited %g s for RunInstances, want its own 2 and the longest 50", got)
	}
	if got := job.Waited["own/eu-west-1/CreateImage"]; got != 1 {
		t.Errorf("it waited %g s for CreateImage, want 1", got)
	}
	if len(before) != 1 || before["own/eu-west-1/RunInstances"] != 2 {
		t.Errorf("what was saved before became %v", before)
	}
}
