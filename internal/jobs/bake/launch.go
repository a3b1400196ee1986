package bake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	"github.com/stampmill/stampmill/internal/jobs/guest"
)

func (b *program) defaultType() string {
	switch {
	case b.spec.Builder.LaunchTemplate != nil:
		return ""
	case b.progress.Source.Architecture == "arm64":
		return "t4g.medium"
	}
	return "t3.medium"
}

const (
	thingBuilder = "builder"
	thingTest    = "test"
)

func (b *program) launchBuilder(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	return b.launchAndGoOn(ctx, turn, thingBuilder, &b.progress.Builder)
}

func (b *program) launchTest(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	return b.launchAndGoOn(ctx, turn, thingTest, &b.progress.Test)
}

// launchAndGoOn lets the next step wait for the server that was launched.
func (b *program) launchAndGoOn(ctx context.Context, turn *jobs.Turn, thing string, s *server) (jobs.Move, error) {
	move, err := b.launch(ctx, turn, thing, s)
	if s.ID != "" {
		move = move.Onward()
	}
	return move, err
}

// launch makes one server in the first pool with capacity. Each further pool is a new attempt, saved before its call.
func (b *program) launch(ctx context.Context, turn *jobs.Turn, thing string, s *server) (jobs.Move, error) {
	if s.ID != "" {
		turn.OnlySaw()
		return jobs.Done(), nil
	}
	known, move, err := b.mayAsk(ctx, turn, thing, s)
	if err != nil || !move.IsDone() {
		return move, err
	}
	for range b.pools() {
		request, err := b.launchRequest(turn, thing, s)
		if err != nil {
			return jobs.Move{}, err
		}
		begun := turn.Now()
		_, ready, err := jobs.Make(ctx, turn, b.makingServer(turn, thing, s, request))
		switch {
		case ready:
			return b.launched(thing, s), b.asker(turn).Granted(ctx, b.places()[s.Pool%len(b.pools())], known, begun)
		case jobs.IsClass(err, jobs.NewAttempt):
			if err := turn.NewAttempt(ctx, thing); err != nil {
				return jobs.Move{}, err
			}
			return jobs.Wait(time.Second, "another attempt at the %s", thing), nil
		case !jobs.IsClass(err, jobs.NextPool):
			return jobs.Move{}, err
		}
		if known, move, err = b.nextPool(ctx, turn, thing, s, refusal{err.Error(), known, begun}); err != nil || !move.IsDone() {
			return move, err
		}
	}
	return jobs.Wait(time.Second, "a pool for the %s", thing), nil
}

// launched waits for the server that was just launched, so that one save holds both.
func (b *program) launched(thing string, s *server) jobs.Move {
	if b.spec.inUserData() {
		return jobs.Done()
	}
	return jobs.Look(b.bootWait(thing, 0), "the %s %s to come online in SSM", thing, s.ID)
}

func (b *program) makingServer(turn *jobs.Turn, thing string, s *server, request c.LaunchRequest) jobs.Making[c.Instance] {
	return jobs.Making[c.Instance]{
		Thing:         thing,
		SkipFirstLook: true,
		SharesSave:    true, // the token finds it again
		Recorded:      func() (c.Instance, bool) { return c.Instance{ID: s.ID}, s.ID != "" },
		Look: func(ctx context.Context) (c.Instance, bool, error) {
			found, err := b.ec2().InstancesByToken(ctx, turn.Token(thing))
			if err != nil {
				return c.Instance{}, false, err
			}
			for _, i := range found {
				if copies.Ours(turn, i.Tags) && i.State != "terminated" {
					return i, true, nil
				}
			}
			return c.Instance{}, false, nil
		},
		Act: func(ctx context.Context, token string) (c.Instance, error) {
			request.Token = token
			made, err := b.ec2().Launch(ctx, request)
			if err != nil {
				return c.Instance{}, err
			}
			if len(made) != 1 {
				return c.Instance{}, fmt.Errorf("EC2 launched %d servers instead of one", len(made))
			}
			return made[0], nil
		},
		Check: func(i c.Instance) error {
			if (request.Type != "" && i.Type != request.Type) || (request.ImageID != "" && i.ImageID != request.ImageID) {
				return fmt.Errorf("%s is a %s of %s, not a %s of %s", i.ID, i.Type, i.ImageID, request.Type, request.ImageID)
			}
			return nil
		},
		Record: func(i c.Instance) {
			s.record(i)
			s.Since, s.Looked = turn.Now(), turn.Now()
		},
	}
}

func (b *program) launchRequest(turn *jobs.Turn, thing string, s *server) (c.LaunchRequest, error) {
	builder, pools := b.spec.Builder, b.pools()
	at := pools[s.Pool%len(pools)]
	tags := b.tags(turn, thing)
	if tags["Name"] == "" {
		tags["Name"] = "stampmill " + thing + " " + b.job.Name
	}
	request := c.LaunchRequest{
		ImageID: b.progress.Source.AMI, Type: at.Type, SubnetID: at.Subnet, Spot: at.Spot, Min: 1, Max: 1,
		LaunchTemplate: builder.LaunchTemplate.cloud(), InstanceProfile: builder.InstanceProfile, KeyName: builder.KeyName,
		SecurityGroupIDs: b.progress.Groups, PublicIP: builder.PublicIP, InstanceTags: tags, VolumeTags: tags,
	}
	if !at.Spot {
		request.ShutdownBehavior = "stop"
	}
	if thing == thingTest {
		request.ImageID = b.progress.Image.ID
		return request, nil
	}
	request.Volumes = b.volumes()
	switch {
	case b.spec.inUserData():
		data, err := b.userData()
		request.UserData = data
		return request, err
	case builder.Agent == "install":
		request.UserData = []byte(guest.InstallAgent())
	}
	return request, nil
}

