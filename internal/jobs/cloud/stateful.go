package cloud

import "time"

// RootRequest asks EC2 to replace a running instance's root volume: with one made of an AMI, or with a volume that is free.
type RootRequest struct {
	Token      string // client token, at most 64 ASCII characters
	InstanceID string
	// ImageID or VolumeID is what the new root is; one of them.
	ImageID, VolumeID string
	// DeleteOld has EC2 delete the volume that is replaced.
	DeleteOld bool
	// Tags are put on the task.
	Tags map[string]string
}

// RootTask is a replacement of a root volume.
type RootTask struct {
	ID, InstanceID, ImageID string
	// State is pending, in-progress, failing, failing-detached, succeeded, failed or failed-detached.
	State string
}

// Ended reports whether nothing more happens to the task.
func (t RootTask) Ended() bool {
	return t.State == "succeeded" || t.State == "failed" || t.State == "failed-detached"
}

// String is the task's id.
func (t RootTask) String() string { return t.ID }

// Belonging is one thing that only one server can hold.
type Belonging struct {
	// Kind is volume, interface or address.
	Kind string `json:"kind"`
	ID   string `json:"id"`
	// Device is where it is attached: a device's name, or an interface's index.
	Device string `json:"device,omitempty"`
}

// Disk is an EBS volume as Describe tells it.
type Disk struct {
	ID, Zone string
	State    string // creating, available, in-use, deleting, deleted, error
	// InstanceID, Device, Attachment (attaching, attached, detaching, busy) and DeleteOnTermination are of its attachment.
	InstanceID, Device, Attachment string
	DeleteOnTermination            bool
	Encrypted                      bool
	Tags                           map[string]string
	Created                        time.Time
}

// NetworkInterface is one as Describe tells it.
type NetworkInterface struct {
	ID, Zone string
	State    string // available, attaching, in-use, detaching
	// InstanceID, AttachmentID, Attachment (attaching, attached, detaching, detached), DeviceIndex and DeleteOnTermination
	// are of its attachment.
	InstanceID, AttachmentID, Attachment string
	DeviceIndex                          int
	DeleteOnTermination                  bool
	Tags                                 map[string]string
}

// Address is an Elastic IP address.
type Address struct {
	ID            string // of its allocation
	AssociationID string
	PublicIP      string
	// InterfaceID and InstanceID are who has it.
	InterfaceID, InstanceID string
	Tags                    map[string]string
}
