package guest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

func TestAScriptRunsOnceUnderItsToken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	command := wrap(t, Script{Token: "one", Text: "echo ran >>runs\necho out; echo err >&2; exit 3"})
	for range 3 {
		if o := s.run(command); o.Exit != 3 || o.Stdout != "out\n" || o.Stderr != "err\n" {
			t.Errorf("%+v", o)
		}
	}
	if got := s.read("runs"); got != "ran\n" {
		t.Errorf("it ran %q", got)
	}
	s.run(wrap(t, Script{Token: "two", Text: "echo again >>runs"}))
	if got := s.read("runs"); got != "ran\nagain\n" {
		t.Errorf("another token gives %q", got)
	}
}

func TestTwoCommandsAtOnceRunTheScriptOnceAndTellTheSame(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	command := wrap(t, Script{Token: "one", Text: "echo ran >>runs\nwhile [ ! -e go ]; do sleep 0.05; done\necho out"})
	first, second := s.command(command), s.command(command)
	var out1, out2 bytes.Buffer
	first.Stdout, second.Stdout = &out1, &out2
	if err := errors.Join(first.Start(), second.Start()); err != nil {
		t.Fatal(err)
	}
	s.write("go", "")
	if err := errors.Join(first.Wait(), second.Wait()); err != nil {
		t.Fatal(err)
	}
	if out1.String() != "out\n" || out2.String() != "out\n" || s.read("runs") != "ran\n" {
		t.Errorf("%q and %q after runs %q", &out1, &out2, s.read("runs"))
	}
}

func TestARunThatTheServerWentDownUnderHasDied(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	command := wrap(t, Script{Token: "one", Text: "echo ran >>runs; kill -9 $(cat run/one/by-boot-1/pid) $$"})
	s.run(command)
	s.boot("boot-2")
	for range 2 {
		if o := s.run(command); !o.Died || o.OK() {
			t.Errorf("%+v", o)
		}
	}
	if got := s.read("runs"); got != "ran\n" {
		t.Errorf("it ran %q", got)
	}
}

func TestARunThatWasKilledIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	command := wrap(t, Script{Token: "one", Text: "kill -9 $(cat run/one/by-boot-1/pid) $$"})
	s.run(command)
	if o := s.run(command); !o.Died {
		t.Errorf("%+v", o)
	}
}

func TestALockWhoseHolderNeverBeganDoesNotKeepTheNextBootFromRunning(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.write("run/one/by-boot-0/pid", "1")
	if o := s.run(wrap(t, Script{Token: "one", Text: "echo out"})); o.Stdout != "out\n" {
		t.Errorf("%+v", o)
	}
}

func TestAScriptThatRebootsGoesOnAfterIt(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	command := wrap(t, Script{Token: "one", Text: "if [ -e half ]; then echo second; exit 0; fi\n: >half; echo first; exit 194"})
	for range 2 { // until it has rebooted, a double asks for the same
		if o := s.run(command); o.Exit != 194 {
			t.Fatalf("%+v", o)
		}
	}
	s.boot("boot-2")
	for range 2 {
		if o := s.run(command); !o.OK() || o.Stdout != "first\nsecond\n" {
			t.Errorf("%+v", o)
		}
	}
}

func TestAScriptThatRebootsForEverFails(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	command := wrap(t, Script{Token: "one", Text: "exit 194"})
	var o Outcome
	for i := range 20 {
		s.boot("boot-" + string(rune('a'+i)))
		if o = s.run(command); o.Exit != 194 {
			break
		}
	}
	if o.Exit != 1 || !strings.Contains(o.Stderr, "more than ten reboots") {
		t.Errorf("%+v", o)
	}
}

func TestARebootHappensOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	command, err := Reboot(Shell, "one")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if o := s.run(command); o.Exit != 194 {
			t.Errorf("before the reboot: %+v", o)
		}
	}
	for _, boot := range []string{"boot-2", "boot-2", "boot-3"} {
		s.boot(boot)
		if o := s.run(command); !o.OK() {
			t.Errorf("in %s: %+v", boot, o)
		}
	}
}

