package machine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// words are the arguments that are not options.
func words(args []string) []string {
	var out []string
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			out = append(out, arg)
		}
	}
	return out
}

func dnf(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	if b.server.distribution().debian() {
		p.Errorf("command not found")
		return 127
	}
	i, args := b.installer(), words(p.Args[1:])
	if len(args) == 0 {
		p.Errorf("usage: dnf [options] COMMAND")
		return 1
	}
	switch args[0] {
	case "install", "reinstall", "localinstall":
		return dnfInstall(p, i, args[1:])
	case "remove", "erase", "autoremove":
		return b.removePackages(p, i, args[1:])
	case "update", "upgrade", "check-update", "makecache", "clean", "config-manager", "upgrade-minimal", "distro-sync", "module":
		fmt.Fprintln(p.Out, "Dependencies resolved.\nNothing to do.\nComplete!")
		return 0
	case "list":
		fmt.Fprintln(p.Out, "Installed Packages")
		for _, one := range i.list() {
			if len(args) < 2 || args[1] == "installed" || args[1] == one.name {
				fmt.Fprintf(p.Out, "%s.%s %s @amazonlinux\n", one.name, i.architecture, one.version)
			}
		}
		return 0
	}
	p.Errorf("No such command: %s", args[0])
	return 1
}

func dnfInstall(p *shell.Process, i *installer, names []string) int {
	for _, word := range names {
		if name, _ := packageName(word); !known(name) {
			fmt.Fprintf(p.Err, "No match for argument: %s\nError: Unable to find a match: %s\n", word, word)
			return 1
		}
	}
	for _, word := range names {
		name, version := packageName(word)
		if have, ok := i.has(name); ok && (version == "" || strings.HasPrefix(have, version)) {
			fmt.Fprintf(p.Out, "Package %s-%s is already installed.\n", name, have)
			continue
		}
		if err := i.install(name, version); err != nil {
			p.Errorf("%s: %v", name, err)
			return 1
		}
		have, _ := i.has(name)
		fmt.Fprintf(p.Out, "Installed:\n  %s-%s.%s\n", name, have, i.architecture)
	}
	fmt.Fprintln(p.Out, "Complete!")
	return 0
}

func known(name string) bool {
	_, ok := catalogue[name]
	return ok
}

func (b *boot) removePackages(p *shell.Process, i *installer, names []string) int {
	for _, name := range names {
		if _, ok := i.has(name); !ok {
			fmt.Fprintf(p.Out, "No packages marked for removal: %s\n", name)
			continue
		}
		for unit := range catalogue[name].units {
			b.stopUnit(unit)
		}
		if err := i.remove(name); err != nil {
			p.Errorf("%s: %v", name, err)
			return 1
		}
		fmt.Fprintf(p.Out, "Removed:\n  %s\n", name)
	}
	return 0
}

func apt(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	if !b.server.distribution().debian() {
		p.Errorf("command not found")
		return 127
	}
	i, args := b.installer(), words(p.Args[1:])
	if len(args) == 0 {
		p.Errorf("usage: apt-get [options] command")
		return 1
	}
	switch args[0] {
	case "install":
		return aptInstall(b, p, i, args[1:])
	case "remove", "purge", "autoremove":
		return b.removePackages(p, i, args[1:])
	case "update", "upgrade", "dist-upgrade", "full-upgrade", "clean", "autoclean":
		fmt.Fprintln(p.Out, "Reading package lists... Done")
		return 0
	case "list":
		for _, one := range i.list() {
			fmt.Fprintf(p.Out, "%s/now %s %s [installed]\n", one.name, one.version, i.architecture)
		}
		return 0
	}
	fmt.Fprintf(p.Err, "E: Invalid operation %s\n", args[0])
	return 100
}

func aptInstall(b *boot, p *shell.Process, i *installer, names []string) int {
	for _, word := range names {
		if name, _ := packageName(word); !known(name) {
			fmt.Fprintf(p.Err, "E: Unable to locate package %s\n", word)
			return 100
		}
	}
	for _, word := range names {
		name, version := packageName(word)
		if have, ok := i.has(name); ok && (version == "" || strings.HasPrefix(have, version)) {
			fmt.Fprintf(p.Out, "%s is already the newest version (%s).\n", name, have)
			continue
		}
		if err := i.install(name, version); err != nil {
			fmt.Fprintf(p.Err, "E: %s: %v\n", name, err)
			return 100
		}
		have, _ := i.has(name)
		fmt.Fprintf(p.Out, "Setting up %s (%s) ...\n", name, have)
		// Debian's packages enable and start their services.
		for unit := range catalogue[name].units {
			systemctlEnable(b, &shell.Process{Args: []string{"systemctl"}, System: p.System, Err: discard{}, Out: discard{}}, unit)
			if message := b.startUnit(unit); message != "" {
				fmt.Fprintf(p.Err, "Job for %s failed: %s\n", unit, message)
			}
		}
	}
	return 0
}

func rpm(_ context.Context, p *shell.Process) int {
	i, names := bootOf(p).installer(), words(p.Args[1:])
	options := strings.Join(p.Args[1:], " ")
	if format, args, ok := formatOption(p.Args[1:], "--qf", "--queryformat"); ok {
		return showPackages(p, i, format, "%", args)
	}
	switch {
	case strings.Contains(options, "-qa"):
		for _, one := range i.list() {
			if len(names) == 0 || names[0] == one.name {
				fmt.Fprintf(p.Out, "%s-%s-1.amzn2023.%s\n", one.name, one.version, i.architecture)
			}
		}
		return 0
	case strings.Contains(options, "-q"):
		code := 0
		for _, name := range names {
			version, ok := i.has(name)
			if !ok {
				fmt.Fprintf(p.Out, "package %s is not installed\n", name)
				code = 1
				continue
			}
			fmt.Fprintf(p.Out, "%s-%s-1.amzn2023.%s\n", name, version, i.architecture)
		}
		return code
	case strings.Contains(options, "--import"):
		return 0
	}
	p.Errorf("this server's rpm answers -q and -qa only")
	return 1
}

func dpkg(_ context.Context, p *shell.Process) int {
	i, names := bootOf(p).installer(), words(p.Args[1:])
	if format, args, ok := formatOption(p.Args[1:], "-f", "--showformat"); ok {
		return showPackages(p, i, format, "$", args)
	}
	if strings.HasPrefix(p.Args[len(p.Args)-1], "--configure") || strings.Contains(strings.Join(p.Args, " "), "--configure") {
		return 0
	}
	code := 0
	all := i.list()
	for _, name := range names {
		if _, ok := i.has(name); !ok {
			fmt.Fprintf(p.Err, "dpkg-query: no packages found matching %s\n", name)
			code = 1
		}
	}
	short := strings.HasSuffix(p.Args[0], "dpkg-query")
	for _, one := range all {
		if len(names) > 0 && !contains(names, one.name) {
			continue
		}
		switch {
		case contains(p.Args, "-s"):
			fmt.Fprintf(p.Out, "Package: %s\nStatus: install ok installed\nVersion: %s\n", one.name, one.version)
		case short && !contains(p.Args, "-l"):
			fmt.Fprintf(p.Out, "%s\t%s\n", one.name, one.version)
		default:
			fmt.Fprintf(p.Out, "ii  %s %s %s\n", one.name, one.version, i.architecture)
		}
	}
	return code
}

func contains(list []string, name string) bool {
	return slices.Contains(list, name)
}
