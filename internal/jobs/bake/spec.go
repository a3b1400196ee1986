package bake

import (
	"fmt"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Spec says how the next version of an image is made. The document's name is the image's.
type Spec struct {
	// From is what the builder is launched from.
	From Source `json:"from,omitzero" required:"true"`
	// Builder is the server that is set up.
	Builder Builder `json:"builder,omitzero"`
	// Vars are the document's variables; they are in the environment of every script.
	Vars map[string]string `json:"vars,omitempty"`
	// Env is put into the environment of every script. It is no place for secrets.
	Env map[string]string `json:"env,omitempty"`
	// Steps set the builder up, in order.
	Steps []Step `json:"steps,omitempty"`
	// Verify must pass on the builder, and on a server booted from the new AMI.
	Verify []Verify `json:"verify,omitempty"`
	// Capture says how the image is taken.
	Capture Capture `json:"capture,omitzero"`
	// BootTest launches a server from the new AMI, which must pass verify too. It is on wherever there is a verify.
	BootTest *bool `json:"bootTest,omitempty" default:"true"`
	// CopyTo are other regions that get a copy.
	CopyTo map[string]CopyTo `json:"copyTo,omitempty"`
	// Share opens the AMIs to others, once they are verified.
	Share *Share `json:"share,omitempty"`
	// DeprecateAfter is when the AMIs are marked as deprecated, counted from the bake.
	DeprecateAfter spec.Duration `json:"deprecateAfter,omitempty" example:"365d"`
	// Protect keeps the AMIs from being deregistered by others.
	Protect *Protect `json:"protect,omitempty"`
	// Publish says where the new version is made known besides Stampmill's own catalog.
	Publish Publish `json:"publish,omitzero"`
	// Keep removes old versions that nothing uses.
	Keep Keep `json:"keep,omitzero"`
	// OnFailure says what stays after a failure.
	OnFailure OnFailure `json:"onFailure,omitzero"`
	// Description is put on the AMIs.
	Description string `json:"description,omitempty"`
	// Tags are put on the AMIs, their snapshots and the builder.
	Tags map[string]string `json:"tags,omitempty"`
	// Notify is called when the bake has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
	// Renews is written by a restamp, not by people.
	Renews *Renews `json:"renews,omitempty"`
}

// Renews says of a bake by a restamp what it renews, so that the next restamp begins from the same source.
type Renews struct {
	// Version is what was current: web@41.
	Version string `json:"version,omitempty" required:"true" pattern:"^[a-z0-9][a-z0-9-]{0,62}@[1-9][0-9]*$" example:"web@41"`
	// Spec is the version whose stored spec is the image's own, with the source as people wrote it.
	Spec string `json:"spec,omitempty" pattern:"^[a-z0-9][a-z0-9-]{0,62}@[1-9][0-9]*$" example:"web@38"`
	// Restamp is the job.
	Restamp string `json:"restamp,omitempty"`
	// Patch: one script was layered on the version, instead of a rebuild.
	Patch bool `json:"patch,omitempty"`
}

// Source is what a bake starts from: exactly one of its fields. The short form is an AMI id, an image of ours (base,
// base@12), an SSM parameter (ssm:/path) or the id of a server.
type Source struct {
	// AMI is an AMI id.
	AMI string `json:"ami,omitempty" pattern:"^ami-[0-9a-f]{8,17}$"`
	// Parameter is an SSM parameter that holds an AMI id, such as AWS's public ones.
	Parameter string `json:"parameter,omitempty" example:"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"`
	// Newest is the newest AMI of an owner whose name fits.
	Newest *Newest `json:"newest,omitempty"`
	// Image is an image of ours: its current version, or one by number.
	Image string `json:"image,omitempty" example:"base@12"`
	// Server is a running server, which is imaged without a reboot. Without steps and generalize its image is the new
	// version; else a builder is launched from it.
	Server string `json:"server,omitempty" pattern:"^i-[0-9a-f]{8,17}$"`
}

// Newest chooses an AMI by owner and name.
type Newest struct {
	// Owner is an account id, or amazon, self or aws-marketplace.
	Owner string `json:"owner,omitempty" required:"true" example:"amazon"`
	// Name is the AMI's name, in which * stands for anything.
	Name string `json:"name,omitempty" required:"true" example:"debian-13-*"`
	// Architecture is the processor's.
	Architecture string `json:"architecture,omitempty" enum:"x86_64,arm64"`
}

// Builder is the server that is set up. Its pools are markets × types × subnets, in order; the first with capacity is taken.
type Builder struct {
	// Types are the instance types, the preferred one first. Without any, the launch template's, else t3.medium or t4g.medium.
	Types []string `json:"types,omitempty" example:"[c7g.large, m7g.large]"`
	// Subnets are where it may stand; without any, a default subnet.
	Subnets spec.Selector `json:"subnets,omitzero"`
	// Market is on-demand, spot, or both in order.
	Market Market `json:"market,omitzero"`
	// LaunchTemplate is the base for all that this spec does not say.
	LaunchTemplate *Template `json:"launchTemplate,omitempty"`
	// SecurityGroups are names or ids.
	SecurityGroups []string `json:"securityGroups,omitempty"`
	// InstanceProfile is a name or an ARN. It lets the SSM agent register, and scripts read their secrets.
	InstanceProfile string `json:"instanceProfile,omitempty"`
	// KeyName is the name of an EC2 key pair.
	KeyName string `json:"keyName,omitempty"`
	// PublicIP says whether it gets a public address; absent leaves it to the subnet.
	PublicIP *bool `json:"publicIP,omitempty"`
	// RootVolume changes the root volume.
	RootVolume *Volume `json:"rootVolume,omitempty"`
	// Volumes are further block devices by their names, over those of the source.
	Volumes map[string]Volume `json:"volumes,omitempty"`
	// Agent says whether the source comes with the SSM agent; install puts it in by user data.
	Agent string `json:"agent,omitempty" enum:"installed,install" default:"installed"`
	// Provision is how steps get to the builder. With userData no SSM is needed: they run at the first boot, and the builder
	// stops itself when they have succeeded.
	Provision string `json:"provision,omitempty" enum:"ssm,userData" default:"ssm"`
	// StatusChecks waits for EC2's instance and system status checks too.
	StatusChecks bool `json:"statusChecks,omitempty"`
	// Within is how long the builder may take to answer; with provision userData, to stop itself.
	Within spec.Duration `json:"within,omitempty" default:"15m"`
}

// Market is the order of markets. The short form is one of them or a list.
type Market struct {
	// Order are on-demand and spot, in the order in which they are tried.
	Order []string `json:"order,omitempty" default:"[on-demand]"`
}

// Template names a launch template by name or id.
type Template struct {
	// Name is the launch template's name.
	Name string `json:"name,omitempty"`
	// ID is the launch template's id, instead of its name.
	ID string `json:"id,omitempty" pattern:"^lt-[0-9a-f]+$"`
	// Version is a number, $Latest or $Default.
	Version string `json:"version,omitempty" default:"$Default"`
}

// Volume is one block device.
type Volume struct {
	// Size is its size; absent keeps the source's.
	Size spec.Size `json:"size,omitempty" example:"20GiB"`
	// Type is the volume type.
	Type string `json:"type,omitempty" enum:"gp3,gp2,io1,io2,st1,sc1,standard"`
	// IOPS is for gp3, io1 and io2.
	IOPS int `json:"iops,omitempty" min:"0"`
	// Throughput is in MiB/s, for gp3.
	Throughput int `json:"throughput,omitempty" min:"0"`
	// Encrypted says whether it is; a kmsKey means yes.
	Encrypted *bool `json:"encrypted,omitempty"`
	// KMSKey is an id, ARN or alias.
	KMSKey string `json:"kmsKey,omitempty" example:"alias/images"`
	// SnapshotID is what it begins with.
	SnapshotID string `json:"snapshotID,omitempty" pattern:"^snap-[0-9a-f]+$"`
}

// Capture says how the image is taken: from the stopped builder, unless noReboot says otherwise.
type Capture struct {
	// Generalize removes what must not be the same on every server: cloud-init's state, machine-id, SSH host keys and
	// authorized keys, the agent's identity; on Windows it runs sysprep.
	Generalize *bool `json:"generalize,omitempty" default:"true"`
	// NoReboot takes the image of the running builder.
	NoReboot *NoReboot `json:"noReboot,omitempty"`
	// Volumes are the data volumes that are part of the image: all, unless this says otherwise.
	Volumes CaptureVolumes `json:"volumes,omitzero"`
}

// NoReboot takes an image of a running server. The short form is true.
type NoReboot struct {
	// Freeze makes the server's data consistent before the snapshots are taken.
	Freeze *spec.Script `json:"freeze,omitempty"`
	// Thaw goes on after the snapshots have begun.
	Thaw *spec.Script `json:"thaw,omitempty"`
}

// CaptureVolumes chooses data volumes by device name. The root volume is always in.
type CaptureVolumes struct {
	// Include are the only data volumes that are in.
	Include []string `json:"include,omitempty"`
	// Exclude are data volumes that are left out.
	Exclude []string `json:"exclude,omitempty" example:"[/dev/sdf]"`
}

// CopyTo is a copy of the image in another region.
type CopyTo struct {
	// KMSKey encrypts the copy: a key of that region.
	KMSKey string `json:"kmsKey,omitempty" example:"alias/images"`
	// Encrypted encrypts the copy under the region's default key.
	Encrypted bool `json:"encrypted,omitempty"`
}

// Share opens the AMIs to others.
type Share struct {
	// Accounts are account ids.
	Accounts []string `json:"accounts,omitempty" example:"[\"111122223333\"]"`
	// Organizations are ARNs of organizations.
	Organizations []string `json:"organizations,omitempty" example:"[arn:aws:organizations::111122223333:organization/o-abc123]"`
	// OUs are ARNs of organizational units.
	OUs []string `json:"ous,omitempty"`
	// Public opens them to everybody. It needs publicConfirmed too, and the account's block of public sharing to be off.
	Public bool `json:"public,omitempty"`
	// PublicConfirmed says that everybody may really read what is in the image.
	PublicConfirmed bool `json:"publicConfirmed,omitempty"`
}

// Protect keeps AMIs from being deregistered. The short form is true.
type Protect struct {
	// Cooldown keeps the protection for 24 hours after it is lifted.
	Cooldown bool `json:"cooldown,omitempty"`
}

// Publish says where the new version is made known.
type Publish struct {
	// Parameter is an SSM parameter that gets the AMI id, in the bake's region and in each of copyTo that region's own.
	Parameter string `json:"parameter,omitempty" pattern:"^/?[a-zA-Z0-9_.-]+(/[a-zA-Z0-9_.-]+)*$" example:"/images/web"`
	// LaunchTemplate gets a new version with the AMI.
	LaunchTemplate *PublishTemplate `json:"launchTemplate,omitempty"`
	// Hold leaves what is current as it is: the version waits, verified, until `stampmill image promote` makes it current,
	// and parameter and launch template follow then.
	Hold bool `json:"hold,omitempty"`
}

// PublishTemplate is a launch template that gets a new version.
type PublishTemplate struct {
	// Name is the launch template's name.
	Name string `json:"name,omitempty"`
	// ID is the launch template's id, instead of its name.
	ID string `json:"id,omitempty" pattern:"^lt-[0-9a-f]+$"`
	// SourceVersion is what the new version is based on.
	SourceVersion string `json:"sourceVersion,omitempty" default:"$Default"`
	// SetDefault makes the new version the default: Auto Scaling groups on $Default follow it at once.
	SetDefault bool `json:"setDefault,omitempty"`
}

// Keep says how many versions stay.
type Keep struct {
	// Versions is how many stay, the new one included. Older ones that nothing uses are deregistered in every region, with
	// their snapshots. Absent keeps all.
	Versions int `json:"versions,omitempty" min:"1" max:"1000"`
	// Age keeps versions that are younger, however many there are.
	Age spec.Duration `json:"age,omitempty" example:"90d"`
	// Deprecated is for how long a version that goes is marked as deprecated before the next stage; it can be launched meanwhile.
	Deprecated spec.Duration `json:"deprecated,omitempty" example:"7d"`
	// Disabled is for how long it is disabled before it is deregistered: nothing can be launched from it, and
	// `stampmill image restore` brings it back.
	Disabled spec.Duration `json:"disabled,omitempty" example:"14d"`
}

// String says it in a few words.
func (k Keep) String() string {
	var words []string
	if k.Versions > 0 {
		words = append(words, fmt.Sprintf("%d versions", k.Versions))
	}
	if k.Age > 0 {
		words = append(words, "what is younger than "+k.Age.String())
	}
	return strings.Join(words, ", ")
}

// OnFailure says what stays after a failure.
type OnFailure struct {
	// KeepBuilder is for how long the builder of a failed bake stays, to look around on it.
	KeepBuilder spec.Duration `json:"keepBuilder,omitempty" example:"2h"`
}
