package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
)

const (
	region = "eu-west-1"
	// speed is that of the endpoint's boots and captures; buckets are off.
	speed = "60"
	// endpointSeed is the seed that localaws has by default: its AMIs' ids follow from it.
	endpointSeed = 1
)

// site is an installation on a localaws process, with a worker process.
type site struct {
	*app.App
	url      string
	folder   string
	worker   string // the binary
	endpoint *process
}

// onSockets runs f with localaws as a process of its own, and an installation on it. No worker runs yet.
func onSockets(ctx context.Context, f func(ctx context.Context, s *site) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	folder, err := os.MkdirTemp("", "stampmill-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	started.Lock()
	started.folder = folder
	started.Unlock()
	defer endProcesses()
	s := &site{folder: folder}
	binary, err := build(ctx, folder, "localaws")
	if err != nil {
		return err
	}
	if s.worker, err = build(ctx, folder, "worker"); err != nil {
		return err
	}
	if s.endpoint, err = start(binary, os.Environ(), []string{"--listen", "127.0.0.1:0", "--speed", speed, "--buckets=false", "--seed", strconv.Itoa(endpointSeed)}, &s.url); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	return f(ctx, s)
}

// open makes the installation and opens it as a user.
func (s *site) open(ctx context.Context) error {
	sdk, err := clients.New(clients.Config{Region: region, Endpoint: s.url, Credentials: credentials.NewStaticCredentialsProvider("bench", "bench", "")})
	if err != nil {
		return err
	}
	options := app.Options{Common: config.Common{Prefix: "stampmill", Installation: "stampmill"}, Clients: sdk}
	in, err := app.Build(options).Installation(ctx)
	if err != nil {
		return err
	}
	if err := in.Make(ctx); err != nil {
		return err
	}
	s.App, err = app.Open(ctx, options)
	return err
}

// work starts a worker with the default configuration.
func (s *site) work(more ...string) (*process, error) {
	environment := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.folder, "AWS_ENDPOINT_URL=" + s.url, "AWS_REGION=" + region,
		"AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "STAMPMILL_HEALTH=127.0.0.1:0", "STAMPMILL_LOG_LEVEL=warn",
		"STAMPMILL_LIMITS=*=1000000/1000000,*:resources=1000000/1000000", // the endpoint has no buckets
		"STAMPMILL_PACE=" + speed}
	return start(s.worker, append(environment, more...), nil, nil)
}

// drained waits until nothing stands in the queues any more, not even in flight or delayed.
func (s *site) drained(ctx context.Context, worker *process, look time.Duration) error {
	for {
		left := 0
		for _, lane := range jobs.Lanes {
			url := s.Queue.URL(lane)
			out, err := s.SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
			if err != nil {
				return fmt.Errorf("wait for the queues to be empty: %w", err)
			}
			for _, name := range []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages,
				types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed} {
				if out.Attributes[string(name)] != "0" {
					left++
				}
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-time.After(look):
		case <-worker.gone:
			return errors.New("the worker has ended")
		case <-ctx.Done():
			return fmt.Errorf("the queues are not empty: %w", ctx.Err())
		}
	}
}

// succeeded counts the jobs that have, and names one that has not.
func (s *site) succeeded(ctx context.Context, ids []string) (int, error) {
	n := 0
	rows, err := s.Store.Rows(ctx, ids)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		row := rows[id]
		switch {
		case row == nil || row.Job == nil:
		case row.Job.State == jobs.Succeeded:
			n++
		case row.Job.Finished():
			return n, fmt.Errorf("%s is %s: %s", id, row.Job.State, row.Job.Failure)
		}
	}
	return n, nil
}
