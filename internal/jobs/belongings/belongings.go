// Package belongings moves what only one server can hold from a stopped server to another one: EBS volumes that outlive
// their server, network interfaces beside the first, Elastic IP addresses.
//
// What outlives a server is what EC2 does not delete with it (DeleteOnTermination is off), and every Elastic IP address of its
// first interface. Only what carries this installation's tag is moved; anything else of the sort is named, with how to allow it,
// before a server is touched. Nothing is remembered here: each call looks where the things are and takes the next step, so
// that a worker's death at any instant leaves nothing that the next call does not take up.
package belongings

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// The kinds of belongings.
const (
	Volume    = "volume"
	Interface = "interface"
	Address   = "address"
)

// Disks are EBS volumes.
type Disks interface {
	Disks(ctx context.Context, ids ...string) ([]cloud.Disk, error)
	DisksOf(ctx context.Context, instanceIDs ...string) ([]cloud.Disk, error)
	AttachDisk(ctx context.Context, id, instanceID, device string) error
	DetachDisk(ctx context.Context, id, instanceID string) error
}

// Network is interfaces and addresses.
type Network interface {
	Interfaces(ctx context.Context, ids ...string) ([]cloud.NetworkInterface, error)
	InterfacesOf(ctx context.Context, instanceIDs ...string) ([]cloud.NetworkInterface, error)
	AttachInterface(ctx context.Context, id, instanceID string, index int) error
	DetachInterface(ctx context.Context, attachmentID string) error
	Addresses(ctx context.Context, ids ...string) ([]cloud.Address, error)
	AddressesOf(ctx context.Context, instanceIDs ...string) ([]cloud.Address, error)
	Associate(ctx context.Context, addressID, interfaceID string) error
}

// EC2 is both, and the instances themselves.
type EC2 interface {
	Disks
	Network
	Instances(ctx context.Context, ids ...string) ([]cloud.Instance, error)
	Reboot(ctx context.Context, ids ...string) error
}

// Mover finds and moves belongings in one account and region.
type Mover struct {
	ec2          EC2
	installation string
}

var (
	_ rollout.Belongings = (*Mover)(nil)
	_ launch.Handing     = (*Mover)(nil)
)

// New makes a mover of what carries the installation's tag.
func New(ec2 EC2, installation string) *Mover { return &Mover{ec2: ec2, installation: installation} }

// Of finds what each of the servers has that only one server can hold, by ordinal. Things of that sort that are not this
// installation's are an error that names them: without them a successor is not the server's equal.
func (m *Mover) Of(ctx context.Context, servers []ledger.Server) (map[int][]rollout.Belonging, error) {
	ordinals, ids := map[string]int{}, []string(nil)
	for _, server := range servers {
		if server.InstanceID != "" {
			ordinals[server.InstanceID], ids = server.Ordinal, append(ids, server.InstanceID)
		}
	}
	if len(ids) == 0 {
		return map[int][]rollout.Belonging{}, nil
	}
	finds, err := m.find(ctx, ids)
	if err != nil {
		return nil, err
	}
	found := map[int][]rollout.Belonging{}
	for _, f := range finds {
		ordinal, ours := ordinals[f.holder]
		if !ours {
			continue
		}
		if f.tags[jobs.TagInstallation] != m.installation {
			return nil, m.foreign(f, ordinal)
		}
		found[ordinal] = append(found[ordinal], f.Belonging)
	}
	for _, things := range found {
		slices.SortFunc(things, func(a, b rollout.Belonging) int { return strings.Compare(a.Kind+a.ID, b.Kind+b.ID) })
	}
	return found, nil
}

// find is a thing, who has it, and whose it is.
type find struct {
	rollout.Belonging
	holder string
	tags   map[string]string
}

func (m *Mover) find(ctx context.Context, ids []string) ([]find, error) {
	instances, err := m.ec2.Instances(ctx, ids...)
	if err != nil {
		return nil, err
	}
	roots := map[string]string{}
	for _, i := range instances {
		roots[i.ID] = i.RootDevice
	}
	disks, err := m.ec2.DisksOf(ctx, ids...)
	if err != nil {
		return nil, err
	}
	var finds []find
	for _, d := range disks {
		if !d.DeleteOnTermination && d.Device != roots[d.InstanceID] {
			finds = append(finds, find{rollout.Belonging{Kind: Volume, ID: d.ID, Device: d.Device}, d.InstanceID, d.Tags})
		}
	}
	interfaces, err := m.ec2.InterfacesOf(ctx, ids...)
	if err != nil {
		return nil, err
	}
	moves := map[string]bool{}
	for _, n := range interfaces {
		if n.DeviceIndex > 0 && !n.DeleteOnTermination {
			moves[n.ID] = true
			finds = append(finds, find{rollout.Belonging{Kind: Interface, ID: n.ID, Device: strconv.Itoa(n.DeviceIndex)}, n.InstanceID, n.Tags})
		}
	}
	addresses, err := m.ec2.AddressesOf(ctx, ids...)
	if err != nil {
		return nil, err
	}
	for _, a := range addresses {
		if !moves[a.InterfaceID] { // else it goes along with its interface
			finds = append(finds, find{rollout.Belonging{Kind: Address, ID: a.ID}, a.InstanceID, a.Tags})
		}
	}
	return finds, nil
}

func (m *Mover) foreign(f find, ordinal int) error {
	return jobs.Fatalf("look what only one server can hold", fmt.Sprintf("%s %s of ordinal %d", f.Kind, f.ID, ordinal),
		"it outlives its server "+f.holder+", and it is not Stampmill's to move",
		fmt.Sprintf("let it move: aws ec2 create-tags --resources %s --tags Key=%s,Value=%s", f.ID, jobs.TagInstallation, m.installation))
}

// Hand takes the next step of moving the things from one instance to the other, for all of them at once, and is done when it
// finds all of them at to. The instance that they leave must be stopped, or gone; a holder that is on its way out lets go of them
// by itself.
func (m *Mover) Hand(ctx context.Context, things []rollout.Belonging, from, to string) (done bool, err error) {
	if len(things) == 0 {
		return true, nil
	}
	h := hand{Mover: m, from: from, to: to, done: true}
	for _, move := range []func(context.Context, []rollout.Belonging) error{h.volumes, h.interfaces, h.addresses} {
		if err := move(ctx, things); err != nil {
			return false, err
		}
	}
	return h.done, nil
}

// Reboot has servers find what was attached to them while they ran.
func (m *Mover) Reboot(ctx context.Context, instanceIDs ...string) error {
	return m.ec2.Reboot(ctx, instanceIDs...)
}
