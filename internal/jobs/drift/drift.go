// Package drift compares what the ledger says of fleets with what stands in EC2. It looks, with few calls, and changes nothing:
// a thousand servers are one page of DescribeInstances and one of DescribeInstanceImageMetadata, of all fleets of an account and
// region together.
package drift

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Kind is in what something drifted.
type Kind string

// The kinds of drift.
const (
	Image    Kind = "image"           // it runs another image than the fleet's
	Gone     Kind = "gone"            // the ledger names it, EC2 has it no more
	Stopped  Kind = "stopped"         // it does not run
	Unknown  Kind = "unknown"         // it carries the fleet's tags and no ledger names it
	Missing  Kind = "missing"         // an ordinal without a server
	Type     Kind = "type"            // somebody changed its instance type
	Security Kind = "security groups" // others than the Launch spec's
	Setting  Kind = "setting"         // instance profile, key pair or metadata options
	UserData Kind = "user data"       // another than the Launch spec's, or than its batch has
	Tags     Kind = "tags"            // the tags by which it is known as the fleet's are gone
	Template Kind = "template"        // of a group: an instance of another launch template version
)

// Finding is one thing that is not as the ledger says.
type Finding struct {
	Kind     Kind   `json:"kind"`
	Ordinal  *int   `json:"ordinal,omitempty"`
	Instance string `json:"instance,omitempty"`
	Want     string `json:"want,omitempty"`
	Found    string `json:"found,omitempty"`
}

// Server is one that stands, with how old its image is.
type Server struct {
	Ordinal  *int   `json:"ordinal,omitempty"`
	Instance string `json:"instance"`
	Image    string `json:"image,omitempty"`
	// AgeDays is how old the AMI is that it runs; -1: not known.
	AgeDays int `json:"ageDays"`
}

// Fleet is what was found of one fleet.
type Fleet struct {
	Name   string      `json:"name"`
	Target jobs.Target `json:"target"`
	Image  string      `json:"image"`
	Group  string      `json:"group,omitempty"`
	// Current is the version that is current, where that is another than the fleet's.
	Current string `json:"current,omitempty"`
	// Owner is the job that works on the fleet now: then findings may be its doing.
	Owner string `json:"owner,omitempty"`
	Count int    `json:"count"`
	Stand int    `json:"stand"` // servers that the ledger names and that stand
	// AgeDays is the age of the fleet's image, OldestDays that of the oldest AMI that one of its servers runs; -1: not known.
	AgeDays    int       `json:"ageDays"`
	OldestDays int       `json:"oldestDays"`
	Findings   []Finding `json:"findings,omitempty"`
	Servers    []Server  `json:"servers,omitempty"`
	Error      string    `json:"error,omitempty"`
}

// Report is what was found of all.
type Report struct {
	Fleets []Fleet `json:"fleets"`
	// Strays carry the tags of fleets that the ledger does not have.
	Strays []Finding `json:"strays,omitempty"`
	// Calls are those of the look, by action, pages of a thousand each.
	Calls map[string]int `json:"calls"`
}

// Drifted counts the findings.
func (r Report) Drifted() (n int) {
	for _, f := range r.Fleets {
		n += len(f.Findings)
	}
	return n + len(r.Strays)
}

// Failed counts the fleets that could not be looked at.
func (r Report) Failed() (n int) {
	for _, f := range r.Fleets {
		if f.Error != "" {
			n++
		}
	}
	return n
}

// EC2 is what is looked at.
type EC2 interface {
	Instances(ctx context.Context, ids ...string) ([]cloud.Instance, error)
	InstancesWhere(ctx context.Context, filters map[string][]string, states ...string) ([]cloud.Instance, error)
	ImageMetadata(ctx context.Context, filters map[string][]string, ids ...string) ([]cloud.ImageMetadata, error)
	UserData(ctx context.Context, instanceID string) ([]byte, error)
}

// Group is an Auto Scaling group as it stands.
type Group struct {
	// Template is the launch template's id and the number of the version that new instances get: lt-1 7.
	Template string
	Desired  int
	// Instances are the group's, each with its own template and version.
	Instances map[string]string
}

// Groups are Auto Scaling's.
type Groups interface {
	GroupStands(ctx context.Context, name string) (group Group, found bool, err error)
}

// Ledger is what is remembered.
type Ledger interface {
	ListFleets(ctx context.Context) ([]ledger.Fleet, error)
	Servers(ctx context.Context, fleet string) ([]ledger.Server, error)
	Seconds(ctx context.Context, fleet string) ([]ledger.Server, error)
	GetImage(ctx context.Context, name string) (ledger.Image, bool, error)
	GetVersion(ctx context.Context, image string, number int) (ledger.Version, bool, error)
}

// Config is what a look is made of.
type Config struct {
	EC2    func(jobs.Target) EC2
	Groups func(jobs.Target) Groups // nil: groups are not looked at
	Ledger Ledger
	// Installation is whose tags are looked for, Region the worker's own.
	Installation, Region string
	Now                  func() time.Time
	// UserData has every server's user data read: a call each.
	UserData bool
	// Fleets are those to look at; none: all, and what carries our tags and is of no fleet.
	Fleets []string
}

// atOnce is how many accounts and regions are looked at beside each other.
const atOnce = 8

// Look compares.
func Look(ctx context.Context, c Config) (Report, error) {
	fleets, err := c.Ledger.ListFleets(ctx)
	if err != nil {
		return Report{}, err
	}
	l := &look{Config: c, report: Report{Calls: map[string]int{}}}
	known := map[string]bool{}
	byTarget := map[jobs.Target][]ledger.Fleet{}
	for _, fleet := range fleets {
		known[fleet.Name] = true
		if len(c.Fleets) == 0 || slices.Contains(c.Fleets, fleet.Name) {
			byTarget[fleet.Target] = append(byTarget[fleet.Target], fleet)
		}
	}
	for _, name := range c.Fleets {
		if !known[name] {
			return Report{}, &jobs.Error{Class: jobs.NotFound, Op: "find the fleet", Thing: name, Message: "there is no such fleet", Hint: "see `stampmill fleet list`"}
		}
	}
	if len(c.Fleets) == 0 && byTarget[jobs.Target{}] == nil {
		byTarget[jobs.Target{}] = nil // for what carries our tags where no fleet stands any more
	}
	slots := make(chan struct{}, atOnce)
	var hands sync.WaitGroup
	for target, here := range byTarget {
		hands.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			l.target(ctx, target, here, known)
		})
	}
	hands.Wait()
	slices.SortFunc(l.report.Fleets, func(a, b Fleet) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(l.report.Strays, func(a, b Finding) int { return strings.Compare(a.Instance, b.Instance) })
	return l.report, l.strayError
}

// look is one comparison under way.
type look struct {
	Config
	mu         sync.Mutex
	report     Report
	strayError error
}

func (l *look) count(action string, calls int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Calls[action] += calls
}

// standing are the states of a server that is not on its way out.
var standing = []string{"pending", "running", "stopping", "stopped"}

// here is what EC2 has in one account and region.
type here struct {
	target    jobs.Target
	instances map[string]cloud.Instance
	images    map[string]cloud.ImageMetadata // by instance
}

