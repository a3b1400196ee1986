package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// activeUnit is a unit that was started in this boot.
type activeUnit struct {
	state  string // active, failed
	since  time.Time
	stop   func()
	oneOff bool
}

// unitFile is a service's file as systemd reads it: sections' settings in order.
type unitFile struct {
	name, file string
	settings   map[string][]string
}

var unitDirectories = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"}

const wants = "/etc/systemd/system/multi-user.target.wants/"

func unitName(name string) string {
	if path.Ext(name) == "" {
		return name + ".service"
	}
	return name
}

// unit reads a unit's file; drop-ins add to it.
func (b *boot) unit(name string) (*unitFile, error) {
	name = unitName(name)
	template := name
	if at := strings.IndexByte(name, '@'); at >= 0 {
		template = name[:at+1] + path.Ext(name)
	}
	for _, dir := range unitDirectories {
		for _, candidate := range []string{name, template} {
			file := dir + "/" + candidate
			n, err := b.system.Files.Stat(file)
			if err != nil || n.Mode.IsDir() {
				if real, linkErr := b.system.Files.Real(file); linkErr == nil && real == "/dev/null" {
					return nil, errMasked
				}
				continue
			}
			if n.Mode&fs.ModeDevice != 0 {
				return nil, errMasked
			}
			u := &unitFile{name: name, file: file, settings: map[string][]string{}}
			u.read(b.read(file))
			for _, dir := range unitDirectories {
				names, err := b.system.Files.ReadDir(dir + "/" + name + ".d")
				if err != nil {
					continue
				}
				for _, dropIn := range names {
					u.read(b.read(dir + "/" + name + ".d/" + dropIn))
				}
			}
			return u, nil
		}
	}
	return nil, errNoUnit
}

var (
	errNoUnit = errors.New("not found")
	errMasked = errors.New("masked")
)

func (u *unitFile) read(content string) {
	content = strings.ReplaceAll(content, "\\\n", " ")
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") || strings.HasPrefix(line, "[") {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if value == "" {
			delete(u.settings, key)
			continue
		}
		u.settings[key] = append(u.settings[key], value)
	}
}

func (u *unitFile) last(key string) string {
	values := u.settings[key]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// startEnabled starts what is enabled, as the multi-user target does.
func (b *boot) startEnabled() {
	names, err := b.system.Files.ReadDir(wants)
	if err != nil {
		return
	}
	for _, name := range names {
		if b.ctx.Err() != nil {
			return
		}
		if message := b.startUnit(name); message != "" {
			fmt.Fprintf(&b.server.console, "[FAILED] Failed to start %s: %s\n", name, message)
		} else {
			fmt.Fprintf(&b.server.console, "[  OK  ] Started %s.\n", name)
		}
	}
}

// startUnit starts a unit and waits until it has; the message says why it failed.
func (b *boot) startUnit(name string) string {
	u, err := b.unit(name)
	switch {
	case errors.Is(err, errMasked):
		return "Unit " + unitName(name) + " is masked."
	case err != nil:
		return "Unit " + unitName(name) + " not found."
	}
	b.mu.Lock()
	active, ok := b.units[u.name]
	b.mu.Unlock()
	if ok && active.state == "active" && !active.oneOff {
		return ""
	}
	a := &activeUnit{state: "active", since: time.Now(), stop: func() {}}
	message := b.execStart(u, a)
	if message != "" {
		a.state = "failed"
	}
	b.mu.Lock()
	b.units[u.name] = a
	b.mu.Unlock()
	return message
}

func (b *boot) execStart(u *unitFile, a *activeUnit) string {
	for _, command := range u.settings["ExecStartPre"] {
		if code := b.unitCommand(b.ctx, u, command); code != 0 && !strings.HasPrefix(command, "-") {
			return fmt.Sprintf("Control process exited with error code %d.", code)
		}
	}
	commands := u.settings["ExecStart"]
	kind := u.last("Type")
	for _, command := range commands {
		if start := daemonOf(command); start != nil {
			stop, err := start(b, strings.Fields(command))
			if err != nil {
				b.unitLog(u, err.Error())
				return "Control process exited with error code 1: " + err.Error()
			}
			a.stop = stop
			continue
		}
		if kind == "oneshot" || kind == "forking" {
			if code := b.unitCommand(b.ctx, u, command); code != 0 && !strings.HasPrefix(command, "-") {
				return fmt.Sprintf("Main process exited with error code %d.", code)
			}
			a.oneOff = kind == "oneshot" && u.last("RemainAfterExit") != "yes" && u.last("RemainAfterExit") != "true"
			continue
		}
		a.stop = b.startProcess(u, a, command)
	}
	if kind == "oneshot" && a.oneOff {
		a.state = "inactive"
	}
	return ""
}

// startProcess runs a simple service until it ends by itself or is stopped.
func (b *boot) startProcess(u *unitFile, a *activeUnit, command string) func() {
	ctx, cancel := context.WithCancel(b.ctx)
	b.system.Go(func() {
		defer cancel()
		code := b.unitCommand(ctx, u, command)
		b.mu.Lock()
		defer b.mu.Unlock()
		switch {
		case ctx.Err() != nil:
		case code != 0:
			a.state = "failed"
		default:
			a.state = "inactive"
		}
	})
	return cancel
}

func (b *boot) unitCommand(ctx context.Context, u *unitFile, command string) int {
	command = strings.TrimLeft(command, "-@+!")
	instance := ""
	if at := strings.IndexByte(u.name, '@'); at >= 0 {
		instance = strings.TrimSuffix(u.name[at+1:], path.Ext(u.name))
	}
	command = strings.NewReplacer("%i", instance, "%n", u.name, "%H", b.Hostname(), "%%", "%").Replace(command)
	env := map[string]string{"PATH": shell.DefaultPath}
	for _, file := range u.settings["EnvironmentFile"] {
		for line := range strings.Lines(b.read(strings.TrimPrefix(file, "-"))) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
				env[name] = strings.Trim(value, `"'`)
			}
		}
	}
	for _, line := range u.settings["Environment"] {
		for _, pair := range splitQuoted(line) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
	}
	dir := u.last("WorkingDirectory")
	if dir == "" {
		dir = "/"
	}
	journal := unitJournal{b, u.name}
	return b.system.Run(ctx, &shell.Process{Args: []string{u.name}, Dir: dir, Env: env,
		Descriptors: shell.Standard(strings.NewReader(""), journal, journal)}, "exec "+command, shell.Options{POSIX: true})
}

