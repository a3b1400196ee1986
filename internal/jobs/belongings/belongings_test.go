package belongings

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

var ours = map[string]string{jobs.TagInstallation: "mill"}

// world is EC2 whose detaching takes two looks; it refuses what has a holder already.
type world struct {
	states     map[string]string
	disks      map[string]*cloud.Disk
	interfaces map[string]*cloud.NetworkInterface
	addresses  map[string]*cloud.Address
	acts       []string
	dies       int // the act, counted from 1, whose answer is lost
}

var errLost = errors.New("no answer")

func newWorld() *world {
	return &world{
		states: map[string]string{"i-old": "stopped", "i-new": "running"},
		disks: map[string]*cloud.Disk{
			"vol-root": {ID: "vol-root", State: "in-use", InstanceID: "i-old", Device: "/dev/xvda", Attachment: "attached", Tags: ours},
			"vol-data": {ID: "vol-data", State: "in-use", InstanceID: "i-old", Device: "/dev/sdf", Attachment: "attached", Tags: ours},
			"vol-temp": {ID: "vol-temp", State: "in-use", InstanceID: "i-old", Device: "/dev/sdg", Attachment: "attached", DeleteOnTermination: true},
		},
		interfaces: map[string]*cloud.NetworkInterface{
			"eni-old":    {ID: "eni-old", State: "in-use", InstanceID: "i-old", AttachmentID: "at-1", Attachment: "attached", DeleteOnTermination: true},
			"eni-new":    {ID: "eni-new", State: "in-use", InstanceID: "i-new", AttachmentID: "at-2", Attachment: "attached", DeleteOnTermination: true},
			"eni-second": {ID: "eni-second", State: "in-use", InstanceID: "i-old", AttachmentID: "at-3", Attachment: "attached", DeviceIndex: 1, Tags: ours},
		},
		addresses: map[string]*cloud.Address{
			"eip-first":  {ID: "eip-first", InstanceID: "i-old", InterfaceID: "eni-old", Tags: ours},
			"eip-second": {ID: "eip-second", InstanceID: "i-old", InterfaceID: "eni-second", Tags: ours},
		},
	}
}

func (w *world) act(format string, args ...any) error {
	w.acts = append(w.acts, fmt.Sprintf(format, args...))
	if len(w.acts) == w.dies {
		return errLost
	}
	return nil
}

func (w *world) Instances(_ context.Context, ids ...string) (list []cloud.Instance, _ error) {
	for _, id := range ids {
		list = append(list, cloud.Instance{ID: id, State: w.states[id], RootDevice: "/dev/xvda"})
	}
	return list, nil
}

func (w *world) Disks(_ context.Context, ids ...string) (list []cloud.Disk, _ error) {
	for _, id := range ids {
		d := w.disks[id]
		list = append(list, *d)
		switch d.Attachment {
		case "detaching":
			d.State, d.InstanceID, d.Attachment = "available", "", ""
		case "attaching":
			d.Attachment = "attached"
		}
	}
	return list, nil
}

func (w *world) DisksOf(_ context.Context, ids ...string) (list []cloud.Disk, _ error) {
	for _, d := range w.disks {
		if slices.Contains(ids, d.InstanceID) {
			list = append(list, *d)
		}
	}
	return list, nil
}

func (w *world) AttachDisk(_ context.Context, id, instance, device string) error {
	if w.disks[id].InstanceID != "" {
		return &jobs.Error{Class: jobs.Fatal, Message: "attached twice"}
	}
	w.disks[id].State, w.disks[id].InstanceID, w.disks[id].Device, w.disks[id].Attachment = "in-use", instance, device, "attaching"
	return w.act("attach %s to %s as %s", id, instance, device)
}

func (w *world) DetachDisk(_ context.Context, id, instance string) error {
	if w.disks[id].InstanceID != instance || w.disks[id].Attachment != "attached" {
		return &jobs.Error{Class: jobs.Fatal, Message: "detached twice"}
	}
	w.disks[id].Attachment = "detaching"
	return w.act("detach %s from %s", id, instance)
}

func (w *world) Interfaces(_ context.Context, ids ...string) (list []cloud.NetworkInterface, _ error) {
	for _, id := range ids {
		n := w.interfaces[id]
		list = append(list, *n)
		if n.Attachment == "detaching" {
			n.State, n.InstanceID, n.Attachment, n.AttachmentID = "available", "", "", ""
		}
	}
	return list, nil
}

func (w *world) InterfacesOf(_ context.Context, ids ...string) (list []cloud.NetworkInterface, _ error) {
	for _, n := range w.interfaces {
		if slices.Contains(ids, n.InstanceID) {
			list = append(list, *n)
		}
	}
	return list, nil
}

