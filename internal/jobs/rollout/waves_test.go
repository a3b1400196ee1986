package rollout

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// planned is a rollout of a fleet whose servers stand in three zones in turn, measured and cut into waves.
func planned(t *testing.T, options string, count int) *rollout {
	t.Helper()
	var s Spec
	if err := json.Unmarshal([]byte(options), &s); err != nil {
		t.Fatal(err)
	}
	s.Fleet = "web"
	r := &rollout{spec: s, job: &jobs.Job{Name: "web"}, progress: progress{Image: image{Ref: "web@3"}}}
	var servers []ledger.Server
	running := map[string]cloud.Instance{}
	for i := range count {
		id := fmt.Sprintf("i-%d", i)
		servers = append(servers, ledger.Server{Ordinal: i, InstanceID: id, Image: "web@2", Zone: string(rune('a' + i%3))})
		running[id] = cloud.Instance{State: "running"}
	}
	if err := r.measure(servers, running); err != nil {
		t.Fatal(err)
	}
	if err := r.cut(t.Context(), ledger.Fleet{Name: "web"}, servers); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAFleetIsCutIntoTheWavesThatItsSpecNames(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{
		`{}`:                         "1:0-2 2:3-12 3:13-24",
		`{"canary": {"count": 1}}`:   "canary:0 1:1-2 2:3-12 3:13-24",
		`{"canary": {"count": 99}}`:  "canary:0-24",
		`{"canary": {"percent": 5}}`: "canary:0-1 1:2 2:3-12 3:13-24",
		`{"waves": ["20%"]}`:         "1:0-4 2:5-24",
		`{"waves": [1, 5, "100%"]}`:  "1:0 2:1-4 3:5-24",
		`{"waves": [100]}`:           "1:0-24",
		`{"by": {"zone": true}}`:     "a:0,3,6,9,12,15,18,21,24 b:1,4,7,10,13,16,19,22 c:2,5,8,11,14,17,20,23",
		`{"by": {"zone": true}, "canary": {"count": 2}}`: "canary:0-1 a:3,6,9,12,15,18,21,24 b:4,7,10,13,16,19,22 c:2,5,8,11,14,17,20,23",
	} {
		var got []string
		for _, w := range planned(t, options, 25).progress.Waves {
			got = append(got, w.Name+":"+w.Ordinals.String())
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s gives %s, expected %s", options, text, want)
		}
	}
}

func TestOptionsThatCannotBeMetAreRefused(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		`"surge": 0`:                         "no server could ever be rolled",
		`"surge": "0%", "maxUnavailable": 0`: "no server could ever be rolled",
		`"strategy": "inPlace"`:              "maxUnavailable above 0",
		`"waves": ["50%", "10%"]`:            "more than the wave before",
		`"waves": [0]`:                       "a wave of no servers",
		`"waves": [1], "by": "zone"`:         "found both",
		`"by": "rack"`:                       "expected zone, or",
		`"by": {}`:                           "expected either zone or setting",
		`"canary": {}`:                       "expected either count or percent",
		`"gate": [{}]`:                       "exactly one of",
		`"gate": [{"health": true, "approve": true}]`:                        "exactly one of",
		`"gate": [{"health": true, "noData": "pass"}]`:                       "only an alarm",
		`"gate": [{"health": true, "within": "10ms"}]`:                       "1s to 24h",
		`"window": {"from": "22:00", "to": "22:00"}`:                         "never opens",
		`"window": {"from": "25:00", "to": "22:00"}`:                         "a time of day",
		`"window": {"from": "22:00", "to": "23:00", "zone": "Europe/Berln"}`: "no time zone",
		`"window": {"from": "22:00", "to": "23:00", "days": ["Mo"]}`:         "expected Mon",
		`"soak": "25h"`:         "at most 24h",
		`"onFailure": "ignore"`: "onFailure",
	} {
		raw := json.RawMessage(`{"fleet": "web", "image": "web@3", ` + spec + `}`)
		if err := (&Kind{}).Check(raw); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected it to say %q", spec, err, want)
		}
	}
	for _, raw := range []string{
		`{"fleet": "web", "image": "web"}`,
		`{"fleet": "web", "image": "web@3", "surge": 0, "maxUnavailable": 1, "by": "zone", "gate": [{"run": "true"}, {"alarm": "a", "noData": "pass"}, {"approve": true}]}`,
		`{"fleet": "web", "image": "web@3", "window": {"from": "22:00", "to": "04:00", "zone": "Europe/Berlin", "days": ["Mon"]}, "canary": {"percent": "2%", "soak": "10m"}}`,
	} {
		if err := (&Kind{}).Check(json.RawMessage(raw)); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if _, ok := (&Window{From: "22:00", To: "23:00", Zone: "Nowhere"}).Opens(jobs.Job{}.Created); ok {
		t.Error("a window in no zone opens")
	}
}
