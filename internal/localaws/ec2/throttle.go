package ec2

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// bucketSize is a token bucket's size and its refill a second. All numbers are those of aws-facts.md, "EC2 API
// throttling (per account, region and action; token buckets)".
type bucketSize struct{ size, refill float64 }

// Limit is the size and the refill a second of a bucket.
type Limit struct{ Size, Refill float64 }

var (
	runRequests         = bucketSize{5, 2}
	runResources        = bucketSize{1000, 2}
	terminateRequests   = bucketSize{100, 5}
	terminateResources  = bucketSize{1000, 20}
	stopRequests        = bucketSize{50, 5}
	stopResources       = bucketSize{1000, 20}
	createTagsRequests  = bucketSize{100, 10}
	copyImageRequests   = bucketSize{100, 1}
	mutatingRequests    = bucketSize{50, 5}
	lightMutating       = bucketSize{100, 5}
	describeRequests    = bucketSize{100, 20}
	unfilteredDescribes = bucketSize{50, 10}
)

// requestBuckets are the actions whose bucket is not the one of their class.
var requestBuckets = map[string]bucketSize{
	"RunInstances": runRequests, "StartInstances": runRequests, "TerminateInstances": terminateRequests,
	"StopInstances": stopRequests, "CreateTags": createTagsRequests, "CopyImage": copyImageRequests,
	"DeregisterImage": lightMutating, "CreateSnapshot": lightMutating, "DeleteSnapshot": lightMutating,
	"ModifyImageAttribute": lightMutating, "ModifySnapshotAttribute": lightMutating,
	"CreateLaunchTemplateVersion": lightMutating, "CreateVolume": lightMutating,
	"CreateNetworkInterface": lightMutating,
}

var resourceBuckets = map[string]bucketSize{
	"RunInstances": runResources, "StartInstances": runResources,
	"TerminateInstances": terminateResources, "StopInstances": stopResources,
}

// smallDescribes have a smaller bucket for requests with neither filter nor page size. Ids are no filter.
var smallDescribes = map[string]bool{
	"DescribeInstances": true, "DescribeInstanceStatus": true, "DescribeSnapshots": true, "DescribeVolumes": true,
	"DescribeSecurityGroups": true,
}

// buckets has its own lock: requests are refused without waiting for the service's.
type buckets struct {
	mu        sync.Mutex
	levels    map[string]*bucket
	throttled int64
}

type bucket struct {
	level float64
	at    time.Time
}

// admit takes the request's token, or refuses.
func (s *Service) admit(c *call, class actionClass) error {
	size, name := mutatingRequests, c.Action
	if class == describes {
		size = describeRequests
		if smallDescribes[c.Action] && !filteredOrPaginated(c.Request) {
			size, name = unfilteredDescribes, c.Action+" unfiltered"
		}
	}
	if own, ok := requestBuckets[c.Action]; ok {
		size = own
	}
	return s.take(c, name, size, 1)
}

// admitResources takes a token for each instance that the call is about.
func (s *Service) admitResources(c *call, count int) error {
	return s.take(c, c.Action+" resources", resourceBuckets[c.Action], float64(count))
}

func (s *Service) take(c *call, name string, size bucketSize, tokens float64) error {
	if !s.options.Buckets {
		return nil
	}
	if own, ok := s.options.Limits[name]; ok {
		size = bucketSize{own.Size, own.Refill}
	}
	b := &s.buckets
	b.mu.Lock()
	defer b.mu.Unlock()
	level := b.at(c.Account+"/"+c.Region+"/"+name, size, c.now)
	if level.level < tokens-tiny {
		b.throttled++
		return &api.Error{Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Status: http.StatusServiceUnavailable}
	}
	level.level = max(level.level-tokens, 0)
	return nil
}

// tiny is less than any token: sums of refills are exact to that.
const tiny = 1e-6

// at is the bucket as it is at the instant; a new one is full. It needs the lock.
func (b *buckets) at(key string, size bucketSize, now time.Time) *bucket {
	level, ok := b.levels[key]
	if !ok {
		level = &bucket{level: size.size, at: now}
		b.levels[key] = level
	}
	level.level = min(size.size, level.level+now.Sub(level.at).Seconds()*size.refill)
	level.at = now
	return level
}

// Drain takes up to so many tokens out of an action's resource bucket, as another program in the account would whose calls
// nobody here sees. It tells how many it took.
func (s *Service) Drain(account, region, action string, tokens int) int {
	size, known := resourceBuckets[action]
	if !known || !s.options.Buckets {
		return 0
	}
	b := &s.buckets
	b.mu.Lock()
	defer b.mu.Unlock()
	level := b.at(account+"/"+region+"/"+action+" resources", size, time.Now())
	taken := min(tokens, int(level.level))
	level.level -= float64(taken)
	return taken
}

// Throttled counts the answers that buckets refused.
func (s *Service) Throttled() int64 {
	s.buckets.mu.Lock()
	defer s.buckets.mu.Unlock()
	return s.buckets.throttled
}

func filteredOrPaginated(r *api.Request) bool {
	for key := range r.Form {
		if key == "MaxResults" || key == "NextToken" || strings.HasPrefix(key, "Filter.") {
			return true
		}
	}
	return false
}
