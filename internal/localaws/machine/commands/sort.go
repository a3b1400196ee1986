package commands

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func sortLines(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "r,reverse n,numeric-sort u,unique f k:key t:field-separator V,version-sort h o:output c s b")
	if !ok {
		return 2
	}
	var all []string
	code := inputs(p, o.args, func(_ string, data []byte) { all = append(all, lines(data)...) })
	compare := func(a, b string) int {
		x, y := sortKey(o, a), sortKey(o, b)
		switch {
		case o.has("n") || o.has("h") || strings.HasSuffix(o.last("k", ""), "n"):
			if d := leadingNumber(x) - leadingNumber(y); d != 0 {
				return int(max(-1, min(1, d*1e9)))
			}
		case o.has("V"):
			return compareVersions(x, y)
		case o.has("f"):
			x, y = strings.ToLower(x), strings.ToLower(y)
		}
		if c := strings.Compare(x, y); c != 0 || o.has("u") || o.has("s") {
			return c
		}
		return strings.Compare(a, b)
	}
	slices.SortStableFunc(all, compare)
	if o.has("u") {
		all = slices.CompactFunc(all, func(a, b string) bool { return compare(a, b) == 0 })
	}
	if o.has("r") {
		slices.Reverse(all)
	}
	if target := o.last("o", ""); target != "" {
		if err := p.Files().Write(p.Path(target), []byte(joinLines(all)), 0o644); err != nil {
			p.Errorf("%s: %s", target, files.Reason(err))
			return 2
		}
		return code
	}
	return max(code, output(p, joinLines(all)))
}

func sortKey(o options, line string) string {
	key := o.last("k", "")
	if key == "" {
		return line
	}
	from, to, ranged := strings.Cut(strings.TrimRight(key, "nr"), ",")
	first, _ := strconv.Atoi(strings.TrimRight(from, "nr"))
	fields := strings.Fields(line)
	separator := o.last("t", "")
	if separator != "" {
		fields = strings.Split(line, separator)
	}
	if first < 1 || first > len(fields) {
		return ""
	}
	end := len(fields)
	if last, err := strconv.Atoi(strings.TrimRight(to, "nr")); ranged && err == nil {
		end = min(max(last, first), len(fields))
	}
	return strings.Join(fields[first-1:end], separator+map[bool]string{true: " "}[separator == ""])
}

func leadingNumber(text string) float64 {
	text = strings.TrimSpace(text)
	end := 0
	for end < len(text) && strings.ContainsRune("-0123456789.", rune(text[end])) {
		end++
	}
	n, err := strconv.ParseFloat(text[:end], 64)
	if err != nil {
		return 0
	}
	return n
}

func compareVersions(a, b string) int {
	x, y := strings.FieldsFunc(a, notDigitOrLetter), strings.FieldsFunc(b, notDigitOrLetter)
	for i := range min(len(x), len(y)) {
		m, errX := strconv.Atoi(x[i])
		n, errY := strconv.Atoi(y[i])
		if errX == nil && errY == nil && m != n {
			return m - n
		}
		if c := strings.Compare(x[i], y[i]); (errX != nil || errY != nil) && c != 0 {
			return c
		}
	}
	return len(x) - len(y)
}

func notDigitOrLetter(r rune) bool { return strings.ContainsRune(".-_ +~", r) }

func uniq(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "c,count d,repeated u,unique i")
	if !ok {
		return 1
	}
	return inputs(p, o.args, func(_ string, data []byte) {
		all := lines(data)
		for i := 0; i < len(all); {
			end := i + 1
			for end < len(all) && all[end] == all[i] {
				end++
			}
			n := end - i
			if !(o.has("d") && n == 1 || o.has("u") && n > 1) {
				if o.has("c") {
					fmt.Fprintf(p.Out, "%7d ", n)
				}
				output(p, all[i]+"\n")
			}
			i = end
		}
	})
}
