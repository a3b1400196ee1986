package userdata_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/userdata"
	"github.com/stampmill/stampmill/internal/localaws/machine"
)

// network serves one body to every request that leaves a server, as the bucket does.
type network struct{ body []byte }

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(n.body)),
		ContentLength: int64(len(n.body)), Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// server boots one of the endpoint's servers with that user data and launch index.
func server(data []byte, index int, content http.RoundTripper) machine.Machine {
	m := machine.NewHost(machine.AgentWithoutProfile()).New(machine.Config{
		Identity: machine.Identity{InstanceID: fmt.Sprintf("i-%017x", index), ImageID: "ami-1", InstanceType: "m7g.large", Account: "111122223333",
			Region: "eu-west-1", Zone: "eu-west-1a", PrivateIP: "10.0.0.7", Architecture: "arm64", Platform: "linux", Distribution: "amazon", LaunchIndex: index},
		Disks: map[string]machine.Disk{"/dev/xvda": machine.BaseDisk("amazon", "arm64", "")}, RootDevice: "/dev/xvda",
		UserData: func() []byte { return data }, Tags: func() map[string]string { return nil },
		Metadata: true, TokenRequired: true, Speed: 1, Network: content, PoweredOff: func() {},
	})
	m.PowerOn()
	time.Sleep(2 * time.Minute) // virtual: it boots
	return m
}

func read(t *testing.T, m machine.Machine, path string) []byte {
	t.Helper()
	content, err := m.Disks()["/dev/xvda"].Read(path)
	if err != nil {
		t.Fatalf("%v; the console says:\n%s", err, m.Console())
	}
	return content
}

func TestTheEndpointsServersKnowTheirNamesAndSettings(t *testing.T) {
	t.Parallel()
	tricky := map[string]any{"quotes": `'a' "b" \c`, "braces": "{{ 7 * 7 }} {% if %}", "lines": "one\ntwo", "unicode": "Zürich 🚀", "shell": "$(date) `x`"}
	batch := userdata.Batch{Fleet: "web", Bootstrap: "echo \"$STAMPMILL_FLEET $STAMPMILL_ORDINAL $(hostname)\" >> /var/lib/boots\n"}
	for i := range 60 {
		settings, err := userdata.Settings(tricky, map[string]any{"shard": fmt.Sprint("s", i)})
		if err != nil {
			t.Fatal(err)
		}
		batch.Servers = append(batch.Servers, userdata.Server{Ordinal: 100 + i, Hostname: fmt.Sprintf("web-%04d", 100+i), Settings: settings})
	}
	inline, fits, err := batch.Build()
	if err != nil || !fits {
		t.Fatalf("fits %t: %v", fits, err)
	}
	fetching, err := batch.Fetching("https://bucket.s3.eu-west-1.amazonaws.com/launches/m.manifest?X-Amz-Signature=abc&X-Amz-Expires=604800")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"inline": inline, "fetching": fetching} {
		for _, index := range []int{0, 42, 59} {
			t.Run(fmt.Sprint(name, index), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					m := server(data, index, network{batch.Manifest()})
					defer m.PowerOff(true)
					for range 2 {
						hostname := strings.TrimSpace(string(read(t, m, "/etc/hostname")))
						if want := fmt.Sprintf("web-%04d", 100+index); hostname != want {
							t.Errorf("the server is named %q, expected %q", hostname, want)
						}
						var got map[string]any
						if err := json.Unmarshal(read(t, m, userdata.PersistedPath), &got); err != nil {
							t.Fatal(err)
						}
						want := map[string]any{"shard": fmt.Sprint("s", index)}
						maps.Copy(want, tricky)
						if !reflect.DeepEqual(got, want) {
							t.Errorf("the settings are %v, expected %v", got, want)
						}
						if boots := string(read(t, m, "/var/lib/boots")); boots != fmt.Sprintf("web %d %s\n", 100+index, hostname) {
							t.Errorf("the bootstrap wrote %q", boots)
						}
						run := make(chan machine.Result, 1)
						m.Run(machine.Command{ID: fmt.Sprint(index), Shell: "sh", Script: "cmp " + userdata.SettingsPath + " " + userdata.PersistedPath, Timeout: time.Minute},
							func(r machine.Result) { run <- r })
						if r := <-run; r.ExitCode != 0 {
							t.Errorf("%s differs from the copy that outlives boots: %+v", userdata.SettingsPath, r)
						}
						m.Reboot()
						time.Sleep(2 * time.Minute) // virtual
					}
				})
			})
		}
	}
}
