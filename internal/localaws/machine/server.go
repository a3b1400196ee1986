package machine

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
)

// server is one machine. What ends with a boot is in boot.
type server struct {
	host    *host
	config  Config
	console console

	mu    sync.Mutex
	disks map[string]*disk.Disk
	boot  *boot
	boots int
	// waiting are commands that run when the agent is next online: begun ones that asked for a reboot among them.
	waiting []*invocation
	// lastPing is when the agent was last online in an earlier boot.
	lastPing time.Time
}

func newServer(h *host, config Config) *server {
	s := &server{host: h, config: config, disks: map[string]*disk.Disk{}}
	if s.config.Speed < 1 {
		s.config.Speed = 1
	}
	for device, d := range config.Disks {
		v, ok := d.(volume)
		switch {
		case ok:
			s.disks[device] = v.Disk
		case device == config.RootDevice:
			s.disks[device] = BaseDisk(config.Identity.Distribution, config.Identity.Architecture, "").(volume).Disk
		default:
			s.disks[device] = disk.New("")
		}
	}
	if s.disks[config.RootDevice] == nil {
		s.disks[config.RootDevice] = BaseDisk(config.Identity.Distribution, config.Identity.Architecture, "").(volume).Disk
	}
	return s
}

func (s *server) windows() bool { return s.config.Identity.Platform == "windows" }

func (s *server) root() *disk.Disk { return s.disks[s.config.RootDevice] }

// distribution is what the root disk says that it is.
func (s *server) distribution() distribution {
	if d, ok := distributions[s.config.Identity.Distribution]; ok {
		return d
	}
	return distributions["amazon"]
}

func (s *server) PowerOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boot == nil {
		s.startBoot()
	}
}

// startBoot begins a boot; the lock is held.
func (s *server) startBoot() {
	s.boots++
	s.boot = newBoot(s)
	s.boot.begin()
}

func (s *server) PowerOff(bool) {
	s.mu.Lock()
	b, waiting := s.boot, s.waiting
	s.boot, s.waiting = nil, nil
	s.mu.Unlock()
	if b != nil {
		b.stop()
	}
	for _, i := range waiting {
		i.finish(Result{ExitCode: -1, Interrupted: true})
	}
}

func (s *server) Reboot() {
	s.mu.Lock()
	b := s.boot
	s.mu.Unlock()
	if b != nil {
		b.restart()
	}
}

// rebooted replaces a boot that has ended by the next one, unless the machine was switched off meanwhile.
func (s *server) rebooted(old *boot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boot == old {
		s.startBoot()
	}
}

// halted is called when a boot ended by a shutdown from inside.
func (s *server) halted(old *boot) {
	s.mu.Lock()
	current := s.boot == old
	s.mu.Unlock()
	if current && s.config.PoweredOff != nil {
		s.config.PoweredOff()
	}
}

func (s *server) Disks() map[string]Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	disks := make(map[string]Disk, len(s.disks))
	for device, d := range s.disks {
		disks[device] = volume{d}
	}
	return disks
}

func (s *server) current() *boot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.boot
}

func (s *server) Agent() Agent {
	d := s.distribution()
	a := Agent{Version: agentVersion, PlatformType: "Linux", PlatformName: d.name, PlatformVersion: d.version}
	if s.windows() {
		a.PlatformType = "Windows"
	}
	_, err := s.root().Lookup(agentPath(s.windows()))
	a.Installed = err == nil
	s.mu.Lock()
	b := s.boot
	a.LastPing = s.lastPing
	s.mu.Unlock()
	if b == nil {
		return a
	}
	online, since := b.agentState()
	a.Online = online
	if online {
		// The agent tells its health at its start and every five minutes.
		a.LastPing = since.Add(time.Since(since).Truncate(5 * time.Minute))
	}
	return a
}

func (s *server) StatusOK() bool {
	b := s.current()
	return b != nil && b.statusOK()
}

func (s *server) Console() []byte { return s.console.bytes() }

func (s *server) Get(port int, path string) (int, []byte, error) {
	refused := fmt.Errorf("connect to %s port %d: connection refused", s.config.Identity.PrivateIP, port)
	b := s.current()
	if b == nil {
		return 0, nil, refused
	}
	address := net.JoinHostPort(s.config.Identity.PrivateIP, strconv.Itoa(port))
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, nil, err
	}
	answer, ok := b.serve(port, request)
	if !ok {
		return 0, nil, refused
	}
	return answer.status, []byte(answer.body), nil
}

// console keeps the last 64 KiB that were written to it.
type console struct {
	mu   sync.Mutex
	text []byte
}

const consoleSize = 64 << 10

func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, b...)
	if extra := len(c.text) - consoleSize; extra > consoleSize {
		c.text = append([]byte{}, c.text[extra:]...)
	}
	return len(b), nil
}

func (c *console) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []byte(strings.Clone(string(c.text[max(0, len(c.text)-consoleSize):])))
}
