package launch_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
)

// shown is what EC2 shows of servers; it notes what is marked.
type shown struct {
	instances []cloud.Instance
	marked    []string
	answer    error
}

func (s *shown) Instances(context.Context, ...string) ([]cloud.Instance, error) {
	return s.instances, nil
}

func (s *shown) Tag(_ context.Context, ids []string, tags map[string]string) error {
	if tags[launch.TagVolume] == launch.VolumeKept && s.answer == nil {
		s.marked = append(s.marked, ids...)
	}
	return s.answer
}

func TestVolumesOfAServerAreMarkedAsDataOnceAllAreShown(t *testing.T) {
	t.Parallel()
	server := func(state string, volumes map[string]string) cloud.Instance {
		return cloud.Instance{ID: "i-1", State: state, Volumes: volumes}
	}
	both := map[string]string{"/dev/xvda": "vol-root", "/dev/sdf": "vol-data"}
	for name, one := range map[string]struct {
		ec2  shown
		age  time.Duration
		want []string
		done bool
	}{
		"both, the root too":           {shown{instances: []cloud.Instance{server("running", both)}}, 0, []string{"vol-data", "vol-root"}, true},
		"one is not shown yet":         {shown{instances: []cloud.Instance{server("running", map[string]string{"/dev/xvda": "vol-root"})}}, 0, nil, false},
		"the server is not shown yet":  {shown{}, 59 * time.Minute, nil, false},
		"the server is long forgotten": {shown{}, 61 * time.Minute, nil, true},
		"the server has ended":         {shown{instances: []cloud.Instance{server("terminated", nil)}}, 0, nil, true},
		"one of them went":             {shown{instances: []cloud.Instance{server("running", both)}, answer: &jobs.Error{Class: jobs.NotFound}}, 0, nil, false},
	} {
		move, err := launch.KeepVolumes(t.Context(), &one.ec2, []string{"/dev/sdf"}, []string{"i-1"}, one.age)
		if err != nil || move.IsDone() != one.done || !slices.Equal(one.ec2.marked, one.want) {
			t.Errorf("%s: marked %v, done %t, %v; want %v, %t", name, one.ec2.marked, move.IsDone(), err, one.want, one.done)
		}
	}
}