func (t *Template) cloud() *c.LaunchTemplate {
	if t == nil {
		return nil
	}
	version := t.Version
	if version == "" {
		version = "$Default"
	}
	return &c.LaunchTemplate{Name: t.Name, ID: t.ID, Version: version}
}

func (b *program) volumes() []c.Volume {
	var all []c.Volume
	if root := b.spec.Builder.RootVolume; root != nil {
		all = append(all, root.cloud(b.progress.Source.RootDevice))
	}
	for _, device := range sortedKeys(b.spec.Builder.Volumes) {
		v := b.spec.Builder.Volumes[device]
		all = append(all, v.cloud(device))
	}
	return all
}

func (v *Volume) cloud(device string) c.Volume {
	out := c.Volume{Device: device, Size: int(v.Size), Type: v.Type, IOPS: v.IOPS, Throughput: v.Throughput,
		Encrypted: v.Encrypted, KMSKey: v.KMSKey, SnapshotID: v.SnapshotID, DeleteOnTermination: new(bool)}
	*out.DeleteOnTermination = true
	if v.KMSKey != "" {
		out.Encrypted = out.DeleteOnTermination
	}
	return out
}

// answers waits until the server's SSM agent is online. SSM is asked, which costs no EC2 call; EC2 only where the server
// is late, since an accepted launch can still die.
func (b *program) answers(thing string, s *server) func(context.Context, *jobs.Turn) (jobs.Move, error) {
	return func(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
		now := turn.Now()
		if s.ID == "" { // it died and was not launched again yet
			if move, err := b.launch(ctx, turn, thing, s); err != nil || !move.IsDone() {
				return move, err
			}
		}
		if !s.Online && now.Sub(s.Since) >= b.bootEarly(thing)-b.pace(copies.Young) {
			online, err := b.ssm().Managed(ctx, s.ID)
			if err != nil {
				return jobs.Move{}, err
			}
			if s.Online = online[s.ID].PingStatus == "Online"; s.Online {
				s.Took = copies.Took(ctx, now, s.Since, s.Asked)
			} else {
				s.Asked = now
			}
		}
		if s.Online {
			turn.OnlySaw()
			return b.healthy(ctx, thing, s)
		}
		limit := b.spec.Builder.Within.Or(bootLimit)
		if now.Sub(s.Since) > limit {
			return jobs.Fail("the %s %s did not come online in SSM within %s: its instance profile must allow SSM, and its subnet must reach it",
				thing, s.ID, limit), nil
		}
		if now.Sub(s.Looked) >= lookInterval {
			if move, err := b.look(ctx, turn, thing, s); err != nil || !move.IsDone() {
				return move, err
			}
		}
		return jobs.Look(b.bootWait(thing, now.Sub(s.Since)), "the %s %s to come online in SSM", thing, s.ID), nil
	}
}

// lookInterval is how often EC2 is asked for a server that SSM does not see.
const lookInterval = time.Minute

func (b *program) healthy(ctx context.Context, thing string, s *server) (jobs.Move, error) {
	if !b.spec.Builder.StatusChecks {
		return jobs.Done(), nil
	}
	ok, err := b.ec2().StatusOK(ctx, s.ID)
	if err != nil || ok[s.ID] {
		return jobs.Done(), err
	}
	return jobs.Look(b.pace(20*time.Second), "the status checks of the %s %s", thing, s.ID), nil
}

// look asks EC2 whether the server lives; a launch that died goes on in the next pool.
func (b *program) look(ctx context.Context, turn *jobs.Turn, thing string, s *server) (jobs.Move, error) {
	s.Looked = turn.Now()
	found, err := b.ec2().Instances(ctx, s.ID)
	if err != nil || len(found) == 0 {
		return jobs.Done(), err // not visible yet
	}
	i := found[0]
	if i.State == "pending" || i.State == "running" {
		return jobs.Done(), nil
	}
	if s.Online || !diedInPool(i.StateReason) {
		return jobs.Fail("the %s %s is %s: %s", thing, i.ID, i.State, orUnknown(i.StateReason)), nil
	}
	_, move, err := b.nextPool(ctx, turn, thing, s, refusal{reason: i.StateReason, begun: turn.Now()})
	return move, err
}

// diedInPool: the pool, not the request, is why an accepted launch died.
func diedInPool(reason string) bool {
	return strings.HasPrefix(reason, "Server.") || strings.Contains(reason, "InternalError")
}

// gone tells what became of a server while something ran on it.
func (b *program) gone(ctx context.Context, id string) error {
	found, err := b.ec2().Instances(ctx, id)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("the server " + id + " is gone")
	}
	switch i := found[0]; i.State {
	case "pending", "running":
		return nil
	default:
		return jobs.Fatalf("server", id, "it is "+i.State+": "+orUnknown(i.StateReason), "")
	}
}

func orUnknown(reason string) string {
	if reason == "" {
		return "EC2 tells no reason"
	}
	return reason
}
