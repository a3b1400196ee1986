package rig_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// pingStory is a ping that waits once.
func pingStory() rig.Story {
	return rig.Story{
		Key: "k", Folder: ".", Limit: 2 * time.Hour, Spec: "kind: Ping\nname: hello\nspec: {message: hi, wait: 30s}\n",
		Check: func(_ *rig.Rig, ended map[string]*jobs.Job) error { return allSucceeded(ended) },
	}
}

// terminateStory takes a fleet of three servers down to one.
func terminateStory() rig.Story {
	return rig.Story{
		Key: "k", Folder: ".", Limit: 4 * time.Hour, Spec: "kind: Terminate\nname: down\nspec: {fleet: web-prod, to: 1}\n",
		Prepare: func(r *rig.Rig) error {
			w, err := r.Start(nil)
			if err != nil {
				return err
			}
			defer w.Drain()
			ids, err := r.Submit(background, smallLaunch(3), ".", "first", nil)
			if err != nil {
				return err
			}
			_, err = r.Wait(background, time.Hour, ids...)
			return err
		},
		Check: func(r *rig.Rig, ended map[string]*jobs.Job) error {
			if err := allSucceeded(ended); err != nil {
				return err
			}
			servers, err := r.User.Ledger.Servers(background, "web-prod")
			if err != nil || len(servers) != 1 || servers[0].Ordinal != 0 {
				return fmt.Errorf("the ledger has the servers %+v, want ordinal 0 alone (%v)", servers, err)
			}
			for _, i := range r.EC2().Inspect().Instances {
				gone := i.State == "terminated" || i.State == "shutting-down"
				if gone == (i.ID == servers[0].InstanceID) {
					return fmt.Errorf("instance %s is %s; the ledger keeps %s", i.ID, i.State, servers[0].InstanceID)
				}
			}
			return nil
		},
	}
}

func allSucceeded(ended map[string]*jobs.Job) error {
	for id, job := range ended {
		if job.State != jobs.Succeeded {
			return fmt.Errorf("%s is %s: %s", id, job.State, job.Failure)
		}
	}
	return nil
}

// everyPair runs the story with the first worker's death at each of its calls, and the second one's at each of its own:
// before and after the calls where STAMPMILL_DEATHS is all, else at a sample.
func everyPair(t *testing.T, story rig.Story, sample int) {
	t.Helper()
	calls, begun := inPeace(t, story)
	stride := max(1, (len(calls)-begun+sample-1)/sample)
	if os.Getenv("STAMPMILL_DEATHS") == "all" {
		stride = 1
	}
	var tried atomic.Int64
	t.Run("pairs", func(t *testing.T) {
		for first := begun + 1; first <= len(calls); first += stride {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("first death at %d, after: %t", first, after), func(t *testing.T) {
					t.Parallel()
					tried.Add(int64(seconds(t, story, first, after, stride)))
				})
			}
		}
	})
	t.Logf("%d calls, %d pairs", len(calls)-begun, tried.Load())
}

// seconds tries each death of the second worker after one of the first. The second worker's calls before its first receive
// that brings something are its start; they count from its first claim on.
func seconds(t *testing.T, story rig.Story, first int, after bool, stride int) (tried int) {
	t.Helper()
	for second := 1; ; second += stride {
		for _, too := range []bool{false, true} {
			next := &rig.Line{DieAt: second, After: too, Counts: working}
			synctest.Test(t, func(t *testing.T) {
				if _, err := story.Run(background, &rig.Line{DieAt: first, After: after, Next: next}); err != nil {
					t.Errorf("first death at %d (after: %t), second at %d (after: %t): %v", first, after, second, too, err)
				}
			})
			tried++
			if !next.Dead() {
				return tried // the job ended before that
			}
		}
	}
}

// working are the calls that a worker makes for a job.
func working(call string) bool {
	switch call {
	case "sqs:ReceiveMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "dynamodb:Query", "dynamodb:Scan", "sts:GetCallerIdentity":
		return false
	}
	return true
}

func TestAPingSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, pingStory())
}

func TestATerminateSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	everyDeath(t, terminateStory())
}

func TestAPingSurvivesEveryPairOfDeaths(t *testing.T) {
	t.Parallel()
	everyPair(t, pingStory(), 3)
}

func TestATerminateSurvivesEveryPairOfDeaths(t *testing.T) {
	t.Parallel()
	everyPair(t, terminateStory(), 2)
}
