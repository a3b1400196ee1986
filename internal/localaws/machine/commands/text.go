package commands

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

var textCommands = map[string]shell.Program{
	"cat": cat, "tac": tac, "awk": awkProgram, "gawk": awkProgram, "head": head, "tail": tail, "wc": wc, "sort": sortLines, "uniq": uniq, "cut": cut, "tr": tr,
	"tee": tee, "seq": seq, "paste": paste, "rev": rev, "yes": yes, "grep": grep, "egrep": grep, "fgrep": grep, "sed": sed,
	"column": cat, "nl": nl,
}

func cat(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "n A e t v u s")
	if !ok {
		return 1
	}
	names := o.args
	if len(names) == 0 {
		names = []string{"-"}
	}
	code, number := 0, 0
	for _, name := range names {
		if name == "-" && !o.has("n") {
			if _, err := io.Copy(p.Out, p.In); err != nil {
				return 1
			}
			continue
		}
		code = max(code, inputs(p, []string{name}, func(_ string, data []byte) {
			text := string(data)
			if o.has("n") {
				var out strings.Builder
				for line := range strings.Lines(text) {
					number++
					fmt.Fprintf(&out, "%6d\t%s", number, line)
				}
				text = out.String()
			}
			code = max(code, output(p, text))
		}))
	}
	return code
}

func nl(ctx context.Context, p *shell.Process) int {
	p.Args = append([]string{p.Args[0], "-n"}, p.Args[1:]...)
	return cat(ctx, p)
}

func tac(_ context.Context, p *shell.Process) int {
	return inputs(p, p.Args[1:], func(_ string, data []byte) {
		all := lines(data)
		slices.Reverse(all)
		output(p, joinLines(all))
	})
}

func rev(_ context.Context, p *shell.Process) int {
	return inputs(p, p.Args[1:], func(_ string, data []byte) {
		all := lines(data)
		for i, line := range all {
			r := []rune(line)
			slices.Reverse(r)
			all[i] = string(r)
		}
		output(p, joinLines(all))
	})
}

func joinLines(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, "\n") + "\n"
}

func yes(_ context.Context, p *shell.Process) int {
	word := "y"
	if len(p.Args) > 1 {
		word = strings.Join(p.Args[1:], " ")
	}
	for {
		if _, err := io.WriteString(p.Out, word+"\n"); err != nil {
			return 1
		}
	}
}

// countOption reads -N, -n N and -c N of head and tail.
func countOption(p *shell.Process) (o options, count string, ok bool) {
	args := slices.Clone(p.Args[1:])
	for i, arg := range args {
		if len(arg) > 1 && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9' {
			args[i] = "-n" + arg[1:]
		}
	}
	o, ok = parseArgs(p, "n:lines c:bytes q,quiet v f F s: pid:", args, true)
	return o, o.last("n", "10"), ok
}

func head(_ context.Context, p *shell.Process) int {
	o, count, ok := countOption(p)
	if !ok {
		return 1
	}
	if !o.has("c") && len(o.args) == 0 && !strings.HasPrefix(count, "-") {
		return headStream(p, count)
	}
	return inputs(p, o.args, func(name string, data []byte) {
		header(p, o, name)
		if o.has("c") {
			n, _ := integer(p, o.last("c", ""))
			output(p, string(data[:min(n, len(data))]))
			return
		}
		all := lines(data)
		n, _ := integer(p, count)
		if n < 0 {
			n = max(0, len(all)+n)
		}
		output(p, joinLines(all[:min(n, len(all))]))
	})
}

// headStream stops reading after its lines, so that an endless writer before it ends.
func headStream(p *shell.Process, count string) int {
	n, ok := integer(p, count)
	if !ok {
		return 1
	}
	b := make([]byte, 4096)
	for n > 0 {
		got, err := p.In.Read(b)
		chunk := b[:got]
		for i, c := range chunk {
			if c == '\n' {
				if n--; n == 0 {
					chunk = chunk[:i+1]
					break
				}
			}
		}
		if _, werr := p.Out.Write(chunk); werr != nil {
			return 1
		}
		if err != nil {
			break
		}
	}
	return 0
}

func header(p *shell.Process, o options, name string) {
	if len(o.args) > 1 && !o.has("q") {
		fmt.Fprintf(p.Out, "==> %s <==\n", name)
	}
}