func TestAnyTextArrivesUnchanged(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	value := "it's \"$HOME\" `id` {{ssm:x}} \\ ü\nSTAMPMILL-END\nline"
	o := s.run(wrap(t, Script{Token: "one", Text: "printf %s \"$VALUE\"\nprintf '|%s' '{{x}}'", Env: map[string]string{"VALUE": value}}))
	if o.Stdout != value+"|{{x}}" {
		t.Errorf("%q", o.Stdout)
	}
	long := strings.Repeat(": some long line that compresses well\n", 5000)
	if o := s.run(wrap(t, Script{Token: "two", Text: long + "echo end"})); o.Stdout != "end\n" {
		t.Errorf("a long script: %+v", o)
	}
}

func TestAScriptFailsAtItsFirstFailingLineUnlessItNamesItsInterpreter(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if o := s.run(wrap(t, Script{Token: "one", Text: "false\necho on"})); o.Exit != 1 || o.Stdout != "" {
		t.Errorf("%+v", o)
	}
	if o := s.run(wrap(t, Script{Token: "two", Text: "#!/usr/bin/env bash\nfalse\necho ${BASH_VERSION:+bash}"})); o.Stdout != "bash\n" {
		t.Errorf("%+v", o)
	}
}

func TestATimeLimitEndsTheScript(t *testing.T) {
	t.Parallel()
	o := newServer(t).run(wrap(t, Script{Token: "one", Text: "echo begun; sleep 60", Timeout: time.Second}))
	if !o.TimedOut || o.Stdout != "begun\n" {
		t.Errorf("%+v", o)
	}
}

func TestSecretsAreReadOnTheServerForTheScriptOnly(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.write("bin/aws", "#!/bin/sh\necho \"secret of $*\"\n")
	if err := os.Chmod(s.path("bin/aws"), 0o755); err != nil {
		t.Fatal(err)
	}
	command := wrap(t, Script{Token: "one", Text: `printf '%s\n' "$A" "$B"`, Region: "eu-west-1",
		Secrets: map[string]string{"A": "/build/token", "B": "prod/db"}})
	o := s.run("PATH=" + s.path("bin") + ":$PATH\n" + command)
	want := "secret of ssm get-parameter --region eu-west-1 --with-decryption --query Parameter.Value --output text --name /build/token\n" +
		"secret of secretsmanager get-secret-value --region eu-west-1 --query SecretString --output text --secret-id prod/db\n"
	if o.Stdout != want {
		t.Errorf("%+v", o)
	}
}

func TestASecretThatCannotBeReadSaysWhich(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.write("bin/aws", "#!/bin/sh\nexit 255\n")
	if err := os.Chmod(s.path("bin/aws"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := s.run("PATH=" + s.path("bin") + ":$PATH\n" +
		wrap(t, Script{Token: "one", Text: "echo ran", Secrets: map[string]string{"A": "/build/token"}}))
	if o.Exit != ExitSecrets || o.Stdout != "" || !strings.Contains(o.String(), "/build/token") {
		t.Errorf("%+v: %s", o, o)
	}
}

func TestTheEndOfLongOutputIsToldThoughSSMCutsIt(t *testing.T) {
	t.Parallel()
	o := newServer(t).run(wrap(t, Script{Token: "one", Text: "i=0; while [ $i -lt 3000 ]; do echo line $i of it; i=$((i+1)); done; exit 5"}))
	o.Stdout, o.Stderr = o.Stdout[:min(len(o.Stdout), 24000)], o.Stderr[:min(len(o.Stderr), 8000)]
	if !strings.Contains(o.Tail(), "line 2999 of it") || o.Exit != 5 {
		t.Errorf("exit %d, tail %q", o.Exit, o.Tail())
	}
}

func TestWhatSSMSaysIsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		i    cloud.Invocation
		want Outcome
		ok   bool
	}{
		{cloud.Invocation{Status: "Success"}, Outcome{}, true},
		{cloud.Invocation{Status: "Failed", ExitCode: 4}, Outcome{Exit: 4}, false},
		{cloud.Invocation{Status: "Failed", StatusDetails: "Undeliverable", ExitCode: -1}, Outcome{Exit: -1, Undelivered: true}, false},
		{cloud.Invocation{Status: "TimedOut", StatusDetails: "Delivery Timed Out"}, Outcome{Exit: -1, Undelivered: true}, false},
		{cloud.Invocation{Status: "TimedOut", StatusDetails: "Execution Timed Out", ExitCode: -1}, Outcome{Exit: -1, TimedOut: true}, false},
		{cloud.Invocation{Status: "Cancelled"}, Outcome{Exit: -1, Died: true}, false},
		{cloud.Invocation{Status: "Failed", ExitCode: 198}, Outcome{Exit: 198}, false},
		{cloud.Invocation{Status: "Failed"}, Outcome{Exit: -1}, false},
		{cloud.Invocation{Status: "Failed", ExitCode: -1}, Outcome{Exit: -1, Died: true}, false},
	} {
		if got := Read(c.i); got != c.want || got.OK() != c.ok {
			t.Errorf("%+v is read as %+v, want %+v", c.i, got, c.want)
		}
	}
}

