package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

const day = 24 * time.Hour

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

// daily are versions of which each is a day older than the next, the newest a day old; current is the newest.
func daily(states ...l.VersionState) (all []l.Version) {
	for i, state := range states {
		all = append(all, l.Version{Image: "web", Number: i + 1, State: state, Committed: now.Add(-time.Duration(len(states)-i) * day),
			Regions: map[string]l.RegionalCopy{"eu-west-1": {AMI: fmt.Sprint("ami-", i+1)}}})
	}
	return all
}

func numbers(versions []l.Version) (all []int) {
	for _, v := range versions {
		all = append(all, v.Number)
	}
	return all
}

func TestWhatIsBeyondWhatIsKeptIsPickedOldestFirst(t *testing.T) {
	t.Parallel()
	const ok, gone, recalled, leaving, draft = l.Available, l.Retired, l.Recalled, l.Retiring, l.Candidate
	five := []l.VersionState{ok, ok, ok, ok, ok}
	for name, tc := range map[string]struct {
		states   []l.VersionState
		current  int // the newest, unless this says otherwise
		own      int
		keep     Keep
		imported []int
		want     []int
	}{
		"the newest three stay":                 {states: five, keep: Keep{Versions: 3}, want: []int{1, 2}},
		"as many as there are":                  {states: five, keep: Keep{Versions: 5}},
		"one":                                   {states: five, keep: Keep{Versions: 1}, want: []int{1, 2, 3, 4}},
		"younger than three days and a half":    {states: five, keep: Keep{Age: 84 * time.Hour}, want: []int{1, 2}},
		"exactly as old as that is not younger": {states: five, keep: Keep{Age: 3 * day}, want: []int{1, 2, 3}},
		"either rule keeps":                     {states: five, keep: Keep{Versions: 4, Age: 36 * time.Hour}, want: []int{1}},
		"either rule keeps, by age":             {states: five, keep: Keep{Versions: 1, Age: 84 * time.Hour}, want: []int{1, 2}},
		"an older one is current":               {states: five, current: 1, keep: Keep{Versions: 2}, want: []int{2, 3}},
		"the bake's own":                        {states: five, current: 5, own: 2, keep: Keep{Versions: 1}, want: []int{1, 3, 4}},
		"what is gone does not count":           {states: []l.VersionState{ok, ok, gone, gone, ok}, keep: Keep{Versions: 2}, want: []int{1}},
		"drafts neither count nor go":           {states: []l.VersionState{ok, draft, ok}, keep: Keep{Versions: 2}},
		"what is on its way out goes on":        {states: []l.VersionState{leaving, ok, ok}, keep: Keep{Versions: 9}, want: []int{1}},
		"a recalled one stays by number":        {states: []l.VersionState{recalled, ok, ok}, keep: Keep{Versions: 1}, want: []int{2}},
		"a recalled one goes by age":            {states: []l.VersionState{recalled, ok, ok}, keep: Keep{Versions: 2, Age: day}, want: []int{1}},
		"a young recalled one stays":            {states: []l.VersionState{recalled, ok, ok}, keep: Keep{Versions: 2, Age: 9 * day}},
		"imported ones are nobody's to remove":  {states: five, imported: []int{1, 3}, keep: Keep{Versions: 1}, want: []int{2, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := daily(tc.states...)
			for _, number := range tc.imported {
				all[number-1].Imported = "import"
			}
			current := tc.current
			if current == 0 {
				current = len(all)
			}
			if got := numbers(Beyond(all, current, tc.own, tc.keep, now)); !slices.Equal(got, tc.want) {
				t.Errorf("%v go, want %v", got, tc.want)
			}
		})
	}
}

func TestOneJobRemovesTheOldestAndNotAllAtOnce(t *testing.T) {
	t.Parallel()
	states := make([]l.VersionState, 100)
	for i := range states {
		states[i] = l.Available
	}
	got := numbers(Beyond(daily(states...), 100, 0, Keep{Versions: 1}, now))
	if len(got) != AtOnce || got[0] != 1 || got[AtOnce-1] != AtOnce {
		t.Errorf("%v go, want the oldest %d", got, AtOnce)
	}
}

// shelf is the catalog and EC2: versions, fleets, and who uses an AMI by ROLE REGION AMI.
type shelf struct {
	Catalog
	versions []l.Version
	fleets   []l.Fleet
	servers  map[string][]l.Server
	seconds  map[string][]l.Server
	users    map[string][]string
	usage    []c.Usage
	refused  error
	open     map[string][]string // by REGION AMI, whom a person opened it to
	asked    []string
}

