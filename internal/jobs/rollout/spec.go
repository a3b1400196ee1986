package rollout

import (
	"regexp"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Defaults and limits of a rollout.
const (
	DefaultDrain  = 10 * time.Minute
	DefaultWithin = 10 * time.Minute
	maxWaves      = 100
	maxGates      = 20
	longest       = 24 * time.Hour
)

// The strategies, as specs write them.
const (
	Replace = "replace"
	InPlace = "inPlace"
	Refresh = "refresh"
)

// What a rollout does that failed.
const (
	Rollback = "rollback"
	Hold     = "hold"
)

// Spec says which fleet is to run which image, and how carefully it gets there. Servers that run the image already are
// left alone; ordinals without a server are Launch's.
type Spec struct {
	// Fleet is the fleet's name; the job has the same.
	Fleet string `json:"fleet,omitempty" required:"true" example:"web-prod"`
	// Image is an image of ours: web for its current version when the rollout begins, web@42 for that one.
	Image string `json:"image,omitempty" required:"true" example:"web@42"`
	Options
	// Notify is called when the rollout has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// Options are how a fleet is rolled: a rollout's own, or those of a patch day for each of its fleets.
type Options struct {
	// Strategy is how a server comes to run the image: replace launches a successor and removes the old server once that is
	// healthy; refresh leaves it to the fleet's Auto Scaling group; inPlace replaces the root volume. The default is refresh
	// for fleets that are Auto Scaling groups, and replace for all others.
	Strategy string `json:"strategy,omitempty" enum:"replace,inPlace,refresh"`
	// Surge is how many servers there may be beyond the fleet's count: a number, or a share of the fleet, rounded up. With
	// 0, old servers are stopped before their successors are launched, as many at a time as maxUnavailable says.
	Surge *spec.Share `json:"surge,omitempty" default:"10%" example:"2"`
	// MaxUnavailable is how many servers may be missing from the fleet at any time: a number, or a share, rounded down.
	MaxUnavailable *spec.Share `json:"maxUnavailable,omitempty" default:"0" example:"5%"`
	// Canary are the servers that go first, and how long they are watched.
	Canary *Canary `json:"canary,omitempty"`
	// Waves are how much of the fleet runs the image after each wave: shares or numbers that grow. The last wave takes
	// whatever is left.
	Waves []spec.Share `json:"waves,omitempty" default:"[10%, 50%, 100%]" example:"[10%, 100%]"`
	// By makes a wave of each availability zone, or of each value of a setting, instead of waves.
	By *By `json:"by,omitempty"`
	// Gate must pass after the canary and after each wave, before the next one begins.
	Gate []Gate `json:"gate,omitempty"`
	// Soak is how long each wave is watched before the next one begins.
	Soak spec.Duration `json:"soak,omitempty" example:"5m"`
	// Window is when servers may be rolled. What has begun is finished outside it.
	Window *Window `json:"window,omitempty"`
	// Failures is how many successors may fail before the rollout stops: a number, or a share, rounded down. The servers that
	// they would have replaced stay as they are.
	Failures *spec.Share `json:"failures,omitempty" default:"0" example:"2%"`
	// OnFailure is what follows a failed gate or too many failures: rollback brings the servers that were rolled back to
	// the fleet's former image; hold waits for a person's resume, rollback or cancel.
	OnFailure string `json:"onFailure,omitempty" enum:"rollback,hold" default:"rollback"`
	// Drain is how long target groups may take to let go of an old server's connections.
	Drain spec.Duration `json:"drain,omitempty" default:"10m"`
}

// Canary are the servers that go first: a number or a share of the fleet.
type Canary struct {
	// Count is how many servers.
	Count int `json:"count,omitempty" min:"1" example:"1"`
	// Percent is how many servers as a share of the fleet, rounded up.
	Percent *spec.Percent `json:"percent,omitempty" example:"2%"`
	// Soak is how long they are watched; the default is the soak of every wave.
	Soak spec.Duration `json:"soak,omitempty" example:"15m"`
}

// By is what servers of a wave have in common. The short form is zone.
type By struct {
	// Zone makes a wave of each availability zone.
	Zone bool `json:"zone,omitempty"`
	// Setting makes a wave of each value of this setting, as the fleet's spec has them in settings.each.
	Setting string `json:"setting,omitempty" example:"rack"`
}

// Gate is one thing that must hold after a wave; exactly one of its fields but within and noData.
type Gate struct {
	// Health asks what the fleet's own spec calls healthy, once more, of the wave's servers.
	Health bool `json:"health,omitempty"`
	// Run must end with exit code 0 on every server of the wave.
	Run *spec.Script `json:"run,omitempty"`
	// HTTP is asked on every server of the wave itself.
	HTTP *HTTP `json:"http,omitempty"`
	// Alarm is the name of a CloudWatch alarm that must not be in the state ALARM, while the wave is watched and after it.
	Alarm string `json:"alarm,omitempty" example:"web-5xx"`
	// Approve waits for a person: stampmill rollout approve.
	Approve bool `json:"approve,omitempty"`
	// Within is how long run, http and health may take to pass, and noData to become data.
	Within spec.Duration `json:"within,omitempty" default:"10m"`
	// NoData is what an alarm with too little data means: pass, fail, or wait for as long as within says and then fail.
	NoData string `json:"noData,omitempty" enum:"pass,wait,fail" default:"wait"`
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

// Window is when servers may be rolled.
type Window struct {
	// Days are the days on which the window opens; all of them if absent.
	Days []string `json:"days,omitempty" example:"[Mon, Tue, Wed, Thu]"`
	// From is when it opens.
	From string `json:"from,omitempty" required:"true" example:"22:00"`
	// To is when it closes: the next day where that is not after from.
	To string `json:"to,omitempty" required:"true" example:"04:00"`
	// Zone is the time zone of both, as the IANA names it.
	Zone string `json:"zone,omitempty" default:"UTC" example:"Europe/Berlin"`
}

// Shorthand takes zone.
func (*By) Shorthand(value any) (map[string]any, error) {
	if value == "zone" {
		return map[string]any{"zone": true}, nil
	}
	return nil, errBy
}

// ShorthandSchemas describes the short form.
func (*By) ShorthandSchemas() []map[string]any { return []map[string]any{{"const": "zone"}} }

var (
	imagePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}(@[1-9][0-9]{0,8})?$`)
	fleetPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)
