package spec_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// loadToy loads x.yaml beside the files and decodes its spec as a worker would.
func loadToy(t *testing.T, files map[string]string, vars map[string]string) (spec.Document, toy) {
	t.Helper()
	folder := write(t, files)
	documents, err := spec.Load([]string{filepath.Join(folder, "x.yaml")}, vars, toys())
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := spec.Decode[toy](documents[0].Spec)
	if err != nil {
		t.Fatalf("what the loader gives does not decode: %v\n%s", err, documents[0].Spec)
	}
	return documents[0], decoded
}

func TestScriptsAreReadRelativeToTheSpecAndTravelInside(t *testing.T) {
	t.Parallel()
	_, got := loadToy(t, map[string]string{
		"x.yaml":         head + "  steps:\n    - run: ./in.sh\n    - run: scripts/b.sh\n    - run: /opt/smoke.sh\n    - run: {path: in.sh}\n    - run: |\n        echo $os\n        ls\n    - run: none.sh\n",
		"in.sh":          "echo ${var.kept}\n",
		"scripts/b.sh":   "echo b\n",
		"scripts/out.sh": "",
	}, nil)
	var texts []string
	for _, s := range got.Steps {
		texts = append(texts, s.Run.Path+"|"+s.Run.Text)
	}
	want := []string{"./in.sh|echo ${var.kept}\n", "scripts/b.sh|echo b\n", "|/opt/smoke.sh", "in.sh|echo ${var.kept}\n", "|echo $os\nls\n", "|none.sh"}
	if !reflect.DeepEqual(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
}

func TestALargeScriptIsUploadedOnceByItsContent(t *testing.T) {
	t.Parallel()
	large := "echo large\n" + strings.Repeat("# filler\n", spec.MaxInline/8)
	document, got := loadToy(t, map[string]string{
		"x.yaml": head + "  steps:\n    - run: ./a.sh\n    - run: ./b.sh\n",
		"a.sh":   large, "b.sh": large,
	}, nil)
	if len(document.Uploads) != 1 || string(document.Uploads[0].Content) != large {
		t.Fatalf("got %d uploads, want the one content", len(document.Uploads))
	}
	for _, s := range got.Steps {
		if s.Run.Text != "" || s.Run.Key != document.Uploads[0].Key || !s.Run.Matches([]byte(large)) {
			t.Errorf("got %+v, want the upload %s", s.Run, document.Uploads[0].Key)
		}
	}
}

func TestAFolderIsPackedTheSameWheneverItIsRead(t *testing.T) {
	t.Parallel()
	folder := write(t, map[string]string{"x.yaml": head + "  steps:\n    - copy: nginx/\n", "nginx/b.conf": "b", "nginx/a/run.sh": "echo\n"})
	if err := os.Chmod(filepath.Join(folder, "nginx/a/run.sh"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a/run.sh", filepath.Join(folder, "nginx/start")); err != nil {
		t.Fatal(err)
	}
	load := func() spec.File {
		documents, err := spec.Load([]string{filepath.Join(folder, "x.yaml")}, nil, toys())
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := spec.Read[toy](documents[0].Spec)
		if err != nil {
			t.Fatal(err)
		}
		return *decoded.Steps[0].Copy
	}
	before := load()
	if err := os.Chtimes(filepath.Join(folder, "nginx/b.conf"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if after := load(); after.Digest != before.Digest {
		t.Errorf("the digest changed from %s to %s with the files' times", before.Digest, after.Digest)
	}
	want := []string{"a/ 755 ", "a/run.sh 750 ", "b.conf 644 ", "start 777 a/run.sh"}
	if got := tarNames(t, before.Content); !before.Folder || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func tarNames(t *testing.T, content []byte) []string {
	t.Helper()
	var got []string
	reader := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, header.Name+" "+strconv.FormatInt(header.Mode, 8)+" "+header.Linkname)
	}
}

func TestALinkThatLeavesItsFolderIsRefused(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/etc/passwd", "../../secret", "a/../../secret"} {
		folder := write(t, map[string]string{"x.yaml": head + "  steps:\n    - copy: nginx/\n", "nginx/a/b": "b"})
		if err := os.Symlink(target, filepath.Join(folder, "nginx/link")); err != nil {
			t.Fatal(err)
		}
		_, err := spec.Load([]string{filepath.Join(folder, "x.yaml")}, nil, toys())
		got := problemsOf(t, err, folder)
		if len(got) != 1 || !strings.Contains(got[0], "x.yaml:6:13: spec.steps[0].copy: cannot read nginx: link: the link to "+target+" leaves the folder") {
			t.Errorf("%s: got %q", target, got)
		}
	}
}

func TestAFileKeepsItsModeAndMayBeEmpty(t *testing.T) {
	t.Parallel()
	_, got := loadToy(t, map[string]string{"x.yaml": head + "  steps:\n    - copy: a.conf\n    - copy: {path: empty, mode: '0600'}\n", "a.conf": "a", "empty": ""}, nil)
	a, empty := got.Steps[0].Copy, got.Steps[1].Copy
	if string(a.Content) != "a" || a.Mode != "0644" || a.Folder || !a.Matches(a.Content) {
		t.Errorf("a.conf is %+v", a)
	}
	if len(empty.Content) != 0 || empty.Mode != "0600" || !empty.Matches(nil) {
		t.Errorf("empty is %+v", empty)
	}
}

func TestSettingsAreReadFromEachFormat(t *testing.T) {
	t.Parallel()
	for file, content := range map[string]string{
		"s.csv":  "ordinal, name\n3,a\n5,\"b, c\"\n",
		"s.json": `[{"ordinal": 3, "name": "a"}, {"ordinal": 5, "name": "b, c"}]`,
		"s.yaml": "- {ordinal: 3, name: a}\n- ordinal: 5\n  name: b, c\n",
	} {
		_, got := loadToy(t, map[string]string{"x.yaml": head + "  rows: " + file + "\n", file: content}, nil)
		rows, err := spec.ByOrdinal(got.Rows.Rows, 0)
		if err != nil || len(rows) != 2 || rows[3]["name"] != "a" || rows[5]["name"] != "b, c" {
			t.Errorf("%s: got %v, %v", file, rows, err)
		}
	}
}

func TestManySettingsAreUploaded(t *testing.T) {
	t.Parallel()
	content := "name\n" + strings.Repeat("a rather long name of a server\n", 1000)
	document, got := loadToy(t, map[string]string{"x.yaml": head + "  rows: s.csv\n", "s.csv": content}, nil)
	if len(document.Uploads) != 1 || got.Rows.Key != document.Uploads[0].Key || len(got.Rows.Rows) != 0 {
		t.Fatalf("got %d uploads and %+v", len(document.Uploads), got.Rows.Stored)
	}
	rows, err := spec.ParseRows(document.Uploads[0].Content)
	if err != nil || len(rows) != 1000 {
		t.Errorf("got %d rows, %v", len(rows), err)
	}
	byOrdinal, err := spec.ByOrdinal(rows, 0)
	if err != nil || byOrdinal[999] == nil || byOrdinal[1000] != nil {
		t.Errorf("rows without ordinals do not count from 0: %v", err)
	}
}

func TestWhatIsWrongWithSettingsIsReportedInTheirFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, content, want string }{
		{"s.csv", "name,size\na,1\nb\n", "s.csv:3:1: expected as many fields as the first row has; add or remove commas"},
		{"s.csv", "name,name\na,1\n", `s.csv:1:6: expected a name of its own for column 2, found "name"; the first row names the columns`},
		{"s.csv", "", "s.csv:1:1: expected a row with the columns' names, found an empty file"},
		{"s.yaml", "- a: 1\n- b\n", `s.yaml:2:3: [1]: expected a row with named settings, found the text "b"`},
		{"s.json", "{\"a\": 1}", "s.json:1:1: expected a list of rows, found a mapping"},
		{"s.json", "[{}", "s.json:1:4: expected JSON: unexpected EOF; correct the syntax here or just before"},
		{"s.csv", "ordinal\n1\n1\n", "x.yaml:5:9: spec.rows: s.csv: row 2: ordinal 1 has a row already"},
	} {
		folder := write(t, map[string]string{"x.yaml": head + "  rows: " + c.file + "\n", c.file: c.content})
		_, err := spec.Load([]string{filepath.Join(folder, "x.yaml")}, nil, toys())
		if got := problemsOf(t, err, folder); len(got) != 1 || got[0] != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.content, got, c.want)
		}
	}
}

