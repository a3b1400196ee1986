package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// cloudInitProgram is the cloud-init command.
func cloudInitProgram(ctx context.Context, p *shell.Process) int {
	b := bootOf(p)
	if len(p.Args) < 2 {
		p.Errorf("usage: cloud-init clean|status|init")
		return 2
	}
	switch p.Args[1] {
	case "status":
		for _, arg := range p.Args[2:] {
			for arg == "--wait" && b.cloudInitStatus() == "running" {
				if !p.System.Sleep(ctx, time.Second) {
					return 1
				}
			}
		}
		status := b.cloudInitStatus()
		fmt.Fprintf(p.Out, "status: %s\n", status)
		if status == "error" {
			return 1
		}
		return 0
	case "clean":
		return cleanCloudInit(p)
	case "--version", "-v":
		fmt.Fprintln(p.Out, "/usr/bin/cloud-init 24.4")
		return 0
	case "init", "modules", "single":
		return 0
	}
	p.Errorf("invalid choice: '%s'", p.Args[1])
	return 2
}

func (b *boot) cloudInitStatus() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cloudInit
}

func cleanCloudInit(p *shell.Process) int {
	remove := []string{"/var/lib/cloud/instance", "/var/lib/cloud/instances", "/var/lib/cloud/data", "/var/lib/cloud/sem"}
	for _, arg := range p.Args[2:] {
		switch arg {
		case "--logs", "-l":
			remove = append(remove, "/var/log/cloud-init.log", outputLog)
		case "--seed", "-s", "--configs", "all", "-c":
		case "--machine-id":
			if err := p.Files().Write("/etc/machine-id", []byte("uninitialized\n"), 0o444); err != nil {
				p.Errorf("%v", err)
				return 1
			}
		case "--reboot", "-r":
			defer bootOf(p).restart()
		default:
			p.Errorf("unrecognized arguments: %s", arg)
			return 2
		}
	}
	for _, name := range remove {
		if err := p.Files().Remove(name, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.Errorf("%v", err)
			return 1
		}
	}
	return 0
}
