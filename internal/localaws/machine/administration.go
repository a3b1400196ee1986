package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func systemPrograms() map[string]shell.Program {
	return map[string]shell.Program{
		"systemctl": systemctl, "service": service, "journalctl": journalctl, "hostname": hostname, "hostnamectl": hostnamectl, "uname": uname,
		"shutdown": shutdown, "poweroff": powerOff, "halt": powerOff, "reboot": rebootProgram, "sysctl": sysctl, "ssh-keygen": sshKeygen,
		"timedatectl": succeed, "systemd-detect-virt": detectVirtualization, "getent": getent, "loginctl": succeed, "crontab": succeed, "visudo": succeed,
		"modprobe": succeed, "ldconfig": succeed,
	}
}

func hostname(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	name := b.Hostname()
	for _, arg := range p.Args[1:] {
		switch {
		case arg == "-s" || arg == "--short":
			name, _, _ = strings.Cut(name, ".")
		case arg == "-I" || arg == "-i":
			name = b.server.config.Identity.PrivateIP
		case strings.HasPrefix(arg, "-"):
		default:
			b.setHostname(arg)
			return 0
		}
	}
	fmt.Fprintln(p.Out, name)
	return 0
}

func hostnamectl(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	args := words(p.Args[1:])
	switch {
	case len(args) == 2 && (args[0] == "set-hostname" || args[0] == "hostname"):
		if err := p.Files().Write("/etc/hostname", []byte(args[1]+"\n"), 0o644); err != nil {
			p.Errorf("%v", err)
			return 1
		}
		b.setHostname(args[1])
		return 0
	case len(args) == 1 && args[0] == "hostname":
		fmt.Fprintln(p.Out, b.Hostname())
		return 0
	case len(args) > 0 && args[0] != "status":
		p.Errorf("Unknown command verb %s.", args[0])
		return 1
	}
	fmt.Fprintf(p.Out, " Static hostname: %s\n", strings.TrimSpace(b.read("/etc/hostname")))
	return 0
}

func kernelVersion(s *server) string {
	return "Linux version 6.1.0-localaws " + s.config.Identity.Architecture
}

func uname(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	machine := b.server.config.Identity.Architecture
	if machine == "arm64" {
		machine = "aarch64"
	}
	parts := map[rune]string{'s': "Linux", 'n': b.Hostname(), 'r': "6.1.0-localaws", 'v': "#1 SMP", 'm': machine, 'p': machine, 'i': machine, 'o': "GNU/Linux"}
	wanted := map[rune]bool{}
	for _, arg := range p.Args[1:] {
		for _, letter := range strings.TrimLeft(arg, "-") {
			if letter == 'a' {
				for l := range parts {
					wanted[l] = l != 'p' && l != 'i'
				}
			}
			wanted[letter] = true
		}
	}
	if len(wanted) == 0 {
		wanted['s'] = true
	}
	var out []string
	for _, letter := range "snrvmpio" {
		if wanted[letter] {
			out = append(out, parts[letter])
		}
	}
	fmt.Fprintln(p.Out, strings.Join(out, " "))
	return 0
}

func shutdown(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	restart, delay := false, time.Minute
	for _, arg := range p.Args[1:] {
		switch {
		case arg == "-r" || arg == "--reboot":
			restart = true
		case arg == "-c":
			return 0
		case arg == "now" || arg == "+0":
			delay = 0
		case strings.HasPrefix(arg, "+"):
			minutes := 1
			if _, err := fmt.Sscanf(arg, "+%d", &minutes); err != nil {
				p.Errorf("Failed to parse time specification: %s", arg)
				return 1
			}
			delay = time.Duration(minutes) * time.Minute
		}
	}
	end := b.halt
	if restart {
		end = b.restart
	}
	if delay > 0 {
		b.after(delay, end)
		return 0
	}
	end()
	return 0
}

func powerOff(_ context.Context, p *shell.Process) int {
	bootOf(p).halt()
	return 0
}

func rebootProgram(_ context.Context, p *shell.Process) int {
	bootOf(p).restart()
	return 0
}

func detectVirtualization(_ context.Context, p *shell.Process) int {
	fmt.Fprintln(p.Out, "amazon")
	return 0
}

