package commands

import (
	"context"

	"github.com/stampmill/stampmill/internal/localaws/machine/commands/awk"
	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func awkProgram(ctx context.Context, p *shell.Process) int {
	o, ok := parseArgs(p, "F:field-separator v:assign f:file", p.Args[1:], false)
	if !ok {
		return 2
	}
	var source string
	if from := o.last("f", ""); from != "" {
		data, err := p.ReadFile(from)
		if err != nil {
			p.Errorf("can't open file %s: %s", from, files.Reason(err))
			return 2
		}
		source = string(data)
	} else if len(o.args) > 0 {
		source, o.args = o.args[0], o.args[1:]
	}
	program, err := awk.Parse(source)
	if err != nil {
		p.Errorf("%v", err)
		return 2
	}
	run := awk.Run{Separator: o.last("F", " "), Assign: o.values["v"], Out: p.Out, Env: p.Env, Context: ctx}
	var input []byte
	code := 0
	if program.ReadsInput() {
		code = inputs(p, o.args, func(_ string, data []byte) { input = append(input, data...) }) * 2
	}
	exit, err := run.Execute(program, string(input))
	if err != nil {
		p.Errorf("%v", err)
		return 2
	}
	return max(code, exit)
}
