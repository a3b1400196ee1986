package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

var (
	oldVersion = cloud.LaunchTemplate{ID: "lt-1", Version: "1"}
	newVersion = cloud.LaunchTemplate{ID: "lt-1", Version: "2"}
)

// groupOf is a group with so many instances of the old version and of the new one, and so many of the old one that are protected.
func groupOf(older, newer, protected int) cloud.Group {
	g := cloud.Group{Name: "pool", Template: oldVersion, Desired: older + newer + protected}
	for i := range g.Desired {
		m := cloud.Member{InstanceID: fmt.Sprintf("i-%03d", i), State: "InService", Healthy: true, Template: oldVersion, Protected: i >= older+newer}
		if i >= older && i < older+newer {
			m.Template = newVersion
		}
		g.Members = append(g.Members, m)
	}
	return g
}

// A refresh stays where its wave ends: at the last percent of the group that is no more than the wave, unless the wave is less than
// a percent; and it goes on to the end where nothing would be left.
func TestARefreshStaysWhereItsWaveEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		older, newer, protected, more, percent int
	}{
		{8, 0, 0, 2, 25},
		{6, 2, 0, 2, 50},
		{6, 2, 0, 6, 0},
		{6, 2, 0, 9, 0}, // more than are left
		{7, 0, 0, 2, 28},
		{3, 0, 0, 1, 33},
		{2, 0, 6, 1, 12}, // what is protected stays old
		{2, 0, 6, 2, 0},
		{1000, 0, 0, 1, 1}, // less than a percent: the next one
		{990, 10, 0, 1, 2},
		{300, 0, 0, 299, 99},
		{0, 0, 0, 1, 0},
	} {
		g := groupOf(c.older, c.newer, c.protected)
		if got := checkpoint(g, "lt-1", "2", c.more); got != c.percent {
			t.Errorf("%d old, %d new, %d protected, %d more: it stays at %d%%, want %d%%", c.older, c.newer, c.protected, c.more, got, c.percent)
		}
	}
}

// Whatever the size and the wave: a checkpoint is ahead of what is new already, so that the refresh does something.
func TestACheckpointIsAheadOfWhatIsNewAlready(t *testing.T) {
	t.Parallel()
	for total := 1; total <= 250; total++ {
		for newer := 0; newer < total; newer += 1 + total/17 {
			for more := 1; more <= total-newer; more += 1 + total/13 {
				percent := checkpoint(groupOf(total-newer, newer, 0), "lt-1", "2", more)
				if at := (percent*total + 99) / 100; percent != 0 && at <= newer || percent < 0 || percent >= 100 {
					t.Fatalf("%d of %d are new, %d more: it stays at %d%%, %d instances", newer, total, more, percent, at)
				}
				if at := percent * total / 100; percent > 100*newer/total+1 && at > newer+more {
					t.Fatalf("%d of %d are new, %d more: it stays at %d%%, %d instances", newer, total, more, percent, at)
				}
			}
		}
	}
}

// AWS counts servers of a percent: the least that serve is never below what the spec allows, the most never above.
func TestARefreshAsksForNoLessThanTheFloorAndNoMoreThanTheSurge(t *testing.T) {
	t.Parallel()
	for desired := 1; desired <= 150; desired++ {
		for _, spare := range []int{0, 1, desired / 3, desired} {
			for _, surge := range []int{0, 1, desired / 4, desired} {
				r := &refresh{&rollout{progress: progress{Spare: spare, Surge: surge}}, &refreshing{Template: oldVersion, Run: &refreshRun{Version: "2"}}}
				asked := r.request(groupOf(desired, 0, 0), lot{})
				if least := asked.MinHealthy * desired; least < 100*max(desired-spare, 0) || asked.MinHealthy > 100 {
					t.Fatalf("%d servers, %d may be missing: it asks for %d%% at least", desired, spare, asked.MinHealthy)
				}
				if asked.MaxHealthy*desired > 100*(desired+surge) || asked.MaxHealthy < 100 || asked.MaxHealthy > 200 || asked.MaxHealthy-asked.MinHealthy > 100 {
					t.Fatalf("%d servers, %d more: it asks for %d%% to %d%%", desired, surge, asked.MinHealthy, asked.MaxHealthy)
				}
			}
		}
	}
}

