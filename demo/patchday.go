package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"
)

// The fleets of the patch day, besides the 200 servers.
const (
	group  = "web-group" // an Auto Scaling group
	legacy = "legacy"    // its canary does not survive the new base
	cache  = "cache"     // rolled in place
	line   = "al2023-arm64"
)

// settle makes what a patch day needs: an image with a parent, a fleet that cannot live with a newer base, an Auto Scaling
// group that nobody of ours made, and one policy.
func (s *show) settle(ctx context.Context) error {
	all, inner := errgroup.WithContext(ctx)
	for _, file := range []string{"api.yaml", "legacy.yaml", "cache.yaml"} {
		all.Go(func() error { return s.done(inner, file) })
	}
	all.Go(func() error { return s.adopt(inner) })
	if err := all.Wait(); err != nil {
		return err
	}
	return s.tellOutput(ctx, 4, "apply", s.example("policy.yaml"))
}

func (s *show) example(file string) string { return filepath.Join("examples", "patch-day", file) }

// done submits an example and waits until its job has succeeded.
func (s *show) done(ctx context.Context, file string) error {
	path := s.example(file)
	if _, err := s.Stampmill(ctx, "submit", "--wait", path); err != nil {
		return err
	}
	s.say.line(green, "stampmill submit --wait %s: succeeded", path)
	return nil
}

// tellOutput runs the command line and quotes it.
func (s *show) tellOutput(ctx context.Context, most int, args ...string) error {
	out, err := s.Stampmill(ctx, args...)
	if err != nil {
		return err
	}
	s.say.quote("stampmill "+strings.Join(args, " "), out, most)
	return nil
}

// patch is the patch day: a newer base AMI is out, the policy notices, and what it asks for is watched to its end.
func (s *show) patch(ctx context.Context) error {
	s.say.act("Patch day: a newer base AMI is out")
	var made map[string]string
	if err := s.Control(ctx, http.MethodPost, "new-base-ami", map[string]string{"Line": line}, &made); err != nil {
		return err
	}
	s.say.line(plain, "Amazon released a newer Amazon Linux 2023: its public parameter names it; nobody tells Stampmill what is new")
	if err := s.tick(ctx); err != nil {
		return err
	}
	id, err := s.noticed(ctx)
	if err != nil {
		return err
	}
	s.say.line(yellow, "the policy noticed, and enqueued %s", id)
	both, inner := errgroup.WithContext(ctx)
	both.Go(func() error {
		if err := s.tellOutput(inner, 12, "wait", id); err == nil {
			return errors.New("the fleet legacy was rolled to a base that its software cannot live with")
		} else if inner.Err() != nil {
			return err
		}
		s.say.line(yellow, "%s has ended; it is failed, since one fleet was rolled back", id)
		return nil
	})
	both.Go(func() error {
		if err := s.baked(inner, image+"@2"); err != nil {
			return err
		}
		return s.done(inner, "in-place.yaml")
	})
	if err := both.Wait(); err != nil {
		return err
	}
	for _, args := range [][]string{{"restamp", "show", id}, {"rollout", "list"}, {"image", "lineage", image}} {
		if err := s.tellOutput(ctx, 24, args...); err != nil {
			return err
		}
	}
	return nil
}

// tick is the message that EventBridge Scheduler sends: it has the policies looked at now.
func (s *show) tick(ctx context.Context) error {
	queue, err := s.aws.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("stampmill-normal")})
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"schema": 1, "type": "tick", "policy": "newest-base", "at": time.Now().UTC()})
	if err != nil {
		return err
	}
	_, err = s.aws.SQS.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: aws.String(string(body))})
	return err
}

// noticed is the job that the policy enqueued.
func (s *show) noticed(ctx context.Context) (string, error) {
	ticker := time.NewTicker(300 * time.Millisecond)
	defer ticker.Stop()
	for {
		out, err := s.Stampmill(ctx, "job", "list", "-o", "json")
		if err != nil {
			return "", err
		}
		var list []struct{ ID, Kind string }
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			return "", fmt.Errorf("stampmill job list -o json: %w", err)
		}
		for _, job := range list {
			if job.Kind == "Restamp" {
				return job.ID, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the policy noticed nothing: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// baked waits until the version is there.
func (s *show) baked(ctx context.Context, version string) error {
	ticker := time.NewTicker(300 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ami, err := s.Stampmill(ctx, "image", "show", version, "--ami"); err == nil {
			s.say.line(green, "%s is baked: %s", version, strings.TrimSpace(ami))
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
