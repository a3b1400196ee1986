package ec2

import (
	"time"
)

// instanceRecord is one instance.
type instanceRecord struct {
	base
	ReservationID string
	ClientToken   string `json:",omitempty"`
	LaunchIndex   int
	ImageID       string
	Type          string
	KeyName       string `json:",omitempty"`
	Zone          string
	SubnetID      string
	VPCID         string
	PrivateIP     string
	PublicIP      string      `json:",omitempty"`
	ElasticIP     string      `json:",omitempty"`
	Groups        []groupName `json:",omitempty"`
	ProfileARN    string      `json:",omitempty"`
	UserData      []byte      `json:",omitempty"`
	Metadata      metadataOptions
	Architecture  string
	Platform      string `json:",omitempty"`
	Details       string // platformDetails
	Distribution  string
	RootDevice    string
	Volumes       []attachedVolume
	// LaunchSnapshot is what the root volume was made of at the launch; FormerRoots are the root volumes that were replaced.
	LaunchSnapshot string   `json:",omitempty"`
	FormerRoots    []string `json:",omitempty"`

	InterfaceID   string
	InterfaceTags []Tag `json:",omitempty"`
	MAC           string

	Spot             bool   `json:",omitempty"`
	SpotRequestID    string `json:",omitempty"`
	ShutdownBehavior string
	NoTermination    bool   `json:",omitempty"`
	NoStop           bool   `json:",omitempty"`
	EBSOptimized     bool   `json:",omitempty"`
	Monitoring       bool   `json:",omitempty"`
	CPUCredits       string `json:",omitempty"`
	Tenancy          string
	Extras           launchExtras
	PlacementGroup   string `json:",omitempty"`
	NoSourceDest     bool   `json:",omitempty"`

	State            string
	Reason           string // StateTransitionReason
	StateReasonCode  string `json:",omitempty"`
	StateReason      string `json:",omitempty"`
	Launched         time.Time
	Visible          time.Time
	Next             string    `json:",omitempty"` // the state that Due brings
	Due              time.Time `json:",omitzero"`
	StatusOK         time.Time `json:",omitzero"`
	DiesOf           string    `json:",omitempty"` // an accepted launch that dies: its StateReason code
	Console          []byte    `json:",omitempty"` // of the last machine
	ConsoleAt        time.Time `json:",omitzero"`
	TerminatedAt     time.Time `json:",omitzero"`
	UsesPublicSubnet bool      `json:",omitempty"`

	secondary []*interfaceRecord // attached to it beside its first one

	shown []byte // its XML, until it changes
}

// attachedVolume is an entry of an instance's block device mapping.
type attachedVolume struct {
	Device              string
	VolumeID            string
	DeleteOnTermination bool   `json:",omitempty"`
	Status              string `json:",omitempty"` // attaching or detaching; empty: attached
	At                  time.Time
}

type groupName struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

// metadataOptions are the instance metadata service's.
type metadataOptions struct {
	State                   string `xml:"state,omitempty" json:",omitempty"`
	HTTPTokens              string `query:"HttpTokens" xml:"httpTokens,omitempty" json:",omitempty"`
	HTTPPutResponseHopLimit *int32 `query:"HttpPutResponseHopLimit" xml:"httpPutResponseHopLimit,omitempty" json:",omitempty"`
	HTTPEndpoint            string `query:"HttpEndpoint" xml:"httpEndpoint,omitempty" json:",omitempty"`
	HTTPProtocolIPv6        string `query:"HttpProtocolIpv6" xml:"httpProtocolIpv6,omitempty" json:",omitempty"`
	InstanceMetadataTags    string `query:"InstanceMetadataTags" xml:"instanceMetadataTags,omitempty" json:",omitempty"`
}

func (i *instanceRecord) keys() []string {
	keys := []string{"reservation-id=" + i.ReservationID, "instance-id=" + i.ID}
	if i.ClientToken != "" {
		keys = append(keys, "client-token="+i.ClientToken)
	}
	return keys
}

// live says that the instance uses capacity.
func (i *instanceRecord) live() bool {
	return i.State != stateTerminated && i.State != stateShuttingDown
}

// volumeRecord is one EBS volume.
type volumeRecord struct {
	base
	SizeGiB    int32
	Type       string
	IOPS       int32  `json:",omitempty"`
	Throughput int32  `json:",omitempty"`
	SnapshotID string `json:",omitempty"`
	Encrypted  bool   `json:",omitempty"`
	KMSKeyID   string `json:",omitempty"`
	Zone       string
	Created    time.Time
	State      string // creating, available, in-use, deleting
	InstanceID string `json:",omitempty"`
	Device     string `json:",omitempty"`
	Attachment string `json:",omitempty"` // attaching, detaching or busy; empty: attached, if an instance has it
	AttachedAt time.Time
	Next       time.Time `json:",omitzero"`  // when attaching or detaching ends
	ReservedBy string    `json:",omitempty"` // an instance whose root it is about to become
	Visible    time.Time
}

func (v *volumeRecord) keys() []string {
	if v.InstanceID == "" {
		return nil
	}
	return []string{"attachment.instance-id=" + v.InstanceID}
}

