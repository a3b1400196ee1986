package main

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
	"github.com/stampmill/stampmill/internal/stage"
)

// world is what the endpoint holds at one time: EC2 as it truly is, the tables, the parameters and the queues.
type world struct {
	ec2.Inspection
	jobs       map[string]*jobs.Job
	images     map[string]ledger.Image
	versions   map[string][]ledger.Version
	servers    map[string][]ledger.Server // by fleet
	seconds    map[string][]ledger.Server // what the second slots name
	parameters map[place]string
	messages   []sqs.Held
	at         time.Time
}

// place is a name in a region.
type place struct{ region, name string }

// inspect is EC2 and the queues alone. It insists while the endpoint is down.
func (s *storm) inspect(ctx context.Context) (ec2.Inspection, []sqs.Held, error) {
	var seen struct {
		EC2 ec2.Inspection `json:"ec2"`
		SQS []sqs.Held     `json:"sqs"`
	}
	err := insist(ctx, func() error { return s.Control(ctx, http.MethodGet, "inspect", nil, &seen) })
	return seen.EC2, seen.SQS, err
}

// survey is everything. What is read first is what can only come to rest later.
func (s *storm) survey(ctx context.Context) (w *world, err error) {
	w = &world{jobs: map[string]*jobs.Job{}, images: map[string]ledger.Image{}, versions: map[string][]ledger.Version{},
		servers: map[string][]ledger.Server{}, seconds: map[string][]ledger.Server{}, parameters: map[place]string{}, at: time.Now()}
	if w.Inspection, w.messages, err = s.inspect(ctx); err != nil {
		return nil, err
	}
	all, err := s.app.Store.List(ctx, store.Filter{Children: true, Limit: 1 << 20})
	if err != nil {
		return nil, err
	}
	for _, job := range all {
		w.jobs[job.ID] = job
	}
	return w, s.readLedger(ctx, w)
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
		if w.seconds[fleet.Name], err = s.app.Ledger.Seconds(ctx, fleet.Name); err != nil {
			return err
		}
	}
	return nil
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
