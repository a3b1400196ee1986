package userdata

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/localaws/machine/cloudinit"
)

// endless are words of a template that may take for ever, as on a real server: nothing to find out about.
var endless = regexp.MustCompile(`for|\*|~|range|macro|recursive|lipsum|cycler|indent|center|ljust|rjust|wordwrap|%`)

// Whatever a spec gives its servers, each of them reads its own name, settings and script; and whatever stands in user data,
// taking it apart ends in parts or in words.
func FuzzUserData(f *testing.F) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(bytes.Repeat([]byte("#!/bin/sh\n"), 100_000)); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	for _, raw := range []string{
		"#!/bin/sh\nls\n", "#cloud-config\nruncmd: [[a, b], c, 1]\nwrite_files: [{path: /a, encoding: gz+b64, content: H4sI}]\n", "## template: jinja\n#cloud-config\nhostname: {{ ds.meta_data.x }}\n",
		"Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\n\nIyEvYmluL3NoCg==\n--b--\n",
		"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\n--c--\n--b--\n", "From x", "#cloud-boothook\n", zipped.String(), "\x1f\x8b",
		"#cloud-config\na: &a [*a]\n", "#cloud-config\n" + strings.Repeat("[", 2000), "#cloud-config\nruncmd:\n" + strings.Repeat("- ", 500), "## template: jinja\n#!/bin/sh\n{{ 'a' | format(1) }}{% if %}",
	} {
		f.Add("web-{ordinal:04}", "echo hello\n", "quotes '\" {{ 7 }} {% if %} $(date) \u202e", []byte(raw), byte(3))
	}
	f.Add("{fleet}-{ordinal}.example.com", "", "", []byte{}, byte(0))
	f.Add("{ordinal:00}{}", "#!/usr/bin/env python3\n\x00", "\xff\xfe", []byte{0}, byte(255))
	f.Fuzz(func(t *testing.T, pattern, bootstrap, setting string, raw []byte, index byte) {
		checkServer(t, pattern, bootstrap, setting, int(index)%5)
		if bytes.Contains(raw, []byte("template")) && endless.Match(raw) {
			return
		}
		size := 0
		for _, part := range cloudinit.Parts(raw, cloudinit.NewData(map[string]string{"ami-launch-index": "1"}, nil)) {
			size += len(part.Content)
			if part.Err == nil && part.Kind == cloudinit.Config {
				checkConfig(part.Content)
			}
		}
		if size > 32<<20 {
			t.Fatalf("%d bytes of user data become %d", len(raw), size)
		}
	})
}

// checkConfig uses all that a machine uses of a cloud-config.
func checkConfig(text string) {
	config, err := cloudinit.ParseConfig(text)
	if err != nil {
		return
	}
	for _, file := range config.WriteFiles {
		_, _ = file.Decoded() // an error is one of the file's
	}
	_, _ = cloudinit.Shell(config.RunCommands) // an error is one of the commands'
}

func checkServer(t *testing.T, pattern, bootstrap, setting string, index int) {
	t.Helper()
	batch := Batch{Fleet: "web", Bootstrap: bootstrap}
	settings, err := Settings(map[string]any{"all": setting}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		name, err := Hostname(pattern, "web", i)
		if err != nil {
			return
		}
		batch.Servers = append(batch.Servers, Server{Ordinal: i, Hostname: name, Settings: settings})
	}
	data, fits, err := batch.Build()
	if err != nil {
		t.Fatal(err)
	}
	if !fits {
		return
	}
	parts := cloudinit.Parts(data, cloudinit.NewData(map[string]string{"ami-launch-index": strconv.Itoa(index)}, nil))
	if len(parts) != 1 || parts[0].Err != nil {
		t.Fatalf("the user data is read as %+v", parts)
	}
	config, err := cloudinit.ParseConfig(parts[0].Content)
	if err != nil {
		t.Fatalf("%v:\n%s", err, parts[0].Content)
	}
	if config.Hostname != batch.Servers[index].Hostname {
		t.Fatalf("server %d is named %q, want %q", index, config.Hostname, batch.Servers[index].Hostname)
	}
	if told := base64.StdEncoding.EncodeToString(settings); !strings.Contains(fmt.Sprint(config.BootCommands...), told) {
		t.Fatalf("server %d is not told %s", index, settings)
	}
	if !json.Valid(settings) {
		t.Fatalf("the settings are %q", settings)
	}
	if bootstrap == "" {
		return
	}
	script, err := config.WriteFiles[0].Decoded()
	if err != nil || string(script) != batch.script() {
		t.Fatalf("server %d gets the script %q, want %q: %v", index, script, batch.script(), err)
	}
}
