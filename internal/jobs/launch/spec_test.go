package launch_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/launch"
)

func TestSpecsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	const pools = `"pools": [{"types": ["m7g.large"]}]`
	for raw, want := range map[string]string{
		`{"count": 3, ` + pools + `}`:                                                                            "image",
		`{"image": "web", ` + pools + `}`:                                                                        "count",
		`{"image": "web", "count": 10001, ` + pools + `}`:                                                        "10000",
		`{"image": "Web!", "count": 3, ` + pools + `}`:                                                           "web@41",
		`{"image": "web", "count": 3}`:                                                                           "pool",
		`{"image": "web", "count": 3, "pools": [{}]}`:                                                            "instance type",
		`{"image": "web", "count": 3, "pools": [{"types": ["t"], "market": "sport"}]}`:                           "spot",
		`{"image": "web", "count": 3, "pools": [{"types": ["t"], "weight": 70}, {"types": ["u"]}]}`:              "a weight above 0",
		`{"image": "web", "count": 3, "pools": [{"types": ["t"], "weight": 0}]}`:                                 "1",
		`{"image": "web", "count": 3, "pools": [{"types": ["t"], "weight": -3}, {"types": ["u"], "weight": 1}]}`: "1",
		`{"image": "web", "count": 3, "launchTemplate": {"version": "7"}}`:                                       "name or id",
		`{"image": "web", "count": 3, ` + pools + `, "hostname": "web"}`:                                         "{ordinal}",
		`{"image": "web", "count": 3, ` + pools + `, "hostname": "web_{ordinal}"}`:                               "host name",
		`{"image": "web", "count": 3, ` + pools + `, "tags": {"stampmill:job": "x"}}`:                            "reserved",
		`{"image": "web", "count": 3, ` + pools + `, "tags": {"AWS:x": "x"}}`:                                    "reserved",
		`{"image": "web", "count": 3, ` + pools + `, "tags": {"a b": "x"}, "server": {"metadataTags": true}}`:    "space",
		`{"image": "web", "count": 3, ` + pools + `, "healthy": {"targetGroup": true}}`:                          "attach",
		`{"image": "web", "count": 3, ` + pools + `, "healthy": {"within": "5s"}}`:                               "30s",
		`{"image": "web", "count": 3, ` + pools + `, "healthy": {"http": {"path": "/"}}}`:                        "port",
		`{"image": "web", "count": 3, ` + pools + `, "healthy": {"http": {"port": 80, "path": "/'$(x)"}}}`:       "path",
		`{"image": "web", "count": 3, ` + pools + `, "accept": "101%"}`:                                          "percentage",
		`{"image": "web", "count": 3, ` + pools + `, "bootstrp": "x"}`:                                           "bootstrap",
		`{"image": "web", "count": 3, ` + pools + `, "settings": {"each": "./servers.csv"}}`:                     "not read",
	} {
		if err := launch.New(launch.Config{}).Check(json.RawMessage(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; expected a word about %q", raw, err, want)
		}
	}
	for _, raw := range []string{
		`{"image": "web@41", "count": 1, ` + pools + `}`,
		`{"image": "ami-0123456789abcdef0", "count": 10000, "launchTemplate": {"name": "web"}}`,
		`{"image": "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", "count": 3, ` + pools + `, "hostname": "{fleet}-{ordinal:03}",
		  "settings": {"all": {"a": 1}, "each": [{"b": "x"}]}, "accept": "95%", "tags": {"CostCenter": "4711"},
		  "server": {"volumes": {"/dev/sdf": {"size": "100GiB", "type": "gp3", "encrypted": true}}}}`,
	} {
		if err := launch.New(launch.Config{}).Check(json.RawMessage(raw)); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestBatchesThatNoLaunchWroteAreRefused(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"fleet": "web", "ordinals": "0-100", "key": "launches/k", "digest": "d"}`: "at most 100",
		`{"fleet": "web", "ordinals": "x", "key": "launches/k", "digest": "d"}`:     "ordinal",
		`{"fleet": "web", "ordinals": "0", "key": "state.json", "digest": "d"}`:     "below launches/",
		`{"fleet": "web", "ordinals": "0"}`:                                         "key",
	} {
		if err := launch.NewBatch(launch.Config{}).Check(json.RawMessage(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; expected a word about %q", raw, err, want)
		}
	}
}
