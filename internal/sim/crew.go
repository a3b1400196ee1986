package sim

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/rig"
)

// workerKey begins the access key ids of workers, by which the endpoint tells who calls.
const workerKey = "AKIASIM"

// crew keeps the workers' places filled: who dies is followed by another one after a while.
type crew struct {
	over   chan struct{}
	places sync.WaitGroup
}

func (s *schedule) hire() *crew {
	c := &crew{over: make(chan struct{})}
	for place := range s.weather.workers {
		c.places.Go(func() { s.fill(c, place) })
	}
	return c
}

// dismiss sends everybody home; what they have begun they finish.
func (c *crew) dismiss() {
	close(c.over)
	c.places.Wait()
}

// fill keeps one place filled until the schedule is over. When the storm is over one worker is enough.
func (s *schedule) fill(c *crew, place int) {
	for number := 1; ; number++ {
		name := fmt.Sprintf("%d.%d", place+1, number)
		d := s.at("worker", name)
		line := &rig.Line{Key: workerKey + name, Fate: func(call string, request *http.Request) rig.Fate {
			return s.fate(name, call, identity(call, bodyOf(request)))
		}}
		if s.weather.skew > 0 {
			skew := d.between(-s.weather.skew, s.weather.skew)
			line.Clock = func() time.Time { return time.Now().Add(skew) }
		}
		time.Sleep(d.between(0, 2*time.Second))
		w, err := s.rig.Start(line)
		if err != nil {
			s.violate("a worker cannot start: %v", err)
			return
		}
		calm := time.NewTimer(max(stormy-s.now(), 0))
		select {
		case <-w.Gone():
		case <-c.over:
			w.Drain()
			return
		case <-calm.C:
			if place > 0 {
				w.Drain()
				return
			}
			select {
			case <-w.Gone():
			case <-c.over:
				w.Drain()
				return
			}
		}
		calm.Stop()
		select {
		case <-time.After(d.between(time.Second, 40*time.Second)):
		case <-c.over:
			return
		}
	}
}