func (s *shelf) GetImage(context.Context, string) (l.Image, bool, error) {
	return l.Image{Name: "web", Current: len(s.versions)}, true, nil
}

func (s *shelf) Versions(context.Context, string) ([]l.Version, error)   { return s.versions, nil }
func (s *shelf) ListFleets(context.Context) ([]l.Fleet, error)           { return s.fleets, nil }
func (s *shelf) Servers(_ context.Context, f string) ([]l.Server, error) { return s.servers[f], nil }
func (s *shelf) Seconds(_ context.Context, f string) ([]l.Server, error) { return s.seconds[f], nil }
func (s *shelf) line(keep Keep) Line {
	return Line{Image: "web", Catalog: s, Keep: keep, EC2: func(role, region string) EC2 { return view{shelf: s, at: role + " " + region} }}
}

type view struct {
	EC2
	*shelf
	at string
}

func (v view) ImageUsers(_ context.Context, ids ...string) (map[string][]string, error) {
	found := map[string][]string{}
	for _, id := range ids {
		found[id] = v.users[v.at+" "+id]
	}
	return found, nil
}

func (v view) AskUsage(_ context.Context, id, _ string, _ map[string]string) (string, error) {
	v.asked = append(v.asked, v.at+" "+id)
	return "report-" + v.at, v.refused
}

func (v view) ImageShares(_ context.Context, id string) (c.Share, error) {
	return c.ShareWith(v.open[v.at+" "+id]), nil
}

// Usage is of the west: nobody uses what is elsewhere.
func (v view) Usage(context.Context, string) ([]c.Usage, bool, bool, error) {
	if v.at != " us-west-2" {
		return nil, true, true, nil
	}
	return v.usage, true, true, nil
}

func (s *shelf) ChangeVersion(_ context.Context, _ jobs.Guard, _ string, number int, change func(*l.Version) error) (l.Version, error) {
	v := s.versions[number-1]
	err := change(&v)
	if err == nil {
		s.versions[number-1] = v
	}
	return v, err
}

func TestWhatAnythingUsesAnywhereStays(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::333333333333:role/stampmill"
	for name, tc := range map[string]struct {
		set  func(*shelf)
		want string // empty: nothing uses it
	}{
		"nothing":            {set: func(*shelf) {}},
		"what a fleet runs":  {set: func(s *shelf) { s.fleets = []l.Fleet{{Name: "shop", Image: "web@1"}} }, want: "the fleet shop"},
		"what it ran before": {set: func(s *shelf) { s.fleets = []l.Fleet{{Name: "shop", Image: "web@2", Previous: "web@1"}} }, want: "the fleet shop"},
		"a server that stayed": {set: func(s *shelf) {
			s.fleets, s.servers = []l.Fleet{{Name: "shop"}}, map[string][]l.Server{"shop": {{AMI: "ami-1"}}}
		}, want: "the fleet shop"},
		"a copy's server": {set: func(s *shelf) {
			s.fleets, s.servers = []l.Fleet{{Name: "shop"}}, map[string][]l.Server{"shop": {{AMI: "ami-1w"}}}
		}, want: "the fleet shop"},
		"a rollout's successor": {set: func(s *shelf) {
			s.fleets, s.seconds = []l.Fleet{{Name: "shop"}}, map[string][]l.Server{"shop": {{Image: "web@1"}}}
		}, want: "the fleet shop"},
		"EC2 at home":           {set: func(s *shelf) { s.users = map[string][]string{" eu-west-1 ami-1": {"lt-1"}} }, want: "lt-1 uses it"},
		"EC2 in another region": {set: func(s *shelf) { s.users = map[string][]string{" us-west-2 ami-1w": {"i-1"}} }, want: "i-1 uses it"},
		"EC2 of a leaving copy": {set: func(s *shelf) { s.users = map[string][]string{" us-east-1 ami-1e": {"i-2"}} }, want: "i-2 uses it"},
		"another account's EC2": {set: func(s *shelf) { s.users = map[string][]string{role + " us-west-2 ami-1o": {"i-3"}} }, want: "i-3 uses it"},
		"its current version":   {set: func(s *shelf) { s.users = map[string][]string{" eu-west-1 ami-2": {"i-4"}} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{versions: daily(l.Available, l.Available)}
			v := &s.versions[0]
			v.Put("us-west-2", "", l.RegionalCopy{AMI: "ami-1w"})
			v.Put("333333333333/us-west-2", role, l.RegionalCopy{AMI: "ami-1o"})
			v.Leaving = []l.LeavingCopy{{Region: "us-east-1", RegionalCopy: l.RegionalCopy{AMI: "ami-1e"}}}
			tc.set(s)
			program := &program{Config: Config{Catalog: s}, job: &jobs.Job{Name: "web"}, spec: Spec{Versions: 1}}
			program.EC2 = func(at jobs.Target) EC2 { return view{shelf: s, at: at.Role + " " + at.Region} }
			plan, err := program.Plan(t.Context(), jobs.Foreseen{})
			if err != nil {
				t.Fatal(err)
			}
			out := plan.Details.(Outcome)
			if tc.want == "" {
				if !slices.Equal(out.Retired, []int{1}) || len(out.Stay) > 0 {
					t.Errorf("the plan is %+v, want that web@1 goes", out)
				}
				return
			}
			if len(out.Retired) > 0 || len(out.Stay) != 1 || !strings.Contains(out.Stay[0].Because, tc.want) {
				t.Errorf("the plan is %+v, want web@1 to stay because of %q", out, tc.want)
			}
		})
	}
}

