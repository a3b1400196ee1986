package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/capacity"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// thing names a batch's servers in tokens and tags.
const thing = "servers"

// TagFleet and TagImage are on every server of a fleet, beside the tags of its launch.
const (
	TagFleet = jobs.TagPrefix + "fleet"
	TagImage = jobs.TagPrefix + "image"
	// TagBatch names the batch's own incarnation: the other tags are its launch's.
	TagBatch = jobs.TagPrefix + "batch"
)

// retriesPerRung bounds attempts that a spent token makes necessary.
const retriesPerRung = 5

// doubtLimit is how long servers that a token must have made may stay invisible; what appears later is the reaper's.
const doubtLimit = 2 * time.Minute

// BatchKind is the kind Batch: up to a hundred servers of a fleet, the child of a Launch.
//
// Each attempt is one RunInstances call: its place, its list of ordinals, its number and the digest of the user data are
// saved before the call, so that whoever repeats it asks for the same under the same token. The server with launch index i
// takes the list's ordinal i. What one place does not grant, the next is asked for with a new list under a new token; what
// none grants is the result's to say.
type BatchKind struct{ config Config }

// NewBatch makes the kind Batch.
func NewBatch(config Config) *BatchKind { return &BatchKind{config} }

// Name is Batch.
func (*BatchKind) Name() string { return BatchKindName }

// Check says what is wrong with a spec.
func (*BatchKind) Check(raw json.RawMessage) error {
	_, err := spec.Decode[BatchSpec](raw)
	return err
}

// Program opens a batch.
func (k *BatchKind) Program(job *jobs.Job) (jobs.Program, error) {
	s, err := spec.Read[BatchSpec](job.Spec)
	if err != nil {
		return nil, err
	}
	kept, err := jobs.Progress(job, func(p *batchProgress) *int { return &p.Run })
	if err != nil {
		return nil, err
	}
	b := &batch{Config: k.config, spec: s, job: job, progress: kept}
	if b.ordinals, err = s.set(); err != nil {
		return nil, err
	}
	if s.Second {
		b.Ledger = seconds{b.Ledger}
	}
	return b, nil
}

type batch struct {
	Config
	spec     BatchSpec
	ordinals ordinals.Set
	job      *jobs.Job
	progress batchProgress
}

// batchProgress is a few hundred bytes: the attempt under way, and what the ones before achieved.
type batchProgress struct {
	Run      int          `json:"run"`
	Launched ordinals.Set `json:"launched,omitzero"`
	Left     ordinals.Set `json:"left,omitzero"`     // rungs of the batch's ladder that gave all that they had
	Retries  int          `json:"retries,omitempty"` // of the rung that is asked now
	Attempts int          `json:"attempts,omitempty"`
	Attempt  *attempt     `json:"attempt,omitempty"` // under way
	Shortage string       `json:"shortage,omitempty"`
}

// attempt is one call, saved before it is made.
type attempt struct {
	Rung     Rung         `json:"rung"`
	Index    int          `json:"index,omitempty"` // of the rung in the batch's ladder
	Ordinals ordinals.Set `json:"ordinals"`
	// UserData is the digest of the user data, and Key where it lies if it cannot be made again from the description alone.
	UserData string `json:"userData,omitempty"`
	Key      string `json:"key,omitempty"`
	// Sent: the call may have been made, and its servers are not recorded. A worker that dies tells of it otherwise.
	Sent bool `json:"sent,omitempty"`
	// Doubt is since when EC2 says that the token was used, and shows nothing that it made.
	Doubt time.Time `json:"doubt,omitzero"`
}

// BatchResult is what a finished batch tells its launch.
type BatchResult struct {
	Launched ordinals.Set `json:"launched,omitzero"`
	Missing  ordinals.Set `json:"missing,omitzero"`
	// Shortage is why the last place granted no more.
	Shortage string `json:"shortage,omitempty"`
}

func (b *batch) Steps() []jobs.Step { return []jobs.Step{{Name: "launch", Do: b.launch}} }

func (b *batch) Undo() []jobs.Step {
	return []jobs.Step{{Name: "terminate", Do: b.undo}, {Name: "forget", Do: b.forget}}
}

func (b *batch) Committed() bool { return false }
func (b *batch) Data() any       { return b.progress }

func (b *batch) Result() any {
	result := BatchResult{Launched: b.progress.Launched, Missing: b.missing()}
	if !result.Missing.Empty() {
		result.Shortage = b.progress.Shortage
	}
	return result
}

func (b *batch) missing() ordinals.Set { return b.ordinals.Minus(b.progress.Launched) }