func tail(ctx context.Context, p *shell.Process) int {
	o, count, ok := countOption(p)
	if !ok {
		return 1
	}
	code := inputs(p, o.args, func(name string, data []byte) {
		header(p, o, name)
		if o.has("c") {
			if from, isFrom := strings.CutPrefix(o.last("c", ""), "+"); isFrom {
				n, _ := integer(p, from)
				output(p, string(data[min(max(n-1, 0), len(data)):]))
				return
			}
			n, _ := integer(p, strings.TrimPrefix(o.last("c", ""), "-"))
			output(p, string(data[max(0, len(data)-n):]))
			return
		}
		all := lines(data)
		if from, isFrom := strings.CutPrefix(count, "+"); isFrom {
			n, _ := integer(p, from)
			output(p, joinLines(all[min(max(n-1, 0), len(all)):]))
			return
		}
		n, _ := integer(p, strings.TrimPrefix(count, "-"))
		output(p, joinLines(all[max(0, len(all)-n):]))
	})
	if (o.has("f") || o.has("F")) && len(o.args) == 1 && code == 0 {
		follow(ctx, p, o.args[0])
	}
	return code
}

// follow prints what a file gains, looking once a second, until the process is ended.
func follow(ctx context.Context, p *shell.Process, name string) {
	data, err := p.ReadFile(name)
	seen := len(data)
	for err == nil && p.System.Sleep(ctx, 1e9) {
		data, err = p.ReadFile(name)
		if len(data) < seen {
			seen = 0
		}
		if output(p, string(data[seen:])) != 0 {
			return
		}
		seen = len(data)
	}
}

func wc(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "l,lines w,words c,bytes m,chars")
	if !ok {
		return 1
	}
	all := !o.has("l") && !o.has("w") && !o.has("c") && !o.has("m")
	var total [3]int
	show := func(counts [3]int, name string) {
		var parts []string
		for i, letter := range []string{"l", "w", "c"} {
			if all || o.has(letter) || letter == "c" && o.has("m") {
				format := "%d"
				if all && len(o.args) > 0 || len(o.args) > 1 {
					format = "%4d"
				}
				parts = append(parts, fmt.Sprintf(format, counts[i]))
			}
		}
		if name != "-" {
			parts = append(parts, name)
		}
		output(p, strings.Join(parts, " ")+"\n")
	}
	code := inputs(p, o.args, func(name string, data []byte) {
		counts := [3]int{strings.Count(string(data), "\n"), len(strings.Fields(string(data))), len(data)}
		for i, n := range counts {
			total[i] += n
		}
		show(counts, name)
	})
	if len(o.args) > 1 {
		show(total, "total")
	}
	return code
}

func tee(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "a,append i")
	if !ok {
		return 1
	}
	flag := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if o.has("a") {
		flag = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	code := 0
	targets := []io.Writer{p.Out}
	for _, name := range o.args {
		f, err := p.Open(name, flag, 0o666)
		if err != nil {
			p.Errorf("%s: %s", name, files.Reason(err))
			code = 1
			continue
		}
		targets = append(targets, f)
	}
	if _, err := io.Copy(io.MultiWriter(targets...), p.In); err != nil {
		return 1
	}
	return code
}

func seq(ctx context.Context, p *shell.Process) int {
	o, ok := parse(p, "w,equal-width s:separator f:format")
	if !ok {
		return 1
	}
	bounds := []int{1, 1, 0}
	values := make([]int, 0, 3)
	for _, arg := range o.args {
		n, ok := integer(p, arg)
		if !ok {
			return 1
		}
		values = append(values, n)
	}
	switch len(values) {
	case 1:
		bounds[2] = values[0]
	case 2:
		bounds[0], bounds[2] = values[0], values[1]
	case 3:
		copy(bounds, values)
	default:
		p.Errorf("missing operand")
		return 1
	}
	format := "%d"
	if o.has("w") {
		format = fmt.Sprintf("%%0%dd", max(len(strconv.Itoa(bounds[0])), len(strconv.Itoa(bounds[2]))))
	}
	if f := o.last("f", ""); f != "" {
		format = strings.NewReplacer("g", "d", "f", "d").Replace(f)
	}
	return count(ctx, p, bounds, func(n int, first bool) string {
		if first {
			return fmt.Sprintf(format, n)
		}
		return o.last("s", "\n") + fmt.Sprintf(format, n)
	})
}

// count writes the numbers from the first bound to the last, as it goes: there may be more than memory holds.
func count(ctx context.Context, p *shell.Process, bounds []int, text func(n int, first bool) string) int {
	from, step, to := bounds[0], bounds[1], bounds[2]
	out := bufio.NewWriter(p.Out)
	n := from
	for ; ctx.Err() == nil && (step > 0 && n <= to || step < 0 && n >= to); n += step {
		if _, err := out.WriteString(text(n, n == from)); err != nil {
			return 1
		}
		if step > 0 && n > to-step || step < 0 && n < to-step { // the last one: the next might not be a number any more
			n += step
			break
		}
	}
	if n == from {
		return 0
	}
	if err := errors.Join(out.WriteByte('\n'), out.Flush()); err != nil {
		return 1
	}
	return 0
}
