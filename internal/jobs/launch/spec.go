package launch

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/jobs/userdata"
)

// Limits and defaults of a launch.
const (
	MaxCount      = 10_000
	DefaultWithin = 10 * time.Minute
	maxUserTags   = 40 // EC2 takes 50 a resource; ours are among them
)

// Spec says which servers a fleet is to have. Submitting it again converges: servers that are missing are launched, none is
// ever removed.
type Spec struct {
	// Image is what the servers are stamped from: an image of ours (web for its current version, web@41 for that one), an AMI
	// id, or a public or private SSM parameter that names one (ssm:/aws/service/…).
	Image string `json:"image,omitempty" required:"true" example:"web@41"`
	// Count is how many servers the fleet is to have in total, at most 10,000. More than that are not removed.
	Count int `json:"count,omitempty" required:"true" min:"1" max:"10000" example:"200"`
	// LaunchTemplate is the base for all that this spec does not say; what it does say wins.
	LaunchTemplate *Template `json:"launchTemplate,omitempty"`
	// Pools are where the servers may stand, in the order of preference. Each is spread over its subnets; what one does not
	// grant, the next is asked for. Without pools, the launch template decides.
	Pools []Pool `json:"pools,omitempty"`
	// Server is how each server is made.
	Server Server `json:"server,omitzero"`
	// Hostname is the pattern of the servers' names, with {ordinal}, {ordinal:04} and {fleet} in it.
	Hostname string `json:"hostname,omitempty" example:"web-{ordinal:04}"`
	// Settings arrive on each server as /run/stampmill/settings.json.
	Settings Settings `json:"settings,omitzero"`
	// Bootstrap runs once, at each server's first boot: what is deliberately not baked into the image.
	Bootstrap *spec.Script `json:"bootstrap,omitempty"`
	// Tags are put on the servers and their volumes.
	Tags map[string]string `json:"tags,omitempty"`
	// Attach registers the servers with load balancers.
	Attach Attach `json:"attach,omitzero"`
	// Healthy says when a server counts as healthy. Every server must be running in any case.
	Healthy Healthy `json:"healthy,omitzero"`
	// Accept is the share of the count that must be healthy in the end. With fewer, the launch is undone; with at least so
	// many, those that are not healthy are terminated and reported, and their ordinals are free.
	Accept *spec.Percent `json:"accept,omitempty" default:"100%" example:"95%"`
	// Heals says that nothing is meant but what is missing of the fleet as it stands. A launch whose image or count are no longer
	// the fleet's when its turn comes launches nothing and fails. Policies write it.
	Heals bool `json:"heals,omitempty"`
	// Notify is called when the launch has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// Template names a launch template by name or id.
type Template struct {
	// Name is the launch template's name.
	Name string `json:"name,omitempty"`
	// ID is the launch template's id, instead of its name.
	ID string `json:"id,omitempty" pattern:"^lt-[0-9a-f]+$"`
	// Version is a number, $Latest or $Default.
	Version string `json:"version,omitempty" default:"$Default" example:"7"`
}

// Pool is instance types in subnets, on one market.
type Pool struct {
	// Types are the instance types, the preferred one first.
	Types []string `json:"types,omitempty" example:"[m7g.large, m6g.large]"`
	// Subnets are where the servers stand: ids, or tags that they carry. Without them, the default subnets.
	Subnets spec.Selector `json:"subnets,omitzero"`
	// Market is what EC2 sells them on.
	Market string `json:"market,omitempty" enum:"on-demand,spot" default:"on-demand"`
	// Weight spreads the servers over the pools: with weights 70 and 30, of 1,000 servers 700 are asked of the first pool and
	// 300 of the second. What a pool does not grant is asked of the others in their order. Without weights, the first pool
	// is asked for all.
	Weight int `json:"weight,omitempty" min:"1" max:"10000" example:"70"`
}

// Server is how each server is made; what is absent is left to the launch template or to EC2.
type Server struct {
	// SecurityGroups are names or ids.
	SecurityGroups []string `json:"securityGroups,omitempty" example:"[web]"`
	// InstanceProfile is a name or an ARN.
	InstanceProfile string `json:"instanceProfile,omitempty"`
	// KeyName is the name of an EC2 key pair.
	KeyName string `json:"keyName,omitempty"`
	// Volumes are block devices by their names, over the image's.
	Volumes map[string]Volume `json:"volumes,omitempty"`
	// PublicIP says whether the servers get public addresses; absent leaves it to the subnet.
	PublicIP *bool `json:"publicIP,omitempty"`
	// MetadataTags lets servers read their own tags from the metadata service.
	MetadataTags bool `json:"metadataTags,omitempty"`
	// Monitoring turns detailed monitoring on.
	Monitoring bool `json:"monitoring,omitempty"`
	// EBSOptimized is for types that do not have it by default.
	EBSOptimized *bool `json:"ebsOptimized,omitempty"`
	// MetadataTokens says whether the metadata service insists on session tokens (IMDSv2).
	MetadataTokens string `json:"metadataTokens,omitempty" enum:"required,optional" default:"required"`
	// MetadataHops is how many network hops the metadata service's answers may take; absent leaves it to the image and to the
	// account.
	MetadataHops int `json:"metadataHops,omitempty" min:"1" max:"64"`
	// UserData is what EC2 gives the servers as it stands, instead of what hostname, settings and bootstrap make: the text, or
	// base64: and its encoding. At most 16 KiB.
	UserData string `json:"userData,omitempty"`
}

// Volume is one block device.
type Volume struct {
	// Size is its size; absent keeps the snapshot's.
	Size spec.Size `json:"size,omitempty" example:"100GiB"`
	// Type is the volume type.
	Type string `json:"type,omitempty" enum:"gp3,gp2,io1,io2,st1,sc1,standard"`
	// IOPS is for gp3, io1 and io2.
	IOPS int `json:"iops,omitempty" min:"0"`
	// Throughput is in MiB/s, for gp3.
	Throughput int `json:"throughput,omitempty" min:"0"`
	// Encrypted says whether it is; absent leaves it to the image and to the account.
	Encrypted *bool `json:"encrypted,omitempty"`
	// KMSKey is an id, ARN or alias.
	KMSKey string `json:"kmsKey,omitempty" example:"alias/data"`
	// SnapshotID is what it begins with.
	SnapshotID string `json:"snapshotID,omitempty"`
	// DeleteOnTermination says whether it goes with its server; that is the default.
	DeleteOnTermination *bool `json:"deleteOnTermination,omitempty" default:"true"`
}

// Settings are what servers are told: for all, and a row for each, which wins.
type Settings struct {
	// All are the settings of every server.
	All map[string]any `json:"all,omitempty"`
	// Each are settings by ordinal: rows, or the path of a CSV, JSON or YAML file of them. Row after row belongs to ordinal
	// 0, 1, 2, unless each row has an ordinal of its own.
	Each spec.Rows `json:"each,omitzero"`
}

// Attach is where the servers are registered.
type Attach struct {
	// TargetGroups are names or ARNs.
	TargetGroups []string `json:"targetGroups,omitempty" example:"[web]"`
}

// Healthy is when a server counts as healthy.
type Healthy struct {
	// StatusChecks asks for EC2's instance and system status checks.
	StatusChecks bool `json:"statusChecks,omitempty"`
	// Run must end with exit code 0 on the server. It is repeated until it does.
	Run *spec.Script `json:"run,omitempty"`
	// HTTP is asked on the server itself, until it answers as expected.
	HTTP *HTTP `json:"http,omitempty"`
	// TargetGroup asks for the servers to be healthy in every target group that they are attached to.
	TargetGroup bool `json:"targetGroup,omitempty"`
	// Within is how long servers have for all of that.
	Within spec.Duration `json:"within,omitempty" default:"10m"`
}

// HTTP is a request to the server's own service.
type HTTP struct {
	// Port is where the service listens.
	Port int `json:"port,omitempty" required:"true" min:"1" max:"65535"`
	// Path is what is asked for.
	Path string `json:"path,omitempty" default:"/" pattern:"^/[A-Za-z0-9._~/?=&%+-]*$"`
	// Status is the status that is expected.
	Status int `json:"status,omitempty" default:"200" min:"100" max:"599"`
}

// checkHostname tries the pattern on a fleet's highest ordinal; the fleet's own name is checked with the job's.
func checkHostname(pattern string, count int) error {
	return userdata.CheckPattern(pattern, "fleet", max(count-1, 0))
}

func (s Spec) accept() float64 {
	if s.Accept == nil {
		return 100
	}
	return float64(*s.Accept)
}

func (s Spec) within() time.Duration { return s.Healthy.Within.Or(DefaultWithin) }

// asksServers: servers have to answer through SSM.
func (h Healthy) asksServers() bool { return h.Run != nil || h.HTTP != nil }

func (t *Template) cloud() *cloud.LaunchTemplate {
	if t == nil {
		return nil
	}
	version := t.Version
	if version == "" {
		version = "$Default"
	}
	return &cloud.LaunchTemplate{Name: t.Name, ID: t.ID, Version: version}
}

var imagePattern = regexp.MustCompile(`^(ami-[0-9a-f]{8,17}|ssm:/[a-zA-Z0-9_./-]+|[a-z][a-z0-9-]{0,62}(@[1-9][0-9]{0,8})?)$`)

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if s.Image != "" && !imagePattern.MatchString(s.Image) {
		p.At("image").Add("expected an image (web or web@41), an AMI id or ssm:/path, found %q", "", s.Image)
	}
	if s.LaunchTemplate != nil && (s.LaunchTemplate.Name == "") == (s.LaunchTemplate.ID == "") {
		p.At("launchTemplate").Add("expected either name or id", "write {name: web, version: \"7\"}")
	}
	if len(s.Pools) == 0 && s.LaunchTemplate == nil {
		p.At("pools").Add("expected at least one pool, or a launch template that says type and subnet", "write - {types: [m7g.large]}")
	}
	for i, pool := range s.Pools {
		if len(pool.Types) == 0 && s.LaunchTemplate == nil {
			p.At("pools", i, "types").Add("expected at least one instance type", "write types: [m7g.large]")
		}
	}
	s.checkWeights(p)
	if s.Hostname != "" {
		if err := checkHostname(s.Hostname, s.Count); err != nil {
			p.At("hostname").Add("%s", "write web-{ordinal:04}", err)
		}
	}
	s.checkUserData(p.At("server", "userData"))
	s.checkTags(p.At("tags"))
	if s.Healthy.TargetGroup && len(s.Attach.TargetGroups) == 0 {
		p.At("healthy", "targetGroup").Add("expected target groups to ask", "name them in attach: {targetGroups: […]}")
	}
	if w := time.Duration(s.Healthy.Within); w != 0 && (w < 30*time.Second || w > 24*time.Hour) {
		p.At("healthy", "within").Add("expected 30s to 24h, found %s", "", s.Healthy.Within)
	}
}

