package sim

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
	"github.com/stampmill/stampmill/internal/rig"
)

// weather is which faults a schedule has, and how often. Each schedule leaves some out: a fault that never stops hides
// what another one shows.
type weather struct {
	workers int
	// Probabilities a call.
	die, drop, late, freeze            float64
	refused, broken, throttled, slow   float64
	conflict                           float64
	skew                               time.Duration // of a worker's clock, at most
	lag                                time.Duration // of describes, at most
	deaths, freezes                    int           // at most
	duplicates, lateMessages, disorder float64
	deaf                               bool    // no rules: all is polled
	lostEvents                         float64 // an event
	refill                             float64 // of the account's servers, a second; 0: AWS's default bucket
	informed                           bool    // its workers know of that
}

func drawWeather(d dice) weather {
	r := d.at("weather")
	w := weather{
		workers: 1 + r.IntN(3),
		die:     r.seldom(0.7, 0.003, 0.06), drop: r.seldom(0.5, 0.003, 0.05), late: r.seldom(0.4, 0.002, 0.03), freeze: r.seldom(0.3, 0.002, 0.02),
		refused: r.seldom(0.4, 0.003, 0.05), broken: r.seldom(0.4, 0.003, 0.05), throttled: r.seldom(0.4, 0.003, 0.08), slow: r.seldom(0.3, 0.003, 0.03),
		conflict: r.seldom(0.4, 0.01, 0.2), deaths: 1 + r.IntN(8), freezes: 1 + r.IntN(2),
		duplicates: r.seldom(0.4, 0.01, 0.2), lateMessages: r.seldom(0.3, 0.01, 0.1), disorder: r.seldom(0.3, 0.1, 1),
	}
	if r.chance(0.4) {
		w.skew = r.between(0, 2400*time.Millisecond)
	}
	news := d.at("events")
	w.deaf, w.lostEvents = news.chance(0.15), news.seldom(0.5, 0.02, 0.9)
	if account := d.at("account"); account.chance(0.4) {
		w.refill, w.informed = pick(account, 0.02, 0.1, 0.5), account.chance(0.7)
	}
	w.lag = pick(r, time.Second, 2*time.Second, 10*time.Second, 90*time.Second, 3*time.Minute)
	return w
}

// config is the rig's: reapers look often and wait for no longer than late effects last, so that the end comes soon.
func (s *schedule) config() rig.Config {
	c := rig.Config{Worker: func(w *config.Worker) {
		w.Slots = pick(s.at("slots"), 2, 8, 64)
		w.ReapGrace, w.ReapInterval = reapGrace, reapInterval
		if s.plan.heals > 0 || s.plan.quarry != nil {
			w.PolicyInterval = 30 * time.Second
		}
		if s.weather.informed {
			w.Limits = []string{fmt.Sprintf("RunInstances:resources=%d/%g", poorSize, s.weather.refill)}
		}
	}}
	c.Endpoint = localaws.Config{Seed: int64(s.seed), Intercept: s.intercept, EC2: ec2.Options{
		Propagation: s.weather.lag, ImageMin: time.Minute, ImageMax: 6 * time.Minute, CopyMin: time.Minute, CopyMax: 6 * time.Minute,
		Capacity: s.plan.capacity,
	}}
	if s.weather.refill > 0 {
		c.Endpoint.EC2.Limits = map[string]ec2.Limit{"RunInstances resources": {Size: poorSize, Refill: s.weather.refill}}
	}
	c.Endpoint.SQS.Mischief = s.mischief
	c.Endpoint.LoseEvent, c.NoEvents = s.loseEvent, s.weather.deaf
	return c
}

// poorSize is more than any launch of a schedule asks for at once, and so little that jobs wait in line.
const poorSize = 12

const (
	reapGrace    = 20 * time.Minute
	reapInterval = 5 * time.Minute
)

// loseEvent: EventBridge does its best, and no more. What is not lost still comes late, twice or after others, as the queue
// likes; that goes on after the storm, since no job may rely on an event.
func (s *schedule) loseEvent(e api.Event) bool {
	identity := []string{"event", e.DetailType, e.Region}
	return s.at(append(append(identity, e.Resources...), fmt.Sprint(e.Detail))...).chance(s.weather.lostEvents)
}

// mischief is what a queue does to a delivery.
func (s *schedule) mischief(d sqs.Delivery) sqs.Mischief {
	if s.rig == nil || !s.storm() {
		return sqs.Mischief{}
	}
	w := s.weather
	return sqs.Seeded(int64(s.seed), sqs.Rates{Late: w.lateMessages, Again: w.duplicates, Shuffle: w.disorder,
		MostLate: 3 * time.Minute, MostAgain: 5 * time.Minute})(d)
}

// idle are the calls that workers make without work: nothing but latency and errors befalls them.
func idle(call string) bool {
	switch call {
	case "sqs:ReceiveMessage", "sqs:GetQueueAttributes", "dynamodb:Query", "dynamodb:Scan", "sts:GetCallerIdentity", "sqs:GetQueueUrl":
		return true
	}
	return false
}

