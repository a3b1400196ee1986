package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
)

// sightings remembers what was ever seen in EC2, so that what was made twice is found though one of it is gone by the end.
type sightings struct {
	mu sync.Mutex
	// made are the ids of what the endpoint was seen to have, by what may exist only once.
	made  map[string]map[string]bool
	amis  map[string]bool
	stood int
}

func newSightings() *sightings {
	return &sightings{made: map[string]map[string]bool{}, amis: map[string]bool{}}
}

// note takes in what EC2 has now.
func (s *sightings) note(seen ec2.Inspection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stood = 0
	for _, i := range seen.Instances {
		if stands(i) {
			s.stood++
		}
		if key := once(i); key != "" {
			s.add(key, i.ID)
		}
	}
	for _, i := range seen.Images {
		s.amis[i.ID] = true
		s.add(fmt.Sprintf("AMI %s of %s, run %s, in %s", i.Tags[jobs.TagThing], i.Tags[jobs.TagJob], i.Tags[jobs.TagRun], i.Region), i.ID)
	}
}

func (s *sightings) add(key, id string) {
	if s.made[key] == nil {
		s.made[key] = map[string]bool{}
	}
	s.made[key][id] = true
}

// once names what the instance is the only one of: nothing in a storm makes a second attempt right, as EC2 never lacks
// capacity and no launch dies.
func once(i ec2.Instance) string {
	if batch := i.Tags[launch.TagBatch]; batch != "" {
		return fmt.Sprintf("server %d of batch %s of %s", ordinalOf(i), batch, i.Tags[jobs.TagJob])
	}
	if i.Tags[jobs.TagJob] == "" {
		return ""
	}
	return fmt.Sprintf("%s of %s, run %s", i.Tags[jobs.TagThing], i.Tags[jobs.TagJob], i.Tags[jobs.TagRun])
}

// doubles are findings of what existed twice.
func (s *sightings) doubles() (found []finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.made)) {
		if ids := slices.Sorted(maps.Keys(s.made[key])); len(ids) > 1 {
			found = append(found, finding{class: doubled, what: fmt.Sprintf("%s was made %d times: %s", key, len(ids), strings.Join(ids, ", "))})
		}
	}
	return found
}

func (s *sightings) standing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stood
}

// watch looks at EC2 every other second, and tells of the progress every few.
func (s *storm) watch(ctx context.Context) {
	for n := 0; ; n++ {
		if pause(ctx, 2*time.Second) != nil {
			return
		}
		seen, _, err := s.inspect(ctx)
		if err != nil {
			return
		}
		s.seen.note(seen)
		if n%3 == 2 {
			s.tellProgress()
		}
	}
}

func (s *storm) tellProgress() {
	working, standing := s.pool.working(), s.seen.standing()
	s.mu.Lock()
	kills, open := 0, 0
	for _, n := range s.killed {
		kills += n
	}
	ends := map[jobs.State]int{}
	for _, r := range s.requests {
		if state := r.last(); state == "" {
			open++
		} else {
			ends[state]++
		}
	}
	jobs := len(s.requests)
	s.mu.Unlock()
	s.say("kills %d/%d  jobs %d (first run open %d, succeeded %d, failed %d, cancelled %d)  servers %d  workers %d",
		kills, s.kills, jobs, open, ends[succeeded], ends[failed], ends[cancelled], standing, working)
}
