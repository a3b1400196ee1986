package machine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/commands"
	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// How long the stages of a boot take, before they are divided by the speed.
const (
	kernelTime = 20 * time.Second // until the network is up and the metadata can be asked
	agentTime  = 4 * time.Second  // from the agent's start until it is online
	statusTime = 5 * time.Second  // from the network until the status check passes
)

// boot is one run of a server's system, from switching on to switching off. Between events it has no goroutine: what is
// to come waits in timers.
type boot struct {
	server *server
	id     string // as in /proc/sys/kernel/random/boot_id
	began  time.Time
	system *shell.System
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	ended  chan struct{}
	slots  chan struct{} // of the SSM agent's command workers

	mu        sync.Mutex
	ending    bool
	timers    map[*time.Timer]struct{}
	networkAt time.Time
	agentFrom time.Time // zero: offline
	agentRun  int       // counts the agent's starts and stops
	hostname  string
	units     map[string]*activeUnit
	listeners map[int]listener
	running   map[string]*invocation
	tokens    map[string]bool
	cloudInit string // the status that cloud-init tells
}

func newBoot(s *server) *boot {
	b := &boot{
		server: s, began: time.Now(), ended: make(chan struct{}), slots: make(chan struct{}, maxCommands), timers: map[*time.Timer]struct{}{},
		units: map[string]*activeUnit{}, listeners: map[int]listener{}, running: map[string]*invocation{}, tokens: map[string]bool{},
		cloudInit: "not started",
	}
	b.id = uuid("boot", s.config.Identity.InstanceID, fmt.Sprint(s.boots), b.began.String())
	b.ctx, b.cancel = context.WithCancel(context.Background())
	tree := files.New(files.Mount{Disk: s.root(), Device: s.config.RootDevice, Type: "ext4"})
	tree.Console = &s.console
	b.system = &shell.System{Files: tree, Programs: programs(), Speed: s.config.Speed, Server: b}
	return b
}

var programTable struct {
	once sync.Once
	all  map[string]shell.Program
}

// programs are the same for all servers.
func programs() map[string]shell.Program {
	programTable.once.Do(func() {
		programTable.all = commands.All()
		for _, set := range []map[string]shell.Program{systemPrograms(), storagePrograms(), accountPrograms(), packagePrograms(), networkPrograms()} {
			maps.Copy(programTable.all, set)
		}
	})
	return programTable.all
}

func bootOf(p *shell.Process) *boot { return p.System.Server.(*boot) }

// begin arms the boot's first stage.
func (b *boot) begin() {
	fmt.Fprintf(&b.server.console, "[    0.000000] %s\n", kernelVersion(b.server))
	b.after(kernelTime, b.reachNetwork)
}

// after runs f as a task of this boot when the time has passed at the server's speed.
func (b *boot) after(d time.Duration, f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ending {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Duration(float64(d)/b.server.config.Speed), func() {
		b.mu.Lock()
		delete(b.timers, timer)
		if b.ending {
			b.mu.Unlock()
			return
		}
		b.tasks.Add(1)
		b.mu.Unlock()
		defer b.tasks.Done()
		f()
	})
	b.timers[timer] = struct{}{}
}

// task runs f in a goroutine that the end of the boot waits for. It reports false if the boot is ending.
func (b *boot) task(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ending {
		return false
	}
	b.tasks.Go(f)
	return true
}

// end begins the end: no task starts any more, and those that run are told. It reports false if another did so before.
func (b *boot) end() bool {
	b.mu.Lock()
	if b.ending {
		b.mu.Unlock()
		return false
	}
	b.ending = true
	for timer := range b.timers {
		timer.Stop()
	}
	online := !b.agentFrom.IsZero()
	b.mu.Unlock()
	if online {
		b.server.mu.Lock()
		b.server.lastPing = time.Now()
		b.server.mu.Unlock()
	}
	b.cancel()
	return true
}

func (b *boot) drain() {
	b.tasks.Wait()
	b.system.Wait()
	close(b.ended)
}

// stop ends the boot and waits for all of it.
func (b *boot) stop() {
	if b.end() {
		b.drain()
	}
	<-b.ended
}

// restart ends the boot and begins the next one. It does not wait.
func (b *boot) restart() {
	if !b.end() {
		return
	}
	go func() {
		b.drain()
		b.server.rebooted(b)
	}()
}

// halt is a shutdown from inside. It does not wait: a process of the boot itself asks for it.
func (b *boot) halt() {
	if !b.end() {
		return
	}
	go func() {
		b.drain()
		b.server.halted(b)
	}()
}

