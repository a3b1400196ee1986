package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
)

// image puts an image with one version into the world.
func (w *world) image(name, from, parent, ami string, number int, age time.Duration) {
	w.images[name] = ledger.Image{Name: name, Current: number, Next: number + 1, Labels: map[string]string{"team": "edge"}}
	w.versions[fmt.Sprintf("%s@%d", name, number)] = ledger.Version{Image: name, Number: number, State: ledger.Available, Parent: parent, SourceAMI: ami,
		Spec: json.RawMessage(`{"from":` + from + `}`), Committed: time.Now().Add(-age), Regions: map[string]ledger.RegionalCopy{"eu-west-1": {AMI: "ami-" + name}}}
}

const (
	newestDebian = `{"newest":{"owner":"amazon","name":"debian-13-*"}}`
	restampEdge  = `"do":{"restamp":{"images":{"select":{"labels":{"team":"edge"}}}}}`
)

func TestOnlyImagesWithAnOccasionAreRestamped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		about, when string
		want        string // the images in the spec; empty: no job
	}{
		{"a newer base", `"newerBase":true`, `["base","other"]`},
		{"a newer parent", `"newerParent":true`, `["web"]`},
		{"an age", `"olderThan":"30d"`, `["old"]`},
		{"any of them, and what is baked from those", `"newerBase":true,"newerParent":true,"olderThan":"30d"`, `["base","old","other","same","web"]`},
		{"no age at all", `"olderThan":"90d"`, ``},
	} {
		t.Run(c.about, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.newest = "ami-2"
				w.image("base", newestDebian, "ami-1", "ami-1", 3, time.Hour)
				w.image("other", newestDebian, "ami-1", "ami-1", 1, time.Hour)
				w.image("fresh", newestDebian, "ami-2", "ami-2", 1, time.Hour)
				w.image("fixed", `{"ami":"ami-0"}`, "ami-0", "ami-0", 1, time.Hour)
				w.image("web", `{"image":"base"}`, "base@2", "ami-base2", 7, time.Hour)
				w.image("same", `{"image":"base"}`, "base@3", "ami-base", 7, time.Hour)
				w.image("old", `{"image":"base"}`, "base@3", "ami-base", 7, 31*24*time.Hour)
				w.apply(t, "patch", `{"when":{`+c.when+`},`+restampEdge+`}`)
				time.Sleep(time.Minute)
				if err := (&worker{world: w}).evaluator("a").Round(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := ""
				for _, m := range w.sent {
					var s struct {
						Images struct {
							Select struct {
								Names json.RawMessage `json:"names"`
							} `json:"select"`
						} `json:"images"`
					}
					if err := json.Unmarshal(m.Spec, &s); err != nil || m.Kind != "Restamp" || m.Name != "patch" {
						t.Fatalf("submitted %s %s %s: %v", m.Kind, m.Name, m.Spec, err)
					}
					got += string(s.Images.Select.Names)
				}
				if got != c.want {
					t.Errorf("restamps %s, want %s; note %q", got, c.want, w.policy("patch").Note)
				}
				if n := w.calls["NewestImage"]; n > 1 {
					t.Errorf("the source that three images have in common was asked for %d times", n)
				}
			})
		})
	}
}

func TestACauseIsActedOnOnceADayUntilItIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.newest = "ami-2"
		w.image("base", newestDebian, "ami-1", "ami-1", 3, time.Hour)
		w.apply(t, "patch", `{"when":{"newerBase":true},"do":{"bake":{"from":{"parameter":"/base"}},"name":"base"}}`)
		e := (&worker{world: w}).evaluator("a")
		looks := func(d time.Duration) int {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Minute) {
				if err := e.Round(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.ended()
			}
			return len(w.jobs())
		}
		if n := looks(23 * time.Hour); n != 1 {
			t.Errorf("%d jobs for one cause", n)
		}
		if n := looks(3 * time.Hour); n != 2 {
			t.Errorf("%d jobs after a day in which the bake failed, want one more", n)
		}
		w.newest = "ami-3"
		if n := looks(time.Hour); n != 3 {
			t.Errorf("%d jobs after another base came, want one more", n)
		}
		w.image("base", newestDebian, "ami-3", "ami-3", 4, 0)
		if n := looks(72 * time.Hour); n != 3 {
			t.Errorf("%d jobs after the image was renewed, want none more", n)
		}
		if n := w.calls["Parameter"]; n > 4*100+5 {
			t.Errorf("the parameter was read %d times in 99 hours, want one each quarter of an hour", n)
		}
	})
}

func TestASourceThatCannotBeResolvedKeepsNoOtherImageBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.image("base", newestDebian, "ami-1", "ami-1", 3, 48*time.Hour)
		w.image("web", `{"image":"base"}`, "base@2", "ami-base2", 7, time.Hour)
		w.apply(t, "patch", `{"when":{"newerBase":true,"newerParent":true},`+restampEdge+`}`)
		if err := (&worker{world: w}).evaluator("a").Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(w.sent) != 1 || w.policy("patch").Note == "" {
			t.Errorf("submitted %v; note %q", w.causes(), w.policy("patch").Note)
		}
	})
}