func sysctl(_ context.Context, p *shell.Process) int {
	for _, arg := range words(p.Args[1:]) {
		name, value, set := strings.Cut(arg, "=")
		file := "/proc/sys/" + strings.ReplaceAll(strings.TrimSpace(name), ".", "/")
		if !set {
			data, err := p.Files().ReadFile(file)
			if err != nil {
				p.Errorf("cannot stat %s: No such file or directory", file)
				return 255
			}
			value = strings.TrimSpace(string(data))
		} else if err := errors.Join(p.Files().MkdirAll(file[:strings.LastIndexByte(file, '/')], 0o755), p.Files().Write(file, []byte(strings.TrimSpace(value)+"\n"), 0o644)); err != nil {
			p.Errorf("%v", err)
			return 1
		}
		fmt.Fprintf(p.Out, "%s = %s\n", strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return 0
}

func sshKeygen(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	file := ""
	for i, arg := range p.Args {
		switch {
		case arg == "-A":
			b.hostKeys()
			return 0
		case arg == "-f" && i+1 < len(p.Args):
			file = p.Path(p.Args[i+1])
		}
	}
	if file == "" {
		p.Errorf("this server's ssh-keygen makes host keys (-A) and key files (-f) only")
		return 1
	}
	secret := uuid("ssh key", file, time.Now().String(), b.id)
	err := errors.Join(p.Files().Write(file, []byte("-----BEGIN OPENSSH PRIVATE KEY-----\n"+secret+"\n-----END OPENSSH PRIVATE KEY-----\n"), 0o600),
		p.Files().Write(file+".pub", []byte("ssh-ed25519 "+uuid("public", secret)+" root@"+b.Hostname()+"\n"), 0o644))
	if err != nil {
		p.Errorf("%v", err)
		return 1
	}
	return 0
}

func getent(_ context.Context, p *shell.Process) int {
	if len(p.Args) < 3 {
		return 1
	}
	for line := range strings.Lines(bootOf(p).read("/etc/" + p.Args[1])) {
		if name, _, _ := strings.Cut(line, ":"); name == p.Args[2] {
			fmt.Fprint(p.Out, line)
			return 0
		}
	}
	return 2
}

func accountPrograms() map[string]shell.Program {
	return map[string]shell.Program{
		"useradd": useradd, "adduser": useradd, "usermod": usermod, "userdel": userdel, "groupadd": groupadd, "passwd": passwd, "chpasswd": succeed,
	}
}

// accountName is the last argument that is no option's value.
func accountName(p *shell.Process) string {
	if len(p.Args) < 2 {
		return ""
	}
	return p.Args[len(p.Args)-1]
}

func hasLine(content, name string) bool {
	for line := range strings.Lines(content) {
		if first, _, _ := strings.Cut(line, ":"); first == name {
			return true
		}
	}
	return false
}

func useradd(_ context.Context, p *shell.Process) int {
	b, name := bootOf(p), accountName(p)
	passwords := b.read("/etc/passwd")
	if name == "" || strings.HasPrefix(name, "-") {
		p.Errorf("usage: useradd [options] LOGIN")
		return 2
	}
	if hasLine(passwords, name) {
		p.Errorf("user '%s' already exists", name)
		return 9
	}
	home, login, makeHome, id := "/home/"+name, "/bin/bash", true, 1000
	for strings.Contains(passwords, fmt.Sprintf(":x:%d:", id)) {
		id++
	}
	for i, arg := range p.Args[:len(p.Args)-1] {
		switch arg {
		case "-d", "--home-dir", "--home":
			home = p.Args[i+1]
		case "-s", "--shell":
			login = p.Args[i+1]
		case "-u", "--uid":
			if _, err := fmt.Sscan(p.Args[i+1], &id); err != nil {
				p.Errorf("invalid user ID '%s'", p.Args[i+1])
				return 3
			}
		case "-M", "--no-create-home":
			makeHome = false
		case "-r", "--system":
			makeHome = false
		}
	}
	if contains(p.Args, "-m") || contains(p.Args, "--create-home") {
		makeHome = true
	}
	err := errors.Join(p.Files().Append("/etc/passwd", []byte(fmt.Sprintf("%s:x:%d:%d::%s:%s\n", name, id, id, home, login)), 0o644),
		p.Files().Append("/etc/group", []byte(fmt.Sprintf("%s:x:%d:\n", name, id)), 0o644),
		p.Files().Append("/etc/shadow", []byte(name+":!:19000::::::\n"), 0o600))
	if makeHome {
		err = errors.Join(err, p.Files().MkdirAll(home, 0o700), p.Files().Change(home, true, func(n *files.Node) { n.UID, n.GID = id, id }))
	}
	if err != nil {
		p.Errorf("%v", err)
		return 1
	}
	return 0
}

func usermod(_ context.Context, p *shell.Process) int {
	name := accountName(p)
	if !hasLine(bootOf(p).read("/etc/passwd"), name) {
		p.Errorf("user '%s' does not exist", name)
		return 6
	}
	return 0
}

func passwd(ctx context.Context, p *shell.Process) int {
	b, name := bootOf(p), accountName(p)
	if !hasLine(b.read("/etc/passwd"), name) {
		p.Errorf("Unknown user name '%s'.", name)
		return 1
	}
	if contains(p.Args, "-l") {
		var out strings.Builder
		for line := range strings.Lines(b.read("/etc/shadow")) {
			if rest, ok := strings.CutPrefix(line, name+":"); ok && !strings.HasPrefix(rest, "!") {
				line = name + ":!" + rest
			}
			out.WriteString(line)
		}
		b.complain(p.Files().Write("/etc/shadow", []byte(out.String()), 0o600))
	}
	return succeed(ctx, p)
}

func userdel(_ context.Context, p *shell.Process) int {
	b, name := bootOf(p), accountName(p)
	if !hasLine(b.read("/etc/passwd"), name) {
		p.Errorf("user '%s' does not exist", name)
		return 6
	}
	for _, file := range []string{"/etc/passwd", "/etc/group", "/etc/shadow"} {
		var out strings.Builder
		for line := range strings.Lines(b.read(file)) {
			if !strings.HasPrefix(line, name+":") {
				out.WriteString(line)
			}
		}
		b.complain(p.Files().Write(file, []byte(out.String()), 0o644))
	}
	if contains(p.Args, "-r") {
		if err := p.Files().Remove("/home/"+name, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.Errorf("%v", err)
		}
	}
	return 0
}

func groupadd(_ context.Context, p *shell.Process) int {
	b, name := bootOf(p), accountName(p)
	groups := b.read("/etc/group")
	if hasLine(groups, name) {
		if contains(p.Args, "-f") {
			return 0
		}
		p.Errorf("group '%s' already exists", name)
		return 9
	}
	id := 1000
	for strings.Contains(groups, fmt.Sprintf(":x:%d:", id)) {
		id++
	}
	b.complain(p.Files().Append("/etc/group", []byte(fmt.Sprintf("%s:x:%d:\n", name, id)), 0o644))
	return 0
}
