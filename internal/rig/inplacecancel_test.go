package rig_test

import (
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

// A cancel that comes while EC2 replaces roots: what nobody has tried gets its former root back, and the job ends.
func TestARolloutInPlaceThatIsCancelledEndsWithEveryServerInOnePiece(t *testing.T) {
	t.Parallel()
	story := stopped(rootStory("", "", allRun("web@2", "two", false, jobs.Succeeded)), 3)
	for _, m := range []mishap{cancelled, cancelledAndDead} {
		everyCallTo(t, story, m, 1, "ec2:CreateReplaceRootVolumeTask", "ec2:DescribeReplaceRootVolumeTasks")
	}
}
