package commands

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func mktemp(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "d,directory q u,dry-run t p:tmpdir suffix:")
	if !ok {
		return 1
	}
	template := "tmp.XXXXXXXXXX"
	dir := o.last("p", "/tmp")
	if d, ok := p.Env["TMPDIR"]; ok && d != "" && !o.has("p") {
		dir = d
	}
	if len(o.args) > 0 {
		template = o.args[0]
		if !o.has("p") && !o.has("t") {
			dir = p.Path(".")
		}
	}
	at := strings.LastIndex(template, "XXX")
	if at < 0 {
		p.Errorf("too few X's in template '%s'", template)
		return 1
	}
	start := len(strings.TrimRight(template[:at+3], "X"))
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for {
		name := []byte(template)
		for i := start; i < at+3; i++ {
			name[i] = letters[rand.IntN(len(letters))]
		}
		target := string(name) + o.last("suffix", "")
		if !strings.HasPrefix(target, "/") {
			target = path.Join(dir, target)
		}
		if _, err := p.Files().Lstat(target); err == nil {
			continue
		}
		err := error(nil)
		switch {
		case o.has("u"):
		case o.has("d"):
			err = p.Files().Mkdir(target, 0o700)
		default:
			err = p.Files().Write(target, nil, 0o600)
		}
		if err != nil {
			p.Errorf("failed to create file via template '%s': %s", template, files.Reason(err))
			return 1
		}
		return output(p, target+"\n")
	}
}

func install(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "d,directory m:mode o:owner g:group D t:target-directory v p C T")
	if !ok {
		return 1
	}
	finish := func(target, mode string) error {
		if err := changeMode(p, target, o.last("m", mode)); err != nil {
			return err
		}
		uid, okUser := identity(p, "/etc/passwd", o.last("o", "0"))
		gid, okGroup := identity(p, "/etc/group", o.last("g", "0"))
		if !okUser || !okGroup {
			return fmt.Errorf("invalid user or group")
		}
		return p.Files().Change(target, true, func(n *files.Node) { n.UID, n.GID = uid, gid })
	}
	if o.has("d") {
		return each(p, o.args, "cannot create directory '%s'", func(name string) error {
			if err := p.Files().MkdirAll(p.Path(name), 0o755); err != nil {
				return err
			}
			return finish(p.Path(name), "755")
		})
	}
	sources, target, ok := sourcesAndTarget(p, o)
	if !ok {
		return 1
	}
	return each(p, sources, "cannot install '%s'", func(source string) error {
		to := into(p, source, target)
		if o.has("D") {
			if err := p.Files().MkdirAll(path.Dir(to), 0o755); err != nil {
				return err
			}
		}
		data, err := p.ReadFile(source)
		if err != nil {
			return err
		}
		if err := p.Files().Write(to, data, 0o755); err != nil {
			return err
		}
		return finish(to, "755")
	})
}

func truncate(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "s:size l:length c")
	if !ok {
		return 1
	}
	size, ok := byteSize(o.last("s", o.last("l", "0")))
	if !ok {
		p.Errorf("invalid number '%s'", o.last("s", o.last("l", "")))
		return 1
	}
	return each(p, o.args, "cannot open '%s'", func(name string) error {
		data, err := p.Files().ReadFile(p.Path(name))
		if err != nil && (!errors.Is(err, fs.ErrNotExist) || o.has("c")) {
			return err
		}
		resized := make([]byte, size)
		copy(resized, data)
		return p.Files().Write(p.Path(name), resized, 0o644)
	})
}

// maxFile bounds what truncate and dd make: it is memory.
const maxFile = 16 << 20

func byteSize(text string) (int, bool) {
	factor := 1
	for suffix, f := range map[string]int{"k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if before, ok0 := strings.CutSuffix(text, suffix); ok0 {
			text, factor = before, f
		}
	}
	n, err := strconv.Atoi(text)
	return min(n*factor, maxFile), err == nil && n >= 0
}

func dd(_ context.Context, p *shell.Process) int {
	values := map[string]string{"bs": "512", "count": "-1", "if": "-"}
	for _, arg := range p.Args[1:] {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			p.Errorf("unrecognized operand '%s'", arg)
			return 1
		}
		values[name] = value
	}
	block, okBlock := byteSize(values["bs"])
	count, err := strconv.Atoi(values["count"])
	if !okBlock || err != nil {
		p.Errorf("invalid number")
		return 1
	}
	limit := maxFile
	if count >= 0 {
		limit = min(block*count, maxFile)
	}
	var data []byte
	switch values["if"] {
	case "/dev/zero":
		data = make([]byte, limit)
	case "/dev/urandom", "/dev/random":
		data = make([]byte, limit)
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
	default:
		if data, err = p.ReadFile(values["if"]); err != nil {
			p.Errorf("failed to open '%s': %s", values["if"], files.Reason(err))
			return 1
		}
		data = data[:min(limit, len(data))]
	}
	target, ok := values["of"]
	if !ok {
		return output(p, string(data))
	}
	if err := p.Files().Write(p.Path(target), data, 0o666&^p.Umask); err != nil {
		p.Errorf("failed to open '%s': %s", target, files.Reason(err))
		return 1
	}
	return 0
}