// splitQuoted splits at blanks outside of quotes and drops the quotes.
func splitQuoted(line string) []string {
	var out []string
	var word strings.Builder
	quote := rune(0)
	for _, r := range line + " " {
		switch {
		case r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		case quote == 0 && r == ' ':
			if word.Len() > 0 {
				out = append(out, word.String())
				word.Reset()
			}
		default:
			word.WriteRune(r)
		}
	}
	return out
}

// unitJournal keeps what a service prints in the journal, which is a file here.
type unitJournal struct {
	b    *boot
	unit string
}

const journalFile = "/var/log/journal.log"

func (j unitJournal) Write(data []byte) (int, error) {
	var out strings.Builder
	for line := range strings.Lines(string(data)) {
		fmt.Fprintf(&out, "%s %s %s: %s\n", time.Now().UTC().Format("Jan 02 15:04:05"), j.b.Hostname(), strings.TrimSuffix(j.unit, ".service"), strings.TrimSuffix(line, "\n"))
	}
	if err := j.b.system.Files.Append(journalFile, []byte(out.String()), 0o640); err != nil {
		return 0, err
	}
	return len(data), nil
}

func (b *boot) unitLog(u *unitFile, message string) {
	if _, err := (unitJournal{b, u.name}).Write([]byte(message + "\n")); err != nil {
		b.complain(err)
	}
}

func (b *boot) stopUnit(name string) {
	name = unitName(name)
	b.mu.Lock()
	a, ok := b.units[name]
	delete(b.units, name)
	b.mu.Unlock()
	if !ok {
		return
	}
	a.stop()
	if u, err := b.unit(name); err == nil {
		for _, command := range u.settings["ExecStop"] {
			if daemonOf(u.last("ExecStart")) == nil {
				b.unitCommand(b.ctx, u, command)
			}
		}
	}
}

func (b *boot) unitState(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a, ok := b.units[unitName(name)]; ok {
		return a.state
	}
	return "inactive"
}

func (b *boot) enabled(name string) string {
	name = unitName(name)
	u, err := b.unit(name)
	switch {
	case errors.Is(err, errMasked):
		return "masked"
	case err != nil:
		return ""
	}
	if _, err := b.system.Files.Lstat(wants + name); err == nil {
		return "enabled"
	}
	if u.last("WantedBy") == "" {
		return "static"
	}
	return "disabled"
}
