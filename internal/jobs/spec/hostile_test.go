package spec_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// allocated is how many bytes f allocates in all: it bounds memory and work, and does not depend on the machine. Nothing
// else may run meanwhile.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// mostAllocated bounds what any document may cost, however it is written.
const mostAllocated = 1 << 30

// Not parallel: what is allocated is counted for the whole process.
func TestADocumentThatGrowsIsRefusedBeforeItDoes(t *testing.T) {
	long := strings.Repeat("k", 400_000)
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	nested := strings.Repeat(`{"`+strings.Repeat("n", 250)+`":`, 50)
	for name, c := range map[string]struct{ content, want string }{
		"a billion laughs":             {laughs, "a document has at most"},
		"laughs merged":                {"a: &a {x: y}\n" + strings.Repeat("<<: *a\n", 4000) + head, "unknown field"},
		"10^6 brackets":                {"a: " + strings.Repeat("[", 1_000_000), "nested at most 64 deep"},
		"10^6 braces":                  {"a: " + strings.Repeat("{", 1_000_000), "nested at most 64 deep"},
		"10^6 brackets in JSON":        {`{"a":` + strings.Repeat("[", 1_000_000), "nested at most 64 deep"},
		"10^5 levels":                  {strings.Repeat("- ", 100_000), "nested at most 64 deep"},
		"indented for ever":            {deepBlocks(1400), "nested at most 64 deep"},
		"long names of many, JSON":     {`{"` + long + `":[` + strings.Repeat("0,", 150_000) + "0]}", "at most 256 bytes"},
		"long names of many, YAML":     {long + ": [" + strings.Repeat("0,", 15_000) + "0]\n", "at most 256 bytes"},
		"nested names of many, YAML":   {"a: " + strings.Repeat("{"+strings.Repeat("n", 250)+": ", 50) + "[" + strings.Repeat("0, ", 150_000) + "0]" + strings.Repeat("}", 50), "too long for a document"},
		"nested names of many":         {nested + "[" + strings.Repeat("0,", 150_000) + "0]" + strings.Repeat("}", 50), "this field is required"},
		"a long text, often":           {head + "  anything:\n    a: &a " + strings.Repeat("x", 100_000) + "\n    b: [" + strings.Repeat("*a, ", 15_000) + "]\n", "at most 4 MiB of texts"},
		"a long variable, often":       {"kind: Toy\nname: web\nvars: {a: " + strings.Repeat("x", 100_000) + "}\nspec:\n  from: \"" + strings.Repeat("${var.a}", 60_000) + "\"\n", "variables come to more than 4 MiB"},
		"a long variable in many":      {"kind: Toy\nname: web\nvars: {a: " + strings.Repeat("x", 100_000) + "}\nspec:\n  types: [" + strings.Repeat("\"${var.a}\", ", 15_000) + "]\n", "variables come to more than 4 MiB"},
		"a variable in a variable":     {"kind: Toy\nname: web\nvars: {a: \"${var.b}\", b: \"${var.a}\"}\nspec:\n  from: \"${var.a}\"\n", "nothing"},
		"10^5 variables that are none": {"kind: Toy\nname: web\nspec:\n  from: \"" + strings.Repeat("${var.a}", 100_000) + "\"\n", "and 9"},
		"10^5 unknown fields":          {`{"kind":"Toy","name":"web","spec":{"from":"a"` + numbered(75_000, `,"f%d":1`) + "}}", "and 74900 more"},
		"10^5 wrong items":             {`{"kind":"Toy","name":"web","spec":{"from":"a","types":[` + strings.Repeat("0,", 99_999) + "0]}}", "and 999"},
		"10^5 wrong steps":             {`{"kind":"Toy","name":"web","spec":{"from":"a","steps":[` + strings.Repeat("{},", 99_999) + "{}]}}", ""},
		"10^5 times the same field":    {`{"kind":"Toy","name":"web"` + strings.Repeat(`,"a":1`, 100_000) + "}", "and 99"},
		"one error of 1 MB":            {`{"kind":"Toy","name":"` + strings.Repeat(`\u202e`, 150_000) + `"}`, "expected 1 to 63 of a-z"},
		"a number of 10^6 digits":      {"{\"kind\":\"Toy\",\"name\":\"web\",\"spec\":{\"from\":\"a\",\"count\":" + strings.Repeat("9", 1_000_000) + "}}", "expected a number that fits"},
		"one line of colons":           {strings.Repeat("a: ", 300_000), ""},
		"quotes that do not end":       {"a: '" + strings.Repeat("\n'", 300_000), ""},
		"comments only":                {strings.Repeat("#\n", 500_000), "found an empty file"},
		"10^5 documents":               {strings.Repeat("---\na: b\n", 100_000), "and "},
		"anchors":                      {numbered(20_000, "a%[1]d: &a%[1]d x\n"), "at most 5000 fields"},
		"tags":                         {"a: " + strings.Repeat("!a ", 300_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := "nothing"
			used := allocated(func() {
				if _, err := spec.Parse("x.yaml", []byte(c.content), t.TempDir(), nil, toys()); err != nil {
					text = err.Error()
				}
			})
			if !strings.Contains(text, c.want) {
				t.Errorf("got %.300q … %.100q, want %q", text, text[max(0, len(text)-100):], c.want)
			}
			if lines := strings.Count(text, "\n") + 1; lines > spec.MaxProblems+1 || len(text) > 200_000 {
				t.Errorf("%d lines and %d bytes are printed", lines, len(text))
			}
			if used > mostAllocated {
				t.Errorf("it allocates %d MiB", used>>20)
			}
		})
	}
}

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func deepBlocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// Not parallel: what is allocated is counted for the whole process.
func TestASpecInAMessageCostsABoundedAmount(t *testing.T) {
	nested := strings.Repeat(`{"`+strings.Repeat("n", 250)+`":`, 50)
	for name, raw := range map[string]string{
		"a long name of many":  `{"anything":{"` + strings.Repeat("k", 120_000) + `":[` + strings.Repeat("0,", 60_000) + "0]}}",
		"nested names of many": `{"from":"a","anything":` + nested + "[" + strings.Repeat("0,", 100_000) + "0]" + strings.Repeat("}", 51),
		"wrong rows":           `{"from":"a","rows":{"rows":[` + strings.Repeat(`{"ordinal":-1},`, 16_000) + `{}]}}`,
		"wrong volumes":        `{"from":"a","volumes":{` + strings.TrimSuffix(numbered(15_000, `"v%d":"x",`), ",") + `}}`,
		"10^6 brackets":        strings.Repeat("[", 1_000_000),
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			used := allocated(func() { _, err = spec.Normalize[toy](json.RawMessage(raw)) })
			if err != nil {
				checkProblems(t, err)
				if len(err.Error()) > 200_000 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
			}
			if used > mostAllocated {
				t.Errorf("it allocates %d MiB", used>>20)
			}
		})
	}
}

