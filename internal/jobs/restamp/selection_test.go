package restamp

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

var noon = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

// sceneOf has base, mid on base and leaf on mid, a month old and a day apart, and old on an AMI, a year old.
func sceneOf(parents map[string]string) *scene {
	s := &scene{now: noon, images: map[string]ledger.Image{}, versions: map[string]ledger.Version{}}
	for name, parent := range parents {
		s.images[name] = ledger.Image{Name: name, Current: 1, Next: 2, Labels: map[string]string{"name": name}}
		s.versions[name] = ledger.Version{Image: name, Number: 1, State: ledger.Available, Parent: parent, SourceAMI: "ami-00000001", Home: "eu-west-1",
			Spec: json.RawMessage(`{"from":{"image":"base"}}`), Committed: noon.AddDate(0, 0, -30-len(name))}
		s.fleets = append(s.fleets, ledger.Fleet{Name: "on-" + name, Image: name + "@1", Count: 3})
	}
	slices.SortFunc(s.fleets, func(a, b ledger.Fleet) int { return strings.Compare(a.Name, b.Name) })
	return s
}

var family = map[string]string{"base": "ami-00000001", "mid": "base@1", "leaf": "mid@1", "other": "ami-00000002"}

func TestASelectionChoosesWhatAllOfItFits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of   ImageSelection
		want string
	}{
		"by name":               {ImageSelection{ImageSelect: ImageSelect{Names: []string{"mid"}}}, "mid"},
		"all":                   {ImageSelection{ImageSelect: ImageSelect{All: true}}, "base other mid leaf"},
		"below a parent":        {ImageSelection{ImageSelect: ImageSelect{Parent: "base"}}, "mid leaf"},
		"below an AMI":          {ImageSelection{ImageSelect: ImageSelect{Parent: "ami-00000001"}}, "base other mid leaf"},
		"by age":                {ImageSelection{ImageSelect: ImageSelect{OlderThan: spec.Duration(34*24*time.Hour + 1)}}, "other"},
		"by label":              {ImageSelection{ImageSelect: ImageSelect{Labels: map[string]string{"name": "leaf"}}}, "leaf"},
		"two conditions":        {ImageSelection{ImageSelect: ImageSelect{Names: []string{"mid", "other"}, Parent: "base"}}, "mid"},
		"any of two selections": {ImageSelection{Any: []ImageSelect{{Names: []string{"base"}}, {Parent: "mid"}}}, "base leaf"},
	} {
		s := sceneOf(family)
		w := s.work(Spec{Images: &Images{Select: c.of}})
		if got := strings.Join(w.imageNames(), " "); got != c.want || len(problems(s.findings)) > 0 {
			t.Errorf("%s: %q, want %q; %v", name, got, c.want, s.findings)
		}
	}
}

func TestFleetsGoToTheNewVersionOfTheirImageOrToItsCurrentOne(t *testing.T) {
	t.Parallel()
	s := sceneOf(family)
	line := s.images["other"]
	line.Current = 2
	s.images["other"] = line
	s.fleets = append(s.fleets, ledger.Fleet{Name: "strange", Image: "ami-00000009", Count: 1}, ledger.Fleet{Name: "empty", Image: "base@1"})
	w := s.work(Spec{Images: &Images{Select: ImageSelection{ImageSelect: ImageSelect{Names: []string{"mid"}}}}, Fleets: &Fleets{
		Select: FleetSelection{FleetSelect: FleetSelect{All: true}}, Exclude: []string{"on-leaf", "on-base"}}})
	if got := w.fleetsOf("mid"); len(got) != 1 || got[0].Name != "on-mid" || got[0].To != "" {
		t.Errorf("with mid: %+v", got)
	}
	if got := w.fleetsOf(""); len(got) != 1 || got[0].Name != "on-other" || got[0].To != "other@2" {
		t.Errorf("at once: %+v", got)
	}
	if len(w.Left) != 2 {
		t.Errorf("left out: %+v", w.Left)
	}
}