func TestARefreshWatchesTheAlarmsOfItsGatesOnItsWayForwardOnly(t *testing.T) {
	t.Parallel()
	gates := []Gate{{Alarm: "a"}, {Approve: true}, {Alarm: "a"}}
	for i := range cloud.MostRefreshAlarms + 2 {
		gates = append(gates, Gate{Alarm: fmt.Sprint("b", i)})
	}
	r := &refresh{&rollout{spec: Spec{Options: Options{Gate: gates}}}, &refreshing{Run: &refreshRun{Version: "2", Checkpoint: 25}}}
	forward, back := r.request(groupOf(4, 0, 0), lot{}), r.request(groupOf(4, 0, 0), lot{Back: true})
	if len(forward.Alarms) != cloud.MostRefreshAlarms || forward.Alarms[0] != "a" || forward.Alarms[1] != "b0" || len(back.Alarms) != 0 {
		t.Errorf("it watches %v on its way forward, %v back", forward.Alarms, back.Alarms)
	}
	if !slices.Equal(forward.Checkpoints, []int{25, 100}) || forward.Delay != cloud.LongestCheckpointDelay {
		t.Errorf("it stays at %v for %s", forward.Checkpoints, forward.Delay)
	}
}

// The call has no token: a refresh is this run's if it goes where the run goes, stays where it stays, and ended in no run before.
func TestARefreshIsARunsOwnByWhereItGoes(t *testing.T) {
	t.Parallel()
	run := &refreshRun{Version: "2", Checkpoint: 25}
	r := &refresh{&rollout{}, &refreshing{Template: oldVersion, Past: []string{"past"}}}
	for name, c := range map[string]struct {
		f    cloud.Refresh
		ours bool
	}{
		"its own":             {cloud.Refresh{ID: "a", Template: newVersion, Checkpoints: []int{25, 100}}, true},
		"one that ended":      {cloud.Refresh{ID: "past", Template: newVersion, Checkpoints: []int{25, 100}}, false},
		"to another version":  {cloud.Refresh{ID: "a", Template: oldVersion, Checkpoints: []int{25, 100}}, false},
		"of another template": {cloud.Refresh{ID: "a", Template: cloud.LaunchTemplate{ID: "lt-2", Version: "2"}, Checkpoints: []int{25, 100}}, false},
		"another wave's":      {cloud.Refresh{ID: "a", Template: newVersion, Checkpoints: []int{50, 100}}, false},
		"without checkpoints": {cloud.Refresh{ID: "a", Template: newVersion}, false},
		"without a template":  {cloud.Refresh{ID: "a", Checkpoints: []int{25, 100}}, false},
	} {
		if r.isRun(run, c.f) != c.ours {
			t.Errorf("%s: taken for the run's: %t", name, !c.ours)
		}
	}
	if last := (&refreshRun{Version: "2"}); !r.isRun(last, cloud.Refresh{ID: "a", Template: newVersion}) {
		t.Error("the last one, which has no checkpoint, is not the run's")
	}
}

// rowsOf is the ledger's row and the group's instance by a text such as "0=a:1 1=b:2": ordinal, instance, image's version. An instance
// without ordinal is "=c:2".
func rowsOf(t *testing.T, text string) (map[int]ledger.Server, map[string]ledger.Server) {
	t.Helper()
	rows, instances := map[int]ledger.Server{}, map[string]ledger.Server{}
	for word := range strings.FieldsSeq(text) {
		at, rest, _ := strings.Cut(word, "=")
		id, version, runs := strings.Cut(rest, ":")
		row := ledger.Server{InstanceID: id, Image: "web@" + version, State: ledger.Healthy}
		if runs {
			instances[id] = row
		}
		if at != "" {
			if _, err := fmt.Sscan(at, &row.Ordinal); err != nil {
				t.Fatal(err)
			}
			rows[row.Ordinal] = row
		}
	}
	return rows, instances
}

