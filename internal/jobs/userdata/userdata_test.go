package userdata

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/nikolalohinski/gonja/v2"
	template "github.com/nikolalohinski/gonja/v2/exec"
)

// awkward is what a careless template would break on.
var awkward = map[string]any{
	"quotes": `'single' "double" \back`, "braces": "{{ ds.meta_data }} {% raw %} {# no #}", "lines": "one\ntwo\n", "unicode": "Zürich 🚀",
	"shell": "$(reboot) `reboot` ; & | > #", "markup": "<&>", "number": 4711.0, "list": []any{1.0, "a"}, "nothing": nil,
}

func batchOf(t *testing.T, n int, all map[string]any, row func(int) map[string]any, bootstrap string) Batch {
	t.Helper()
	batch := Batch{Fleet: "web", Bootstrap: bootstrap}
	for i := range n {
		settings, err := Settings(all, row(i))
		if err != nil {
			t.Fatal(err)
		}
		name, err := Hostname("web-{ordinal:04}", "web", i)
		if err != nil {
			t.Fatal(err)
		}
		batch.Servers = append(batch.Servers, Server{Ordinal: i, Hostname: name, Settings: settings})
	}
	return batch
}

// config is what cloud-init makes of the user data on the server with that launch index.
type config struct {
	Hostname string   `yaml:"hostname"`
	Bootcmd  []string `yaml:"bootcmd"`
	Runcmd   []string `yaml:"runcmd"`
	Files    []struct {
		Path, Permissions, Encoding, Content string
	} `yaml:"write_files"`
}

