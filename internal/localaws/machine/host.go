package machine

import (
	"fmt"

	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
)

// HostOption changes how machines behave.
type HostOption func(*host)

// AgentWithoutProfile lets the SSM agent connect on servers without an instance profile, as default host management does.
func AgentWithoutProfile() HostOption { return func(h *host) { h.agentWithoutProfile = true } }

// NewHost is a host whose machines interpret scripts on disks in memory.
func NewHost(options ...HostOption) Host {
	h := &host{}
	for _, option := range options {
		option(h)
	}
	return h
}

type host struct{ agentWithoutProfile bool }

func (h *host) New(config Config) Machine { return newServer(h, config) }

// EmptyDisk is a blank data disk.
func EmptyDisk() Disk { return volume{disk.New("")} }

// DecodeDisk reads what Disk.Encode wrote.
func DecodeDisk(encoded []byte) (Disk, error) {
	d, err := disk.Decode(encoded, func(name string) (*disk.Disk, error) {
		base, ok := baseDisk(name)
		if !ok {
			return nil, fmt.Errorf("this version has no base disk %q; start with a new state file", name)
		}
		return base, nil
	})
	if err != nil {
		return nil, err
	}
	return volume{d}, nil
}

// volume is a disk as the rest of the endpoint holds it.
type volume struct{ *disk.Disk }

func (v volume) Fork() Disk { return volume{v.Disk.Fork()} }

func (v volume) Read(path string) ([]byte, error) {
	n, err := v.Lookup(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return n.Data, nil
}
