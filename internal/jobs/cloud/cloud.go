// Package cloud holds the words for what AWS gives, as the kinds speak of it: instances, images, snapshots, commands.
// The adapters in internal/aws fill these types from the SDK's; no SDK type reaches a kind. Errors are *jobs.Error.
package cloud

import "time"

// Instance is an EC2 instance as Describe tells it.
type Instance struct {
	ID, ImageID, Type     string
	State                 string // pending, running, shutting-down, terminated, stopping, stopped
	StateReason           string // code: message; why an accepted launch died
	Zone, SubnetID, VpcID string
	PrivateIP, PublicIP   string
	PrivateDNS            string
	Spot                  bool
	LaunchIndex           int
	ClientToken           string
	Tags                  map[string]string
	Launched              time.Time
	RootDevice            string
	// Holds: it has what only one server can hold and what outlives it: a volume, a second interface, an Elastic IP address.
	Holds                    bool
	Volumes                  map[string]string // device to volume id
	Outlives                 []string          // of these volumes, those that stay when it goes
	Architecture, Platform   string            // x86_64 or arm64; linux or windows
	InstanceProfile, KeyName string
	SecurityGroupIDs         []string
	SecurityGroupNames       []string // in the order of the ids
	// MetadataTokens is required or optional; MetadataHops is the metadata service's hop limit.
	MetadataTokens string
	MetadataHops   int
	MetadataTags   bool // it reads its own tags from IMDS
	Monitoring     bool // in detail
}

// String is the instance's id.
func (i Instance) String() string { return i.ID }

// LaunchRequest asks for servers. Empty fields are left to the launch template or to EC2.
type LaunchRequest struct {
	Token            string // client token, at most 64 ASCII characters
	ImageID          string
	Type             string
	SubnetID         string
	Min, Max         int
	Spot             bool
	LaunchTemplate   *LaunchTemplate
	InstanceProfile  string // name or ARN
	KeyName          string
	SecurityGroupIDs []string
	UserData         []byte // before base64; at most 16 KiB
	Volumes          []Volume
	// InstanceTags, VolumeTags are put on at creation.
	InstanceTags, VolumeTags map[string]string
	MetadataTags             bool   // servers read their own tags from IMDS
	ShutdownBehavior         string // stop (default) or terminate
	PublicIP                 *bool
	Monitoring               bool
	EBSOptimized             *bool
	// MetadataTokens is required or optional; empty: required. MetadataHops 0 leaves the hop limit to the image and the account.
	MetadataTokens string
	MetadataHops   int
}

// LaunchTemplate names a launch template and a version (number, $Latest or $Default).
type LaunchTemplate struct {
	Name    string `json:"name,omitempty"`
	ID      string `json:"id,omitempty"`
	Version string `json:"version,omitempty"`
}

// Volume is a block device of a launch or a capture. Size is in GiB; zero keeps the image's.
type Volume struct {
	Device              string
	Size                int
	Type                string
	IOPS, Throughput    int
	Encrypted           *bool
	KMSKey              string
	SnapshotID          string
	DeleteOnTermination *bool
	Exclude             bool // NoDevice
}

// AttachedVolume is a volume on an instance.
type AttachedVolume struct {
	ID, InstanceID string
	Volume
}

// ImageMetadata is what an instance was launched from, as EC2 keeps it when the AMI is gone, too.
type ImageMetadata struct {
	InstanceID, State, Type, Zone  string
	Launched                       time.Time
	Tags                           map[string]string
	ImageID, ImageName, ImageState string
	ImageCreated, Deprecated       time.Time
}

// Image is an AMI.
type Image struct {
	ID, Name, OwnerID      string
	State                  string // pending, available, failed, error, invalid, deregistered, disabled, transient
	StateReason            string
	Architecture, Platform string // x86_64, arm64; linux, windows
	RootDevice             string
	Volumes                []Volume // with SnapshotID
	Tags                   map[string]string
	Created                time.Time
	SourceImageID          string
	Public                 bool
	DeprecationTime        time.Time
	Marketplace            bool // carries a product code
	// Allowed is what the account's Allowed AMIs settings say of it; nil where they are off.
	Allowed *bool
}

// Snapshots are the ids of the snapshots behind the image.
func (i Image) Snapshots() []string {
	var ids []string
	for _, v := range i.Volumes {
		if v.SnapshotID != "" {
			ids = append(ids, v.SnapshotID)
		}
	}
	return ids
}

// Snapshot is an EBS snapshot.
type Snapshot struct {
	ID, State, VolumeID string
	KMSKey              string
	Encrypted           bool
	Tags                map[string]string
	Started             time.Time
}

// CaptureRequest asks for an AMI of an instance.
type CaptureRequest struct {
	InstanceID, Name, Description string
	NoReboot                      bool
	Volumes                       []Volume // Exclude for those left out
	ImageTags, SnapshotTags       map[string]string
}

// CopyRequest asks for a copy of an AMI in the region that the adapter is for.
type CopyRequest struct {
	Token                   string
	SourceRegion, ImageID   string
	Name, Description       string
	KMSKey                  string // empty: as the source
	Encrypted               bool
	ImageTags, SnapshotTags map[string]string
}

// Share is whom an AMI is open to.
type Share struct {
	Accounts, Organizations, OUs []string
	Public                       bool
}

// Subnet is where servers can stand.
type Subnet struct {
	ID, Zone, VpcID string
	FreeAddresses   int
	Default         bool
	Tags            map[string]string
}

// InstanceType is what a type has.
type InstanceType struct {
	Name          string
	VCPUs         int
	Architectures []string // x86_64, arm64, i386
}

// InstanceProfile is what passes a role to servers.
type InstanceProfile struct {
	Name, ARN string
	Roles     []string // one, or none
}

// Running are instances of one type on one market that run or are about to.
type Running struct {
	Type string
	Spot bool
}

// Command is one SSM Run Command.
type Command struct {
	// Shell is sh or powershell.
	Shell       string
	Script      string
	InstanceIDs []string // at most 50
	Comment     string   // at most 100 characters
	// Timeout is the script's execution time-out; deliveries wait DeliveryTimeout for the agent.
	Timeout, DeliveryTimeout time.Duration
	// OutputBucket, OutputPrefix: where the whole output goes; empty keeps SSM's first 24,000 characters only.
	OutputBucket, OutputPrefix string
}

// Invocation is what a command did on one server.
type Invocation struct {
	CommandID, InstanceID string
	// Status is SSM's: Pending, InProgress, Delayed, Success, Cancelled, TimedOut, Failed, Cancelling.
	Status, StatusDetails string
	ExitCode              int
	Stdout, Stderr        string
}

// Ended reports whether the invocation will not change any more.
func (i Invocation) Ended() bool {
	switch i.Status {
	case "Success", "Cancelled", "TimedOut", "Failed":
		return true
	}
	return false
}

// ManagedInstance is what the SSM agent told of a server.
type ManagedInstance struct {
	InstanceID, PingStatus, Platform string // Online, ConnectionLost, Inactive; Linux, Windows
	LastPing                         time.Time
}

// TargetHealth is a target's state in a target group.
type TargetHealth struct {
	InstanceID, State, Reason string // initial, healthy, unhealthy, draining, unused, unavailable
}