func TestNamesThatATerminalWouldObeyAreRefusedAndShownHarmlessly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]string{
		"control":       "a\x1b[2Jb",
		"new line":      "a\nb",
		"bidirectional": "a\u202eb",
		"zero":          "a\x00b",
		"no width":      "a\u200bb",
		"overlong":      "a\xc0\xafb",
		"surrogate":     "a\xed\xa0\x80b",
		"path":          "../../etc/passwd",
	} {
		for _, field := range []string{"name", "key", "region", "role", "label", "field", "kind"} {
			t.Run(field+", "+name, func(t *testing.T) {
				t.Parallel()
				raw := map[string]any{"kind": "Toy", "name": "web", "spec": map[string]any{"from": "a"}}
				switch field {
				case "label":
					raw["labels"] = map[string]string{c: "x"}
				case "field":
					raw["spec"] = map[string]any{"from": "a", c: "x"}
				case "key":
					if name == "path" {
						return // a key is any printable text
					}
					raw[field] = c
				default:
					raw[field] = c
				}
				content, err := json.Marshal(raw)
				if err != nil {
					t.Fatal(err)
				}
				content = []byte(strings.ReplaceAll(string(content), `a\ufffd\ufffdb`, c)) // JSON as somebody else may write it
				_, got := loadText(t, string(content), nil)
				if len(got) == 0 {
					t.Fatal("it is taken")
				}
				for _, line := range got {
					if strings.ContainsAny(line, "\x00\x1b\u202e\u200b") {
						t.Errorf("the problem is told as %q", line)
					}
				}
			})
		}
	}
}

func TestACopiedFolderCannotReachOutOfItself(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]string{"absolute": "/etc/passwd", "above": "../secret", "above by a detour": "sub/../../secret", "above, deep": "sub/../sub/../../secret"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			for _, dir := range []string{"files/sub", "secret"} {
				if err := os.MkdirAll(filepath.Join(folder, dir), 0o750); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(target, filepath.Join(folder, "files", "link")); err != nil {
				t.Fatal(err)
			}
			_, err := spec.Parse("x.yaml", []byte(head+"  steps: [{copy: ./files}]\n"), folder, nil, toys())
			if err == nil || !strings.Contains(err.Error(), "leaves the folder") {
				t.Errorf("got %v", err)
			}
		})
	}
}