func (w *world) AttachInterface(_ context.Context, id, instance string, index int) error {
	if w.interfaces[id].InstanceID != "" {
		return &jobs.Error{Class: jobs.Fatal, Message: "attached twice"}
	}
	*w.interfaces[id] = cloud.NetworkInterface{ID: id, State: "in-use", InstanceID: instance, AttachmentID: "at-4", Attachment: "attached", DeviceIndex: index, Tags: ours}
	return w.act("attach %s to %s as %d", id, instance, index)
}

func (w *world) DetachInterface(_ context.Context, attachment string) error {
	for _, n := range w.interfaces {
		if n.AttachmentID == attachment {
			n.Attachment = "detaching"
			return w.act("detach %s", n.ID)
		}
	}
	return &jobs.Error{Class: jobs.NotFound}
}

func (w *world) Addresses(_ context.Context, ids ...string) (list []cloud.Address, _ error) {
	for _, id := range ids {
		list = append(list, *w.addresses[id])
	}
	return list, nil
}

func (w *world) AddressesOf(_ context.Context, ids ...string) (list []cloud.Address, _ error) {
	for _, a := range w.addresses {
		if slices.Contains(ids, a.InstanceID) {
			list = append(list, *a)
		}
	}
	return list, nil
}

func (w *world) Associate(_ context.Context, id, networkInterface string) error {
	a := w.addresses[id]
	a.InterfaceID, a.InstanceID = networkInterface, w.interfaces[networkInterface].InstanceID
	return w.act("associate %s with %s", id, networkInterface)
}

var server = []ledger.Server{{Ordinal: 3, InstanceID: "i-old"}}

func things(t *testing.T, w *world) []rollout.Belonging {
	t.Helper()
	found, err := New(w, "mill").Of(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	return found[3]
}

func TestWhatOutlivesAServerIsItsOwnToHandOver(t *testing.T) {
	t.Parallel()
	var got []string
	for _, thing := range things(t, newWorld()) {
		got = append(got, thing.Kind+" "+thing.ID+" "+thing.Device)
	}
	want := []string{"address eip-first ", "interface eni-second 1", "volume vol-data /dev/sdf"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestWhatIsNotOursIsNamedWithARemedyAndNotMoved(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.disks["vol-data"].Tags = nil
	_, err := New(w, "mill").Of(t.Context(), server)
	if err == nil || !strings.Contains(err.Error(), "vol-data") || !strings.Contains(err.Error(), "create-tags") {
		t.Errorf("the error is %v", err)
	}
}

// Whichever act's answer is lost, the things end at the successor, each act done once.
func TestEverythingMovesOnceWhicheverAnswerIsLost(t *testing.T) {
	t.Parallel()
	for dies := range 7 {
		w := newWorld()
		moving := things(t, w)
		w.dies = dies
		looks := 0
		for done := false; !done; looks++ {
			if looks > 20 {
				t.Fatalf("with act %d lost it never ends: %q", dies, w.acts)
			}
			var err error
			if done, err = New(w, "mill").Hand(t.Context(), moving, "i-old", "i-new"); err != nil && !errors.Is(err, errLost) {
				t.Fatal(err)
			}
		}
		if len(w.acts) != 5 {
			t.Errorf("with act %d lost it acted %q", dies, w.acts)
		}
		if w.disks["vol-data"].InstanceID != "i-new" || w.interfaces["eni-second"].InstanceID != "i-new" || w.addresses["eip-first"].InstanceID != "i-new" {
			t.Errorf("with act %d lost not all is at the successor", dies)
		}
	}
}

func TestNothingIsPulledOutOfARunningServer(t *testing.T) {
	t.Parallel()
	w := newWorld()
	moving := things(t, w)
	w.states["i-old"] = "running"
	if _, err := New(w, "mill").Hand(t.Context(), moving, "i-old", "i-new"); !jobs.IsClass(err, jobs.Busy) {
		t.Errorf("the error is %v", err)
	}
	if len(w.acts) != 0 {
		t.Errorf("it acted %q", w.acts)
	}
}

func TestWhatSomebodyMovedElsewhereIsLeftThere(t *testing.T) {
	t.Parallel()
	for _, move := range []func(*world){
		func(w *world) { w.disks["vol-data"].InstanceID = "i-third" },
		func(w *world) { w.interfaces["eni-second"].InstanceID = "i-third" },
		func(w *world) { w.addresses["eip-first"].InstanceID = "i-third" },
	} {
		w := newWorld()
		moving := things(t, w)
		move(w)
		var err error
		for range 10 {
			if _, err = New(w, "mill").Hand(t.Context(), moving, "i-old", "i-new"); err != nil {
				break
			}
		}
		if !jobs.IsClass(err, jobs.Fatal) || !strings.Contains(err.Error(), "i-third") {
			t.Errorf("the error is %v after %q", err, w.acts)
		}
	}
}

func (w *world) Reboot(context.Context, ...string) error { return nil }