// checkWeights refuses weights on some pools only: a pool without one would get nothing, or all.
func (s *Spec) checkWeights(p *spec.Problems) {
	weighted := slices.ContainsFunc(s.Pools, func(pool Pool) bool { return pool.Weight > 0 })
	for i, pool := range s.Pools {
		if weighted && pool.Weight <= 0 {
			p.At("pools", i, "weight").Add("expected a weight above 0: other pools have one", "give every pool a weight, or none")
		}
	}
}

func (s *Spec) checkTags(p *spec.Problems) {
	if len(s.Tags) > maxUserTags {
		p.Add("expected at most %d tags, found %d", "EC2 takes 50 a server, some of which are ours", maxUserTags, len(s.Tags))
	}
	for _, key := range slices.Sorted(maps.Keys(s.Tags)) {
		switch value := s.Tags[key]; {
		case strings.HasPrefix(key, jobs.TagPrefix), strings.HasPrefix(strings.ToLower(key), "aws:"):
			p.At(key).Add("a tag key that begins with %s or aws: is reserved", "choose another key", jobs.TagPrefix)
		case key == "" || len(key) > 128 || len(value) > 256:
			p.At(key).Add("expected a key of 1 to 128 characters and a value of at most 256", "")
		case s.Server.MetadataTags && strings.ContainsAny(key, " /"):
			p.At(key).Add("with metadataTags, EC2 refuses a key with a space or a slash", "rename the tag or leave metadataTags out")
		}
	}
}
