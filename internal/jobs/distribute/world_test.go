package distribute

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

const (
	home      = "eu-west-1"
	west      = "us-west-2"
	east      = "us-east-1"
	own       = "000000000000"
	friend    = "222222222222"
	other     = "333333333333"
	otherRole = "arn:aws:iam::333333333333:role/stampmill"
)

// world is web@1 as AWS and the ledger have it: an AMI at home and one in the west, open to a friend.
type world struct {
	version l.Version
	fleets  []l.Fleet
	servers map[string][]l.Server
	images  map[string]*ami
	params  map[string]string // REGION NAME
	usage   []c.Usage
	// calls are those that change something, in order.
	calls []string
}

type ami struct {
	c.Image
	place     string
	open      c.Share
	readers   []string // who may read its snapshot
	key       string   // of its snapshot
	users     []string
	protected bool
}

func newWorld() *world {
	w := &world{images: map[string]*ami{}, servers: map[string][]l.Server{}, params: map[string]string{}}
	w.version = l.Version{Image: "web", Number: 1, State: l.Available, Home: home, Committed: time.Unix(1, 0), Owner: "job"}
	for _, place := range []string{home, west} {
		w.version.Put(place, "", w.holds(place, "ami-"+place, c.Share{Accounts: []string{friend}}))
		w.params[place+" /images/web"] = "ami-" + place
	}
	w.version.Spec = json.RawMessage(`{"publish": {"parameter": "/images/web"}, "copyTo": {"us-west-2": {}}}`)
	return w
}

// holds puts an AMI of ours into a place.
func (w *world) holds(place, id string, open c.Share) l.RegionalCopy {
	account, _ := l.SplitPlace(place)
	if account == "" {
		account = own
	}
	w.images[id] = &ami{place: place, open: open, Image: c.Image{ID: id, OwnerID: account, State: "available",
		Volumes: []c.Volume{{SnapshotID: "snap-" + place}}, Tags: map[string]string{jobs.TagInstallation: "test"}}}
	return l.RegionalCopy{AMI: id, Snapshots: []string{"snap-" + place}}
}

// ofOther gives web@1 a copy that another account owns.
func (w *world) ofOther(region string) *world {
	place := other + "/" + region
	w.version.Put(place, otherRole, w.holds(place, "ami-"+place, c.Share{}))
	return w
}

// program is a Distribute of web@1 by the spec.
func (w *world) program(t *testing.T, spec string) (*program, *jobs.Turn) {
	t.Helper()
	kind := New(Config{Region: home, Ledger: w, Pace: 1,
		EC2: func(at jobs.Target) EC2 { return place{w, l.Place(at.Account(), at.Region)} },
		SSM: func(at jobs.Target) Parameters { return place{w, l.Place(at.Account(), at.Region)} }})
	job := &jobs.Job{ID: "job", Kind: KindName, Name: "web", Run: 1, Incarnation: "inc", State: jobs.Open, Spec: json.RawMessage(spec)}
	opened, err := kind.Program(job)
	if err != nil {
		t.Fatal(err)
	}
	p := opened.(*program)
	p.progress.Version = 1
	return p, &jobs.Turn{Job: job, Installation: "test"}
}

// looked is the program after its look, which has to succeed.
func (w *world) looked(t *testing.T, spec string) (*program, *jobs.Turn) {
	t.Helper()
	p, turn := w.program(t, spec)
	move, err := p.look(t.Context(), turn)
	if err != nil || !move.IsDone() {
		t.Fatalf("the look ends with %v %q, %v", move, move.Reason(), err)
	}
	return p, turn
}

func (w *world) called(format string, args ...any) {
	w.calls = append(w.calls, fmt.Sprintf(format, args...))
}

// place is EC2 and the Parameter Store of one place.
type place struct {
	*world
	name string
}

func (p place) of(id string) (*ami, error) {
	i, there := p.images[id]
	if !there || i.place != p.name {
		return nil, &jobs.Error{Class: jobs.NotFound, Thing: id, Message: "there is no such AMI in " + p.name}
	}
	return i, nil
}

func (p place) bySnapshot(id string) *ami {
	for _, i := range p.images {
		if slices.Contains(i.Snapshots(), id) && i.place == p.name {
			return i
		}
	}
	return &ami{}
}

func (p place) Images(_ context.Context, ids ...string) (found []c.Image, _ error) {
	for _, id := range ids {
		if i, err := p.of(id); err == nil {
			found = append(found, i.Image)
		}
	}
	return found, nil
}

func (p place) ImagesTagged(context.Context, map[string]string) ([]c.Image, error) { return nil, nil }
func (p place) SnapshotsTagged(context.Context, map[string]string) ([]c.Snapshot, error) {
	return nil, nil
}
func (p place) DeleteSnapshot(context.Context, string) error         { return nil }
func (p place) Disable(context.Context, string) error                { return nil }
func (p place) DeprecateAt(context.Context, string, time.Time) error { return nil }
func (p place) Protect(context.Context, string, bool) error          { return nil }

