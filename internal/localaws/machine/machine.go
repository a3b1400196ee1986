// Package machine is the servers of the embedded endpoint, behind one small interface: what EC2 switches on and off,
// what the SSM agent runs commands on, and what answers health checks.
//
// The EC2 service owns instances, volumes and snapshots; a Machine owns what happens inside one while it is on. Its
// disks are copy-on-write: what a script writes is in the next snapshot, and 200 servers of one image share its content.
package machine

import (
	"net/http"
	"time"
)

// Host makes machines.
type Host interface {
	// New makes a machine that is off.
	New(Config) Machine
}

// Config is what a machine is made of. The functions may be called at any time while it is on, from any goroutine.
type Config struct {
	Identity Identity
	// Disks by device name, the root's among them. They belong to the machine until it is off.
	Disks      map[string]Disk
	RootDevice string
	// UserData is the decoded user data as it is now; at most 16 KiB.
	UserData func() []byte
	// Tags are the instance's tags if InstanceMetadataTags is enabled, else nil.
	Tags func() map[string]string
	// Metadata is false when the metadata endpoint is disabled; TokenRequired is IMDSv2 only.
	Metadata, TokenRequired bool
	// Speed divides what takes minutes: boot times. Sleep in scripts is divided by it too.
	Speed float64
	// Network carries requests that leave the server; only the endpoint itself answers.
	Network http.RoundTripper
	// PoweredOff is called, once a boot, when the server shut itself down (from a script: shutdown, poweroff, sysprep).
	PoweredOff func()
}

// Identity is what the metadata service tells.
type Identity struct {
	InstanceID, ImageID, InstanceType string
	Account, Region, Zone             string
	PrivateIP, PrivateDNS, SubnetID   string
	Architecture, Platform            string // x86_64, arm64; linux, windows
	Distribution                      string // amazon, ubuntu, debian, windows: of the AMI that began the line
	KeyName, InstanceProfileARN, MAC  string
	SecurityGroups                    []string
	LaunchIndex                       int
	ReservationID                     string
	PendingTime                       time.Time
}

// Machine is one server.
type Machine interface {
	// PowerOn boots: metadata comes up, cloud-init runs user data on the first boot of a disk, units start, the agent
	// connects. It returns at once. It may be called again after PowerOff.
	PowerOn()
	// PowerOff ends every process, waits for them, and leaves the disks consistent. Kill is true where no clean shutdown happens.
	PowerOff(kill bool)
	// Reboot restarts with the same disks and a new boot id. It returns at once.
	Reboot()
	// Disks are the disks as they are now; of a running machine, as a crash would leave them.
	Disks() map[string]Disk
	// Agent tells the SSM agent's state.
	Agent() Agent
	// Run runs a command as the SSM agent would, in its own goroutine, and calls done once with the result: not before
	// the agent is online. A machine that goes off meanwhile ends it with Interrupted.
	Run(Command, func(Result))
	// Cancel ends a command that runs.
	Cancel(commandID string)
	// Get asks the server's own service, as a load balancer would; an error is a refused connection.
	Get(port int, path string) (status int, body []byte, err error)
	// Console is the console output, at most its last 64 KiB.
	Console() []byte
	// StatusOK says that the instance status check passes.
	StatusOK() bool
}

// Agent is what DescribeInstanceInformation tells of a server.
type Agent struct {
	Installed, Online             bool
	Version, PlatformType         string // PlatformType: Linux, Windows
	PlatformName, PlatformVersion string
	LastPing                      time.Time
}

// Command is one SSM Run Command invocation on one server.
type Command struct {
	ID      string
	Shell   string // sh or powershell
	Script  string
	WorkDir string
	Timeout time.Duration // the document's executionTimeout
	Region  string
}

// Result is how an invocation ended.
type Result struct {
	ExitCode       int
	Stdout, Stderr string
	// TimedOut, Cancelled, Interrupted: it did not end by itself. Interrupted: the server went away under it.
	TimedOut, Cancelled, Interrupted bool
}

// Disk is a copy-on-write disk.
type Disk interface {
	// Fork is a disk with the same content; both may change after it without the other seeing it. It costs next to nothing.
	Fork() Disk
	// Encode gives the content that differs from its base, for the state log; Decode of the package reads it.
	Encode() ([]byte, error)
	// Read returns a file's content, for inspection by tests and demos.
	Read(path string) ([]byte, error)
}