// snapshotRecord is one EBS snapshot.
type snapshotRecord struct {
	base
	VolumeID    string
	SizeGiB     int32
	Description string `json:",omitempty"`
	Encrypted   bool   `json:",omitempty"`
	KMSKeyID    string `json:",omitempty"`
	Started     time.Time
	Due         time.Time
	State       string // pending, completed, error
	Problem     string `json:",omitempty"`
	FailsWith   string `json:",omitempty"`
	// Captured is false while the content is still to be taken from the volume.
	Captured bool
	Users    []string `json:",omitempty"` // who may create volumes; "all" is everyone
	Visible  time.Time
}

func (s *snapshotRecord) keys() []string { return []string{"owner-id=" + s.Account} }

// imageRecord is one AMI.
type imageRecord struct {
	base
	Name             string
	Description      string `json:",omitempty"`
	OwnerAlias       string `json:",omitempty"`
	Architecture     string
	Platform         string `json:",omitempty"`
	Details          string
	UsageOperation   string
	Distribution     string
	RootDevice       string
	BootMode         string
	Devices          []imageDevice
	Created          time.Time
	Visible          time.Time
	Due              time.Time
	State            string // pending, available, failed, disabled, deregistered
	FailsWith        string `json:",omitempty"`
	StateReasonCode  string `json:",omitempty"`
	StateReason      string `json:",omitempty"`
	Permissions      []launchPermission
	SourceInstanceID string    `json:",omitempty"`
	SourceImageID    string    `json:",omitempty"`
	SourceRegion     string    `json:",omitempty"`
	Deprecation      time.Time `json:",omitzero"`
	LastLaunched     time.Time `json:",omitzero"`
	Protected        bool      `json:",omitempty"`
	Cooldown         bool      `json:",omitempty"`
	ProtectedUntil   time.Time `json:",omitzero"`
	IMDSSupport      string    `json:",omitempty"`
	Token            string    `json:",omitempty"`
	ProductCode      string    `json:",omitempty"` // of AWS Marketplace
	SeedLine         string    `json:",omitempty"`
	Parameters       []string  `json:",omitempty"`
}

// imageDevice is an entry of an AMI's block device mapping.
type imageDevice struct {
	Device              string
	SnapshotID          string `json:",omitempty"`
	SizeGiB             int32
	Type                string
	IOPS                int32  `json:",omitempty"`
	Throughput          int32  `json:",omitempty"`
	Encrypted           bool   `json:",omitempty"`
	KMSKeyID            string `json:",omitempty"`
	DeleteOnTermination bool
}

// launchPermission names one of account, group, organization or organizational unit.
type launchPermission struct {
	Group                 string `query:"Group" xml:"group,omitempty" json:",omitempty"`
	UserID                string `query:"UserId" xml:"userId,omitempty" json:",omitempty"`
	OrganizationARN       string `query:"OrganizationArn" xml:"organizationArn,omitempty" json:",omitempty"`
	OrganizationalUnitARN string `query:"OrganizationalUnitArn" xml:"organizationalUnitArn,omitempty" json:",omitempty"`
}

func (i *imageRecord) keys() []string { return []string{"owner-id=" + i.Account, "name=" + i.Name} }

// public says that everyone may launch the image.
func (i *imageRecord) public() bool {
	for _, p := range i.Permissions {
		if p.Group == "all" {
			return true
		}
	}
	return false
}

// launchableBy says that the account owns the image or was given it.
func (i *imageRecord) launchableBy(account string) bool {
	if i.Account == account {
		return true
	}
	for _, p := range i.Permissions {
		if p.Group == "all" || p.UserID == account {
			return true
		}
	}
	return false
}

// vpcRecord is a VPC; each account has its default one in each region.
type vpcRecord struct {
	base
	CIDR string
}

func (v *vpcRecord) keys() []string { return nil }

// subnetRecord is a subnet of the default VPC.
type subnetRecord struct {
	base
	VPCID, Zone, ZoneID, CIDR string
}

func (s *subnetRecord) keys() []string { return nil }

// groupRecord is a security group.
type groupRecord struct {
	base
	Name, Description, VPCID string
	Ingress                  []ipPermission `json:",omitempty"`
}

func (g *groupRecord) keys() []string { return nil }

// keyRecord is a key pair; EC2 keeps the public half.
type keyRecord struct {
	base
	Name, Type, Fingerprint, PublicKey string
	Created                            time.Time
}

func (k *keyRecord) keys() []string { return nil }

// spotRecord is a spot instance request.
type spotRecord struct {
	base
	InstanceID, Type, ImageID, InstanceType, Zone, SubnetID string
	MaxPrice, Interruption                                  string `json:",omitempty"`
	State, Status, StatusMessage                            string
	Created, Updated                                        time.Time
}

func (r *spotRecord) keys() []string {
	return []string{"spot-instance-request-id=" + r.ID}
}

// tokenRecord remembers what a client token made.
type tokenRecord struct {
	Digest string
	IDs    []string
	At     time.Time
}

// goneRecord remembers a deregistered AMI: its id is unavailable rather than unknown, and its name stays taken a while.
type goneRecord struct {
	Account, Region, Name string
	Created               time.Time `json:",omitzero"`
	Until                 time.Time
}