func TestAFirstVersionIsBaked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.newest = "ami-2"
		p := w.apply(t, "patch", `{"when":{"newerBase":true},"do":{"bake":{"from":`+newestDebian+`},"name":"base","region":"us-east-1","labels":{"a":"b"}}}`)
		p.Target, p.Priority = jobs.Target{Region: "eu-west-1", Role: "arn:aws:iam::111122223333:role/r"}, jobs.Low
		w.policies["patch"] = p
		if err := (&worker{world: w}).evaluator("a").Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(w.sent) != 1 {
			t.Fatalf("submitted %v", w.causes())
		}
		m := w.sent[0]
		if m.Kind != "Bake" || m.Name != "base" || m.Region != "us-east-1" || m.Role != p.Target.Role || m.Labels["a"] != "b" || m.Priority != jobs.Low {
			t.Errorf("submitted %+v", m)
		}
		if raw, err := m.Encode(); err != nil {
			t.Error(err)
		} else if _, err := jobs.ParseMessage(raw); err != nil {
			t.Errorf("the submission is not one that a worker takes: %v", err)
		}
	})
}

func TestTheHomeOfAVersionIsWhereItWasNotCopiedTo(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.newest = "ami-2"
	w.image("base", newestDebian, "ami-1", "ami-1", 3, time.Hour)
	v := w.versions["base@3"]
	v.Spec = json.RawMessage(`{"from":` + newestDebian + `,"copyTo":{"eu-west-1":{},"ap-south-1":{}}}`)
	v.Regions = map[string]ledger.RegionalCopy{"eu-west-1": {AMI: "ami-a"}, "us-east-1": {AMI: "ami-b"}, "ap-south-1": {AMI: "ami-c"}}
	w.versions["base@3"] = v
	var asked []jobs.Target
	e := (&worker{world: w}).evaluator("a")
	inner := e.EC2
	e.EC2 = func(t jobs.Target) EC2 { asked = append(asked, t); return inner(t) }
	p := w.apply(t, "patch", `{"when":{"newerBase":true},`+restampEdge+`}`)
	if _, err := e.causes(t.Context(), &p, time.Now()); err != nil || !slices.Equal(asked, []jobs.Target{{Region: "us-east-1"}}) {
		t.Errorf("asked %v, %v", asked, err)
	}
}

// A selection by parent and age is evaluated as the restamp will: what it leaves out is no occasion.
func TestAPolicyRestampsJustWhatItsSelectionChooses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ selects, want string }{
		{`{"all":true}`, `["base","deep","old","other","web"]`},
		{`{"parent":"base"}`, `["deep","old","web"]`},
		{`{"parent":"web"}`, `["deep"]`},
		{`{"parent":"base","olderThan":"60d"}`, `["old"]`},
		{`{"olderThan":"60d"}`, `["old"]`},
		{`{"any":[{"parent":"web"},{"olderThan":"60d"}]}`, `["deep","old"]["deep","old"]`},
		{`{"parent":"fresh"}`, ``},
		{`{"olderThan":"365d"}`, ``},
	} {
		t.Run(c.selects, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const day = 24 * time.Hour
				w := newWorld()
				w.image("base", newestDebian, "ami-1", "ami-1", 3, 40*day)
				w.image("other", newestDebian, "ami-1", "ami-1", 1, 40*day)
				w.image("fresh", newestDebian, "ami-1", "ami-1", 1, day)
				w.image("web", `{"image":"base"}`, "base@3", "ami-base", 7, 40*day)
				w.image("deep", `{"image":"web"}`, "web@7", "ami-web", 2, 40*day)
				w.image("old", `{"image":"base"}`, "base@2", "ami-base2", 7, 90*day)
				w.apply(t, "patch", `{"when":{"olderThan":"30d"},"do":{"restamp":{"images":{"select":`+c.selects+`}}}}`)
				time.Sleep(time.Minute)
				if err := (&worker{world: w}).evaluator("a").Round(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := ""
				for _, m := range w.sent {
					got += namesIn(t, m.Spec)
				}
				if got != c.want {
					t.Errorf("restamps %s, want %s; note %q", got, c.want, w.policy("patch").Note)
				}
				if again, err := restamp.Chosen(onlySpec(w), slices.Collect(maps.Values(w.images)), w.current(), time.Now()); c.want != "" && (err != nil || len(again) == 0) {
					t.Errorf("the restamp that was submitted chooses %v (%v)", again, err)
				}
			})
		})
	}
}

// namesIn are the names of a restamp's selections.
func namesIn(t *testing.T, raw json.RawMessage) (text string) {
	t.Helper()
	type one struct {
		Names json.RawMessage `json:"names"`
	}
	var s struct {
		Images struct {
			Select struct {
				one
				Any []one `json:"any"`
			} `json:"select"`
		} `json:"images"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	text = string(s.Images.Select.Names)
	for _, selection := range s.Images.Select.Any {
		text += string(selection.Names)
	}
	return text
}

func onlySpec(w *world) json.RawMessage {
	if len(w.sent) == 0 {
		return json.RawMessage(`{}`)
	}
	return w.sent[0].Spec
}

func (w *world) current() map[string]ledger.Version {
	current := map[string]ledger.Version{}
	for _, image := range w.images {
		current[image.Name] = w.versions[fmt.Sprintf("%s@%d", image.Name, image.Current)]
	}
	return current
}