// target looks at all fleets of one account and region.
func (l *look) target(ctx context.Context, target jobs.Target, fleets []ledger.Fleet, known map[string]bool) {
	h, rows, err := l.see(ctx, target, fleets)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, f := range fleets {
			l.report.Fleets = append(l.report.Fleets, Fleet{Name: f.Name, Target: f.Target, Image: f.Image, Group: f.Group, Count: f.Count,
				AgeDays: -1, OldestDays: -1, Error: err.Error()})
		}
		if len(fleets) == 0 {
			l.strayError = err
		}
		return
	}
	for _, f := range fleets {
		found := l.fleet(ctx, h, f, rows[f.Name])
		l.mu.Lock()
		l.report.Fleets = append(l.report.Fleets, found)
		l.mu.Unlock()
	}
	for _, i := range h.instances {
		if name := i.Tags[launch.TagFleet]; len(l.Fleets) == 0 && name != "" && !known[name] {
			l.mu.Lock()
			l.report.Strays = append(l.report.Strays, Finding{Kind: Unknown, Instance: i.ID, Found: "tagged as of the fleet " + name + ", which is not in the ledger"})
			l.mu.Unlock()
		}
	}
}

// members are the rows of one fleet, and the ids that its second slots name.
type members struct {
	servers []ledger.Server
	seconds map[string]bool
}

// see reads EC2 first and the ledger after it: what is launched and named in between is then named, not unknown.
func (l *look) see(ctx context.Context, target jobs.Target, fleets []ledger.Fleet) (here, map[string]members, error) {
	h := here{target: target, instances: map[string]cloud.Instance{}, images: map[string]cloud.ImageMetadata{}}
	filters := map[string][]string{"tag:" + jobs.TagInstallation: {l.Installation}}
	if len(l.Fleets) > 0 && len(l.Fleets) <= 100 {
		filters["tag:"+launch.TagFleet] = l.Fleets
	}
	list, err := l.EC2(target).InstancesWhere(ctx, filters, standing...)
	if err != nil {
		return h, nil, err
	}
	l.count("DescribeInstances", pages(len(list)))
	for _, i := range list {
		h.instances[i.ID] = i
	}
	images, err := l.EC2(target).ImageMetadata(ctx, filters)
	if err != nil {
		return h, nil, err
	}
	l.count("DescribeInstanceImageMetadata", pages(len(images)))
	for _, m := range images {
		h.images[m.InstanceID] = m
	}
	rows := map[string]members{}
	var hidden []string
	for _, f := range fleets {
		m := members{seconds: map[string]bool{}}
		if m.servers, err = l.Ledger.Servers(ctx, f.Name); err != nil {
			return h, nil, err
		}
		seconds, err := l.Ledger.Seconds(ctx, f.Name)
		if err != nil {
			return h, nil, err
		}
		for _, s := range seconds {
			m.seconds[s.InstanceID] = true
		}
		for _, s := range m.servers {
			if _, seen := h.instances[s.InstanceID]; !seen && s.InstanceID != "" {
				hidden = append(hidden, s.InstanceID)
			}
		}
		rows[f.Name] = m
	}
	return h, rows, l.seek(ctx, target, &h, hidden)
}

// seek looks by id for those that the look by tags did not show: they are gone, or somebody took their tags.
func (l *look) seek(ctx context.Context, target jobs.Target, h *here, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := l.EC2(target).Instances(ctx, ids...)
	if err != nil {
		return err
	}
	l.count("DescribeInstances", pages(len(ids)))
	var stand []string
	for _, i := range list {
		if slices.Contains(standing, i.State) {
			h.instances[i.ID] = i
			stand = append(stand, i.ID)
		}
	}
	if len(stand) == 0 {
		return nil
	}
	images, err := l.EC2(target).ImageMetadata(ctx, nil, stand...)
	l.count("DescribeInstanceImageMetadata", pages(len(stand)))
	for _, m := range images {
		h.images[m.InstanceID] = m
	}
	return err
}

func pages(n int) int { return max(1, (n+999)/1000) }

// specOf is the fleet's stored Launch spec; its zero value where it has none.
func specOf(f ledger.Fleet) (s launch.Spec, known bool) {
	if len(f.Spec) == 0 || json.Unmarshal(f.Spec, &s) != nil {
		return launch.Spec{}, false
	}
	return s, true
}