// launch makes attempts until every ordinal has a server or no place is left to ask.
func (b *batch) launch(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	if b.job.Parent == nil {
		return jobs.Fail("a Batch is a Launch's child; submit a Launch"), nil
	}
	stamp, err := loadStamp(ctx, b.Files, b.spec)
	if err != nil {
		return jobs.Move{}, err
	}
	ladder := stamp.Ladder.Turned(b.spec.Number).From(b.spec.First - 1).In(b.spec.Subnet)
	for !b.missing().Empty() {
		if turn.Job.Cancel == turn.Job.Run {
			return jobs.Wait(time.Second, "its cancellation"), nil
		}
		known, move, err := b.choose(ctx, turn, stamp, ladder)
		switch {
		case err != nil || move.IsWait():
			return move, err
		case b.progress.Attempt == nil:
			turn.Note("no place is left to ask for %s", b.missing())
			return jobs.Done(), nil
		}
		if err := b.try(ctx, turn, stamp, known); err != nil {
			return jobs.Move{}, err
		}
	}
	return jobs.Done(), nil
}

// begin saves an attempt, the first included: everything that it will ask for.
func (b *batch) begin(ctx context.Context, turn *jobs.Turn, stamp Stamp, rung Rung, index int) error {
	b.progress.Attempt = &attempt{Rung: rung, Index: index, Ordinals: b.missing()}
	if err := b.prepareUserData(ctx, turn, stamp); err != nil {
		b.progress.Attempt = nil
		return err
	}
	if b.progress.Attempts++; b.progress.Attempts == 1 {
		return turn.Save(ctx)
	}
	return turn.NewAttempt(ctx, thing)
}

// try carries the attempt's call out and takes in what it gave.
func (b *batch) try(ctx context.Context, turn *jobs.Turn, stamp Stamp, known capacity.Refusal) error {
	a, begun := b.progress.Attempt, turn.Now()
	data, err := b.userData(ctx, stamp)
	if err != nil {
		return err
	}
	request := stamp.request(a.Rung, a.Ordinals.Len())
	request.Token, request.UserData = turn.Token(thing), data
	request.InstanceTags = b.tags(turn, stamp)
	request.VolumeTags = request.InstanceTags
	if len(stamp.Server.outliving()) > 0 {
		request.VolumeTags = maps.Clone(request.InstanceTags)
		request.VolumeTags[TagVolume] = VolumeNew
	}
	a.Sent = true
	instances, err := b.EC2(b.job.Target).Launch(ctx, request)
	if err != nil && !jobs.IsAmbiguous(err) {
		a.Sent = false
	}
	switch {
	case err == nil:
		if err := b.remember(ctx, turn, stamp, known, begun, len(instances) == a.Ordinals.Len()); err != nil {
			return err
		}
		return b.record(ctx, turn, stamp, instances, "")
	case jobs.IsClass(err, jobs.Mismatch, jobs.NewAttempt):
		return b.adopt(ctx, turn, stamp, err)
	case jobs.IsClass(err, jobs.NextPool):
		if err := b.remember(ctx, turn, stamp, known, begun, false); err != nil {
			return err
		}
		b.leave(turn, err.Error())
		return turn.Save(ctx)
	}
	return err
}

// leave goes on to the next place.
func (b *batch) leave(turn *jobs.Turn, why string) {
	turn.Note("%s: %s", b.progress.Attempt.Rung, why)
	b.progress.Shortage = fmt.Sprintf("%s: %s", b.progress.Attempt.Rung, why)
	b.progress.Left = b.progress.Left.Plus(ordinals.Of(b.progress.Attempt.Index))
	b.progress.Attempt = nil
	b.progress.Retries = 0
}

// adopt looks by token after EC2 said that it is spent: what it made and what still lives is the attempt's.
func (b *batch) adopt(ctx context.Context, turn *jobs.Turn, stamp Stamp, cause error) error {
	found, err := b.EC2(b.job.Target).InstancesByToken(ctx, turn.Token(thing))
	if err != nil {
		return err
	}
	var living []cloud.Instance
	for _, instance := range found {
		if !gone(instance) {
			living = append(living, instance)
		}
	}
	if len(living) > 0 {
		return b.record(ctx, turn, stamp, living, "adopted after "+cause.Error())
	}
	if len(found) == 0 && jobs.IsClass(cause, jobs.Mismatch) {
		if b.progress.Attempt.Doubt.IsZero() {
			b.progress.Attempt.Doubt = turn.Now()
		}
		if turn.Now().Sub(b.progress.Attempt.Doubt) < doubtLimit {
			return &jobs.Error{Class: jobs.Propagating, Op: "find what the token made", Thing: turn.Token(thing), Err: cause}
		}
	}
	if b.progress.Retries++; b.progress.Retries >= retriesPerRung {
		b.leave(turn, cause.Error())
	} else {
		turn.Note("%s: a new attempt after: %v", b.progress.Attempt.Rung, cause)
		b.progress.Attempt = nil
	}
	return turn.Save(ctx)
}

