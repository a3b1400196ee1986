package shell

import (
	"strings"
	"testing"
)

func TestAScriptEndsHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, want string }{
		"a loop":                     {"while :; do :; done", ""},
		"a loop of arithmetic":       {"for ((;;)); do :; done", ""},
		"a function of itself":       {"f() { f; }; f", "nesting level"},
		"eval of itself":             {"a='eval \"$a\"'; eval \"$a\"", "nesting level"},
		"a trap of itself":           {"trap 'false' ERR; set -E; while :; do false; done", ""},
		"a script of itself":         {"echo 'sh /tmp/self' > /tmp/self; sh /tmp/self", "fork: Resource temporarily unavailable"},
		"a fork bomb":                {"f() { f | f & }; f; wait", ""},
		"sleepers":                   {"while :; do sleep 1000000 & done", ""},
		"a text that doubles":        {"a=x; while :; do a=$a$a; done", "longer than this server takes"},
		"a text that is output":      {"a=$(yes)", ""},
		"a list that doubles":        {"set -- x; while :; do set -- \"$@\" \"$@\"; done", "longer than this server takes"},
		"a file without end":         {"yes > /tmp/f", ""},
		"a file of itself":           {"echo x > /tmp/f; while :; do cat /tmp/f /tmp/f > /tmp/g; cat /tmp/g /tmp/g > /tmp/f; done", ""},
		"a pipe without end":         {"yes | cat > /tmp/f", ""},
		"braces":                     {"echo {1..1000000000}", "would exceed"},
		"braces of braces":           {"echo {1..999}{1..999}{1..999}", "would exceed"},
		"a power":                    {"echo $((2**999999999999))", ""},
		"a shift below zero":         {"echo $((1 << -1))", ""},
		"a division by zero":         {"echo $((1/0)) $((1%0))", ""},
		"deep brackets":              {strings.Repeat("(", 400_000), "nested deeper"},
		"deep substitutions":         {strings.Repeat("$(", 200_000), "nested deeper"},
		"deep conditions":            {strings.Repeat("if ", 150_000), "nested deeper"},
		"deep negations":             {strings.Repeat("! ", 200_000) + ":", "nested deeper"},
		"a long chain":               {strings.Repeat(": && ", 100_000) + ":", ""},
		"a long pipeline":            {strings.Repeat(": | ", 20_000) + ":", ""},
		"a long script":              {strings.Repeat("x", longestScript+1), "longer than this server takes"},
		"a printf of great width":    {"printf %999999999s x", ""},
		"a here document of its own": {"cat <<E\n" + strings.Repeat("$(cat <<F\n", 2000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.Speed, s.MaxSteps = 1e9, 20_000
			_, errs, _ := run(t, s, c.script, Options{})
			if !strings.Contains(errs, c.want) {
				t.Errorf("it says %.300q, want %q", errs, c.want)
			}
		})
	}
}