func TestVariablesAreReplacedInTextsOnly(t *testing.T) {
	t.Parallel()
	document, got := loadToy(t, map[string]string{
		"x.yaml": "kind: Toy\nname: web-${var.os}\nvars: {os: al2023, n: \"3\", literal: \"${var.os}\"}\nlabels: {os: \"${var.os}\"}\nspec:\n" +
			"  from: \"base-${var.os}\"\n  count: ${var.n}\n  on: ${var.flag}\n  timeout: ${var.n}m\n  types: [\"$${var.os}\"]\n" +
			"  steps:\n    - {run: \"./in-${var.os}.sh\", env: {OS: \"${var.os}\"}}\n  anything: {a: [\"${var.n}\"]}\n",
		"in-al2023.sh": "echo $os\n",
	}, map[string]string{"n": "7", "flag": "true"})
	if document.Name != "web-al2023" || document.Labels["os"] != "al2023" {
		t.Errorf("the envelope is %+v", document)
	}
	if got.From.Image != "base-al2023" || got.Count != 7 || !*got.On || got.Timeout.String() != "7m" || got.Types[0] != "${var.os}" ||
		got.Steps[0].Env["OS"] != "al2023" || !reflect.DeepEqual(got.Anything["a"], []any{"7"}) || got.Steps[0].Run.Text != "echo $os\n" {
		t.Errorf("got %+v", got)
	}
	want := map[string]string{"os": "al2023", "n": "7", "flag": "true", "literal": "${var.os}"}
	if !reflect.DeepEqual(got.Vars, want) || !reflect.DeepEqual(document.Vars, want) {
		t.Errorf("the variables that scripts get are %v, want %v", got.Vars, want)
	}
}

