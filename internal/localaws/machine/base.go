package machine

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/commands"
	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// distribution is what the public AMIs of one line have on their root disk.
type distribution struct {
	name, version, id, pretty, like string
	user                            string
	packages                        []string
}

var distributions = map[string]distribution{
	"amazon": {name: "Amazon Linux", version: "2023", id: "amzn", pretty: "Amazon Linux 2023.9.20261103", like: "fedora", user: "ec2-user",
		packages: []string{"amazon-ssm-agent", "awscli", "curl", "cloud-init", "openssh-server", "python3"}},
	"ubuntu": {name: "Ubuntu", version: "24.04", id: "ubuntu", pretty: "Ubuntu 24.04.3 LTS", like: "debian", user: "ubuntu",
		packages: []string{"amazon-ssm-agent", "curl", "wget", "cloud-init", "openssh-server", "python3"}},
	"debian": {name: "Debian GNU/Linux", version: "12", id: "debian", pretty: "Debian GNU/Linux 12 (bookworm)", user: "admin",
		packages: []string{"wget", "cloud-init", "openssh-server", "python3"}},
	"windows": {name: "Microsoft Windows Server 2022 Datacenter", version: "10.0.20348", id: "windows", user: "Administrator",
		packages: []string{"amazon-ssm-agent"}},
}

// created is when everything on a base disk was written.
var created = time.Date(2026, time.November, 3, 6, 30, 0, 0, time.UTC)

var bases = struct {
	sync.Mutex
	disks map[string]*disk.Disk
}{disks: map[string]*disk.Disk{}}

// BaseDisk is a fork of the root disk of a seeded AMI: amazon, ubuntu, debian or windows. The AMI's name tells its release;
// Amazon Linux has it in /etc/image-id.
func BaseDisk(distribution, architecture, ami string) Disk {
	base, ok := baseDisk(distribution + "/" + architecture)
	if !ok {
		base, _ = baseDisk("amazon/x86_64")
	}
	b := builder{base.Fork()}
	if distribution == "amazon" && ami != "" {
		b.file("/etc/image-id", fmt.Sprintf("image_name=%q\nimage_arch=%q\nimage_file=%q\n", "al2023-ami", architecture, ami+".xfs.gpt"))
	}
	return volume(b)
}

// baseDisk gives the shared disk itself, which nobody changes.
func baseDisk(name string) (*disk.Disk, bool) {
	distribution, architecture, _ := strings.Cut(name, "/")
	d, ok := distributions[distribution]
	if !ok {
		return nil, false
	}
	bases.Lock()
	defer bases.Unlock()
	if base, ok := bases.disks[name]; ok {
		return base, true
	}
	b := builder{disk.New(name)}
	if distribution == "windows" {
		b.windows()
	} else {
		b.linux(d, architecture)
	}
	b.Freeze()
	bases.disks[name] = b.Disk
	return b.Disk, true
}

// builder writes a base disk. Its paths are constants, so that a failure is a defect of this package.
type builder struct{ *disk.Disk }

func (b builder) dir(names ...string) {
	for _, name := range names {
		b.put(name, disk.Node{Mode: fs.ModeDir | 0o755})
	}
}

func (b builder) file(name, content string) {
	b.put(name, disk.Node{Mode: 0o644, Data: []byte(content)})
}

func (b builder) link(name, target string) {
	b.put(name, disk.Node{Mode: fs.ModeSymlink | 0o777, Data: []byte(target)})
}

func (b builder) put(name string, n disk.Node) {
	if parent := path.Dir(name); parent != "/" {
		if _, err := b.Lookup(parent); err != nil {
			b.dir(parent)
		}
	}
	n.ModTime = created
	if err := b.Put(name, n); err != nil {
		panic(fmt.Sprintf("machine: base disk: %s: %v", name, err))
	}
}

// administration are the programs that live in /usr/sbin.
var administration = []string{"shutdown", "poweroff", "halt", "reboot", "mount", "umount", "mkfs.ext4", "mkfs.xfs", "mkfs.ext3", "blkid", "resize2fs",
	"xfs_growfs", "sysctl", "useradd", "adduser", "usermod", "userdel", "groupadd", "service", "chpasswd", "fsfreeze", "swapoff", "modprobe", "ldconfig"}

