package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// Two thousand servers are what a check has time for; the measures themselves take ten thousand.
const fewer = 2000

func TestALaunchTakesHardlyLongerThanTheBucketNeedsAndIsNeverRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of servers: not with -short")
	}
	t.Parallel()
	took, err := stamp(&taking{t: t}, fewer, noHeadroom, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ratio := took.seconds / bound(fewer); ratio < 1 || ratio > 1.05 {
		t.Errorf("%d servers took %.0f s, %.3f times the bound; expected 1 to 1.05", fewer, took.seconds, ratio)
	}
	if took.ec2.Throttled > 0 {
		t.Errorf("EC2 refused %d of %d calls; expected none: the workers count as it does", took.ec2.Throttled, took.ec2.Calls)
	}
}

// TestSlowCallsDoNotSlowALaunch has the first launches of all take three seconds and the others less: what the full buckets
// would have got back meanwhile is lost in EC2's count. The smaller one, of requests, may refuse a call that comes with others.
func TestSlowCallsDoNotSlowALaunch(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of servers: not with -short")
	}
	t.Parallel()
	if err := inVirtualTime(t, func(ctx context.Context, r *rig.Rig) error {
		var launches atomic.Int64
		fate := func(call string, _ *http.Request) rig.Fate {
			if call != "ec2:RunInstances" {
				return rig.Fate{Latency: 50 * time.Millisecond}
			}
			n := launches.Add(1)
			if n < 6 {
				return rig.Fate{Latency: 3 * time.Second}
			}
			return rig.Fate{Latency: time.Duration(300+n*137%700) * time.Millisecond}
		}
		for range stampers {
			if _, err := r.Start(&rig.Line{Fate: fate}); err != nil {
				return err
			}
		}
		submitted := time.Now()
		ids, err := r.Submit(ctx, fleet("web", fewer, jobs.Normal), ".", "bench", nil)
		if err != nil {
			return err
		}
		ended, err := finished(ctx, r, 6*time.Hour, ids)
		if err != nil {
			return err
		}
		if n := r.Endpoint.Calls()["ec2:RunInstances"]; n.Throttled > 1 {
			t.Errorf("EC2 refused %d of %d launches; expected one at most", n.Throttled, n.Calls)
		}
		if seconds := ended[ids[0]].Ended.Sub(submitted).Seconds(); seconds > 1.1*bound(fewer) {
			t.Errorf("%d servers took %.0f s; the bound is %.0f", fewer, seconds, bound(fewer))
		}
		return nil
	}, noHeadroom); err != nil {
		t.Fatal(err)
	}
}

func TestABarTellsWhetherItIsMet(t *testing.T) {
	t.Parallel()
	cases := []struct {
		bar    bar
		result result
		text   string
		met    bool
	}{
		{bar{value: 4}, result{Value: 4}, "at most 4", true},
		{bar{value: 4}, result{Value: 4.1}, "at most 4", false},
		{bar{value: 0}, result{Value: 1}, "at most 0", false},
		{bar{value: 3000, least: true}, result{Value: 2999}, "at least 3000", false},
		{bar{value: 3000, least: true}, result{Value: 3000}, "at least 3000", true},
		{bar{value: 0.01, below: true}, result{Value: 0.01}, "below 0.01", false},
		{bar{value: 0.01, below: true}, result{Value: 0.009}, "below 0.01", true},
		{bar{value: 1.05, ratio: true}, result{Value: 4000, Ratio: 1.05}, "ratio at most 1.05", true},
		{bar{value: 1.05, ratio: true}, result{Value: 1, Ratio: 1.06}, "ratio at most 1.05", false},
		{bar{value: 0.9, ratio: true, least: true}, result{Value: 1, Ratio: 0.8}, "ratio at least 0.9", false},
	}
	for _, c := range cases {
		if c.bar.String() != c.text || c.bar.met(c.result) != c.met {
			t.Errorf("%+v of %+v reads %q and is met: %t; expected %q, %t", c.bar, c.result, c.bar, c.bar.met(c.result), c.text, c.met)
		}
	}
}

func TestEachMeasureHasItsNameItsMeaningAndItsBar(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, m := range measures {
		if m.name == "" || seen[m.name] || m.what == "" || m.bound == "" || len(m.bars) == 0 || m.take == nil {
			t.Errorf("the measure %q lacks something, or is there twice: %+v", m.name, m)
		}
		seen[m.name] = true
	}
}