func TestACopyLandsWhereItShould(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for token, c := range map[string]Copy{
		"file":   {To: s.path("etc/app.conf"), Content: []byte("x=1\n"), Mode: "0600"},
		"inside": {To: s.path("etc") + "/", Name: "other.conf", Content: []byte("y=2\n")},
		"binary": {To: s.path("data"), Content: []byte{0, 1, 2, 255}},
	} {
		text, err := c.Script(Shell)
		if err != nil {
			t.Fatal(err)
		}
		if o := s.run(wrap(t, Script{Token: token, Text: text})); !o.OK() {
			t.Errorf("%s: %+v", token, o)
		}
	}
	if s.read("etc/app.conf") != "x=1\n" || s.read("etc/other.conf") != "y=2\n" || s.read("data") != "\x00\x01\x02\xff" {
		t.Errorf("%q %q %q", s.read("etc/app.conf"), s.read("etc/other.conf"), s.read("data"))
	}
	if info, err := os.Stat(s.path("etc/app.conf")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func TestAFolderIsUnpacked(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.write("source/a/b.txt", "deep")
	archive, err := exec.Command("tar", "-C", s.path("source"), "-cf", "-", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := Copy{To: s.path("opt/app"), Folder: true, Content: archive}.Script(Shell)
	if err != nil {
		t.Fatal(err)
	}
	if o := s.run(wrap(t, Script{Token: "one", Text: text})); !o.OK() || s.read("opt/app/a/b.txt") != "deep" {
		t.Errorf("%+v", o)
	}
}

func TestEveryScriptIsOneThatAShellCanRead(t *testing.T) {
	t.Parallel()
	copied, err := Copy{To: "/x", Fetch: "https://b/k?x=1&y='", Digest: "sha256:00"}.Script(Shell)
	if err != nil {
		t.Fatal(err)
	}
	reboot, err := Reboot(Shell, "x")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"generalize": Generalize(Shell), "agent": InstallAgent(), "copy": copied, "reboot": reboot,
		"probe": Probe{Port: 80, Contains: "it's"}.Script(Shell),
		"wrapped": wrap(t, Script{Token: "x", Fetch: "https://b/k?x=1&y='", Digest: "sha256:00", Timeout: time.Minute,
			Env: map[string]string{"A": "1"}, Secrets: map[string]string{"B": "/b"}}),
	} {
		cmd := exec.Command("/bin/sh", "-n")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

func TestWhatNoServerCouldRunIsRefused(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Script{
		"no text": {Token: "x"},
		"token":   {Token: "../x", Text: "true"},
		"name":    {Token: "x", Text: "true", Env: map[string]string{"A B": "1"}},
		"zero":    {Token: "x", Text: "true", Env: map[string]string{"A": "\x00"}},
	} {
		for _, shell := range []string{Shell, PowerShell} {
			if _, err := Wrap(shell, s); err == nil {
				t.Errorf("%s in %s: no error", name, shell)
			}
		}
	}
}

func TestPowerShellStringsHoldAnything(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain": "'plain'", "it's": "'it''s'", "a\u2019b": "'a\u2019\u2019b'", "{{x}}": "('{'+'{x}}')", "{{{": "('{'+'{'+'{')",
	} {
		if got := QuotePowerShell(text); got != want {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}