func (p place) Copy(_ context.Context, q c.CopyRequest) (string, error) {
	p.called("copy %s to %s", q.ImageID, p.name)
	id := "ami-new-" + p.name
	p.holds(p.name, id, c.Share{})
	return id, nil
}

func (p place) Deregister(_ context.Context, id string, _ bool) error {
	i, err := p.of(id)
	if err != nil {
		return err
	}
	if i.protected {
		return &jobs.Error{Class: jobs.Fatal, Thing: id, Message: "it is protected"}
	}
	p.called("deregister %s", id)
	delete(p.images, id)
	return nil
}

func (p place) Unprotect(_ context.Context, id string) error {
	p.called("unprotect %s", id)
	return nil
}

func (p place) Snapshots(_ context.Context, ids ...string) (all []c.Snapshot, _ error) {
	for _, id := range ids {
		key := p.bySnapshot(id).key
		all = append(all, c.Snapshot{ID: id, Encrypted: key != "", KMSKey: key})
	}
	return all, nil
}

func (p place) ImageShares(_ context.Context, id string) (c.Share, error) {
	i, err := p.of(id)
	if err != nil {
		return c.Share{}, err
	}
	return i.open, nil
}

func (p place) ShareImage(_ context.Context, id string, add, remove c.Share) error {
	i, err := p.of(id)
	if err != nil {
		return err
	}
	p.called("share %s +%v -%v", id, add.Principals(), remove.Principals())
	i.open = c.ShareWith(append(i.open.Minus(remove).Principals(), add.Principals()...))
	return nil
}

func (p place) SnapshotShares(_ context.Context, id string) (c.Share, error) {
	return c.ShareWith(p.bySnapshot(id).readers), nil
}

func (p place) ShareSnapshot(_ context.Context, id string, add, remove []string) error {
	i := p.bySnapshot(id)
	p.called("share %s +%v -%v", id, add, remove)
	i.readers = slices.DeleteFunc(append(i.readers, add...), func(account string) bool { return slices.Contains(remove, account) })
	return nil
}

func (p place) ImageUsers(_ context.Context, ids ...string) (map[string][]string, error) {
	users := map[string][]string{}
	for _, id := range ids {
		if i, err := p.of(id); err == nil {
			users[id] = slices.Clone(i.users)
		}
	}
	return users, nil
}

func (p place) AskUsage(_ context.Context, id, _ string, _ map[string]string) (string, error) {
	p.called("ask who uses %s", id)
	return "report", nil
}

func (p place) Usage(context.Context, string) ([]c.Usage, bool, bool, error) {
	return p.usage, true, true, nil
}

func (p place) Regions(_ context.Context, names ...string) (map[string]string, error) {
	known := map[string]string{}
	for _, name := range names {
		if name != "mx-central-1" {
			known[name] = "opted-in"
		}
	}
	if _, asked := known["me-south-1"]; asked {
		known["me-south-1"] = "not-opted-in"
	}
	return known, nil
}

func (p place) BlockPublicAccess(context.Context) (string, error) { return "block-new-sharing", nil }

func (p place) Parameter(_ context.Context, name string) (string, bool, error) {
	value, found := p.params[p.name+" "+name]
	return value, found, nil
}

func (p place) PutParameter(_ context.Context, name, value, _ string) error {
	p.called("put %s %s in %s", name, value, p.name)
	p.params[p.name+" "+name] = value
	return nil
}

func (p place) DeleteParameter(_ context.Context, name string) error {
	p.called("delete %s in %s", name, p.name)
	delete(p.params, p.name+" "+name)
	return nil
}

func (w *world) GetImage(context.Context, string) (l.Image, bool, error) {
	return l.Image{Name: "web", Current: 1}, true, nil
}

func (w *world) Versions(context.Context, string) ([]l.Version, error) {
	return []l.Version{w.version}, nil
}

func (w *world) GetVersion(_ context.Context, _ string, number int) (l.Version, bool, error) {
	return w.version, number == 1, nil
}

func (w *world) SetVersionState(_ context.Context, _ jobs.Guard, _ string, _ int, state l.VersionState) error {
	w.version.State = state
	return nil
}

func (w *world) ChangeVersion(_ context.Context, _ jobs.Guard, _ string, _ int, change func(*l.Version) error) (l.Version, error) {
	changed := w.version
	changed.Regions, changed.Leaving = maps.Clone(w.version.Regions), slices.Clone(w.version.Leaving)
	if err := change(&changed); err != nil {
		return w.version, err
	}
	w.version = changed
	return changed, nil
}

func (w *world) OwnVersion(context.Context, jobs.Guard, string, int, string) (l.Version, bool, error) {
	return w.version, true, nil
}

func (w *world) ListFleets(context.Context) ([]l.Fleet, error) { return w.fleets, nil }

func (w *world) Servers(_ context.Context, fleet string) ([]l.Server, error) {
	return w.servers[fleet], nil
}
func (w *world) Seconds(context.Context, string) ([]l.Server, error) { return nil, nil }
