// Package config is what the binaries take from the environment, all with the prefix STAMPMILL_. AWS's own settings
// (region, credentials, endpoints) are read by the SDK, as the AWS CLI does.
package config

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// Prefix begins every variable.
const Prefix = "STAMPMILL_"

// Common is what the worker and the producer share.
type Common struct {
	Prefix       string `env:"PREFIX" envDefault:"stampmill" doc:"begins the names of queues and tables: PREFIX-high, PREFIX-jobs, …"`
	Installation string `env:"INSTALLATION" doc:"tells this installation's servers and images from others' in the same account, by tag; default: the prefix"`
	Bucket       string `env:"BUCKET" doc:"bucket for scripts' output and large files; default: PREFIX-ACCOUNT-REGION"`
}

// Worker is the worker's configuration.
type Worker struct {
	Common
	Slots          int           `env:"SLOTS" envDefault:"64" doc:"how many deliveries are carried at once"`
	Lease          time.Duration `env:"LEASE" envDefault:"60s" doc:"how long a claim holds a job without a heartbeat; at least 3s"`
	Visibility     time.Duration `env:"VISIBILITY" envDefault:"90s" doc:"how long a received message stays hidden without a heartbeat; longer than the lease"`
	Poll           time.Duration `env:"POLL" envDefault:"20s" doc:"long poll of the queues; at most 20s"`
	SweepInterval  time.Duration `env:"SWEEP_INTERVAL" envDefault:"15s" doc:"how often long waits that are due are sent"`
	ReapInterval   time.Duration `env:"REAP_INTERVAL" envDefault:"10m" doc:"how often orphans are looked for; 0 never"`
	ReapGrace      time.Duration `env:"REAP_GRACE" envDefault:"30m" doc:"how long a thing must be nobody's before the reaper removes it"`
	PolicyInterval time.Duration `env:"POLICY_INTERVAL" envDefault:"30s" doc:"how often policies that are due are looked for; 0 never"`
	Retention      time.Duration `env:"RETENTION" envDefault:"720h" doc:"how long finished jobs are kept; longer than queue plus dead letters keep messages (18 days)"`
	Targets        []string      `env:"TARGETS" doc:"further accounts and regions that the reaper looks at, as REGION or ROLE_ARN@REGION, separated by commas"`
	Pace           float64       `env:"PACE" envDefault:"1" doc:"divides the first waits for what takes AWS minutes, and the time for which lost calls are looked for; for endpoints that run faster than AWS"`
	Headroom       Percent       `env:"HEADROOM" envDefault:"10%" doc:"share of EC2's limits that is left to others who use the account"`
	Limits         []string      `env:"LIMITS" doc:"own EC2 limits where AWS raised them, as ACTION=SIZE/REFILL or ACTION:resources=SIZE/REFILL, with REGION/ before it if it holds there only, separated by commas"`
	Health         string        `env:"HEALTH" envDefault:"127.0.0.1:8088" doc:"address of the health endpoint (/live, /ready); empty for none; port 0 picks one"`
	LogLevel       string        `env:"LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error"`
	LogFormat      string        `env:"LOG_FORMAT" envDefault:"json" doc:"json or text"`
	CallbackAllow  []string      `env:"CALLBACK_ALLOW" doc:"CIDRs, addresses or hosts that completion callbacks may reach though they are loopback, link-local or private"`
	CallbackSecret string        `env:"CALLBACK_SECRET" doc:"signs completion callbacks (HMAC-SHA256); never logged" secret:"true"`
	DrainGrace     time.Duration `env:"DRAIN_GRACE" envDefault:"2m" doc:"after SIGTERM: how long running polls and steps may take before the process ends all the same"`
}

var prefixPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,34}$`)

// Load reads the environment, or the given one, into c, and checks it.
func Load[T any](c *T, environment map[string]string) error {
	options := env.Options{Prefix: Prefix, Environment: environment}
	if err := env.ParseWithOptions(c, options); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if w, ok := any(c).(*Worker); ok && silenced(environment, "HEALTH") {
		w.Health = ""
	}
	if checked, ok := any(c).(interface{ check() error }); ok {
		return checked.check()
	}
	return nil
}

// silenced: the variable is there and empty. For most that means their default; the parser sees no difference.
func silenced(environment map[string]string, name string) bool {
	value, set := environment[Prefix+name]
	if environment == nil {
		value, set = os.LookupEnv(Prefix + name)
	}
	return set && value == ""
}

func (c *Common) check() error {
	if !prefixPattern.MatchString(c.Prefix) {
		return wrong("PREFIX", c.Prefix, "1 to 35 of a-z, 0-9 and -, beginning with a letter or digit: the bucket's name has to fit too")
	}
	if c.Installation == "" {
		c.Installation = c.Prefix
	}
	return nil
}

func (c *Worker) check() error {
	if err := c.Common.check(); err != nil {
		return err
	}
	switch {
	case c.Slots < 1 || c.Slots > 4096:
		return wrong("SLOTS", fmt.Sprint(c.Slots), "1 to 4096")
	case c.Lease < 3*time.Second || c.Lease > time.Hour:
		return wrong("LEASE", c.Lease.String(), "3s to 1h")
	case c.Visibility.Truncate(time.Second) <= c.Lease: // queues count in whole seconds
		return wrong("VISIBILITY", c.Visibility.String(), "more than STAMPMILL_LEASE ("+c.Lease.String()+"): the lease ends before the message is visible again")
	case c.Visibility > 12*time.Hour:
		return wrong("VISIBILITY", c.Visibility.String(), "at most 12h: queues hide a message no longer")
	case c.Poll < time.Second || c.Poll > 20*time.Second:
		return wrong("POLL", c.Poll.String(), "1s to 20s")
	case c.DrainGrace < 0:
		return wrong("DRAIN_GRACE", c.DrainGrace.String(), "0s or more")
	case c.Retention < 18*24*time.Hour:
		return wrong("RETENTION", c.Retention.String(), "at least 432h (18 days): queues and dead letters keep messages for that long")
	case !(c.Pace >= 1): // NaN too
		return wrong("PACE", fmt.Sprint(c.Pace), "1 or more")
	case c.ReapInterval != 0 && c.ReapInterval < time.Second:
		return wrong("REAP_INTERVAL", c.ReapInterval.String(), "0, or at least 1s")
	case c.PolicyInterval != 0 && c.PolicyInterval < time.Second:
		return wrong("POLICY_INTERVAL", c.PolicyInterval.String(), "0, or at least 1s")
	case c.ReapGrace < 5*time.Second:
		return wrong("REAP_GRACE", c.ReapGrace.String(), "at least 5s")
	}
	if _, err := c.Budget(); err != nil {
		return fmt.Errorf("configuration: %sLIMITS: %w", Prefix, err)
	}
	return nil
}

// Budget is what the worker may take of EC2's limits.
func (c *Worker) Budget() (budget.Limits, error) {
	return budget.ParseLimits(c.Limits, c.Headroom.Share())
}

func wrong(name, value, expected string) error {
	return fmt.Errorf("configuration: %s%s is %q; expected %s", Prefix, name, value, expected)
}

// Help prints every variable of T with default and meaning.
func Help[T any](w io.Writer) error {
	var zero T
	params, err := env.GetFieldParamsWithOptions(&zero, env.Options{Prefix: Prefix})
	if err != nil {
		return err
	}
	meanings := docs(zero)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range params {
		value := p.DefaultValue
		if value == "" {
			value = "-"
		}
		if _, err := fmt.Fprintf(table, "  %s\t%s\t%s\n", p.Key, value, meanings[strings.TrimPrefix(p.Key, Prefix)]); err != nil {
			return err
		}
	}
	return table.Flush()
}
