package spec_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

const head = "kind: Toy\nname: web\nspec:\n  from: base\n"

func TestEachProblemIsReportedWhereItStandsWithWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ content, want string }{
		{"kind: Toy\nname: web\nspec: {}\n", "3:7: spec.from: this field is required; add it"},
		{"kind: Toy\nname: web\n", "1:1: spec.from: this field is required; add it"},
		{"kind: Toi\nname: web\n", `1:7: kind: expected a kind, found the text "Toi"; did you mean Toy?`},
		{"name: web\n", "1:1: kind: this field is required; add it, for example kind: Bake"},
		{"kind: Toy\nname: Web_1\nspec: {from: a}\n", `2:7: name: expected 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit, found "Web_1"; did you mean web-1?`},
		{"kind: Toy\nname: web\nregoin: eu-west-1\nspec: {from: a}\n", "3:1: regoin: unknown field; did you mean region?"},
		{"kind: Toy\nname: web\nregion: eu-wset-1\nspec: {from: a}\n", `3:9: region: expected a region such as eu-west-1, found "eu-wset-1"; did you mean eu-west-1?`},
		{"kind: Toy\nname: web\nlabels: {team: 7}\nspec: {from: a}\n", `3:16: labels.team: expected a text, found the number 7; write it in quotes: "7"`},
		{"kind: Toy\nname: web\nvars: {v: 1.10}\nspec: {from: a}\n", `3:11: vars.v: expected a text, found the number 1.10; write it in quotes: "1.10"`},
		{"kind: Toy\nname: web\nvars: {7v: a}\nspec: {from: a}\n", `3:8: vars.7v: expected a name of letters, digits and _, not beginning with a digit; scripts get it as environment variable`},
		{"kind: Toy\nname: web\npriority: urgent\nspec: {from: a}\n", `3:11: priority: expected high, normal or low, found the text "urgent"`},
		{head + "  timout: 20m\n", "5:3: spec.timout: unknown field; did you mean timeout?"},
		{head + "  timeout: 20\n", "5:12: spec.timeout: expected a duration such as 90s, 20m, 1h30m or 30d, found the number 20; write 20s for seconds or 20m for minutes"},
		{head + "  size: 20GB\n", `5:9: spec.size: expected a size such as 20GiB or 1TiB, found the text "20GB"; did you mean 20GiB?`},
		{head + "  accept: 101%\n", `5:11: spec.accept: expected a percentage from 0% to 100%, found the text "101%"`},
		{head + "  surge: few\n", `5:10: spec.surge: expected a number such as 3 or a percentage such as 10%, found the text "few"`},
		{head + "  count: 101\n", "5:10: spec.count: expected a number from 1 to 100, found the number 101"},
		{head + "  count: 1.5\n", "5:10: spec.count: expected a whole number, found the number 1.5"},
		{head + "  ratio: a\n", `5:10: spec.ratio: expected a number, found the text "a"`},
		{head + "  on: yes\n", `5:7: spec.on: expected true or false, found the text "yes"; write true`},
		{head + "  types: m7g.large\n", `5:10: spec.types: expected a list, found the text "m7g.large"; write [m7g.large]`},
		{head + "  types: [a, 7]\n", `5:14: spec.types[1]: expected a text, found the number 7; write it in quotes: "7"`},
		{head + "  market: sport\n", `5:11: spec.market: expected on-demand or spot, found the text "sport"; did you mean spot?`},
		{head + "  volumes:\n    /dev/sdf: {sise: 1}\n", `6:16: spec.volumes["/dev/sdf"].sise: unknown field; did you mean size?`},
		{head + "  subnets: {ids: [a], tag: {b: c}}\n", "5:12: spec.subnets: expected ids or tag, found both; remove one of them"},
		{head + "  subnets: [a, '']\n", "5:16: spec.subnets[1]: expected an id, found an empty text; remove it"},
		{"kind: Toy\nname: web\nspec:\n  from: {image: a, ami: ami-1}\n", "4:9: spec.from: expected one source, found image and ami; remove one"},
		{"kind: Toy\nname: web\nspec:\n  from: {ami: i-1}\n", `4:15: spec.from.ami: expected something like ami-0abc, found the text "i-1"`},
		{"kind: Toy\nname: web\nspec:\n  from: 7\n", `4:9: spec.from: expected an image's name, found the number 7`},
		{head + "  steps:\n    - run: ls\n    - {}\n", "7:7: spec.steps[1]: expected run, copy or reboot; say what the step does"},
		{head + "  steps:\n    - rebot\n", `6:7: spec.steps[0]: expected a step such as {run: …} or "reboot", found the text "rebot"`},
		{head + "  steps:\n    - run: ./none.sh\n", "6:12: spec.steps[0].run: cannot read none.sh: there is no such file; paths are relative to the spec file"},
		{head + "  steps:\n    - run: echo ${var.os}\n", "6:12: spec.steps[0].run: variables are not replaced inside scripts; the script finds it in its environment: write ${os}"},
		{head + "  steps:\n    - run: ''\n", "6:12: spec.steps[0].run: expected a script, found an empty text; write a line of shell or a file such as ./install.sh"},
		{head + "  steps:\n    - copy: ./none/\n", "6:13: spec.steps[0].copy: cannot read none: there is no such file; paths are relative to the spec file"},
		{head + "  market: ${var.m}\n", `5:11: spec.market: there is no variable "m"; set it in vars: or with --var m=…`},
		{head + "  labels: {'${var.m}': a}\n", "5:12: spec.labels[\"${var.m}\"]: variables are not replaced in names; write the name out"},
		{head + "  from: again\n", "5:3: spec.from: the field is written twice, first in line 4; remove one of them"},
		{head + "  types: *nowhere\n", "5:10: there is no anchor &nowhere before this alias; anchors belong to one document"},
		{head + "  types: !!str a\n", "5:10: YAML tags such as !!str are not used here; remove the tag; quotes make a value a text"},
		{head + "  types: [a\n  size: 1\n", "6:3: expected YAML: ',' or ']' must be specified; correct the syntax here or just before"},
		{head + "\tsize: 1\n", "5:1: expected YAML: found character '\\t' that cannot start any token; indent with spaces"},
		{"kind: Toy\nname: web\nspec: {from: ${var.a}, on: true}\n", "3:15: expected YAML: ',' or '}' must be specified; inside { } and [ ], a text with ${…} needs quotes"},
		{"- a\n", "1:1: expected a document with kind, name and spec, found a list; begin with kind: and name:"},
		{"# nothing\n", "1:1: expected a document, found an empty file; begin with kind: and name:"},
		{"{\"kind\": \"Toy\",\n \"name\": \"web\",\n \"spec\": {\"from\": \"a\", \"count\": \"x\"}}", `3:33: spec.count: expected a whole number, found the text "x"`},
		{"{\"kind\": \"Toy\",\n \"kind\": \"Toy\", \"name\": \"web\", \"spec\": {\"from\": \"a\"}}", `2:2: kind: the field is written twice, first in line 1; remove one of them`},
		{"{\"kind\": \"Toy\",\n \"name\" \"web\"}", `2:9: expected JSON: invalid character '"' after object key; correct the syntax here or just before`},
		{"kind: Toy\nname: web\nspec:\n  from:\n    a plain text\n    of two lines, wéb\n  on: nö\n", `7:7: spec.on: expected true or false, found the text "nö"`},
		{"kind: Toy\nname: web\nspec:\n  from: a\n  market:\n    a plain\n    text\n", `6:5: spec.market: expected on-demand or spot, found the text "a plain text"`},
		{"---\n" + head + "---\nkind: Toy\nname: b\nspec: {from: a, cuont: 1}\n", "9:17: spec.cuont: unknown field; did you mean count?"},
		{head + "---\n" + head, "6:1: name: Toy web is written twice, first at x.yaml:1; give it another name, region or key"},
		{head + "  anything: {big: 9007199254740992, id: 1234567890123456789}\n", `5:41: spec.anything.id: expected a whole number of at most 16 digits, found the number 1234567890123456789; write it in quotes: as a number it would lose its last digits`},
		{head + "  rows: ./rows.txt\n", `5:9: spec.rows: expected a .csv, .json or .yaml file, found the text "./rows.txt"`},
		{head + "  rows: [{ordinal: 1}, {ordinal: 1}]\n", "5:9: spec.rows: row 2: ordinal 1 has a row already; number the rows from the first ordinal on, or leave the field ordinal out"},
	} {
		_, got := loadText(t, c.content, nil)
		if len(got) != 1 || got[0] != "x.yaml:"+c.want {
			t.Errorf("%s\n got %s\nwant x.yaml:%s", c.content, strings.Join(got, "\n     "), c.want)
		}
	}
}

