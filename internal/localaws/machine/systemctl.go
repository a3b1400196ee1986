package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func systemctlVerbs() map[string]func(*boot, *shell.Process, string) int {
	return map[string]func(*boot, *shell.Process, string) int{
		"start": systemctlStart, "stop": systemctlStop, "restart": systemctlRestart, "try-restart": systemctlRestart, "reload": systemctlReload,
		"reload-or-restart": systemctlReload, "enable": systemctlEnable, "disable": systemctlDisable, "mask": systemctlMask, "unmask": systemctlUnmask,
		"is-active": systemctlIsActive, "is-enabled": systemctlIsEnabled, "is-failed": systemctlIsFailed, "status": systemctlStatus, "cat": systemctlCat,
		"reset-failed": func(*boot, *shell.Process, string) int { return 0 }, "show": systemctlShow,
	}
}

func systemctl(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	var words []string
	now, quiet := false, false
	for _, arg := range p.Args[1:] {
		switch {
		case arg == "--now":
			now = true
		case arg == "-q" || arg == "--quiet":
			quiet = true
		case strings.HasPrefix(arg, "-"):
		default:
			words = append(words, arg)
		}
	}
	if len(words) == 0 {
		words = []string{"list-units"}
	}
	verb, names := words[0], words[1:]
	switch verb {
	case "daemon-reload", "daemon-reexec", "set-default", "isolate", "preset":
		return 0
	case "reboot":
		b.restart()
		return 0
	case "poweroff", "halt":
		b.halt()
		return 0
	case "list-units", "list-unit-files":
		return systemctlList(b, p)
	case "is-system-running":
		fmt.Fprintln(p.Out, "running")
		return 0
	}
	do, ok := systemctlVerbs()[verb]
	if !ok {
		fmt.Fprintf(p.Err, "Unknown command verb %s.\n", verb)
		return 1
	}
	if len(names) == 0 {
		fmt.Fprintln(p.Err, "Too few arguments.")
		return 1
	}
	if quiet {
		p.Out = discard{}
	}
	code := 0
	for _, name := range names {
		result := do(b, p, unitName(name))
		if now && result == 0 {
			switch verb {
			case "enable":
				result = systemctlStart(b, p, name)
			case "disable", "mask":
				result = systemctlStop(b, p, name)
			}
		}
		code = max(code, result)
	}
	return code
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func systemctlStart(b *boot, p *shell.Process, name string) int {
	message := b.startUnit(name)
	if message == "" {
		return 0
	}
	if strings.HasSuffix(message, "not found.") || strings.HasSuffix(message, "masked.") {
		fmt.Fprintf(p.Err, "Failed to start %s: %s\n", unitName(name), message)
		return 5
	}
	fmt.Fprintf(p.Err, "Job for %s failed because the control process exited with error code. %s\nSee \"systemctl status %s\" and \"journalctl -xeu %s\" for details.\n",
		unitName(name), message, unitName(name), unitName(name))
	return 1
}

func systemctlStop(b *boot, p *shell.Process, name string) int {
	if _, err := b.unit(name); errors.Is(err, errNoUnit) {
		fmt.Fprintf(p.Err, "Failed to stop %s: Unit %s not loaded.\n", unitName(name), unitName(name))
		return 5
	}
	b.stopUnit(name)
	return 0
}

func systemctlRestart(b *boot, p *shell.Process, name string) int {
	b.stopUnit(name)
	return systemctlStart(b, p, name)
}

func systemctlReload(b *boot, p *shell.Process, name string) int {
	if b.unitState(name) != "active" {
		fmt.Fprintf(p.Err, "%s is not active, cannot reload.\n", unitName(name))
		return 1
	}
	return systemctlRestart(b, p, name)
}

func systemctlEnable(b *boot, p *shell.Process, name string) int {
	u, err := b.unit(name)
	if err != nil {
		fmt.Fprintf(p.Err, "Failed to enable unit: Unit file %s does not exist.\n", unitName(name))
		return 1
	}
	if u.last("WantedBy") == "" {
		fmt.Fprintln(p.Err, "The unit files have no installation config (WantedBy=, RequiredBy=, UpheldBy=, Also=, or Alias= settings in the [Install] section).")
		return 0
	}
	link := wants + u.name
	if _, err := p.Files().Lstat(link); err == nil {
		return 0
	}
	if err := errors.Join(p.Files().MkdirAll(strings.TrimSuffix(wants, "/"), 0o755), p.Files().Symlink(u.file, link)); err != nil {
		p.Errorf("%v", err)
		return 1
	}
	fmt.Fprintf(p.Err, "Created symlink %s → %s.\n", link, u.file)
	return 0
}

func systemctlDisable(b *boot, p *shell.Process, name string) int {
	if _, err := b.unit(name); errors.Is(err, errNoUnit) {
		fmt.Fprintf(p.Err, "Failed to disable unit: Unit file %s does not exist.\n", unitName(name))
		return 1
	}
	if err := p.Files().Remove(wants+unitName(name), false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.Errorf("%v", err)
		return 1
	}
	return 0
}

func systemctlMask(_ *boot, p *shell.Process, name string) int {
	link := "/etc/systemd/system/" + unitName(name)
	if _, err := p.Files().Lstat(link); err == nil {
		if err := p.Files().Remove(link, false); err != nil {
			p.Errorf("%v", err)
			return 1
		}
	}
	if err := p.Files().Symlink("/dev/null", link); err != nil {
		p.Errorf("%v", err)
		return 1
	}
	return 0
}

func systemctlUnmask(b *boot, p *shell.Process, name string) int {
	if _, err := b.unit(name); errors.Is(err, errMasked) {
		if err := p.Files().Remove("/etc/systemd/system/"+unitName(name), false); err != nil {
			p.Errorf("%v", err)
			return 1
		}
	}
	return 0
}

func systemctlIsActive(b *boot, p *shell.Process, name string) int {
	state := b.unitState(name)
	fmt.Fprintln(p.Out, state)
	if state == "active" {
		return 0
	}
	return 3
}

func systemctlIsFailed(b *boot, p *shell.Process, name string) int {
	state := b.unitState(name)
	fmt.Fprintln(p.Out, state)
	if state == "failed" {
		return 0
	}
	return 1
}

func systemctlIsEnabled(b *boot, p *shell.Process, name string) int {
	state := b.enabled(name)
	if state == "" {
		fmt.Fprintf(p.Err, "Failed to get unit file state for %s: No such file or directory\n", name)
		return 1
	}
	fmt.Fprintln(p.Out, state)
	if state == "enabled" || state == "static" {
		return 0
	}
	return 1
}

func systemctlStatus(b *boot, p *shell.Process, name string) int {
	u, err := b.unit(name)
	if errors.Is(err, errNoUnit) {
		fmt.Fprintf(p.Err, "Unit %s could not be found.\n", name)
		return 4
	}
	state := b.unitState(name)
	file := ""
	if u != nil {
		file = u.file
	}
	fmt.Fprintf(p.Out, "● %s\n     Loaded: loaded (%s; %s)\n     Active: %s\n", name, file, b.enabled(name), state)
	if state == "active" {
		return 0
	}
	return 3
}

func systemctlShow(b *boot, p *shell.Process, name string) int {
	fmt.Fprintf(p.Out, "Id=%s\nActiveState=%s\nUnitFileState=%s\n", name, b.unitState(name), b.enabled(name))
	return 0
}

func systemctlCat(b *boot, p *shell.Process, name string) int {
	u, err := b.unit(name)
	if err != nil {
		fmt.Fprintf(p.Err, "No files found for %s.\n", name)
		return 1
	}
	fmt.Fprintf(p.Out, "# %s\n%s", u.file, b.read(u.file))
	return 0
}

func systemctlList(b *boot, p *shell.Process) int {
	b.mu.Lock()
	states := map[string]string{}
	for name, a := range b.units {
		states[name] = a.state
	}
	b.mu.Unlock()
	for _, name := range sortedKeys(states) {
		fmt.Fprintf(p.Out, "%-40s loaded %s\n", name, states[name])
	}
	return 0
}

func service(ctx context.Context, p *shell.Process) int {
	if len(p.Args) < 3 {
		p.Errorf("usage: service NAME start|stop|restart|reload|status")
		return 2
	}
	p.Args = []string{"systemctl", p.Args[2], p.Args[1]}
	return systemctl(ctx, p)
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func journalctl(_ context.Context, p *shell.Process) int {
	unit := ""
	for i, arg := range p.Args {
		if (arg == "-u" || strings.HasSuffix(arg, "eu")) && i+1 < len(p.Args) {
			unit = strings.TrimSuffix(p.Args[i+1], ".service")
		}
	}
	for line := range strings.Lines(bootOf(p).read(journalFile)) {
		if unit == "" || strings.Contains(line, " "+unit+": ") {
			fmt.Fprint(p.Out, line)
		}
	}
	return 0
}
