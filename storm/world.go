package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/stage"
)

// world is what the endpoint holds at one time: EC2 as it truly is, the tables, the parameters and the queues.
type world struct {
	ec2.Inspection
	jobs       map[string]*jobs.Job
	images     map[string]ledger.Image
	versions   map[string][]ledger.Version
	servers    map[string][]ledger.Server // by fleet
	parameters map[place]string
	queues     map[jobs.Lane]int
	dead       []string
}

// place is a name in a region.
type place struct{ region, name string }

// inspect is EC2 alone. It insists while the endpoint is down.
func (s *storm) inspect(ctx context.Context) (ec2.Inspection, error) {
	var seen struct {
		EC2 ec2.Inspection `json:"ec2"`
	}
	err := insist(ctx, func() error { return s.Control(ctx, http.MethodGet, "inspect", nil, &seen) })
	return seen.EC2, err
}

// survey is everything.
func (s *storm) survey(ctx context.Context) (w *world, err error) {
	w = &world{jobs: map[string]*jobs.Job{}, images: map[string]ledger.Image{}, versions: map[string][]ledger.Version{},
		servers: map[string][]ledger.Server{}, parameters: map[place]string{}}
	if w.queues, err = s.queued(ctx); err != nil {
		return nil, err
	}
	all, err := s.app.Store.List(ctx, store.Filter{Children: true, Limit: 1 << 20})
	if err != nil {
		return nil, err
	}
	for _, job := range all {
		w.jobs[job.ID] = job
	}
	if err := s.readLedger(ctx, w); err != nil {
		return nil, err
	}
	if w.dead, err = s.deadLetters(ctx); err != nil {
		return nil, err
	}
	w.Inspection, err = s.inspect(ctx)
	return w, err
}

func (s *storm) readLedger(ctx context.Context, w *world) error {
	images, err := s.app.Ledger.ListImages(ctx)
	if err != nil {
		return err
	}
	for _, image := range images {
		w.images[image.Name] = image
		if w.versions[image.Name], err = s.app.Ledger.Versions(ctx, image.Name); err != nil {
			return err
		}
		for _, region := range []string{stage.Region, copyRegion} {
			value, found, err := s.app.SSM.For(jobs.Target{Region: region}).Parameter(ctx, parameterOf(image.Name))
			if err != nil {
				return err
			}
			if found {
				w.parameters[place{region, image.Name}] = value
			}
		}
	}
	known, err := s.app.Ledger.ListFleets(ctx)
	if err != nil {
		return err
	}
	for _, fleet := range known {
		if w.servers[fleet.Name], err = s.app.Ledger.Servers(ctx, fleet.Name); err != nil {
			return err
		}
	}
	return nil
}

// queued counts what each queue holds: visible, in flight and delayed.
func (s *storm) queued(ctx context.Context) (map[jobs.Lane]int, error) {
	counts := map[jobs.Lane]int{}
	for _, lane := range queue.AllLanes() {
		url := s.app.Queue.URL(lane)
		out, err := s.app.SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{
			sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
			sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed}})
		if err != nil {
			return nil, err
		}
		for name, value := range out.Attributes {
			n, err := strconv.Atoi(value)
			if err != nil {
				return nil, fmt.Errorf("%s of %s is %q: %w", name, lane, value, err)
			}
			counts[lane] += n
		}
	}
	return counts, nil
}

// deadLetters are the first dead letters with their reasons. They stay where they are.
func (s *storm) deadLetters(ctx context.Context) (letters []string, err error) {
	url := s.app.Queue.URL(queue.DeadLetters)
	out, err := s.app.SQS().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 0,
		MessageAttributeNames: []string{queue.AttributeReason}})
	if err != nil {
		return nil, err
	}
	for _, m := range out.Messages {
		reason := ""
		if a, ok := m.MessageAttributes[queue.AttributeReason]; ok && a.StringValue != nil {
			reason = *a.StringValue
		}
		letters = append(letters, fmt.Sprintf("%s: %s", reason, *m.Body))
	}
	return letters, nil
}

// stands: the instance costs something and is not on its way out.
func stands(i ec2.Instance) bool { return i.State != "terminated" && i.State != "shutting-down" }

// held is the fleet's instances by the ordinal that their user data gives them.
type held map[int][]ec2.Instance

// holders are the fleet's instances that stand.
func holders(instances []ec2.Instance, fleet string) held {
	h := held{}
	for _, i := range instances {
		if stands(i) && i.Tags[launch.TagFleet] == fleet {
			ordinal := ordinalOf(i)
			h[ordinal] = append(h[ordinal], i)
		}
	}
	return h
}

func (h held) ordinals() ordinals.Set { return ordinals.Of(slices.Sorted(maps.Keys(h))...) }

var hostnameList = regexp.MustCompile(`set hostnames = \["([^\]]*)"\]`)

// ordinalOf is the ordinal that the server was told at its boot: the user data lists hostnames by launch index, and they end
// in ordinals. -1: it was told none.
func ordinalOf(i ec2.Instance) int {
	found := hostnameList.FindSubmatch(i.UserData)
	if found == nil {
		return -1
	}
	names := strings.Split(string(found[1]), `","`)
	if i.LaunchIndex < 0 || i.LaunchIndex >= len(names) {
		return -1
	}
	name := names[i.LaunchIndex]
	ordinal, err := strconv.Atoi(name[strings.LastIndex(name, "-")+1:])
	if err != nil {
		return -1
	}
	return ordinal
}
