package machine

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func storagePrograms() map[string]shell.Program {
	return map[string]shell.Program{
		"mount": mountProgram, "umount": umount, "mkfs.ext4": mkfs, "mkfs.ext3": mkfs, "mkfs.xfs": mkfs, "blkid": blkid, "lsblk": lsblk,
		"resize2fs": succeed, "xfs_growfs": succeed, "fsfreeze": fsfreeze, "swapoff": succeed,
	}
}

// device finds the disk that a device's name, UUID= or LABEL= means. /dev/xvdf and /dev/sdf are the same volume.
func (b *boot) device(name string) (string, *disk.Disk) {
	if id, ok := strings.CutPrefix(name, "UUID="); ok {
		for device, d := range b.server.disks {
			if diskUUID(device) == id {
				return device, d
			}
		}
		return "", nil
	}
	if d, ok := b.server.disks[name]; ok {
		return name, d
	}
	for _, pair := range [][2]string{{"/dev/xvd", "/dev/sd"}, {"/dev/sd", "/dev/xvd"}} {
		if rest, ok := strings.CutPrefix(name, pair[0]); ok {
			if d, ok := b.server.disks[pair[1]+rest]; ok {
				return pair[1] + rest, d
			}
		}
	}
	return "", nil
}

func diskUUID(device string) string { return uuid("volume", device) }

// mount mounts a volume; the message says why it could not.
func (b *boot) mount(name, point string) string {
	tree := b.system.Files
	if name == "tmpfs" {
		tree.Mount(files.Mount{Point: point, Device: "tmpfs", Type: "tmpfs", Disk: disk.New("")})
		return ""
	}
	device, d := b.device(name)
	if d == nil {
		return fmt.Sprintf("special device %s does not exist.", name)
	}
	if d.Label() == "" {
		return fmt.Sprintf("wrong fs type, bad option, bad superblock on %s, missing codepage or helper program, or other error.", name)
	}
	real, err := tree.Real(point)
	if n, statErr := tree.Stat(point); err != nil || statErr != nil || !n.Mode.IsDir() {
		return "mount point does not exist."
	}
	for _, m := range tree.Mounts() {
		if m.Disk == d {
			return fmt.Sprintf("%s already mounted on %s.", name, m.Point)
		}
	}
	tree.Mount(files.Mount{Point: real, Device: device, Type: d.Label(), Disk: d})
	return ""
}

func mountProgram(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	if contains(p.Args, "-a") {
		b.mountFstab()
		return 0
	}
	var args []string
	for i := 1; i < len(p.Args); i++ {
		if arg := p.Args[i]; arg == "-t" || arg == "-o" {
			i++
		} else if !strings.HasPrefix(arg, "-") {
			args = append(args, arg)
		}
	}
	switch len(args) {
	case 0:
		fmt.Fprint(p.Out, b.mountTable())
		return 0
	case 1:
		for line := range strings.Lines(b.read("/etc/fstab")) {
			if fields := strings.Fields(line); len(fields) > 2 && (fields[0] == args[0] || fields[1] == args[0]) {
				args = fields[:2]
				break
			}
		}
		if len(args) == 1 {
			p.Errorf("%s: can't find in /etc/fstab.", args[0])
			return 1
		}
	}
	if contains(p.Args, "--bind") {
		p.Errorf("this server's mount makes no bind mounts")
		return 32
	}
	if message := b.mount(args[0], path.Clean(p.Path(args[1]))); message != "" {
		p.Errorf("%s: %s", args[1], message)
		return 32
	}
	return 0
}

func umount(_ context.Context, p *shell.Process) int {
	b, code := bootOf(p), 0
	for _, name := range words(p.Args[1:]) {
		point := path.Clean(p.Path(name))
		if device, _ := b.device(name); device != "" {
			for _, m := range p.Files().Mounts() {
				if m.Device == device {
					point = m.Point
				}
			}
		}
		if !p.Files().Unmount(point) {
			p.Errorf("%s: not mounted.", name)
			code = 32
		}
	}
	return code
}

func mkfs(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	name := p.Args[len(p.Args)-1]
	device, d := b.device(name)
	if d == nil {
		p.Errorf("%s: No such file or directory", name)
		return 1
	}
	for _, m := range p.Files().Mounts() {
		if m.Disk == d || device == b.server.config.RootDevice {
			p.Errorf("%s contains a mounted filesystem", name)
			return 1
		}
	}
	kind := strings.TrimPrefix(path.Base(p.Args[0]), "mkfs.")
	if d.Label() != "" && kind == "xfs" && !contains(p.Args, "-f") {
		p.Errorf("%s appears to contain an existing filesystem (%s). Use the -f option to force overwrite.", name, d.Label())
		return 1
	}
	d.Format(kind)
	return 0
}

func blkid(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	names := words(p.Args[1:])
	value := false
	for i, arg := range p.Args {
		if (arg == "-s" || arg == "-o") && i+1 < len(p.Args) {
			value = value || p.Args[i+1] == "value"
			names = without(names, p.Args[i+1])
		}
	}
	if len(names) == 0 {
		names = sortedKeys(b.server.disks)
	}
	code := 2
	for _, name := range names {
		device, d := b.device(name)
		if d == nil {
			continue
		}
		kind := d.Label()
		if device == b.server.config.RootDevice {
			kind = "ext4"
		}
		if kind == "" {
			continue
		}
		code = 0
		switch {
		case value && contains(p.Args, "UUID"):
			fmt.Fprintln(p.Out, diskUUID(device))
		case value:
			fmt.Fprintln(p.Out, kind)
		default:
			fmt.Fprintf(p.Out, "%s: UUID=\"%s\" TYPE=\"%s\"\n", name, diskUUID(device), kind)
		}
	}
	return code
}

func without(list []string, name string) []string {
	var out []string
	for _, one := range list {
		if one != name {
			out = append(out, one)
		}
	}
	return out
}

func lsblk(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	if !contains(p.Args, "-n") && !contains(p.Args, "-no") {
		fmt.Fprintln(p.Out, "NAME MAJ:MIN RM SIZE RO TYPE MOUNTPOINTS")
	}
	for i, device := range sortedKeys(b.server.disks) {
		point := ""
		for _, m := range p.Files().Mounts() {
			if m.Device == device {
				point = m.Point
			}
		}
		fmt.Fprintf(p.Out, "%s 259:%d 0 8G 0 disk %s\n", path.Base(device), i, point)
	}
	return 0
}

// fsfreeze succeeds on what is mounted: a snapshot here is always of one instant.
func fsfreeze(_ context.Context, p *shell.Process) int {
	names := words(p.Args[1:])
	if len(names) == 0 {
		p.Errorf("no filename specified")
		return 1
	}
	for _, m := range p.Files().Mounts() {
		if m.Point == path.Clean(names[0]) {
			return 0
		}
	}
	p.Errorf("%s: not a mount point", names[0])
	return 1
}
