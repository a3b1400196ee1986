package belongings

import (
	"context"
	"strconv"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// hand is one step of a move.
type hand struct {
	*Mover
	from, to string
	done     bool // all that was looked at so far is at to
	stopped  bool // from was seen stopped
}

func (h *hand) volumes(ctx context.Context, things []rollout.Belonging) error {
	of, ids := pick(things, Volume)
	if len(ids) == 0 {
		return nil
	}
	disks, err := h.ec2.Disks(ctx, ids...)
	if err != nil {
		return err
	}
	for _, d := range disks {
		delete(of, d.ID)
		switch {
		case d.InstanceID == h.to && d.Attachment == "attached":
			continue
		case d.InstanceID == h.from && d.Attachment == "attached":
			if err := h.leaves(ctx); err != nil {
				return err
			}
			err = h.ec2.DetachDisk(ctx, d.ID, h.from)
		case d.InstanceID == "" && d.State == "available":
			err = h.ec2.AttachDisk(ctx, d.ID, h.to, device(things, d.ID))
		case d.InstanceID != "" && d.InstanceID != h.from && d.InstanceID != h.to:
			err = h.elsewhere(ctx, Volume, d.ID, d.InstanceID)
		}
		h.done = false
		if err != nil {
			return err
		}
	}
	return missing(of)
}

func (h *hand) interfaces(ctx context.Context, things []rollout.Belonging) error {
	of, ids := pick(things, Interface)
	if len(ids) == 0 {
		return nil
	}
	found, err := h.ec2.Interfaces(ctx, ids...)
	if err != nil {
		return err
	}
	for _, n := range found {
		delete(of, n.ID)
		switch {
		case n.InstanceID == h.to && n.Attachment == "attached":
			continue
		case n.InstanceID == h.from && n.Attachment == "attached":
			if err := h.leaves(ctx); err != nil {
				return err
			}
			err = h.ec2.DetachInterface(ctx, n.AttachmentID)
		case n.InstanceID == "" && n.State == "available":
			index, notNumber := strconv.Atoi(device(things, n.ID))
			if notNumber != nil {
				return jobs.Fatalf("move an interface", n.ID, "its index is "+strconv.Quote(device(things, n.ID))+", expected a number", "")
			}
			err = h.ec2.AttachInterface(ctx, n.ID, h.to, index)
		case n.InstanceID != "" && n.InstanceID != h.from && n.InstanceID != h.to:
			err = h.elsewhere(ctx, Interface, n.ID, n.InstanceID)
		}
		h.done = false
		if err != nil {
			return err
		}
	}
	return missing(of)
}

// addresses go over in one call each: AWS takes an address from its holder and gives it to another one at once.
func (h *hand) addresses(ctx context.Context, things []rollout.Belonging) error {
	of, ids := pick(things, Address)
	if len(ids) == 0 {
		return nil
	}
	found, err := h.ec2.Addresses(ctx, ids...)
	if err != nil {
		return err
	}
	for _, a := range found {
		delete(of, a.ID)
		switch a.InstanceID {
		case h.to:
			continue
		case "", h.from:
			err = h.associate(ctx, a)
		default:
			err = h.elsewhere(ctx, Address, a.ID, a.InstanceID)
		}
		h.done = false
		if err != nil {
			return err
		}
	}
	return missing(of)
}

func (h *hand) associate(ctx context.Context, a cloud.Address) error {
	interfaces, err := h.ec2.InterfacesOf(ctx, h.to)
	if err != nil {
		return err
	}
	for _, n := range interfaces {
		if n.DeviceIndex == 0 {
			return h.ec2.Associate(ctx, a.ID, n.ID)
		}
	}
	return &jobs.Error{Class: jobs.Propagating, Op: "move an address", Thing: a.ID, Message: "EC2 shows no first interface of " + h.to + " yet"}
}

// leaves refuses to pull a volume out of a server that runs: what it has not written would be lost.
func (h *hand) leaves(ctx context.Context) error {
	if h.stopped {
		return nil
	}
	instances, err := h.ec2.Instances(ctx, h.from)
	if err != nil {
		return err
	}
	for _, i := range instances {
		if i.State != "stopped" && i.State != "terminated" {
			return &jobs.Error{Class: jobs.Busy, Op: "move what only one server can hold", Thing: h.from,
				Message: "it is " + i.State + ", and has to be stopped before anything is taken from it"}
		}
	}
	h.stopped = true
	return nil
}

// elsewhere: somebody else holds it. One that is being terminated lets go of it.
func (h *hand) elsewhere(ctx context.Context, kind, id, holder string) error {
	instances, err := h.ec2.Instances(ctx, holder)
	if err != nil {
		return err
	}
	for _, i := range instances {
		if i.State == "shutting-down" || i.State == "terminated" {
			return nil
		}
	}
	return jobs.Fatalf("move what only one server can hold", kind+" "+id, "it is at "+holder+", neither at "+h.from+" nor at "+h.to,
		"somebody moved it: bring it back to one of them")
}

// pick are the things of a kind by id, and their ids in order.
func pick(things []rollout.Belonging, kind string) (map[string]rollout.Belonging, []string) {
	of, ids := map[string]rollout.Belonging{}, []string(nil)
	for _, thing := range things {
		if thing.Kind == kind {
			of[thing.ID], ids = thing, append(ids, thing.ID)
		}
	}
	return of, ids
}

func device(things []rollout.Belonging, id string) string {
	for _, thing := range things {
		if thing.ID == id {
			return thing.Device
		}
	}
	return ""
}

// missing: what EC2 did not show has been deleted meanwhile.
func missing(left map[string]rollout.Belonging) error {
	for id, thing := range left {
		return jobs.Fatalf("move what only one server can hold", thing.Kind+" "+id, "EC2 does not know it any more", "")
	}
	return nil
}