func TestAnchorsAndMergesAreRead(t *testing.T) {
	t.Parallel()
	_, got := loadToy(t, map[string]string{"x.yaml": "kind: Toy\nname: web\nspec:\n  from: base\n  volumes:\n    a: &big {size: 2TiB}\n    b: *big\n    c:\n      <<: *big\n      size: 5\n"}, nil)
	if got.Volumes["a"].Size != 2048 || got.Volumes["b"].Size != 2048 || got.Volumes["c"].Size != 5 {
		t.Errorf("got %v", got.Volumes)
	}
}

func TestTheFullFormIsCanonical(t *testing.T) {
	t.Parallel()
	short := `{"steps": ["reboot", {"run": "ls"}], "from": "base", "subnets": "subnet-1", "size": 20, "accept": 95, "surge": 3, "timeout": "90m", "on": null}`
	full, err := spec.Normalize[toy](json.RawMessage(short))
	const want = `{"accept":"95%","from":{"image":"base"},"size":"20GiB","steps":[{"reboot":true},{"run":{"text":"ls"}}],` +
		`"subnets":{"ids":["subnet-1"]},"surge":3,"timeout":"1h30m"}`
	if err != nil || string(full) != want {
		t.Fatalf("got  %s, %v\nwant %s", full, err, want)
	}
	again, err := spec.Normalize[toy](full)
	if err != nil || string(again) != want {
		t.Errorf("the full form of the full form is %s, %v", again, err)
	}
	read, err := spec.Read[toy](full)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := spec.Decode[toy](json.RawMessage(short))
	if err != nil || !reflect.DeepEqual(read, decoded) {
		t.Errorf("Read gives %+v, Decode %+v, %v", read, decoded, err)
	}
}

func TestAHostileSpecIsRefusedByTheWorker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ spec, want string }{
		{`{"from": "a", "steps": [{"run": "./install.sh"}]}`, "spec.steps[0].run: the file ./install.sh was not read: only stampmill submit reads files; write the script itself here"},
		{`{"from": "a", "steps": [{"copy": "/etc/passwd"}]}`, "spec.steps[0].copy: the file /etc/passwd was not read: only stampmill submit reads files; write {content: …} in base64 instead"},
		{`{"from": "a", "rows": "a.csv"}`, "spec.rows: the file a.csv was not read: only stampmill submit reads files; write the rows themselves here"},
		{`{"from": "a", "steps": [{"run": {"key": "other/secret", "digest": "sha256:` + strings.Repeat("0", 64) + `"}}]}`,
			"spec.steps[0].run.key: expected files/" + strings.Repeat("0", 64) + ", which follows from the digest; leave key, digest and size to stampmill submit"},
		{`{"from": "a", "steps": [{"run": {"key": "other/secret"}}]}`,
			"spec.steps[0].run.digest: expected sha256: and 64 hexadecimal digits; leave key, digest and size to stampmill submit"},
		{`{"from": "a", "from": "b"}`, "spec.from: the field is written twice; remove one of them"},
		{`{"from": "a"} {}`, "spec: expected one JSON object, found more behind it; remove what follows"},
		{`{"from": "a"`, "spec: expected JSON: unexpected EOF; correct the syntax here or just before"},
		{`[]`, `spec: expected a mapping with fields such as from, types, steps, subnets, found a list`},
		{``, "spec.from: this field is required; add it"},
	} {
		_, err := spec.Decode[toy](json.RawMessage(c.spec))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.spec, err, c.want)
		}
	}
}