func rendered(t *testing.T, data []byte, index int) config {
	t.Helper()
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	text, ok := strings.CutPrefix(string(data), "## template: jinja\n#cloud-config\n")
	if !ok {
		t.Fatalf("the user data begins with %.60q", data)
	}
	parsed, err := gonja.FromString(text)
	if err != nil {
		t.Fatal(err)
	}
	// The metadata service answers with text, and so does cloud-init's copy of it.
	text, err = parsed.ExecuteToString(template.NewContext(map[string]any{
		"ds": map[string]any{"meta_data": map[string]any{"ami_launch_index": fmt.Sprint(index)}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	var c config
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return c
}

// boot runs the boot commands with a real shell, below a folder of its own.
func boot(t *testing.T, c config, root string) {
	t.Helper()
	for _, command := range c.Bootcmd {
		command = strings.NewReplacer("/run/stampmill", root+"/run", "/var/lib/stampmill", root+"/lib").Replace(command)
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
}

func settingsOf(t *testing.T, path string) map[string]any {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var settings map[string]any
	if err := json.Unmarshal(content, &settings); err != nil {
		t.Fatalf("%v: %s", err, content)
	}
	return settings
}

func TestEachServerOfABatchTakesItsOwnNameAndSettings(t *testing.T) {
	t.Parallel()
	batch := batchOf(t, 20, awkward, func(i int) map[string]any {
		return map[string]any{"shard": fmt.Sprint("s", i), "markup": fmt.Sprint("<", i)}
	}, "echo 'hi {{ there }}'\n")
	data, fits, err := batch.Build()
	if err != nil || !fits {
		t.Fatalf("fits %t: %v", fits, err)
	}
	for _, index := range []int{0, 7, 19} {
		c := rendered(t, data, index)
		if want := fmt.Sprintf("web-%04d", index); c.Hostname != want {
			t.Errorf("server %d is named %q, expected %q", index, c.Hostname, want)
		}
		root := t.TempDir()
		boot(t, c, root)
		got := settingsOf(t, root+"/run/settings.json")
		if got["shard"] != fmt.Sprint("s", index) || got["markup"] != fmt.Sprint("<", index) {
			t.Errorf("server %d has shard %v and markup %v", index, got["shard"], got["markup"])
		}
		for name, want := range awkward {
			if name != "markup" && !reflect.DeepEqual(got[name], want) {
				t.Errorf("server %d: %s arrives as %#v, expected %#v", index, name, got[name], want)
			}
		}
		if persisted := settingsOf(t, root+"/lib/settings.json"); !reflect.DeepEqual(persisted, got) {
			t.Errorf("the copy that outlives boots differs: %v", persisted)
		}
		script, err := base64.StdEncoding.DecodeString(c.Files[0].Content)
		if err != nil || string(script) != "#!/bin/sh\necho 'hi {{ there }}'\n" || c.Files[0].Permissions != "0700" {
			t.Errorf("the bootstrap arrives as %q (%s), %v", script, c.Files[0].Permissions, err)
		}
		if want := fmt.Sprintf("STAMPMILL_FLEET='web' STAMPMILL_ORDINAL='%d' /var/lib/stampmill/bootstrap", index); len(c.Runcmd) != 1 || c.Runcmd[0] != want {
			t.Errorf("the first boot runs %q, expected %q", c.Runcmd, want)
		}
	}
}

func TestAHundredServersWithTenSettingsEachFitIntoUserData(t *testing.T) {
	t.Parallel()
	batch := batchOf(t, 100, nil, func(i int) map[string]any {
		row := map[string]any{}
		for k := range 10 {
			row[fmt.Sprintf("setting_%d", k)] = fmt.Sprintf("value %d of server %d", k, i)
		}
		return row
	}, "systemctl restart app\n")
	data, fits, err := batch.Build()
	if err != nil || !fits || len(data) > Limit {
		t.Fatalf("%d bytes, fits %t: %v", len(data), fits, err)
	}
	if again, _, _ := batch.Build(); !bytes.Equal(data, again) {
		t.Error("the same batch gives other bytes, which a client token would refuse")
	}
	if c := rendered(t, data, 99); c.Hostname != "web-0099" {
		t.Errorf("the last server is named %q", c.Hostname)
	}
}

func TestWhatDoesNotFitIsFetchedOnceByEachServer(t *testing.T) {
	t.Parallel()
	noise := func(i int) map[string]any {
		return map[string]any{"secretless": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i), byte(i * 7), byte(i * i)}, 700)), "n": float64(i)}
	}
	// Compression would make short work of a small alphabet: a script of random bytes it cannot shorten.
	random := make([]byte, 40_000)
	state := uint32(1)
	for i := range random {
		state = state*1664525 + 1013904223
		random[i] = byte(state >> 24)
	}
	batch := batchOf(t, 30, awkward, noise, "#!/bin/bash\n: "+base64.StdEncoding.EncodeToString(random)+"\n")
	if _, fits, err := batch.Build(); err != nil || fits {
		t.Fatalf("40 KB of noise fit into 16 KiB: %t, %v", fits, err)
	}
	manifest := filepath.Join(t.TempDir(), "manifest")
	if err := os.WriteFile(manifest, batch.Manifest(), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := batch.Fetching("https://bucket.example/launches/m?X-Amz-Signature=ab%2Fcd&X-Amz-Expires=604800")
	if err != nil || len(data) > Limit {
		t.Fatalf("%d bytes: %v", len(data), err)
	}
	c := rendered(t, data, 17)
	root := t.TempDir()
	// The manifest lies on this disk: curl's place is taken by a copy.
	for i, command := range c.Bootcmd {
		c.Bootcmd[i] = strings.ReplaceAll(command, "curl -sSf -o "+manifestPath+" 'https://bucket.example/launches/m?X-Amz-Signature=ab%2Fcd&X-Amz-Expires=604800'",
			"cp "+manifest+" "+manifestPath)
	}
	boot(t, c, root)
	if got := settingsOf(t, root+"/run/settings.json"); got["n"] != 17.0 || got["unicode"] != awkward["unicode"] {
		t.Errorf("the server has n %v, unicode %v", got["n"], got["unicode"])
	}
	script, err := os.ReadFile(root + "/lib/bootstrap")
	if err != nil || string(script) != batch.Bootstrap {
		t.Errorf("the bootstrap arrives with %d bytes, expected %d: %v", len(script), len(batch.Bootstrap), err)
	}
	// At the next boot the address may have ended: nothing is fetched, and /run is filled again.
	if err := os.Remove(manifest); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(root + "/run"); err != nil {
		t.Fatal(err)
	}
	boot(t, c, root)
	if got := settingsOf(t, root+"/run/settings.json"); got["n"] != 17.0 {
		t.Errorf("after a reboot the server has n %v", got["n"])
	}
}

func TestNothingToTellLeavesTheTemplatesUserData(t *testing.T) {
	t.Parallel()
	if !(Batch{Fleet: "web", Servers: make([]Server, 3)}).Empty() {
		t.Error("a batch without names, settings and script has user data")
	}
	if (Batch{Fleet: "web", Servers: []Server{{Hostname: "a"}}}).Empty() || (Batch{Bootstrap: "x"}).Empty() {
		t.Error("a batch with a name or a script has none")
	}
}

func TestWindowsServersReadTheirIndexAndUnpackTheirSettings(t *testing.T) {
	t.Parallel()
	batch := batchOf(t, 40, awkward, func(i int) map[string]any { return map[string]any{"shard": float64(i)} }, "Write-Host 'ready'\n")
	batch.Platform = "windows"
	data, fits, err := batch.Build()
	if err != nil || !fits {
		t.Fatalf("fits %t, %v", fits, err)
	}
	text := string(data)
	for _, want := range []string{"<powershell>\n", "\n</powershell>\n", "ami-launch-index", "'web-0000,web-0001,", "Rename-Computer", "bootstrap.ps1", "settings.json"} {
		if !strings.Contains(text, want) {
			t.Errorf("the user data has no %q", want)
		}
	}
	_, packed, _ := strings.Cut(text, "FromBase64String('")
	packed, _, _ = strings.Cut(packed, "'")
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(manifest, batch.Manifest()) {
		t.Errorf("the packed manifest has %d bytes, expected %d: %v", len(manifest), len(batch.Manifest()), err)
	}
}

func TestHostnamesFollowTheirPattern(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"web-{ordinal:04}":                    "web-0017",
		"{fleet}-{ordinal}":                   "shop-17",
		"n{ordinal:02}.eu.example.com":        "n17.eu.example.com",
		"web-{ordinal:4}":                     "",
		"web_{ordinal}":                       "",
		"{host}-{ordinal}":                    "",
		"-{ordinal}":                          "",
		"a..b{ordinal}":                       "",
		strings.Repeat("x", 62) + "{ordinal}": "",
	} {
		got, err := Hostname(pattern, "shop", 17)
		if got != want || (want == "") != (err != nil) {
			t.Errorf("%s gives %q, %v; expected %q", pattern, got, err, want)
		}
	}
	if err := CheckPattern("web", "shop", 10); err == nil {
		t.Error("one name for all servers was accepted")
	}
}

func TestAHostnameOfDigitsStaysAText(t *testing.T) {
	t.Parallel()
	data, _, err := Batch{Servers: []Server{{Hostname: "0042"}}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Hostname any   `yaml:"hostname"`
		Preserve *bool `yaml:"preserve_hostname"`
	}
	_, rest, found := strings.Cut(string(data), "preserve_hostname")
	if !found {
		t.Fatalf("there is no preserve_hostname in\n%s", data)
	}
	text := "preserve_hostname" + strings.ReplaceAll(rest, "{{ hostnames[index] }}", "0042")
	if err := yaml.Unmarshal([]byte(text), &c); err != nil || c.Hostname != "0042" || c.Preserve == nil || *c.Preserve {
		t.Errorf("%+v, %v", c, err)
	}
}