// next is the draw for the caller's next call of the identity.
func (s *schedule) next(who, identity string) *draw {
	s.mu.Lock()
	key := who + " " + identity
	s.met[key]++
	n := s.met[key]
	s.mu.Unlock()
	return s.at(who, identity, strconv.Itoa(n))
}

func (s *schedule) storm() bool { return s.now() < stormy }

// fate is what befalls a worker's call on its way.
func (s *schedule) fate(worker, call, identity string) rig.Fate {
	d := s.next(worker, identity)
	if s.trace {
		s.tell("%s calls %s", worker, call)
	}
	fate := rig.Fate{Latency: d.between(2*time.Millisecond, 60*time.Millisecond)}
	if idle(call) || !s.storm() {
		return fate
	}
	w := s.weather
	switch {
	case d.chance(w.die):
		after := d.chance(0.6)
		if s.spend(&s.deaths, w.deaths, "%s dies %s %s", worker, when(after), call) {
			fate.Die, fate.DieAfter = !after, after
		}
	case d.chance(w.drop):
		fate.Drop = s.befell("%s loses the answer to %s", worker, call)
	case d.chance(w.late):
		late := d.between(5*time.Second, 4*time.Minute)
		if d.chance(0.1) {
			late = d.between(4*time.Minute, 9*time.Minute)
		}
		s.befell("%s's %s takes effect %s late", worker, call, late.Round(time.Second))
		fate.Late = late
	case d.chance(w.freeze):
		freeze := d.between(30*time.Second, 5*time.Minute)
		if s.spend(&s.freezes, w.freezes, "%s freezes for %s at %s", worker, freeze.Round(time.Second), call) {
			fate.Freeze = freeze
		}
	}
	return fate
}

func when(after bool) string {
	if after {
		return "after"
	}
	return "before"
}

func (s *schedule) befell(format string, args ...any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.Faults++
	s.tellLocked(format, args...)
	return true
}

// spend is befell while fewer than most happened.
func (s *schedule) spend(spent *int, most int, format string, args ...any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *spent >= most {
		return false
	}
	*spent++
	s.result.Faults++
	s.tellLocked(format, args...)
	return true
}

// intercept is what the endpoint answers instead of a call, or how slowly.
func (s *schedule) intercept(r *api.Request) localaws.Fault {
	if s.rig == nil || r.FromServer != "" {
		return localaws.Fault{}
	}
	call := r.Service + ":" + r.Action
	s.inspect(r, call)
	if !s.storm() || !strings.HasPrefix(r.AccessKey, workerKey) {
		return localaws.Fault{}
	}
	d, w, who := s.next("endpoint "+r.AccessKey, identity(call, r.Body)), s.weather, strings.TrimPrefix(r.AccessKey, workerKey)
	switch {
	case d.chance(w.refused):
		s.befell("worker %s is refused a connection for %s", who, call)
		return localaws.Fault{Refuse: true}
	case d.chance(w.broken):
		s.befell("worker %s gets a 500 for %s", who, call)
		return localaws.Fault{Code: internalError[r.Service], Status: http.StatusInternalServerError}
	case d.chance(w.throttled) && throttle[r.Service].Code != "":
		s.befell("worker %s is throttled at %s", who, call)
		return throttle[r.Service]
	case d.chance(w.conflict) && call == "dynamodb:UpdateItem":
		s.befell("worker %s's %s meets a transaction", who, call)
		return localaws.Fault{Code: "TransactionConflictException", Message: "Transaction is ongoing for the item"}
	case d.chance(w.slow):
		slow := d.between(time.Second, 70*time.Second)
		s.befell("worker %s waits %s for %s", who, slow.Round(time.Second), call)
		if d.chance(0.5) {
			return localaws.Fault{Delay: slow}
		}
		return localaws.Fault{DelayAnswer: slow}
	}
	return localaws.Fault{}
}

var internalError = map[string]string{
	"ec2": "InternalError", "sqs": "InternalFailure", "dynamodb": "InternalServerError", "ssm": "InternalServerError", "s3": "InternalError",
	"elasticloadbalancing": "InternalFailure", "autoscaling": "InternalFailure", "monitoring": "InternalServiceFault", "sts": "InternalFailure", "secretsmanager": "InternalServiceError",
}

var throttle = map[string]localaws.Fault{
	"ec2":         {Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Status: http.StatusServiceUnavailable},
	"sqs":         {Code: "RequestThrottled", Message: "The request was denied due to request throttling.", Status: http.StatusForbidden},
	"dynamodb":    {Code: "ProvisionedThroughputExceededException", Message: "The level of configured provisioned throughput for the table was exceeded."},
	"ssm":         {Code: "ThrottlingException", Message: "Rate exceeded"},
	"autoscaling": {Code: "Throttling", Message: "Rate exceeded"},
	"monitoring":  {Code: "Throttling", Message: "Rate exceeded"},
	"s3":          {Code: "SlowDown", Message: "Please reduce your request rate.", Status: http.StatusServiceUnavailable},
}
