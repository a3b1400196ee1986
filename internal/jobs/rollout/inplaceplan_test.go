package rollout

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

func TestAServerWhoseRootCannotBeReplacedIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	image := cloud.Image{ID: "ami-1", Architecture: "arm64"}
	plain := cloud.Instance{State: "running", Type: "m7g.large", Architecture: "arm64", RootDevice: "/dev/xvda", Volumes: map[string]string{"/dev/xvda": "vol-1"}}
	for want, change := range map[string]func(*cloud.Instance){
		"":                                 func(*cloud.Instance) {},
		"is stopped, expected running":     func(i *cloud.Instance) { i.State = "stopped" },
		"m7g.metal is bare metal":          func(i *cloud.Instance) { i.Type = "m7g.metal" },
		"m7i.metal-24xl is bare metal":     func(i *cloud.Instance) { i.Type = "m7i.metal-24xl" },
		"its root is no EBS volume":        func(i *cloud.Instance) { i.Volumes = map[string]string{"/dev/sdf": "vol-2"} },
		"it is x86_64, and the image arm":  func(i *cloud.Instance) { i.Architecture = "x86_64" },
		"it runs windows, and the image i": func(i *cloud.Instance) { i.Platform = "windows" },
	} {
		i := plain
		change(&i)
		if got := whyNot(i, image); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
	}
	mac := plain
	mac.Type = "mac2.metal"
	if got := whyNot(mac, image); got != "" {
		t.Errorf("a Mac is refused: %s", got)
	}
}

func TestServersThatNeedNoNewRootAreNotRefused(t *testing.T) {
	t.Parallel()
	servers := []ledger.Server{{Ordinal: 0, InstanceID: "i-runs-it", Image: "web@2"}, {Ordinal: 1, InstanceID: "i-gone", Image: "web@1"}, {Ordinal: 2, InstanceID: "i-unseen", Image: "web@1"},
		{Ordinal: 3, InstanceID: "i-stopped", Image: "web@1"}, {Ordinal: 5, InstanceID: "i-stopped-too", Image: "web@1"}}
	instances := map[string]cloud.Instance{"i-runs-it": {State: "stopped"}, "i-gone": {State: "terminated"}, "i-stopped": {State: "stopped"}, "i-stopped-too": {State: "stopped"}}
	findings := refuseServers(servers, instances, image{Ref: "web@2"}, cloud.Image{})
	if len(findings) != 1 || !strings.Contains(findings[0].Message, "ordinals 3,5 cannot") || findings[0].Warning {
		t.Errorf("found %v, want the two that are stopped, together", findings)
	}
}

func TestARootIsAskedForByWhatTheServerIsToRun(t *testing.T) {
	t.Parallel()
	kept := &ledger.KeptRoot{Volume: "vol-old", Image: "web@1", AMI: "ami-1"}
	for name, c := range map[string]struct {
		back, returns, plain bool
		kept                 *ledger.KeptRoot
		want                 cloud.RootRequest
		refused              bool
	}{
		"forward":                                  {kept: kept, want: cloud.RootRequest{ImageID: "ami-2"}},
		"back, by its former root":                 {back: true, kept: kept, want: cloud.RootRequest{VolumeID: "vol-old", DeleteOld: true}},
		"back, since it failed":                    {returns: true, kept: kept, want: cloud.RootRequest{VolumeID: "vol-old", DeleteOld: true}},
		"back, and its root cannot be used":        {back: true, plain: true, kept: kept, want: cloud.RootRequest{ImageID: "ami-1", DeleteOld: true}},
		"back, and nobody kept its root":           {back: true, want: cloud.RootRequest{ImageID: "ami-2", DeleteOld: true}},
		"it failed, and nobody knows what it had":  {returns: true, refused: true},
		"it failed, and its root cannot be used":   {returns: true, plain: true, kept: kept, want: cloud.RootRequest{ImageID: "ami-1", DeleteOld: true}},
		"another failed: it is still to go onward": {kept: kept, want: cloud.RootRequest{ImageID: "ami-2"}},
	} {
		chunk := &rootChunk{Image: image{Ref: "web@2", AMI: "ami-2"}, Back: c.back}
		one := ordinals.Of(7)
		if c.returns {
			chunk.Returns = one
		}
		if c.plain {
			chunk.Plain = one
		}
		r := &inPlace{root: &rooting{Chunk: chunk, Chunks: 3}}
		got, ok := r.request(&jobs.Turn{Job: &jobs.Job{ID: "rollout-web", Incarnation: "one", Run: 1}}, ledger.Server{Ordinal: 7, InstanceID: "i-7", Kept: c.kept})
		if ok == c.refused || ok && (got.ImageID != c.want.ImageID || got.VolumeID != c.want.VolumeID || got.DeleteOld != c.want.DeleteOld || got.InstanceID != "i-7") {
			t.Errorf("%s: asked for %+v, %t; want %+v", name, got, ok, c.want)
		}
	}
}

