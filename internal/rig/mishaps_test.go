package rig_test

import (
	"fmt"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// sample is how many calls of a story each mishap is tried at, where not all are asked for.
const sample = 4

// failingBake is a bake whose verify fails, after another one of the same image succeeded.
func failingBake() rig.Story {
	story := plainBake()
	good := story.Spec
	story.Spec = fmt.Sprintf(`
kind: Bake
name: web
spec:
  from: {ami: %s}
  builder: {types: [m7g.large], instanceProfile: builder}
  steps:
    - run: echo ready > /opt/ready
  verify:
    - run: test -e /opt/never
  bootTest: false
`, arm64())
	story.Prepare = func(r *rig.Rig) error {
		w, err := r.Start(nil)
		if err != nil {
			return err
		}
		defer w.Drain()
		ids, err := r.Submit(background, good, ".", "first", nil)
		if err != nil {
			return err
		}
		_, err = r.Wait(background, story.Limit, ids...)
		return err
	}
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			if job.State != jobs.Failed {
				return fmt.Errorf("the bake whose verify fails is %s", job.State)
			}
		}
		return oneImage(r, nil)
	}
	return story
}

// cancelledBake ends with nothing, or, where the cancel came after the commit point, whole.
func cancelledBake() rig.Story {
	story := plainBake()
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			switch {
			case job.State == jobs.Cancelled:
				return nothing(r)
			case job.State == jobs.Succeeded && len(job.Warnings) < 2:
				return oneImage(r, nil)
			}
			return fmt.Errorf("the bake is %s: %s %q", job.State, job.Failure, job.Warnings)
		}
		return nil
	}
	return story
}

func cancelledLaunch() rig.Story {
	story := launchStory()
	story.Check = func(r *rig.Rig, ended map[string]*jobs.Job) error {
		for _, job := range ended {
			switch job.State {
			case jobs.Cancelled:
				return noFleet(r)
			case jobs.Succeeded:
				return thirty(r)
			}
			return fmt.Errorf("the launch is %s: %s", job.State, job.Failure)
		}
		return nil
	}
	return story
}

// noFleet: no server runs, and the ledger knows none, nor the fleet.
func noFleet(r *rig.Rig) error {
	servers, err := r.User.Ledger.Servers(background, "web-prod")
	if err != nil || len(servers) > 0 {
		return fmt.Errorf("the ledger has %d servers, want none (%v)", len(servers), err)
	}
	if fleet, known, err := r.User.Ledger.GetFleet(background, "web-prod"); err != nil || known {
		return fmt.Errorf("the ledger has the fleet %+v (%v)", fleet, err)
	}
	return nobodyRuns(r)
}

func TestAFailedVerifyLeavesNothingAndCurrentUntouchedWhateverDies(t *testing.T) {
	t.Parallel()
	everyCall(t, failingBake(), 4, deaths...)
}

func TestACancelAtAnyCallOfABakeLeavesNothingOrAWholeVersion(t *testing.T) {
	t.Parallel()
	everyCall(t, cancelledBake(), sample, cancelled, cancelledAndDead)
}

func TestACancelThatTheWorkerDiesOfAtACommitLeavesAWholeVersion(t *testing.T) {
	t.Parallel()
	everyCallTo(t, cancelledBake(), cancelledAndDead, 2, "dynamodb:TransactWriteItems")
}

func TestACancelAtAnyCallOfALaunchLeavesNothingOrAWholeFleet(t *testing.T) {
	t.Parallel()
	everyCall(t, cancelledLaunch(), sample, cancelled, cancelledAndDead)
}

func TestAFailedVerifyLeavesNothingThoughAnswersAreLostOrTheWorkerFreezes(t *testing.T) {
	t.Parallel()
	everyCall(t, failingBake(), 3, lostAnswer, frozen)
}

func TestABakeSurvivesALostAnswer(t *testing.T) {
	t.Parallel()
	everyCallTo(t, plainBake(), lostAnswer, 3, "ec2:RunInstances", "ec2:CreateImage", "dynamodb:TransactWriteItems", "dynamodb:UpdateItem",
		"dynamodb:PutItem", "sqs:SendMessageBatch", "sqs:DeleteMessageBatch", "ssm:SendCommand")
}

func TestALaunchSurvivesALostAnswer(t *testing.T) {
	t.Parallel()
	everyCallTo(t, launchStory(), lostAnswer, 3, "ec2:RunInstances", "dynamodb:TransactWriteItems", "dynamodb:UpdateItem", "sqs:SendMessageBatch")
}

func TestAFrozenWorkerChangesNothingAfterItsBakeWentToAnother(t *testing.T) {
	t.Parallel()
	everyCall(t, plainBake(), sample, frozen)
}

func TestAFrozenWorkerChangesNothingAfterItsLaunchWentToAnother(t *testing.T) {
	t.Parallel()
	everyCall(t, launchStory(), sample, frozen)
}

func TestABakeSurvivesALateEffect(t *testing.T) {
	t.Parallel()
	everyCall(t, plainBake(), sample, lateEffect)
}

func TestALaunchSurvivesALateEffect(t *testing.T) {
	t.Parallel()
	everyCall(t, launchStory(), sample, lateEffect)
}

func TestAFailedVerifyLeavesNothingThoughACallTakesEffectLate(t *testing.T) {
	t.Parallel()
	everyCall(t, failingBake(), 4, lateEffect)
}

func TestADrainedWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	everyCall(t, plainBake(), 4, drained)
	everyCall(t, launchStory(), 4, drained)
}
