package rig_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/localaws/sns"
	"github.com/stampmill/stampmill/internal/rig"
)

// order sends an order to a job's first run.
func order(ctx context.Context, r *rig.Rig, id string, verb jobs.Verb) error {
	row, err := r.User.Store.Load(ctx, id)
	if err != nil {
		return err
	}
	return r.User.Queue.Send(ctx, jobs.LaneHigh, &jobs.Message{Type: jobs.Ordering, Job: id, Incarnation: row.Job.Incarnation, Run: 1, Verb: verb, At: time.Now().UTC()}, 0)
}

func TestAPausedRestampFinishesWhatItBeganAndBeginsNothingMore(t *testing.T) {
	t.Parallel()
	inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
		if err := did(r, bakeOf("base", arm64(), "echo base > /opt/base"), bakeOf("web", "base", "echo web > /opt/web"), launchOf("front", "web", 2)); err != nil {
			return err
		}
		if _, err := r.Start(nil); err != nil {
			return err
		}
		ids, err := r.Submit(ctx, "kind: Restamp\nname: patch-day\nspec: {images: {select: {all: true}}, fleets: {select: {all: true}}}\n", ".", "k", nil)
		if err != nil {
			return err
		}
		time.Sleep(2 * time.Minute) // the first bake is under way
		if err := order(ctx, r, ids[0], jobs.Pause); err != nil {
			return err
		}
		time.Sleep(time.Hour)
		for name, want := range map[string]int{"base": 2, "web": 1} {
			if image, _, err := r.User.Ledger.GetImage(ctx, name); err != nil || image.Current != want {
				return fmt.Errorf("an hour after the pause %s is at %d, want %d (%v)", name, image.Current, want, err)
			}
		}
		if err := order(ctx, r, ids[0], jobs.Resume); err != nil {
			return err
		}
		ended, err := r.Wait(ctx, 6*time.Hour, ids...)
		if err != nil {
			return err
		}
		if job := ended[ids[0]]; job.State != jobs.Succeeded {
			return fmt.Errorf("it is %s: %s", job.State, job.Failure)
		}
		servers, err := r.User.Ledger.Servers(ctx, "front")
		if err != nil || len(servers) != 2 || servers[0].Image != "web@2" {
			return fmt.Errorf("the fleet has %+v, %v", servers, err)
		}
		return nil
	})
}

func TestARestampThatIsCancelledStopsAllThatItBeganAndReportsIt(t *testing.T) {
	t.Parallel()
	inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
		if err := did(r, bakeOf("base", arm64(), "echo base > /opt/base"), bakeOf("web", "base", "echo web > /opt/web")); err != nil {
			return err
		}
		if _, err := r.Start(nil); err != nil {
			return err
		}
		ids, err := r.Submit(ctx, "kind: Restamp\nname: patch-day\nspec: {images: {select: {all: true}}}\n", ".", "k", nil)
		if err != nil {
			return err
		}
		time.Sleep(2 * time.Minute)
		if err := r.Cancel(ctx, ids[0], 1); err != nil {
			return err
		}
		ended, err := r.Wait(ctx, 6*time.Hour, ids...)
		if err != nil {
			return err
		}
		job := ended[ids[0]]
		report, err := reportOf(r, job)
		if err != nil || job.State != jobs.Cancelled || report.Totals.ImagesFailed != 1 || report.Totals.ImagesStopped != 1 {
			return fmt.Errorf("it is %s and reports %+v, %v", job.State, report.Totals, err)
		}
		if image, _, err := r.User.Ledger.GetImage(ctx, "base"); err != nil || image.Current != 1 {
			return fmt.Errorf("base is at %d, %v", image.Current, err)
		}
		return nobodyRuns(r)
	})
}

func TestTopicsAndEventBusesAreToldHowAJobEnded(t *testing.T) {
	t.Parallel()
	inBubble(t, restampConfig(), func(ctx context.Context, r *rig.Rig) error {
		topic, err := r.User.Clients.For(jobs.Target{}).SNS.CreateTopic(ctx, &awssns.CreateTopicInput{Name: aws.String("patch")})
		if err != nil {
			return err
		}
		if _, err := r.Start(nil); err != nil {
			return err
		}
		arn := aws.ToString(topic.TopicArn)
		document := bakeOf("base", arm64(), "echo base > /opt/base") + fmt.Sprintf("  notify: {snsTopic: %q, eventBus: %q}\n", arn,
			"arn:aws:events:"+rig.Region+":000000000000:event-bus/default")
		job, err := runTo(ctx, r, document, "k")
		if err != nil || job.State != jobs.Succeeded {
			return fmt.Errorf("the bake is %+v, %v", job, err)
		}
		if len(job.Warnings) > 0 {
			return fmt.Errorf("warnings: %q", job.Warnings)
		}
		published := r.Endpoint.Service("sns").(*sns.Service).Published()
		if len(published) != 1 || published[0].Topic != arn || published[0].Subject != notify.Subject {
			return fmt.Errorf("published: %+v", published)
		}
		var told notify.Message
		if err := json.Unmarshal([]byte(published[0].Text), &told); err != nil || told.State != jobs.Succeeded || told.ID != published[0].Attributes["delivery"] {
			return fmt.Errorf("the topic was told %+v, %v", told, err)
		}
		return nil
	})
}
