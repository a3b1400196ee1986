// Package ec2 is the embedded endpoint's EC2: the query protocol with AWS's XML answers.
//
// Every thing (instance, volume, image, snapshot, …) is a record with absolute times: when describes begin to see it
// and when its next transition is due. One scheduler carries the transitions out, and after a restart the same records
// arm it again. What is true inside EC2 at once is seen from outside later: that is propagation delay. One lock guards
// all records; what has to call out of the package (machines, events, hooks) is queued as an effect and runs after the
// lock is free.
package ec2

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// Options are what can be set about this EC2. Durations of zero take their default; negative ones mean none. All
// durations are divided by the endpoint's speed.
type Options struct {
	// Buckets turns AWS's throttling on.
	Buckets bool
	// Limits replace AWS's default buckets, for an account with other ones: RunInstances is the bucket of that action's requests,
	// "RunInstances resources" that of its servers.
	Limits map[string]Limit
	// Propagation bounds how long describes may miss a new thing; each thing draws its own delay below it. Default 2 s.
	Propagation time.Duration
	// Pending is the time from RunInstances or StartInstances to running. Default 5 s.
	Pending time.Duration
	// StatusChecks is the time from running to passed status checks. Default 20 s.
	StatusChecks time.Duration
	// Stopping is the time from StopInstances to stopped. Default 10 s.
	Stopping time.Duration
	// ShuttingDown is the time from TerminateInstances to terminated. Default 5 s.
	ShuttingDown time.Duration
	// TerminatedVisible is how long a terminated instance can still be described. Default 1 h.
	TerminatedVisible time.Duration
	// ImageMin and ImageMax bound how long CreateImage takes, by seed; snapshots alone take as long. Default 4 and 10 min.
	ImageMin, ImageMax time.Duration
	// CopyMin and CopyMax bound how long CopyImage takes, by seed. Default 4 and 10 min.
	CopyMin, CopyMax time.Duration
	// RootPending is the shortest time in which a root volume replacement makes its volume, RootSwap that of the swap; each takes
	// up to twice as long, by seed. Defaults 8 s and 20 s.
	RootPending, RootSwap time.Duration
	// Attaching and Detaching are how long a volume, an interface or an address takes. Defaults 2 s and 3 s.
	Attaching, Detaching time.Duration
	// NameReserved is how long a deregistered AMI's name stays taken. Default 1 min.
	NameReserved time.Duration
	// TokenKept is how long a client token is remembered; not divided by the speed. Default 48 h.
	TokenKept time.Duration
	// Capacity limits pools from the start; no entry, no limit. The control "capacity" changes it.
	Capacity []CapacityRule
	// ResolveParameter reads an SSM parameter for an ImageId of the form resolve:ssm:name. Nil: such ids are refused.
	ResolveParameter func(account, region, name string) (string, error)
	// ImageParameters are an account's SSM parameters that name AMIs, by their names. Nil: it has none.
	ImageParameters func(account, region string) map[string]string
	// ProfileARN finds an account's instance profile by its name or ARN. Nil: every one is there.
	ProfileARN func(account, nameOrARN string) (arn string, exists bool)
	// KMSKeyUsable says whether a key can encrypt; nil accepts every well-formed key that the control "bad-kms-keys" does not name.
	KMSKeyUsable func(account, region, key string) bool
	// BaseDisk is the root disk of a public AMI, EmptyDisk a blank volume, and DecodeDisk reads what Disk.Encode wrote.
	// Default: those of package machine.
	BaseDisk   func(distribution, architecture, ami string) machine.Disk
	EmptyDisk  func() machine.Disk
	DecodeDisk func([]byte) (machine.Disk, error)
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, standard time.Duration) {
		switch {
		case *d == 0:
			*d = standard
		case *d < 0:
			*d = 0
		}
	}
	set(&o.Propagation, 2*time.Second)
	set(&o.Pending, 5*time.Second)
	set(&o.StatusChecks, 20*time.Second)
	set(&o.Stopping, 10*time.Second)
	set(&o.ShuttingDown, 5*time.Second)
	set(&o.TerminatedVisible, time.Hour)
	set(&o.ImageMin, 4*time.Minute)
	set(&o.ImageMax, 10*time.Minute)
	set(&o.CopyMin, 4*time.Minute)
	set(&o.CopyMax, 10*time.Minute)
	set(&o.RootPending, 8*time.Second)
	set(&o.RootSwap, 20*time.Second)
	set(&o.Attaching, 2*time.Second)
	set(&o.Detaching, 3*time.Second)
	set(&o.NameReserved, time.Minute)
	set(&o.TokenKept, 48*time.Hour)
	if o.BaseDisk == nil {
		o.BaseDisk = machine.BaseDisk
	}
	if o.EmptyDisk == nil {
		o.EmptyDisk = machine.EmptyDisk
	}
	if o.DecodeDisk == nil {
		o.DecodeDisk = machine.DecodeDisk
	}
	return o
}

// Service is EC2.
type Service struct {
	env     *api.Env
	host    machine.Host
	options Options

	mu       state.RWMutex
	effects  []func()
	changed  bool
	watchers []func()
	tables   tables
	regions  map[string]*region
	scopes   map[scopeKey]*scope
	sequence uint64
	timers   timers
	buckets  buckets
	powers   map[string]*power
	faults   faults

	background background
}