func TestWhatCannotGoIsSaidAtItsFieldAndNothingIsTouched(t *testing.T) {
	t.Parallel()
	circle := map[string]string{"a": "b@1", "b": "c@1", "c": "a@1"}
	for name, c := range map[string]struct {
		parents map[string]string
		of      Spec
		text    string
		field   []any
		warning bool
	}{
		"a circle of parents": {circle, Spec{Images: &Images{Select: ImageSelection{ImageSelect: ImageSelect{All: true}}}},
			"a is baked from b is baked from c is baked from a", []any{"images"}, false},
		"an unknown image": {family, Spec{Images: &Images{Select: ImageSelection{ImageSelect: ImageSelect{Names: []string{"mid", "bas"}}}}},
			"there is no image bas", []any{"images", "select", "names", 1}, false},
		"an unknown fleet that is excluded": {family, Spec{Fleets: &Fleets{Select: FleetSelection{FleetSelect: FleetSelect{All: true}}, Exclude: []string{"on-mdi"}}},
			"there is no fleet on-mdi (did you mean on-mid?)", []any{"fleets", "exclude", 0}, false},
		"a label that nothing has": {family, Spec{Images: &Images{Select: ImageSelection{ImageSelect: ImageSelect{Labels: map[string]string{"team": "x"}}}}},
			"no image is chosen by label team=x", []any{"images", "select"}, true},
		"a parent in between that stays": {family, Spec{Images: &Images{Select: ImageSelection{ImageSelect: ImageSelect{Names: []string{"base", "leaf"}}}}},
			"leaf is baked from mid, which is not renewed though base is", []any{"images"}, true},
	} {
		s := sceneOf(c.parents)
		s.work(c.of)
		at := slices.IndexFunc(s.findings, func(f jobs.Finding) bool { return strings.Contains(f.String(), c.text) })
		if at < 0 || s.findings[at].Warning != c.warning || !slices.Equal(s.findings[at].Field, c.field) {
			t.Errorf("%s: %+v", name, s.findings)
		}
	}
}

func TestTheFirstFailureAndWhatItStoppedAreTold(t *testing.T) {
	t.Parallel()
	s := sceneOf(family)
	w := s.work(Spec{Images: &Images{Select: ImageSelection{ImageSelect: ImageSelect{All: true}}}, Fleets: &Fleets{Select: FleetSelection{FleetSelect: FleetSelect{All: true}}}})
	begun := ledger.Outcome{Begun: noon, Waited: noon.Add(-time.Minute), Ended: noon.Add(time.Hour), Budgets: map[string]float64{"own/x/RunInstances": 9, "own/x/CreateImage": 30}}
	done, failed, rolled := begun, begun, begun
	done.Image, done.State, done.To = "base", jobs.Succeeded, "base@2"
	failed.Image, failed.State, failed.Failure = "mid", jobs.Failed, "exit 1"
	rolled.Fleet, rolled.State, rolled.To = "on-base", jobs.Succeeded, "base@2"
	r := reportOf(w, []ledger.Outcome{done, failed, rolled}, map[string][]rollout.ServerState{"on-base": {{Ordinal: 0, Image: "base@1"}, {Ordinal: 1, Image: "base@2"}}},
		map[string][]rollout.ServerState{"on-base": {{Ordinal: 0, Image: "base@2"}, {Ordinal: 1, Image: "base@2"}}}, nil)
	want := Totals{ImagesRenewed: 1, ImagesFailed: 1, ImagesStopped: 2, FleetsRolled: 1, FleetsStopped: 3, ServersRolled: 1, First: "mid: exit 1"}
	if r.Totals != want {
		t.Errorf("totals %+v, want %+v", r.Totals, want)
	}
	if r.Images[0].Bound != "own/x/CreateImage" || r.Images[0].Seconds != 3600 || r.Images[0].InLine != 60 {
		t.Errorf("base took %+v", r.Images[0].Spent)
	}
	for _, f := range r.Fleets {
		if f.Fleet == "on-mid" && f.Why != "it was not begun: mid was not renewed" {
			t.Errorf("on-mid was left because %q", f.Why)
		}
	}
}