// A version that is open to others stays until EC2's reports of all its regions say that nobody uses it; where nobody may
// ask, it stays, and a warning says so.
func TestWhatOtherAccountsUseIsAskedInEveryRegion(t *testing.T) {
	t.Parallel()
	forbidden := &jobs.Error{Class: jobs.Fatal, Message: "UnauthorizedOperation"}
	for name, tc := range map[string]struct {
		usage   []c.Usage
		refused error
		want    string
		warned  int
	}{
		"nobody":          {},
		"somebody":        {usage: []c.Usage{{Account: "222222222222", Kind: "ec2:Instance", Count: 3}}, want: "the account 222222222222 has 3 of ec2:Instance in us-west-2"},
		"nobody any more": {usage: []c.Usage{{Account: "222222222222", Kind: "ec2:Instance"}}},
		"no right to ask": {refused: forbidden, want: "is not known", warned: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{versions: daily(l.Available, l.Available), usage: tc.usage, refused: tc.refused}
			v := &s.versions[0]
			v.Put("us-west-2", "", l.RegionalCopy{AMI: "ami-1w"})
			v.Put("333333333333/us-west-2", "arn:aws:iam::333333333333:role/x", l.RegionalCopy{AMI: "ami-1o"})
			v.Spec = json.RawMessage(`{"share": {"accounts": ["222222222222"]}}`)
			turn := &jobs.Turn{Job: &jobs.Job{ID: "job", Incarnation: "inc"}, Installation: "test"}
			by, err := s.line(Keep{}).shared(t.Context(), turn, v)
			if want := []string{" eu-west-1 ami-1", " us-west-2 ami-1w"}; err != nil || !slices.Equal(s.asked, want) {
				t.Fatalf("asked %v, want %v; %v", s.asked, want, err)
			}
			if tc.refused == nil {
				if by == "" {
					t.Error("it goes before the reports are there")
				}
				by, err = s.line(Keep{}).shared(t.Context(), turn, &s.versions[0])
			}
			if err != nil || (by == "") != (tc.want == "") || !strings.Contains(by, tc.want) || len(turn.Job.Warnings) != tc.warned {
				t.Errorf("it stays because of %q, want %q; %v, warnings %q", by, tc.want, err, turn.Job.Warnings)
			}
		})
	}
}

// What a person opened by hand is asked like what a spec opened, and the plan tells of it.
func TestWhatAPersonOpenedIsAskedToo(t *testing.T) {
	t.Parallel()
	s := &shelf{versions: daily(l.Available, l.Available), open: map[string][]string{" us-west-2 ami-1w": {"444444444444"}}}
	v := &s.versions[0]
	v.Put("us-west-2", "", l.RegionalCopy{AMI: "ami-1w"})
	p := &program{Config: Config{Catalog: s}, job: &jobs.Job{Name: "web"}, spec: Spec{Versions: 1}}
	p.EC2 = func(at jobs.Target) EC2 { return view{shelf: s, at: at.Role + " " + at.Region} }
	plan, err := p.Plan(t.Context(), jobs.Foreseen{})
	told := slices.ContainsFunc(plan.Lines, func(line jobs.PlanLine) bool { return strings.Contains(line.Text, "444444444444") })
	if err != nil || !told || len(s.asked) > 0 {
		t.Errorf("the plan is %+v, %v; asked %v", plan.Lines, err, s.asked)
	}
	turn := &jobs.Turn{Job: &jobs.Job{ID: "job", Incarnation: "inc"}, Installation: "test"}
	by, err := p.line().shared(t.Context(), turn, v)
	if err != nil || by == "" || !slices.Equal(s.asked, []string{" us-west-2 ami-1w"}) {
		t.Errorf("it stays because of %q, %v; asked %v", by, err, s.asked)
	}
}