func TestAllProblemsOfAllFilesComeAtOnce(t *testing.T) {
	t.Parallel()
	folder := write(t, map[string]string{
		"a.yaml": head + "  count: x\n  on: 1\n---\nkind: Toy\nname: [\n---\nkind: Toy\nname: c\nspec: {}\n",
		"b.json": `{"kind": "Toy", "name": "b", "spec": {"from": 1}}`,
	})
	_, err := spec.Load([]string{filepath.Join(folder, "a.yaml"), filepath.Join(folder, "b.json"), filepath.Join(folder, "c.yaml")}, nil, toys())
	var places []string
	for _, line := range problemsOf(t, err, folder) {
		place, _, _ := strings.Cut(line, " ")
		places = append(places, place)
	}
	want := []string{"a.yaml:5:10:", "a.yaml:6:7:", "a.yaml:9:7:", "a.yaml:13:7:", "b.json:1:47:", "c.yaml:"}
	if !slices.Equal(places, want) {
		t.Errorf("got %q, want %q", places, want)
	}
}

func TestOnlyTheFirstHundredProblemsAreReported(t *testing.T) {
	t.Parallel()
	var content strings.Builder
	content.WriteString(head + "  volumes:\n")
	for i := range 130 {
		fmt.Fprintf(&content, "    /dev/%d: {none: 1}\n", i)
	}
	folder := write(t, map[string]string{"x.yaml": content.String()})
	_, err := spec.Load([]string{filepath.Join(folder, "x.yaml")}, nil, toys())
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != spec.MaxProblems+1 || lines[spec.MaxProblems] != "and 30 more" {
		t.Errorf("got %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestAListMayBeLong(t *testing.T) {
	t.Parallel()
	_, got := loadText(t, head+"  rows:\n"+strings.Repeat("    - name: a # web\n      size: 1\n", 8000)+strings.Repeat("# end\n", 8000), nil)
	if len(got) != 0 {
		t.Errorf("got %.200q", got)
	}
}

func TestAHostileDocumentIsRefusedQuickly(t *testing.T) {
	t.Parallel()
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	for name, c := range map[string]struct{ content, want string }{
		"billion laughs": {laughs, "a document has at most"},
		"deep flow":      {"a: " + strings.Repeat("[", 100_000), "nested at most 64 deep"},
		"deep blocks":    {strings.Repeat("- ", 100_000), "nested at most 64 deep"},
		"deep keys":      {strings.Repeat("? ", 100_000), "nested at most 64 deep"},
		"deep JSON":      {`{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}", "nested at most 64 deep"},
		"itself":         {"a: &a [*a]\n", "there is no anchor"},
		"large":          {"a: " + strings.Repeat("x", spec.MaxDocument), "a document is at most 1 MiB"},
		"large JSON":     {`{"a": "` + strings.Repeat("x", spec.MaxDocument) + `"}`, "a document is at most 1 MiB"},
		"many fields":    {strings.Repeat("a: b\n", 200_000), "a mapping has at most 5000 fields"},
		"many items":     {strings.Repeat("-\n", 500_000), "a list has at most 20000 items"},
		"in braces":      {"a: {" + strings.Repeat("a: b, ", 150_000) + "}", "a mapping has at most 5000 fields"},
		"binary":         {"a: \xff\xfe", "expected UTF-8 text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, got := loadText(t, c.content, nil)
			if len(got) == 0 || !strings.Contains(strings.Join(got, "\n"), c.want) {
				t.Errorf("got %.300q, want %q", got, c.want)
			}
		})
	}
}
