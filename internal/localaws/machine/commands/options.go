// Package commands holds the programs that every server has: the file and text utilities of a small Linux system.
//
// They do what their manual pages say for the options that they accept. An option that they do not know is an error, as
// it is for the real ones, so that a script never believes that something was done which was not.
package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// All gives the programs by name.
func All() map[string]shell.Program {
	all := map[string]shell.Program{"sh": shell.Main}
	for _, set := range []map[string]shell.Program{textCommands, fileCommands, listCommands, encodingCommands, processCommands, compareCommands} {
		maps.Copy(all, set)
	}
	return all
}

// options are a command line taken apart as getopt does.
type options struct {
	values map[string][]string
	args   []string
}

func (o options) has(letter string) bool { return len(o.values[letter]) > 0 }

func (o options) last(letter, otherwise string) string {
	if values := o.values[letter]; len(values) > 0 {
		return values[len(values)-1]
	}
	return otherwise
}

// parse reads options: spec lists them separated by spaces, "n:lines" being -n N and --lines=N, "r:" without a long
// name, "quiet" with a long one only. It complains about any other.
func parse(p *shell.Process, spec string) (options, bool) {
	return parseArgs(p, spec, p.Args[1:], true)
}

// parseArgs reads options; unless permute is set it stops at the first argument.
func parseArgs(p *shell.Process, spec string, args []string, permute bool) (options, bool) {
	short, long, takes := specification(spec)
	o := options{values: map[string][]string{}}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			o.args = append(o.args, args[i+1:]...)
			return o, true
		case len(arg) < 2 || arg[0] != '-':
			o.args = append(o.args, arg)
			if !permute {
				o.args = append(o.args, args[i+1:]...)
				return o, true
			}
		case strings.HasPrefix(arg, "--"):
			name, value, hasValue := strings.Cut(arg[2:], "=")
			key, ok := long[name]
			if !ok {
				p.Errorf("unrecognized option '%s'", arg)
				return o, false
			}
			if takes[key] && !hasValue {
				if i++; i >= len(args) {
					p.Errorf("option '%s' requires an argument", arg)
					return o, false
				}
				value = args[i]
			}
			o.values[key] = append(o.values[key], value)
		default:
			used, ok := o.cluster(p, arg[1:], args[i+1:], short, takes)
			if !ok {
				return o, false
			}
			i += used
		}
	}
	return o, true
}

// cluster reads the letters after one dash; the last may take the next argument.
func (o *options) cluster(p *shell.Process, letters string, rest []string, short, takes map[string]bool) (used int, ok bool) {
	for i := range len(letters) {
		letter := letters[i : i+1]
		switch {
		case !short[letter]:
			p.Errorf("invalid option -- '%s'", letter)
			return 0, false
		case !takes[letter]:
			o.values[letter] = append(o.values[letter], "")
			continue
		case i+1 < len(letters):
			o.values[letter] = append(o.values[letter], letters[i+1:])
			return 0, true
		case len(rest) == 0:
			p.Errorf("option requires an argument -- '%s'", letter)
			return 0, false
		}
		o.values[letter] = append(o.values[letter], rest[0])
		return 1, true
	}
	return 0, true
}

func specification(spec string) (short map[string]bool, long map[string]string, takes map[string]bool) {
	short, long, takes = map[string]bool{}, map[string]string{}, map[string]bool{}
	for item := range strings.FieldsSeq(spec) {
		key, name := item[:1], strings.TrimLeft(item[1:], ":,")
		withValue := strings.Contains(item, ":")
		if len(item) > 1 && item[1] != ':' && item[1] != ',' {
			key = strings.TrimSuffix(item, ":")
			name = key
		} else {
			short[key] = true
		}
		if name != "" {
			long[name] = key
		}
		takes[key] = withValue
	}
	return short, long, takes
}

// inputs calls f with each named file's content, standard input if none is named. It returns 1 if one cannot be read.
func inputs(p *shell.Process, names []string, f func(name string, data []byte)) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	code := 0
	for _, name := range names {
		data, err := p.ReadFile(name)
		if err != nil {
			p.Errorf("%s: %s", name, files.Reason(err))
			code = 1
			continue
		}
		f(name, data)
	}
	return code
}

// lines splits content into lines without their ends.
func lines(data []byte) []string {
	if len(data) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimSuffix(data, []byte("\n"))), "\n")
}

// output writes, and tells the exit code.
func output(p *shell.Process, text string) int {
	if _, err := io.WriteString(p.Out, text); err != nil {
		return 1
	}
	return 0
}

func integer(p *shell.Process, text string) (int, bool) {
	n, err := strconv.Atoi(text)
	if err != nil {
		p.Errorf("invalid number '%s'", text)
	}
	return n, err == nil
}

// each runs f for all arguments; an error is printed and makes the exit code 1.
func each(p *shell.Process, args []string, what string, f func(name string) error) int {
	if len(args) == 0 {
		p.Errorf("missing operand")
		return 1
	}
	code := 0
	for _, name := range args {
		if err := f(name); err != nil {
			p.Errorf("%s", fmt.Sprintf(what, name)+": "+files.Reason(err))
			code = 1
		}
	}
	return code
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func usage(ctx context.Context, p *shell.Process, text string) int {
	if ctx.Err() == nil {
		p.Errorf("%s", text)
	}
	return 2
}
