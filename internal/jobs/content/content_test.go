package content_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/content"
)

func TestTheListIsReadFromWhateverAScriptWrote(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	folder := t.TempDir()
	for manager, c := range map[string]struct {
		says, asked string
		want        []content.Package
	}{
		"dpkg": {`case "$2" in -f) printf 'installed libc6 2.39-0ubuntu8 amd64\nconfig-files old 1 amd64\ninstalled bash 5.2-1 amd64\n';; *) echo bash;; esac`, "dpkg-query",
			[]content.Package{{"bash", "5.2-1", "amd64"}, {"libc6", "2.39-0ubuntu8", "amd64"}}},
		"rpm": {`case "$*" in *--qf*) printf 'openssl 1:3.2.2-1 x86_64\ngpg-pubkey 1-2 (none)\n';; *) echo bash;; esac`, "rpm", []content.Package{{"openssl", "1:3.2.2-1", "x86_64"}}},
		"apk": {`case "$1" in list) echo 'py3-yaml-6.0.1-r2 x86_64 {py3-yaml} (MIT) [installed]';; *) echo busybox;; esac`, "apk", []content.Package{{"py3-yaml", "6.0.1-r2", "x86_64"}}},
		"":    {"exit 1", "nothing", nil},
	} {
		tools := folder + "/" + manager + c.asked
		script := "mkdir -p " + tools + "\ncat >" + tools + "/" + c.asked + " <<'END'\n#!/bin/sh\n" + c.says + "\nEND\nchmod +x " + tools + "/*\n" +
			"for tool in head sed cut sort gzip base64 sh; do ln -sf \"$(command -v $tool)\" " + tools + "/$tool; done\nPATH=" + tools + "\necho before\n" + content.Script + "echo after\n"
		out, err := exec.Command(shell, "-e", "-c", script).Output()
		if err != nil {
			t.Fatalf("%s: %v", manager, err)
		}
		got, packages, found, err := content.Read(string(out))
		if err != nil || got != manager || found != (manager != "") || !slices.Equal(packages, c.want) {
			t.Errorf("%s: %q, %v, %v, %v\n%s", manager, got, packages, found, err, out)
		}
		if text := content.Without(string(out)); text != "before\nafter\n" {
			t.Errorf("%s: without the list: %q", manager, text)
		}
	}
}

func TestAListThatWasCutOffIsToldNotGuessed(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"stampmill-content: rpm\nH4sIAAAA", "stampmill-content: rpm\nstampmill-content-end\n", "stampmill-content: rpm\n!!!!\nstampmill-content-end\n"} {
		if _, packages, found, err := content.Read(output); !found || err == nil || len(packages) > 0 {
			t.Errorf("%q: %v, %v, %v", output, packages, found, err)
		}
	}
}

func TestTwoListsAreComparedByNameAndArchitecture(t *testing.T) {
	t.Parallel()
	list := func(words string) (all []content.Package) {
		for word := range strings.FieldsSeq(words) {
			parts := strings.Split(word, "/")
			all = append(all, content.Package{Name: parts[0], Version: parts[1], Architecture: parts[2]})
		}
		return all
	}
	d := content.Compare(list("bash/5.1/amd64 libc/2/amd64 libc/2/i386 gone/1/amd64 kernel/1/amd64 kernel/2/amd64"),
		list("bash/5.2/amd64 libc/3/amd64 libc/2/i386 new/1/amd64 kernel/2/amd64 kernel/3/amd64"))
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"added":[{"name":"new","version":"1","architecture":"amd64"}],"removed":[{"name":"gone","version":"1","architecture":"amd64"}],` +
		`"changed":[{"name":"bash","before":"5.1","after":"5.2"},{"name":"kernel","before":"1","after":"3"},{"name":"libc.amd64","before":"2","after":"3"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSpecsAreComparedByTheirFieldsAndScriptsByTheirChecksums(t *testing.T) {
	t.Parallel()
	changes, err := content.CompareSpecs(json.RawMessage(`{"from":{"ami":"ami-1"},"steps":[{"run":{"text":"a\nb"}},{"run":{"digest":"sha256:1"}}]}`),
		json.RawMessage(`{"from":{"ami":"ami-1"},"steps":[{"run":{"text":"a\nc"}},{"run":{"digest":"sha256:2"}}],"keep":{"versions":5}}`))
	if err != nil || len(changes) != 3 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if c := changes[0]; c.Name != "keep.versions" || c.Before != "" || c.After != "5" {
		t.Errorf("a field that came: %+v", c)
	}
	if c := changes[1]; c.Name != "steps[0].run.text" || !strings.HasPrefix(c.Before, "sha256:") || !strings.HasSuffix(c.After, "(2 lines)") {
		t.Errorf("a script: %+v", c)
	}
}

func TestAnArchitectureThatComesOrGoesIsThatAlone(t *testing.T) {
	t.Parallel()
	libc := func(version, architecture string) content.Package {
		return content.Package{Name: "libc6", Version: version, Architecture: architecture}
	}
	for name, tc := range map[string]struct {
		before, after  []content.Package
		added, removed []content.Package
		changed        []content.Change
	}{
		"one more":          {before: []content.Package{libc("1", "amd64")}, after: []content.Package{libc("1", "amd64"), libc("1", "i386")}, added: []content.Package{libc("1", "i386")}},
		"one less":          {before: []content.Package{libc("1", "amd64"), libc("1", "i386")}, after: []content.Package{libc("1", "amd64")}, removed: []content.Package{libc("1", "i386")}},
		"one newer":         {before: []content.Package{libc("1", "amd64")}, after: []content.Package{libc("2", "amd64"), libc("2", "i386")}, added: []content.Package{libc("2", "i386")}, changed: []content.Change{{Name: "libc6.amd64", Before: "1", After: "2"}}},
		"another":           {before: []content.Package{libc("1", "all")}, after: []content.Package{libc("1", "amd64")}, added: []content.Package{libc("1", "amd64")}, removed: []content.Package{libc("1", "all")}},
		"newer, of another": {before: []content.Package{libc("1", "all")}, after: []content.Package{libc("2", "amd64")}, changed: []content.Change{{Name: "libc6", Before: "1", After: "2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := content.Compare(tc.before, tc.after)
			if !slices.Equal(d.Added, tc.added) || !slices.Equal(d.Removed, tc.removed) || !slices.Equal(d.Changed, tc.changed) {
				t.Errorf("the difference is %+v", d)
			}
		})
	}
}
