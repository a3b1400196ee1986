package commands

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func cut(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "d:delimiter f:fields c:characters b:bytes s output-delimiter: complement")
	if !ok {
		return 1
	}
	list := o.last("f", o.last("c", o.last("b", "")))
	if list == "" {
		p.Errorf("you must specify a list of bytes, characters, or fields")
		return 1
	}
	delimiter := o.last("d", "\t")
	return inputs(p, o.args, func(_ string, data []byte) {
		for _, line := range lines(data) {
			parts, glue := strings.Split(line, ""), ""
			if o.has("f") {
				if !strings.Contains(line, delimiter) {
					if !o.has("s") {
						output(p, line+"\n")
					}
					continue
				}
				parts, glue = strings.Split(line, delimiter), o.last("output-delimiter", delimiter)
			}
			var picked []string
			for i, part := range parts {
				if inList(list, i+1) != o.has("complement") {
					picked = append(picked, part)
				}
			}
			output(p, strings.Join(picked, glue)+"\n")
		}
	})
}

// inList tells whether a list such as 1,3-5,7- holds n.
func inList(list string, n int) bool {
	for item := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(item, "-")
		first, errFirst := strconv.Atoi(from)
		last, errLast := strconv.Atoi(to)
		if !ranged {
			last, errLast = first, errFirst
		}
		if (errFirst != nil || n >= first) && (errLast != nil || n <= last) {
			return true
		}
	}
	return false
}

func paste(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "s,serial d:delimiters")
	if !ok {
		return 1
	}
	glue := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\0`, "").Replace(o.last("d", "\t"))
	var columns [][]string
	code := inputs(p, o.args, func(_ string, data []byte) { columns = append(columns, lines(data)) })
	if o.has("s") {
		for _, column := range columns {
			output(p, strings.Join(column, glue)+"\n")
		}
		return code
	}
	for row := 0; ; row++ {
		cells, more := make([]string, len(columns)), false
		for i, column := range columns {
			if row < len(column) {
				cells[i], more = column[row], true
			}
		}
		if !more {
			return code
		}
		output(p, strings.Join(cells, glue)+"\n")
	}
}

func tr(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "d,delete s,squeeze-repeats c,complement C")
	if !ok || len(o.args) == 0 {
		return 1
	}
	from := expandSet(o.args[0])
	var to []rune
	if len(o.args) > 1 {
		to = expandSet(o.args[1])
	}
	data, err := io.ReadAll(p.In)
	if err != nil {
		return 1
	}
	var out strings.Builder
	previous := rune(-1)
	for _, r := range string(data) {
		i := slices.Index(from, r)
		member := (i >= 0) != (o.has("c") || o.has("C"))
		switch {
		case member && o.has("d"):
			continue
		case member && len(to) > 0:
			r = to[min(max(i, 0), len(to)-1)]
			if i < 0 {
				r = to[len(to)-1]
			}
		}
		squeezed := to
		if len(to) == 0 {
			squeezed = from
		}
		if o.has("s") && r == previous && (member || slices.Contains(squeezed, r)) {
			continue
		}
		previous = r
		out.WriteRune(r)
	}
	return output(p, out.String())
}

// expandSet reads a set of tr: ranges, classes and escapes.
func expandSet(set string) []rune {
	for class, members := range map[string]string{"[:lower:]": "a-z", "[:upper:]": "A-Z", "[:digit:]": "0-9", "[:alpha:]": "A-Za-z",
		"[:alnum:]": "A-Za-z0-9", "[:space:]": ` \t\n\r`, "[:punct:]": `!-/:-@[-` + "`{-~"} {
		set = strings.ReplaceAll(set, class, members)
	}
	set = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\\`, `\`, `\0`, "\x00").Replace(set)
	in := []rune(set)
	var out []rune
	for i := 0; i < len(in); i++ {
		if i+2 < len(in) && in[i+1] == '-' && in[i+2] >= in[i] {
			for r := in[i]; r <= in[i+2]; r++ {
				out = append(out, r)
			}
			i += 2
			continue
		}
		out = append(out, in[i])
	}
	return out
}