// Another request under a token that is spent would get the first one's task.
func TestRequestsForOneServerHaveTokensOfTheirOwn(t *testing.T) {
	t.Parallel()
	turn := &jobs.Turn{Job: &jobs.Job{ID: "rollout-web", Incarnation: "one", Run: 1}}
	server := ledger.Server{Ordinal: 7, InstanceID: "i-7", Kept: &ledger.KeptRoot{Volume: "vol-old", AMI: "ami-1"}}
	tokens := map[string]string{}
	for name, r := range map[string]*rooting{
		"forward":           {Chunks: 1, Chunk: &rootChunk{}},
		"back by its root":  {Chunks: 1, Chunk: &rootChunk{Returns: ordinals.Of(7)}},
		"back by its image": {Chunks: 1, Chunk: &rootChunk{Returns: ordinals.Of(7), Plain: ordinals.Of(7)}},
		"the next chunk":    {Chunks: 2, Chunk: &rootChunk{}},
	} {
		request, _ := (&inPlace{root: r}).request(turn, server)
		if other := tokens[request.Token]; other != "" || len(request.Token) > 64 {
			t.Errorf("%s has the token %s, as has %s", name, request.Token, other)
		}
		tokens[request.Token] = name
	}
}

func TestOnlyAnswersThatWouldBeTheSameAgainAreRefusals(t *testing.T) {
	t.Parallel()
	for class, want := range map[jobs.Class]bool{jobs.Fatal: true, jobs.NotFound: true, jobs.Mismatch: true, jobs.Retry: false, jobs.Busy: false, jobs.Propagating: false} {
		if got := refused(&jobs.Error{Class: class}); got != want {
			t.Errorf("%v is a refusal: %t, want %t", class, got, want)
		}
	}
	if refused(nil) || refused(errors.New("no answer")) && jobs.IsAmbiguous(errors.New("no answer")) {
		t.Error("an answer that was lost is a refusal")
	}
}

func TestWavesBySettingHaveTheServersOfOneValueAndFirstThoseWithout(t *testing.T) {
	t.Parallel()
	rows := `{"image": "web", "count": 5, "pools": [{"types": ["m7g.large"]}], "settings": {"each": [{"ordinal": 0, "rack": "b"}, {"ordinal": 1, "rack": "a"}, {"ordinal": 2, "rack": 7}, {"ordinal": 3, "rack": "a"}, {"ordinal": 4}]}}`
	var servers []ledger.Server
	for i := range 5 {
		servers = append(servers, ledger.Server{Ordinal: i})
	}
	cut := func(setting string) (string, error) {
		r := &rollout{spec: Spec{Fleet: "web", Options: Options{By: &By{Setting: setting}}}}
		err := r.cut(t.Context(), ledger.Fleet{Name: "web", Spec: json.RawMessage(rows)}, servers)
		var texts []string
		for _, w := range r.progress.Waves {
			texts = append(texts, w.Name+":"+w.Ordinals.String())
		}
		return strings.Join(texts, " "), err
	}
	if got, err := cut("rack"); err != nil || got != "none:4 7:2 a:1,3 b:0" {
		t.Errorf("by rack: %s, %v", got, err)
	}
	if got, err := cut("row"); err == nil || !strings.Contains(err.Error(), `none of its servers has a setting "row"`) {
		t.Errorf("by a setting that nobody has: %s, %v", got, err)
	}
}