// Instances come and go as AWS likes; those that run the image get the ordinals of the lot.
func TestOrdinalsFollowTheInstancesThatAWSReplaces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, lot, rolled, after string
	}{
		"nothing came":                             {"0=a:1 1=b:1", "0-1", "", "0=a 1=b"},
		"a group's first":                          {"=b:1 =a:1 =c:1", "0-2", "", "0=a 1=b 2=c"},
		"one of the lot was replaced":              {"0=a 1=b:1 =c:2", "0", "", "0=c 1=b"},
		"one outside the lot was replaced instead": {"0=a:1 1=b =c:2", "0", "", "0=c 1=a"},
		"one that runs the old image came":         {"0=a:1 1=b =c:1", "0", "", "0=a 1=c"},
		"both sorts came":                          {"0=a 1=b =c:1 =d:2", "0", "", "0=d 1=c"},
		"a rolled one came back old":               {"0=a 1=b:2 =c:1", "0-1", "0", "0=b 1=c"},
		"more came than there were":                {"0=a:1 =b:2", "0", "", "0=a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, instances := rowsOf(t, c.before)
			var set, rolled ordinals.Set
			if err := set.UnmarshalText([]byte(c.lot)); err != nil {
				t.Fatal(err)
			}
			if c.rolled != "" {
				if err := rolled.UnmarshalText([]byte(c.rolled)); err != nil {
					t.Fatal(err)
				}
			}
			for _, changed := range assign(rows, instances, rolled, lot{Ordinals: set, Image: image{Ref: "web@2"}}) {
				rows[changed.Ordinal] = changed
			}
			var after []string
			for ordinal := range len(rows) {
				after = append(after, fmt.Sprintf("%d=%s", ordinal, rows[ordinal].InstanceID))
			}
			if got := strings.Join(after, " "); got != c.after {
				t.Errorf("the ordinals are %s, want %s", got, c.after)
			}
		})
	}
}

// templates tell which AMI versions launch.
type templates map[string]string

func (v templates) TemplateVersion(_ context.Context, template cloud.LaunchTemplate) (bool, string, error) {
	ami, known := v[template.Version]
	return known, ami, nil
}

func (templates) AddTemplateVersion(context.Context, cloud.LaunchTemplate, string, string, string, string) (string, error) {
	return "", fmt.Errorf("nothing is made while a rollout is prepared")
}

func TestAGroupThatCouldNotBeBroughtBackIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		group cloud.Group
		says  string
	}{
		"a number":             {cloud.Group{Template: oldVersion}, ""},
		"no launch template":   {cloud.Group{}, "has no launch template"},
		"templates of its own": {cloud.Group{Template: oldVersion, Mixed: true, OwnTemplates: true}, "launch templates of their own"},
		"$Latest":              {cloud.Group{Template: cloud.LaunchTemplate{ID: "lt-1", Version: "$Latest"}}, "follows $Latest"},
		"$Default":             {cloud.Group{Template: cloud.LaunchTemplate{ID: "lt-1", Version: "$Default"}, Mixed: true}, "follows $Default"},
		"a version that went":  {cloud.Group{Template: cloud.LaunchTemplate{ID: "lt-1", Version: "9"}}, "which is not there"},
		"a parameter":          {cloud.Group{Template: cloud.LaunchTemplate{ID: "lt-1", Version: "3"}}, "that a parameter names"},
	} {
		r := &refresh{&rollout{}, &refreshing{}}
		r.Templates = func(jobs.Target) Templates { return templates{"1": "ami-1", "3": "resolve:ssm:/base"} }
		findings, err := r.lookTemplate(t.Context(), c.group)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.says == "" && (len(findings) > 0 || r.state.Versions["ami-1"] != "1"):
			t.Errorf("%s: refused with %v; versions %v", name, findings, r.state.Versions)
		case c.says != "" && (len(findings) != 1 || findings[0].Warning || !strings.Contains(findings[0].Message, c.says) || findings[0].Hint == "" || r.state.Template.ID != ""):
			t.Errorf("%s: %+v, want a refusal that says %q and what to do", name, findings, c.says)
		}
	}
}

func TestARefreshStopsForAPersonAndForItsWindow(t *testing.T) {
	t.Parallel()
	now := time.Now()
	closed := &Window{Days: []string{now.Add(-72 * time.Hour).UTC().Weekday().String()[:3]}, From: "02:00", To: "03:00", Zone: "UTC"}
	for name, c := range map[string]struct {
		progress progress
		window   *Window
		back     bool
		stops    bool
	}{
		"nothing":                  {progress{}, nil, false, false},
		"paused":                   {progress{Paused: true}, nil, false, true},
		"paused on its way back":   {progress{Paused: true}, nil, true, true},
		"held":                     {progress{Held: "a gate"}, nil, false, true},
		"out of its window":        {progress{}, closed, false, true},
		"back, out of its window ": {progress{}, closed, true, false},
	} {
		r := &refresh{&rollout{spec: Spec{Options: Options{Window: c.window}}, progress: c.progress}, &refreshing{}}
		if got := r.interrupted(&jobs.Turn{Job: &jobs.Job{}}, lot{Back: c.back}); got != c.stops {
			t.Errorf("%s: it stops: %t", name, got)
		}
	}
}
