// Package ec2 is EC2 as the kinds need it: plain words in, plain words out, each error classified. It takes no decision
// and repeats nothing by itself.
//
// A Region is one account and region. Describes by id or by a job's tag of all jobs of a worker share calls, by filter, so
// that an id that EC2 does not know (yet) is absent and fails nobody. Whatever is made carries its tags from its creation; servers answer
// to IMDSv2 only, and nothing is public unless the request says so.
package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/batch"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// How many ids go with a call, from aws-facts "Launching".
const (
	idsPerCall       = 1000
	filterValues     = 200
	statusesPerCall  = 100
	referencesAtOnce = 10
	pageSize         = 1000
)

// Service gives regions.
type Service struct {
	clients *clients.Clients
	guard   Guard
	mu      sync.Mutex
	regions map[jobs.Target]*Region
}

// Guard gives the middleware that lets an EC2 client's calls wait for their budgets.
type Guard func(target jobs.Target, region string) func(*middleware.Stack) error

// New makes the service. A nil guard lets every call go at once: for the command line, whose calls are few.
func New(clients *clients.Clients, guard Guard) *Service {
	return &Service{clients: clients, guard: guard, regions: map[jobs.Target]*Region{}}
}

// For is the target's region; the same one for all its callers, so that they share calls.
func (s *Service) For(target jobs.Target) *Region {
	regional := s.clients.For(target)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.regions[regional.Target]
	if !ok {
		r = newRegion(regional, s.guard)
		s.regions[regional.Target] = r
	}
	return r
}

// Region is EC2 in one account and region. It is safe for concurrent use.
type Region struct {
	client    *ec2.Client
	region    string
	instances *batch.Batcher[string, c.Instance]
	statuses  *batch.Batcher[string, bool]
	images    *batch.Batcher[string, c.Image]
	roots     *batch.Batcher[string, c.RootTask]
	tagged    tagged
}

func newRegion(regional *clients.Regional, guard Guard) *Region {
	r := &Region{client: guarded(regional, guard), region: regional.Region}
	r.instances = batch.New(shared(idsPerCall, filterValues), r.fetchInstances)
	r.statuses = batch.New(shared(statusesPerCall, statusesPerCall), r.fetchStatuses)
	r.images = batch.New(shared(filterValues, filterValues), r.fetchImages)
	r.roots = batch.New(shared(filterValues, filterValues), r.fetchRootTasks)
	r.tagged = r.newTagged()
	return r
}

// shared are the options of calls that jobs share: of so many ids at most, filled up to along with those that are due.
func shared(size, along int) batch.Options {
	return batch.Options{Size: size, Along: along, Fresh: jobs.KnowsNews, Lend: jobs.Lend, Blames: awserr.IsAboutOne}
}

func guarded(regional *clients.Regional, guard Guard) *ec2.Client {
	if guard == nil {
		return regional.EC2
	}
	return ec2.New(regional.EC2.Options(), func(o *ec2.Options) {
		o.APIOptions = append(slices.Clone(o.APIOptions), guard(regional.Target, regional.Region))
	})
}

// Name is the region's name.
func (r *Region) Name() string { return r.region }

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: aws.String(name), Values: values}
}

// literal keeps a filter from reading a value's * and ? as wildcards.
func literal(value string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`).Replace(value)
}

// tagFilters asks for all of the tags, in a fixed order.
func tagFilters(tags map[string]string) []types.Filter {
	var filters []types.Filter
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		filters = append(filters, filter("tag:"+key, tags[key]))
	}
	return filters
}

func tagList(tags map[string]string) []types.Tag {
	var list []types.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}

func tagMap(list []types.Tag) map[string]string {
	tags := make(map[string]string, len(list))
	for _, tag := range list {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}

// tagSpec is what puts tags on a thing at its creation; EC2 refuses an empty one.
func tagSpec(specs []types.TagSpecification, kind types.ResourceType, tags map[string]string) []types.TagSpecification {
	if len(tags) == 0 {
		return specs
	}
	return append(specs, types.TagSpecification{ResourceType: kind, Tags: tagList(tags)})
}

// optional is nil for the empty string, which EC2 takes for a value.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// values gives what a batcher found, in the order of the ids.
func values[U any](ctx context.Context, b *batch.Batcher[string, U], ids []string) ([]U, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := b.Get(ctx, ids...)
	if err != nil {
		return nil, wrap(err, ids...)
	}
	list := make([]U, 0, len(found))
	for _, id := range ids {
		if value, ok := found[id]; ok {
			list = append(list, value)
			delete(found, id)
		}
	}
	return list, nil
}
