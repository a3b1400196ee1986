package commands

import (
	"bytes"
	"context"
	"fmt"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

var compareCommands = map[string]shell.Program{"cmp": cmpFiles, "diff": diff}

func readTwo(p *shell.Process, o options) (a, b []byte, ok bool) {
	if len(o.args) != 2 {
		p.Errorf("missing operand")
		return nil, nil, false
	}
	var contents [2][]byte
	for i, name := range o.args {
		data, err := p.ReadFile(name)
		if err != nil {
			p.Errorf("%s: %s", name, files.Reason(err))
			return nil, nil, false
		}
		contents[i] = data
	}
	return contents[0], contents[1], true
}

func cmpFiles(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "s,silent quiet b l")
	if !ok {
		return 2
	}
	a, b, ok := readTwo(p, o)
	switch {
	case !ok:
		return 2
	case bytes.Equal(a, b):
		return 0
	case !o.has("s") && !o.has("quiet"):
		at := 0
		for at < min(len(a), len(b)) && a[at] == b[at] {
			at++
		}
		fmt.Fprintf(p.Out, "%s %s differ: byte %d, line %d\n", o.args[0], o.args[1], at+1, bytes.Count(a[:at], []byte("\n"))+1)
	}
	return 1
}

// diff prints the lines between the common beginning and the common end of two files as one change.
func diff(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "q,brief u,unified r N w b B s")
	if !ok {
		return 2
	}
	a, b, ok := readTwo(p, o)
	switch {
	case !ok:
		return 2
	case bytes.Equal(a, b):
		return 0
	case o.has("q"):
		fmt.Fprintf(p.Out, "Files %s and %s differ\n", o.args[0], o.args[1])
		return 1
	}
	x, y := lines(a), lines(b)
	start := 0
	for start < min(len(x), len(y)) && x[start] == y[start] {
		start++
	}
	end := 0
	for end < min(len(x), len(y))-start && x[len(x)-1-end] == y[len(y)-1-end] {
		end++
	}
	removed, added := x[start:len(x)-end], y[start:len(y)-end]
	minus, plus := "< ", "> "
	if o.has("u") {
		minus, plus = "-", "+"
		fmt.Fprintf(p.Out, "--- %s\n+++ %s\n@@ -%d,%d +%d,%d @@\n", o.args[0], o.args[1], start+1, len(removed), start+1, len(added))
	} else {
		fmt.Fprintf(p.Out, "%dc%d\n", start+1, start+1)
	}
	for _, line := range removed {
		output(p, minus+line+"\n")
	}
	if !o.has("u") && len(removed) > 0 && len(added) > 0 {
		output(p, "---\n")
	}
	for _, line := range added {
		output(p, plus+line+"\n")
	}
	return 1
}
