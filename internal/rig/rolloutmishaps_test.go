package rig_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/rig"
)

// givenOrders: a person gives the orders, half an hour after one another, the first just before the call goes out.
func givenOrders(verbs ...jobs.Verb) mishap {
	return mishap{fmt.Sprint(verbs), func(s rig.Story, call int) (rig.Story, *rig.Line) {
		reached, sent := make(chan struct{}), make(chan struct{})
		s.Meanwhile = func(ctx context.Context, r *rig.Rig, ids []string) {
			select {
			case <-reached:
			case <-ctx.Done(): // the job was over before
				close(sent)
				return
			}
			for i, verb := range verbs {
				if i > 0 {
					select {
					case <-time.After(30 * time.Minute):
					case <-ctx.Done():
						return
					}
				}
				if row, err := r.User.Store.Load(background, ids[0]); err == nil && row != nil && row.Job != nil { // else nobody knows the job yet
					if err := order(background, r, ids[0], verb); err != nil {
						panic(err)
					}
				}
				if i == 0 {
					time.Sleep(time.Second) // for it to be received
					close(sent)
				}
			}
		}
		return s, &rig.Line{At: func(n int, _ string) {
			if n == call {
				close(reached)
				<-sent
			}
		}}
	}}
}

// stopped is the story with an end that nobody knows before: what has been rolled so far, each server in one piece.
func stopped(story rig.Story, count int) rig.Story {
	whole := story.Check
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			if job.State == jobs.Succeeded {
				return whole(r, ended)
			}
		}
		return inOnePiece(r, count)
	}
	return story
}

// inOnePiece: each ordinal has one holder that serves what the ledger says, nothing is left over, and the fleet is free.
func inOnePiece(r *rig.Rig, count int) error {
	held := map[string]bool{}
	for _, server := range rootServers(r) {
		held[server.InstanceID] = true
		instance, _ := r.EC2().Instance(api.DefaultAccount, home, server.InstanceID)
		if instance.State != "running" || server.State != ledger.Healthy && server.State != ledger.Launched || server.Kept != nil {
			return fmt.Errorf("ordinal %d is %s of %s and keeps %+v, its instance %s is %s", server.Ordinal, server.State, server.Image, server.Kept, server.InstanceID, instance.State)
		}
		got, err := r.EC2().Disk(api.DefaultAccount, home, instance.Volumes[0]).Read("/opt/web")
		if want := map[string]string{"web@1": "one", "web@2": "two"}[server.Image]; err != nil || strings.TrimSpace(string(got)) != want {
			return fmt.Errorf("ordinal %d reads %q, %v, and is said to run %s", server.Ordinal, got, err, server.Image)
		}
	}
	if len(held) != count {
		return fmt.Errorf("%d servers hold ordinals, want %d", len(held), count)
	}
	seconds, err := r.User.Ledger.Seconds(background, "web-prod")
	if err != nil || len(seconds) > 0 {
		return fmt.Errorf("the second slots hold %+v, %v", seconds, err)
	}
	fleet, _, err := r.User.Ledger.GetFleet(background, "web-prod")
	if err != nil || fleet.Owner != "" {
		return fmt.Errorf("the fleet is %+v, %v", fleet, err)
	}
	all := r.EC2().Inspect()
	for _, i := range all.Instances {
		if i.Tags["stampmill:fleet"] != "" && !held[i.ID] && i.State != "terminated" && i.State != "shutting-down" {
			return fmt.Errorf("%s is %s, and holds no ordinal", i.ID, i.State)
		}
	}
	for _, volume := range all.Volumes {
		if volume.InstanceID == "" {
			return fmt.Errorf("volume %s is left over, %s, with the tags %v", volume.ID, volume.State, volume.Tags)
		}
	}
	return nil
}

// rolledStories are rollouts of every sort, by name, with how many servers their fleets have.
func rolledStories() map[string]struct {
	story rig.Story
	count int
} {
	const bad = ", gate: [{run: test -e /opt/never, within: 30s}]"
	return map[string]struct {
		story rig.Story
		count int
	}{
		"replaced":          {replaceStory(", surge: 2", "web@2", "two", jobs.Succeeded), 3},
		"stopped first":     {replaceStory(", surge: 0, maxUnavailable: 2", "web@2", "two", jobs.Succeeded), 3},
		"brought back":      {replaceStory(", surge: 2"+bad, "web@1", "one", jobs.Failed), 3},
		"in place":          {rootStory("", "", allRun("web@2", "two", false, jobs.Succeeded)), 3},
		"back in place":     {rootStory(bad, "", allRun("web@1", "one", true, jobs.Failed)), 3},
		"stateful":          {statefulStory("", jobs.Succeeded, "web@2"), 2},
		"stateful and back": {statefulStory(bad, jobs.Failed, "web@1"), 2},
	}
}

func TestACancelledRolloutLeavesEveryServerInOnePiece(t *testing.T) {
	t.Parallel()
	for name, s := range rolledStories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aFewCalls(t, stopped(s.story, s.count), cancelled, cancelledAndDead)
		})
	}
}

func TestARolloutThatIsOrderedBackAtAnyCallIsBackOrDone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("its stories are tried with cancels in this run")
	}
	for name, s := range rolledStories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aFewCalls(t, orderedBack(s.story, s.count), givenOrders(jobs.Revert))
		})
	}
}

// orderedBack is the story with an end that is the former one, if it is not the story's own.
func orderedBack(story rig.Story, count int) rig.Story {
	story = stopped(story, count)
	check := story.Check
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			if job.State != jobs.Succeeded {
				for _, server := range rootServers(r) {
					if server.Image != "web@1" {
						return fmt.Errorf("ordinal %d runs %s, want it back at web@1; the job is %s: %s", server.Ordinal, server.Image, job.State, job.Failure)
					}
				}
			}
		}
		return check(r, ended)
	}
	return story
}

func TestARolloutThatIsPausedAtAnyCallEndsAsItsStory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("its stories are tried with cancels in this run")
	}
	for name, s := range rolledStories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aFewCalls(t, s.story, givenOrders(jobs.Pause, jobs.Resume))
		})
	}
}

func TestARolloutEndsTheSameWhereAWorkerStandsStillOrCallsTakeEffectLate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("its stories are tried with cancels in this run")
	}
	for name, s := range rolledStories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aFewCalls(t, s.story, frozen, lateEffect, lostAnswer)
		})
	}
}