func (b builder) linux(d distribution, architecture string) {
	b.dir("/usr/bin", "/usr/sbin", "/usr/lib/systemd/system", "/usr/local/bin", "/usr/local/sbin", "/usr/share", "/etc/systemd/system", "/etc/ssh",
		"/etc/cloud/cloud.cfg.d", "/var/log", "/var/lib/cloud", "/var/lib/systemd", "/var/cache", "/var/spool", "/var/tmp", "/home", "/opt", "/srv",
		"/mnt", "/media", "/boot", "/root", "/usr/lib", "/proc", "/sys", "/dev", "/run", "/tmp", "/etc/profile.d", "/etc/sysctl.d", "/etc/sudoers.d",
		"/etc/cron.d", "/var/www")
	for link, target := range map[string]string{"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib", "/lib64": "usr/lib", "/var/run": "/run"} {
		b.link(link, target)
	}
	b.put("/tmp", disk.Node{Mode: fs.ModeDir | fs.ModeSticky | 0o777})
	b.put("/root", disk.Node{Mode: fs.ModeDir | 0o700})
	b.programs(d)
	b.file("/etc/os-release", osRelease(d))
	b.file("/etc/hostname", "localhost\n")
	b.file("/etc/machine-id", "")
	b.file("/etc/hosts", "127.0.0.1 localhost\n")
	b.file("/etc/resolv.conf", "nameserver 10.0.0.2\n")
	b.file("/etc/fstab", "UUID=root / ext4 defaults,noatime 1 1\n")
	b.file("/etc/cloud/cloud.cfg", "users:\n  - default\npreserve_hostname: false\n")
	b.file("/etc/profile", "")
	b.file("/root/.bashrc", "")
	home := "/home/" + d.user
	b.file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/sbin/nologin\n"+d.user+":x:1000:1000::"+home+":/bin/bash\n")
	b.file("/etc/group", "root:x:0:\nnobody:x:65534:\n"+d.user+":x:1000:\n")
	b.put("/etc/shadow", disk.Node{Mode: 0o600, Data: []byte("root:*:19000::::::\n" + d.user + ":!:19000::::::\n")})
	b.put(home, disk.Node{Mode: fs.ModeDir | 0o700, UID: 1000, GID: 1000})
	b.file(databasePath(d), "")
	install := &installer{tree: b.tree(), distribution: d, architecture: architecture, when: created}
	for _, name := range d.packages {
		if err := install.install(name, ""); err != nil {
			panic(fmt.Sprintf("machine: base disk: package %s: %v", name, err))
		}
	}
	for _, unit := range []string{"amazon-ssm-agent", "sshd"} {
		if unit == "amazon-ssm-agent" && d.id == "debian" {
			continue
		}
		b.dir("/etc/systemd/system/multi-user.target.wants")
		b.link("/etc/systemd/system/multi-user.target.wants/"+unit+".service", "/usr/lib/systemd/system/"+unit+".service")
	}
}

func (b builder) programs(d distribution) {
	binary := func(dir, file, program string) {
		b.put(dir+"/"+file, disk.Node{Mode: 0o755, Data: shell.Binary(program)})
	}
	for name := range commands.All() {
		binary("/usr/bin", name, name)
	}
	for _, name := range []string{"bash", "dash"} {
		binary("/usr/bin", name, "sh")
	}
	for _, name := range []string{"systemctl", "hostname", "hostnamectl", "uname", "lsblk", "passwd", "ssh-keygen", "journalctl", "timedatectl", "systemd-detect-virt", "getent", "loginctl", "crontab", "visudo"} {
		binary("/usr/bin", name, name)
	}
	for _, name := range administration {
		binary("/usr/sbin", name, name)
	}
	managers := []string{"dnf", "yum", "rpm"}
	if d.debian() {
		managers = []string{"apt-get", "apt", "dpkg", "dpkg-query", "apt-mark", "debconf-set-selections", "update-ca-certificates", "snap"}
	}
	for _, name := range managers {
		binary("/usr/bin", name, name)
	}
}

func osRelease(d distribution) string {
	text := fmt.Sprintf("NAME=%q\nVERSION=%q\nID=%q\nVERSION_ID=%q\nPRETTY_NAME=%q\n", d.name, d.version, d.id, d.version, d.pretty)
	if d.like != "" {
		text += fmt.Sprintf("ID_LIKE=%q\n", d.like)
	}
	return text
}

func (b builder) windows() {
	b.dir("/Windows/Temp", "/Users/Administrator", "/Program Files/Amazon/EC2Launch", "/Program Files/Amazon/SSM", "/ProgramData/Amazon/EC2Launch/log")
	b.file("/Program Files/Amazon/EC2Launch/EC2Launch.exe", "MZ")
	b.file("/ProgramData/hostname", "EC2AMAZ-BASE\n")
}
