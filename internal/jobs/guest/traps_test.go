package guest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
)

// SSM's own umask is 022: what scripts write must be readable by the services that it is for.
func TestWhatScriptsWriteIsReadableByOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	copied, err := Copy{To: s.path("opt/app") + "/", Name: "index.html", Content: []byte("hello")}.Script(Shell)
	if err != nil {
		t.Fatal(err)
	}
	for token, text := range map[string]string{"run": "mkdir -p www && echo hello >www/index.html", "copy": copied} {
		if o := s.run(wrap(t, Script{Token: token, Text: text})); !o.OK() {
			t.Fatalf("%s: %+v", token, o)
		}
	}
	for name, mode := range map[string]os.FileMode{"www": 0o755, "www/index.html": 0o644, "opt/app": 0o755, "opt/app/index.html": 0o644, "run/run": 0o700} {
		info, err := os.Stat(s.path(name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v, expected %v", name, info, err, mode)
		}
	}
	data, err := Provision{Parts: []Part{{Name: "step-1", Text: "mkdir " + s.path("srv")}}}.UserData(Shell)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("/run/stampmill/provision", s.path("provision"), "shutdown -h now", ":").Replace(string(data))
	if o := s.run(text); !o.OK() {
		t.Fatalf("%+v", o)
	}
	if info, err := os.Stat(s.path("srv")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v %v", info, err)
	}
}

// SSM replaces {{ssm:name}} in what it is sent, wherever it stands.
func TestNothingThatSSMWouldReplaceIsSent(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	value := "{{ssm:/prod/db}} {{{{ it's }} {"
	command := wrap(t, Script{Token: "one", Text: `printf %s "$FORMAT"`, Env: map[string]string{"FORMAT": value}})
	if strings.Contains(command, "{{") {
		t.Errorf("SSM would replace something in:\n%s", command)
	}
	if o := s.run(command); o.Stdout != value {
		t.Errorf("%+v", o)
	}
}

// A presigned address ends after an hour; a script may take longer before it asks for its reboot.
func TestAScriptThatGoesOnAfterAnHourIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.write("object", "echo ran >>runs\nif [ $(wc -l <runs) -lt 2 ]; then exit 194; fi\n")
	command := wrap(t, Script{Token: "one", Fetch: "file://" + s.path("object"), Digest: digest(s.read("object"))})
	if o := s.run(command); o.Exit != 194 {
		t.Fatalf("%+v", o)
	}
	if err := os.Remove(s.path("object")); err != nil {
		t.Fatal(err)
	}
	s.boot("boot-2")
	if o := s.run(command); !o.OK() || s.read("runs") != "ran\nran\n" {
		t.Errorf("%+v", o)
	}
}

func TestACopyDoesNotLandInAFolderOfItsName(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.write("opt/app/other", "")
	text, err := Copy{To: s.path("opt/app"), Name: "app", Content: []byte("hello")}.Script(Shell)
	if err != nil {
		t.Fatal(err)
	}
	if o := s.run(wrap(t, Script{Token: "one", Text: text})); o.OK() || !strings.Contains(o.Stderr, "slash") {
		t.Errorf("%+v", o)
	}
}

func digest(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }
