package budget

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rate is a token bucket's size and its refill a second.
type Rate struct{ Size, Refill float64 }

// Limit is what EC2 grants of one action in one account and region: a token a request, and for some actions one a server.
type Limit struct {
	Requests Rate
	// Resources is zero for actions that take none.
	Resources Rate
}

// AWS's defaults, from aws-facts "EC2 API throttling (per account, region and action; token buckets)".
var (
	RunRequests         = Rate{5, 2}
	RunResources        = Rate{1000, 2}
	TerminateRequests   = Rate{100, 5}
	TerminateResources  = Rate{1000, 20}
	StopRequests        = Rate{50, 5}
	StopResources       = Rate{1000, 20}
	CreateTagsRequests  = Rate{100, 10}
	CopyImageRequests   = Rate{100, 1}
	MutatingRequests    = Rate{50, 5}
	LightRequests       = Rate{100, 5}
	DescribeRequests    = Rate{100, 20}
	UnfilteredDescribes = Rate{50, 10}
)

// Unfiltered is behind the name of a Describe call with neither filter nor page size, where EC2 has a smaller bucket for those.
const Unfiltered = " (unfiltered)"

// defaults are the actions whose bucket is not their class's.
var defaults = map[string]Limit{
	"RunInstances":                {RunRequests, RunResources},
	"StartInstances":              {RunRequests, RunResources},
	"TerminateInstances":          {TerminateRequests, TerminateResources},
	"StopInstances":               {StopRequests, StopResources},
	"CreateTags":                  {Requests: CreateTagsRequests},
	"CopyImage":                   {Requests: CopyImageRequests},
	"EnableFastLaunch":            {Requests: RunRequests},
	"DeregisterImage":             {Requests: LightRequests},
	"CreateSnapshot":              {Requests: LightRequests},
	"DeleteSnapshot":              {Requests: LightRequests},
	"ModifyImageAttribute":        {Requests: LightRequests},
	"ModifySnapshotAttribute":     {Requests: LightRequests},
	"CreateLaunchTemplateVersion": {Requests: LightRequests},
	"CreateVolume":                {Requests: LightRequests},
	"CreateNetworkInterface":      {Requests: LightRequests},
}

// plain are the other changing actions that Stampmill calls or may come to call; a limit for anything else is a mistake.
var plain = []string{
	"CreateImage", "CreateSecurityGroup", "CreateReplaceRootVolumeTask", "RebootInstances", "DeleteTags", "ModifyInstanceAttribute",
	"EnableImageDeprecation", "EnableImageDeregistrationProtection", "DisableImageDeregistrationProtection", "DisableImage", "CopySnapshot", "CreateLaunchTemplate",
	"ModifyLaunchTemplate", "CancelSpotInstanceRequests", "AttachVolume", "DetachVolume", "AttachNetworkInterface", "DetachNetworkInterface", "AssociateAddress", "DeleteVolume", "DeleteLaunchTemplateVersions", "CreateFleet",
}

var smallDescribes = []string{"DescribeInstances", "DescribeInstanceStatus", "DescribeSnapshots", "DescribeVolumes", "DescribeSecurityGroups"}

// Default is AWS's limit of an action.
func Default(action string) Limit {
	if limit, ok := defaults[action]; ok {
		return limit
	}
	name, unfiltered := strings.CutSuffix(action, Unfiltered)
	switch {
	case unfiltered && slices.Contains(smallDescribes, name):
		return Limit{Requests: UnfilteredDescribes}
	case Looks(action):
		return Limit{Requests: DescribeRequests}
	}
	return Limit{Requests: MutatingRequests}
}

// HasUnfiltered reports whether EC2 has a bucket of its own for the action's unfiltered requests.
func HasUnfiltered(action string) bool { return slices.Contains(smallDescribes, action) }

// Looks reports whether an action changes nothing.
func Looks(action string) bool {
	return strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "Get") || strings.HasPrefix(action, "List")
}

// Limits are what an installation may take of each action.
type Limits struct {
	// Headroom is the share, 0 to 1, that is left to others who use the account.
	Headroom float64
	own      map[string]Limit // by region/action and action; a zero rate is not set
}

