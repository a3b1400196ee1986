package ec2

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stampmill/stampmill/internal/jobs"
)

// ownersOf answers DescribeInstances by tag with two instances for each value, of run 1 and of run 2.
func ownersOf(q url.Values) (int, string) {
	tag, xml := strings.TrimPrefix(q.Get("Filter.1.Name"), "tag:"), ""
	for _, value := range listed(q, "Filter.1.Value") {
		for run := 1; run <= 2; run++ {
			xml += fmt.Sprintf("<item><instancesSet><item><instanceId>i-%s-%d</instanceId><instanceState><name>running</name></instanceState><tagSet>"+
				"<item><key>%s</key><value>%s</value></item><item><key>%s</key><value>%d</value></item></tagSet></item></instancesSet></item>",
				value, run, tag, value, jobs.TagRun, run)
		}
	}
	return 200, "<DescribeInstancesResponse><reservationSet>" + xml + "</reservationSet></DescribeInstancesResponse>"
}

func TestLooksByAJobsTagShareCallsAndEachGetsItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, e := region(t, ownersOf)
		var callers sync.WaitGroup
		for i := range 150 {
			callers.Go(func() {
				tags := map[string]string{jobs.TagIncarnation: fmt.Sprint("x", i), jobs.TagRun: "2"}
				got, err := r.InstancesTagged(t.Context(), tags)
				if want := fmt.Sprintf("i-x%d-2", i); err != nil || len(got) != 1 || got[0].ID != want {
					t.Errorf("%v gave %v, %v; want %s", tags, got, err, want)
				}
			})
		}
		callers.Wait()
		if len(e.asked) != 1 {
			t.Errorf("%d calls for 150 jobs", len(e.asked))
		}
	})
}

// A filter's values are one job's only if nothing else is mixed into them: another tag, other states.
func TestLooksThatAskForOtherTagsOrStatesAreAskedApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, e := region(t, ownersOf)
		var callers sync.WaitGroup
		for _, ask := range []func() (int, error){
			func() (int, error) {
				got, err := r.InstancesTagged(t.Context(), map[string]string{jobs.TagIncarnation: "a"}, "running")
				return len(got), err
			},
			func() (int, error) {
				got, err := r.InstancesTagged(t.Context(), map[string]string{jobs.TagIncarnation: "a"}, "stopped", "terminated")
				return len(got), err
			},
			func() (int, error) {
				got, err := r.InstancesTagged(t.Context(), map[string]string{jobs.TagPrefix + "batch": "a"}, "running")
				return len(got), err
			},
		} {
			callers.Go(func() {
				if n, err := ask(); n != 2 || err != nil {
					t.Errorf("%d instances, %v; want 2", n, err)
				}
			})
		}
		callers.Wait()
		if len(e.asked) != 3 {
			t.Errorf("%d calls, want 3", len(e.asked))
		}
		for _, q := range e.asked {
			if values := len(listed(q, "Filter.1.Value")) + len(listed(q, "Filter.2.Value")); values > filterValues {
				t.Errorf("a call with %d values", values)
			}
		}
	})
}
