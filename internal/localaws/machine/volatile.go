package machine

import (
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
	"github.com/stampmill/stampmill/internal/localaws/machine/files"
)

// volatile are the file systems that every boot begins with, by mount point.
var volatile = sync.OnceValue(func() map[string]*disk.Disk {
	dev := builder{disk.New("")}
	for _, name := range []string{"null", "zero", "full", "tty", "console", "urandom", "random"} {
		kind := name
		if name == "urandom" {
			kind = "random"
		}
		dev.put("/"+name, disk.Node{Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666, Data: []byte(kind)})
	}
	dev.dir("/shm", "/pts", "/disk")
	for fd, name := range []string{"stdin", "stdout", "stderr"} {
		dev.link("/"+name, fmt.Sprintf("/proc/self/fd/%d", fd))
	}
	dev.link("/fd", "/proc/self/fd")
	proc := builder{disk.New("")}
	proc.dir("/sys/kernel/random", "/sys/vm", "/sys/net/ipv4", "/self", "/sys/fs")
	proc.file("/cpuinfo", "processor\t: 0\nmodel name\t: localaws\n\nprocessor\t: 1\nmodel name\t: localaws\n")
	proc.file("/meminfo", "MemTotal:        3943628 kB\nMemFree:         2811036 kB\nMemAvailable:    3334120 kB\n")
	proc.file("/loadavg", "0.00 0.00 0.00 1/100 600\n")
	proc.file("/version", "Linux version 6.1.0-localaws\n")
	proc.file("/cmdline", "BOOT_IMAGE=/boot/vmlinuz root=/dev/root ro console=ttyS0\n")
	for _, name := range []string{"/uptime", "/mounts", "/sys/kernel/hostname", "/sys/kernel/random/uuid"} {
		proc.file(name, "")
	}
	run := builder{disk.New("")}
	run.dir("/lock", "/systemd/system", "/cloud-init", "/user")
	return map[string]*disk.Disk{"/dev": dev.Disk, "/proc": proc.Disk, "/run": run.Disk}
})

func blockDevice(device string) files.Node {
	return files.Node{Mode: fs.ModeDevice | 0o660, ModTime: created, Data: []byte("block:" + device)}
}

func (b *boot) mountTable() string {
	var out strings.Builder
	for _, m := range b.system.Files.Mounts() {
		fmt.Fprintf(&out, "%s %s %s rw,relatime 0 0\n", m.Device, m.Point, m.Type)
	}
	return out.String()
}

// mountFstab mounts the data volumes that /etc/fstab names.
func (b *boot) mountFstab() {
	for line := range strings.Lines(b.read("/etc/fstab")) {
		fields := strings.Fields(line)
		if len(fields) < 3 || strings.HasPrefix(fields[0], "#") || fields[1] == "/" || fields[2] == "swap" {
			continue
		}
		if message := b.mount(fields[0], fields[1]); message != "" {
			fmt.Fprintf(&b.server.console, "[FAILED] mount %s: %s\n", fields[1], message)
		}
	}
}