// record puts the servers into the ledger. What was asked for and not granted goes to the next place.
func (b *batch) record(ctx context.Context, turn *jobs.Turn, stamp Stamp, instances []cloud.Instance, how string) error {
	a := b.progress.Attempt
	list := a.Ordinals.List()
	var servers []ledger.Server
	var granted []int
	for _, instance := range instances {
		if instance.LaunchIndex < 0 || instance.LaunchIndex >= len(list) || instance.ImageID != "" && instance.ImageID != stamp.AMI {
			return jobs.Fatalf("launch servers", instance.ID, fmt.Sprintf("it has launch index %d and image %s; expected one of %d servers of %s",
				instance.LaunchIndex, instance.ImageID, len(list), stamp.AMI), "what came back is not what was asked for")
		}
		server, err := b.server(turn, stamp, a.Rung, instance, list[instance.LaunchIndex])
		if err != nil {
			return err
		}
		servers = append(servers, server)
		granted = append(granted, server.Ordinal)
	}
	if err := b.Ledger.PutServers(ctx, turn.Guard(), servers); err != nil {
		return err
	}
	b.progress.Launched = b.progress.Launched.Plus(ordinals.Of(granted...))
	turn.Note("%s: %d of %d servers%s", a.Rung, len(granted), len(list), because(how))
	if len(granted) == len(list) {
		b.progress.Attempt = nil
		return turn.Save(ctx)
	}
	b.leave(turn, fmt.Sprintf("only %d of %d were granted", len(granted), len(list)))
	return turn.Save(ctx)
}

func (b *batch) server(turn *jobs.Turn, stamp Stamp, rung Rung, instance cloud.Instance, ordinal int) (ledger.Server, error) {
	server := ledger.Server{Fleet: b.spec.Fleet, Ordinal: ordinal, State: ledger.Launched, InstanceID: instance.ID, Image: stamp.Image,
		AMI: stamp.AMI, Type: instance.Type, Zone: instance.Zone, SubnetID: instance.SubnetID, PrivateIP: instance.PrivateIP,
		Spot: rung.Spot, Launched: instance.Launched, TargetGroups: stamp.TargetGroups}
	if server.Launched.IsZero() {
		server.Launched = turn.Now().UTC().Truncate(time.Second)
	}
	server.Job, server.Incarnation, _ = b.origin()
	batch, err := stamp.batch(b.spec.Fleet, []int{ordinal}, "")
	if err == nil {
		server.Hostname = batch.Servers[0].Hostname
	}
	return server, err
}

// origin is the launch in whose name the batch works.
func (b *batch) origin() (job, incarnation string, run int) {
	p := b.job.Parent
	if p == nil { // it launched nothing
		return b.job.ID, b.job.Incarnation, b.job.Run
	}
	return p.ID, p.Incarnation, p.Run
}

// tags are the same for the whole batch. Ours win over a user's.
func (b *batch) tags(turn *jobs.Turn, stamp Stamp) map[string]string {
	tags := map[string]string{}
	maps.Copy(tags, stamp.Tags)
	maps.Copy(tags, turn.Tags(thing))
	job, incarnation, run := b.origin()
	tags[jobs.TagJob], tags[jobs.TagIncarnation], tags[jobs.TagRun] = job, incarnation, fmt.Sprint(run)
	tags[TagFleet], tags[TagImage], tags[TagBatch] = b.spec.Fleet, stamp.Image, turn.Job.Incarnation
	return tags
}

// undo terminates what this batch launched, recorded or not. A call that may have worked and was not recorded is looked
// for until the propagation limit.
func (b *batch) undo(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	ec2 := b.EC2(b.job.Target)
	move, err := jobs.Unmake(ctx, turn, thing, func(ctx context.Context) (bool, error) {
		tagged, err := ec2.InstancesTagged(ctx, map[string]string{TagBatch: turn.Job.Incarnation}, everyState...)
		if err != nil {
			return false, err
		}
		doomed, leaving := living(tagged)
		servers, err := b.recorded(ctx)
		if err != nil {
			return false, err
		}
		hidden, err := unseen(ctx, ec2, turn.Now(), servers, tagged)
		if err != nil {
			return false, err
		}
		doomed = append(doomed, hidden...)
		return len(doomed) == 0 && leaving == 0, terminate(ctx, ec2, doomed)
	})
	if a := b.progress.Attempt; err == nil && move.IsDone() && a != nil && (a.Sent || !a.Doubt.IsZero()) {
		if rest := turn.StepSince().Add(turn.Propagation()).Sub(turn.Now()); rest > 0 {
			return jobs.Wait(min(rest, 15*time.Second), "servers of a call that was not recorded to appear"), nil
		}
	}
	return move, err
}

// recorded are the servers of this launch that hold the batch's ordinals.
func (b *batch) recorded(ctx context.Context) ([]ledger.Server, error) {
	all, err := b.Ledger.Servers(ctx, b.spec.Fleet)
	if err != nil {
		return nil, err
	}
	_, incarnation, _ := b.origin()
	servers := all[:0:0]
	for _, server := range all {
		if b.ordinals.Has(server.Ordinal) && server.Incarnation == incarnation {
			servers = append(servers, server)
		}
	}
	return servers, nil
}

// forget frees the ordinals.
func (b *batch) forget(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	servers, err := b.recorded(ctx)
	if err != nil || len(servers) == 0 {
		return jobs.Done(), err
	}
	return jobs.Done(), b.Ledger.DeleteServers(ctx, turn.Guard(), b.spec.Fleet, held(servers).List())
}