// New builds the service from what the state store holds. It starts nothing: Start does.
func New(env *api.Env, host machine.Host, options Options) (*Service, error) {
	s := &Service{
		env: env, host: host, options: options.withDefaults(),
		regions: map[string]*region{}, scopes: map[scopeKey]*scope{}, powers: map[string]*power{},
	}
	s.mu.Keep(env.Store, "ec2")
	s.timers.service = s
	s.buckets.levels = map[string]*bucket{}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("ec2: %w", err)
	}
	s.seedImages()
	for _, rule := range options.Capacity {
		s.faults.setCapacity(rule)
	}
	return s, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "ec2" }

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	result, err := s.serve(r)
	if err != nil {
		api.WriteEC2Error(w, r, err)
		return
	}
	api.WriteEC2(w, r, result)
}

// call is one request while it is served.
type call struct {
	*api.Request
	*scope
	now time.Time
}

func (s *Service) serve(r *api.Request) (any, error) {
	act, ok := actions[r.Action]
	if !ok {
		return nil, api.Errorf("InvalidAction", "The action %s is not valid for this web service.", r.Action)
	}
	if _, ok := regionNamed(r.Region); !ok {
		return nil, api.Errorf("OptInRequired", "You are not subscribed to region %s: this endpoint serves %s", r.Region, regionNames())
	}
	c := &call{Request: r, now: time.Now()}
	if err := s.admit(c, act.class); err != nil {
		return nil, err
	}
	in, dry, err := act.decode(s, r)
	if err != nil {
		return nil, err
	}
	s.lock()
	defer s.unlock()
	c.scope = s.scope(r.Account, r.Region)
	if dry {
		return nil, dryRunOperation()
	}
	return act.run(s, c, in)
}

func dryRunOperation() error {
	return &api.Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Status: http.StatusPreconditionFailed}
}

// Start arms the timers of what is under way and powers on again what was running, as after a crash.
func (s *Service) Start() {
	s.lock()
	defer s.unlock()
	for _, i := range inOrder(s.tables.instances.All()) {
		s.resume(i)
	}
	for _, v := range inOrder(s.tables.volumes.All()) {
		s.armVolume(v)
		s.armAttachment(v)
	}
	for _, t := range inOrder(s.tables.rootTasks.All()) {
		s.armRootTask(t)
	}
	for _, n := range inOrder(s.tables.interfaces.All()) {
		s.armInterface(n)
	}
	for _, r := range inOrder(s.tables.snapshots.All()) {
		s.armSnapshot(r)
	}
	for _, image := range inOrder(s.tables.images.All()) {
		s.armImage(image)
	}
}

// Close powers every machine off and ends every timer and goroutine.
func (s *Service) Close() {
	s.mu.Lock()
	s.timers.stop()
	var on []string
	for id := range s.powers {
		on = append(on, id)
	}
	s.mu.Unlock()
	s.background.close()
	for _, id := range on {
		s.powerOff(id, true)
	}
}

// OnChange calls f after each change of a state, without the service's lock.
func (s *Service) OnChange(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, f)
}

func (s *Service) lock() { s.mu.Lock() }

// unlock frees the lock and then runs the effects that were queued under it, in their order.
func (s *Service) unlock() {
	effects := s.effects
	s.effects = nil
	if s.changed {
		s.changed = false
		effects = append(effects, s.watchers...)
	}
	s.mu.Unlock()
	for _, effect := range effects {
		effect()
	}
}

// after queues what must not run under the lock.
func (s *Service) after(effect func()) { s.effects = append(s.effects, effect) }

// emit queues an event, and lets watchers know that something changed.
func (s *Service) emit(account, regionName, detailType string, resources []string, detail map[string]any) {
	s.changed = true
	if s.env.Emit == nil {
		return
	}
	event := api.Event{Account: account, Region: regionName, Source: "aws.ec2", DetailType: detailType, Resources: resources, Detail: detail}
	s.after(func() { s.env.Emit(event) })
}

// between draws a duration from the range by the seed and the thing's identity, at the endpoint's speed.
func (s *Service) between(shortest, longest time.Duration, identity ...string) time.Duration {
	if longest <= shortest {
		return s.env.Scale(shortest)
	}
	drawn := shortest + time.Duration(s.env.Rand(append([]string{"ec2-duration"}, identity...)...).Int64N(int64(longest-shortest)))
	return s.env.Scale(drawn)
}

// visibleAt is when describes begin to see the thing.
func (s *Service) visibleAt(now time.Time, id string) time.Time {
	return now.Add(s.between(0, s.options.Propagation, "propagation", id))
}

// newID makes the id of a thing from what names it; the same name a second time gives another id.
func (s *Service) newID(prefix string, identity ...string) string {
	return api.ResourceID(s.env.Rand(append([]string{"ec2-id", prefix}, identity...)...), prefix)
}

func (s *Service) nextSequence() uint64 {
	s.sequence++
	return s.sequence
}

func regionNamed(name string) (seed.Region, bool) {
	for _, r := range seed.Regions() {
		if r.Name == name {
			return r, true
		}
	}
	return seed.Region{}, false
}

func regionNames() string {
	var names []string
	for _, r := range seed.Regions() {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}