// Of is the limit of an action in a region, less the headroom.
func (l Limits) Of(region, action string) Limit {
	limit := Default(action)
	for _, key := range []string{every, region + "/" + every, action, region + "/" + action} {
		own := l.own[key]
		if own.Requests != (Rate{}) {
			limit.Requests = own.Requests
		}
		if own.Resources != (Rate{}) && limit.Resources != (Rate{}) {
			limit.Resources = own.Resources
		}
	}
	return Limit{l.leave(limit.Requests, requestLag), l.leave(limit.Resources, resourceLag)}
}

// Of two calls one may take effect so much later than the other, from the instant at which their tokens were counted: by the
// clocks, by the network, by EC2. What a full bucket would have got back meanwhile is lost in EC2's count, so it is left out
// of ours; else the first call of a launch that is slow lets a later one be refused. Requests come back within seconds, and
// looks are taken in blocks of them; servers take as long to come back as a launch does.
const (
	requestLag  = time.Second
	resourceLag = 5 * time.Second
)

func (l Limits) leave(r Rate, lag time.Duration) Rate {
	share := 1 - l.Headroom
	left := Rate{min(r.Size*share, r.Size-min(r.Refill*lag.Seconds(), r.Size/2)), r.Refill * share}
	if r.Size >= 1 {
		left.Size = max(left.Size, 1) // a bucket under one token would grant nothing for ever
	}
	return left
}

// ParseLimits reads own limits: ACTION=SIZE/REFILL for requests, ACTION:resources=SIZE/REFILL for servers, each with
// REGION/ before it if it holds there only; the action * is every one that has no limit of its own.
func ParseLimits(entries []string, headroom float64) (Limits, error) {
	l := Limits{Headroom: headroom, own: map[string]Limit{}}
	if !(headroom >= 0 && headroom < 1) {
		return l, fmt.Errorf("a headroom of %g %%: expected 0 to less than 100", headroom*100)
	}
	for _, entry := range entries {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if err := l.read(entry); err != nil {
			return l, err
		}
	}
	return l, nil
}

// every stands for all actions: for endpoints that limit none.
const every = "*"

const form = "[REGION/]ACTION[:resources]=SIZE/REFILL, as in RunInstances:resources=5000/10"

func (l *Limits) read(entry string) error {
	name, value, ok := strings.Cut(entry, "=")
	size, refill, both := strings.Cut(value, "/")
	if !ok || !both {
		return fmt.Errorf("the limit %q: expected %s", entry, form)
	}
	var rate Rate
	for _, part := range []struct {
		text string
		to   *float64
		what string
	}{{size, &rate.Size, "size"}, {refill, &rate.Refill, "refill a second"}} {
		n, err := strconv.ParseFloat(strings.TrimSpace(part.text), 64)
		if err != nil || math.IsNaN(n) || n > 1e9 {
			return fmt.Errorf("the limit %q: the %s is %q; expected a number up to 1000000000 in %s", entry, part.what, part.text, form)
		}
		if n <= 0 {
			return fmt.Errorf("the limit %q: the %s is %q; a budget of zero or less would never grant a call", entry, part.what, part.text)
		}
		*part.to = n
	}
	if rate.Size < 1 {
		return fmt.Errorf("the limit %q: the size is %g; a bucket of less than one token would never grant a call", entry, rate.Size)
	}
	name, dimension, resources := strings.Cut(strings.TrimSpace(name), ":")
	action := name[strings.LastIndexByte(name, '/')+1:]
	if err := known(entry, action); err != nil {
		return err
	}
	if resources && (dimension != "resources" || action != every && Default(action).Resources == (Rate{})) {
		return fmt.Errorf("the limit %q: %s has no %q; resources are limited for %s", entry, action, dimension, strings.Join(resourceful(), ", "))
	}
	limit := l.own[name]
	if resources {
		limit.Resources = rate
	} else {
		limit.Requests = rate
	}
	l.own[name] = limit
	return nil
}

func known(entry, action string) error {
	if _, ok := defaults[action]; ok || action == every || slices.Contains(plain, action) || strings.HasPrefix(action, "Describe") && len(action) > len("Describe") {
		return nil
	}
	return fmt.Errorf("the limit %q: there is no action %q; expected a Describe action, * or one of %s", entry, action,
		strings.Join(slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(defaults)), plain...))), ", "))
}

func resourceful() []string {
	var names []string
	for action, limit := range defaults {
		if limit.Resources != (Rate{}) {
			names = append(names, action)
		}
	}
	slices.Sort(names)
	return names
}
