package ec2

import (
	"maps"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
)

func TestTheSummaryCountsWhatIsThereByState(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		id := b.running(t)
		b.running(t)
		must(b.TerminateInstances(t.Context(), &sdk.TerminateInstancesInput{InstanceIds: []string{id}}))(t)
		counts := b.service.Summary().(map[string]map[string]int)
		if want := map[string]int{"running": 1, "shutting-down": 1}; !maps.Equal(counts["instances"], want) {
			t.Errorf("instances: %v, want %v", counts["instances"], want)
		}
		if n := counts["volumes"]["in-use"]; n != 2 {
			t.Errorf("volumes: %v, want two in use", counts["volumes"])
		}
		if len(counts["images"])+len(counts["snapshots"]) != 0 {
			t.Errorf("images %v, snapshots %v: want none", counts["images"], counts["snapshots"])
		}
	})
}