// reachNetwork is the point where the kernel has booted and the network is up; it runs the rest of the boot.
func (b *boot) reachNetwork() {
	b.mu.Lock()
	b.networkAt = time.Now()
	b.mu.Unlock()
	if b.server.windows() {
		b.bootWindows()
		return
	}
	b.mountVolatile()
	b.machineID()
	b.setHostname(strings.TrimSpace(b.read("/etc/hostname")))
	c := b.newCloudInit()
	c.early()
	b.hostKeys()
	b.startEnabled()
	c.final()
	if b.ctx.Err() == nil {
		fmt.Fprintf(&b.server.console, "\n%s\nKernel on an %s\n\n%s login: \n", b.server.distribution().pretty, b.server.config.Identity.Architecture, b.Hostname())
	}
}

func (b *boot) statusOK() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ending && !b.networkAt.IsZero() && time.Since(b.networkAt) >= time.Duration(float64(statusTime)/b.server.config.Speed)
}

func (b *boot) networkUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ending && !b.networkAt.IsZero()
}

// Hostname is the kernel's host name.
func (b *boot) Hostname() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hostname
}

func (b *boot) setHostname(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hostname = name
}

// read gives a file's content, empty if it cannot be read.
func (b *boot) read(name string) string {
	data, err := b.system.Files.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(data)
}

// note writes a line to the console and to cloud-init's log.
func (b *boot) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...) + "\n"
	fmt.Fprint(&b.server.console, line)
	b.complain(b.system.Files.Append("/var/log/cloud-init.log", []byte(line), 0o640))
}

// complain puts what should not happen where the server's user sees it.
func (b *boot) complain(err error) {
	if err != nil {
		fmt.Fprintf(&b.server.console, "%v\n", err)
	}
}

func (b *boot) write(name, content string) {
	b.complain(b.system.Files.Write(name, []byte(content), 0o644))
}

// machineID fills /etc/machine-id if it is empty or gone, as systemd does.
func (b *boot) machineID() {
	if id := strings.TrimSpace(b.read("/etc/machine-id")); id == "" || id == "uninitialized" {
		b.write("/etc/machine-id", strings.ReplaceAll(uuid("machine", b.id), "-", "")+"\n")
	}
}

var hostKeyTypes = []string{"ecdsa", "ed25519", "rsa"}

// hostKeys makes the SSH host keys that are missing. They look like keys and are as unique, but nothing can log in.
func (b *boot) hostKeys() {
	tree := b.system.Files
	if _, err := tree.Stat("/usr/sbin/sshd"); err != nil {
		return
	}
	for _, kind := range hostKeyTypes {
		name := "/etc/ssh/ssh_host_" + kind + "_key"
		if _, err := tree.Stat(name); err == nil {
			continue
		}
		secret := uuid("host key", kind, b.id)
		b.complain(tree.Write(name, []byte("-----BEGIN OPENSSH PRIVATE KEY-----\n"+secret+"\n-----END OPENSSH PRIVATE KEY-----\n"), 0o600))
		b.write(name+".pub", fmt.Sprintf("ssh-%s %s root@%s\n", kind, uuid("public", secret), b.Hostname()))
	}
}

// uuid is a UUID made of its parts, so that a run in virtual time can be repeated.
func uuid(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// mountVolatile mounts what does not survive the boot, and fills in what the kernel tells.
func (b *boot) mountVolatile() {
	tree := b.system.Files
	for point, kind := range map[string]string{"/run": "tmpfs", "/dev": "devtmpfs", "/proc": "proc"} {
		d := disk.New("")
		if shared := volatile()[point]; shared != nil {
			d = shared.Fork()
		}
		tree.Mount(files.Mount{Point: point, Disk: d, Device: kind, Type: kind})
	}
	for device := range b.server.disks {
		b.complain(tree.Place(device, blockDevice(device)))
	}
	b.write("/proc/sys/kernel/random/boot_id", b.id+"\n")
	tree.Compute("/proc/uptime", func() string {
		seconds := time.Since(b.began).Seconds() * b.server.config.Speed
		return fmt.Sprintf("%.2f %.2f\n", seconds, seconds)
	})
	tree.Compute("/proc/sys/kernel/hostname", func() string { return b.Hostname() + "\n" })
	tree.Compute("/proc/sys/kernel/random/uuid", func() string { return uuid(b.id, time.Now().String()) + "\n" })
	tree.Compute("/proc/mounts", b.mountTable)
	b.mountFstab()
}
