// Package budgets keeps the budgets in DynamoDB, one small item for each account, region and EC2 action, and makes every
// EC2 call of a worker take its tokens first.
//
// Guard is the middleware of an EC2 client. A call whose tokens are there goes on; any other is refused before it is sent,
// with an error of class jobs.InLine that says when its turn comes, and the job keeps its place in the line.
//
// An item is written on condition of its version. A worker's asks that come together share a write, and calls that take a
// request only are taken in small blocks while there are plenty. Calls that jobs share (looks) hold no place of a job: the
// worker holds one for them.
package budgets

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/budget"
)

// API is what budgets call of DynamoDB.
type API interface {
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// Config is what Budgets are made of.
type Config struct {
	API    API
	Table  string
	Limits budget.Limits
	// Clock is the worker's clock; nil: time.Now.
	Clock func() time.Time
}

// Budgets are the budgets of an installation. They are safe for concurrent use.
type Budgets struct {
	Config
	mu      sync.Mutex
	buckets map[string]*bucket
}

var _ jobs.Budgets = (*Budgets)(nil)

// New makes the budgets. It calls nobody.
func New(c Config) *Budgets {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Budgets{Config: c, buckets: map[string]*bucket{}}
}

// Name is a bucket's: the account by its role, the region and the action.
func Name(target jobs.Target, region, action string) string {
	return cmp.Or(target.Account(), Own) + "/" + region + "/" + action
}

// Own is the account of the worker's own credentials in buckets' names.
const Own = "own"

func (b *Budgets) bucket(name string) *bucket {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.buckets[name]; ok {
		return known
	}
	parts := strings.SplitN(name, "/", 3)
	if len(parts) < 3 {
		parts = append(parts, "", "")
	}
	made := &bucket{name: name, config: &b.Config, limit: b.Limits.Of(parts[1], parts[2])}
	b.buckets[name] = made
	return made
}

// GiveBack implements jobs.Budgets.
func (b *Budgets) GiveBack(ctx context.Context, grants []jobs.Grant) {
	var all sync.WaitGroup
	for _, grant := range grants {
		all.Go(func() {
			k := b.bucket(grant.Bucket)
			// What could not be given back is wasted: the line moves on over it.
			_ = k.change(ctx, func(state *budget.Bucket, now time.Time) bool {
				state.GiveBack(k.limit, now, grant.Place())
				return true
			})
		})
	}
	all.Wait()
}

// Ask takes the tokens of a call of the bucket's action, and as many for servers; the error of class jobs.InLine says when its
// turn comes. It is what Guard does before each call.
func (b *Budgets) Ask(ctx context.Context, name string, resources float64) error {
	action := name[strings.LastIndexByte(name, '/')+1:]
	return b.admit(ctx, &call{bucket: name, action: action, resources: resources, looks: budget.Looks(action)})
}

// call is one EC2 call that asks for its tokens.
type call struct {
	bucket    string
	action    string
	resources float64
	looks     bool
	refused   int // how often in a row EC2 refused it
}

// admit takes the call's tokens, or says when its turn comes.
func (b *Budgets) admit(ctx context.Context, c *call) error {
	k := b.bucket(c.bucket)
	booking, booked := jobs.BookingOf(ctx)
	class := jobs.LineOf(ctx)
	if booked && !c.looks {
		if grant, ok := booking.Held(c.bucket, c.resources); ok {
			return b.confirm(ctx, k, c, booking, grant)
		}
	}
	if c.resources == 0 && k.fromBlock() {
		return nil
	}
	if c.looks || !booked {
		return b.look(ctx, k, *c, class)
	}
	return b.reserve(ctx, k, *c, booking)
}

// confirm uses the grant if its place is served.
func (b *Budgets) confirm(ctx context.Context, k *bucket, c *call, booking *jobs.Booking, grant jobs.Grant) error {
	if now := b.Clock(); grant.After.After(now) {
		return inLine(*c, grant.After)
	}
	var place budget.Place
	var due, at time.Time
	err := k.change(ctx, func(state *budget.Bucket, now time.Time) (lapsed bool) {
		state.Advance(k.limit, now)
		place = grant.Place()
		if due, at = state.Due(k.limit, place), state.At; !due.After(at) && now.Sub(grant.Due) > slack(k.limit, grant) {
			place, due = state.Take(k.limit, now, place.Ask)
			lapsed = true
		}
		return lapsed
	})
	if err != nil {
		return err
	}
	if due.After(at) {
		later := granted(*c, place, due)
		later.Refused = grant.Refused
		booking.Replace(grant, later)
		return inLine(*c, due)
	}
	c.refused = grant.Refused
	booking.Use(grant)
	return nil
}

// slack is how late a grant may be used. A bucket holds no more than its size: what was served long ago has flowed over
// while it was not used, and EC2 does not have it any more.
func slack(limit budget.Limit, grant jobs.Grant) time.Duration {
	rate := limit.Requests
	if grant.Resources > 0 {
		rate = limit.Resources
	}
	return max(leastSlack, time.Duration(rate.Size/rate.Refill/2*float64(time.Second)))
}

// leastSlack is more than a wake is late on a busy worker: a grant that lapsed whenever its job comes would never be used.
const leastSlack = 10 * time.Second

// reserve takes the tokens, or a place in the line that the job keeps.
func (b *Budgets) reserve(ctx context.Context, k *bucket, c call, booking *jobs.Booking) error {
	var place budget.Place
	var due, at time.Time
	var block int
	err := k.change(ctx, func(state *budget.Bucket, now time.Time) bool {
		place, due = state.Take(k.limit, now, budget.Ask{Class: booking.Class(), Requests: 1, Resources: c.resources})
		at, block = state.At, k.spare(state, now, c, due)
		return true
	})
	if err != nil {
		return err
	}
	if due.After(at) {
		booking.Keep(granted(c, place, due))
		return inLine(c, due)
	}
	k.addBlock(block)
	return nil
}

// look takes a token for a call that belongs to no single job. Where there is none the worker keeps the place.
func (b *Budgets) look(ctx context.Context, k *bucket, c call, class budget.Class) error {
	line := heldLine{class, c.resources}
	held, holds := k.heldPlace(line)
	var place budget.Place
	var due, at time.Time
	var block int
	err := k.change(ctx, func(state *budget.Bucket, now time.Time) bool {
		if holds {
			state.Advance(k.limit, now)
			place, due = held, state.Due(k.limit, held)
		} else {
			place, due = state.Take(k.limit, now, budget.Ask{Class: class, Requests: 1, Resources: c.resources})
		}
		at, block = state.At, k.spare(state, now, c, due)
		return !holds || block > 0
	})
	if err != nil {
		k.holdPlace(line, held, holds)
		return err
	}
	if due.After(at) {
		k.holdPlace(line, place, true)
		return inLine(c, due)
	}
	k.addBlock(block)
	return nil
}

// refused takes in that EC2 throttled the call. Its job gets a new place, so that it comes back when it is worth it.
func (b *Budgets) refused(ctx context.Context, c call, cause error) error {
	k := b.bucket(c.bucket)
	k.dropBlock()
	booking, booked := jobs.BookingOf(ctx)
	booked = booked && !c.looks
	ask := budget.Ask{Class: budget.Normal, Requests: 1, Resources: c.resources}
	if booked {
		ask.Class = booking.Class()
	}
	var place budget.Place
	var due time.Time
	if err := k.change(ctx, func(state *budget.Bucket, now time.Time) bool {
		moved := state.Throttle(k.limit, now, ask)
		if booked {
			place, due = state.Take(k.limit, now, ask)
		}
		return moved || booked
	}); err != nil || !booked {
		return nil //nolint:nilerr // the throttle itself is the error that its caller tells
	}
	grant := granted(c, place, due)
	grant.Refused = c.refused + 1
	grant.After = b.Clock().Add(min(2*time.Second<<min(c.refused, 8), longestBackOff)).UTC()
	if grant.After.After(due) {
		due = grant.After
		grant.Due = due
	}
	booking.Keep(grant)
	return &jobs.Error{Class: jobs.InLine, Op: "ec2 " + c.action, Thing: c.bucket, Until: due,
		Message: inLineText(c) + ": EC2 throttled the last call (" + cause.Error() + ")"}
}

// longestBackOff is for how long a call that EC2 refuses again and again is left alone.
const longestBackOff = time.Minute

func granted(c call, place budget.Place, due time.Time) jobs.Grant {
	return jobs.Grant{Bucket: c.bucket, Class: place.Class, Requests: place.Requests, Resources: place.Resources,
		RequestsEnd: place.RequestsEnd, ResourcesEnd: place.ResourcesEnd, Due: due.UTC()}
}

// inLine refuses the call until its turn. The text has no number: a job's history tells each wait once.
func inLine(c call, due time.Time) error {
	return &jobs.Error{Class: jobs.InLine, Op: "ec2 " + c.action, Thing: c.bucket, Until: due, Message: inLineText(c)}
}

func inLineText(c call) string {
	what := ""
	if c.resources > 0 {
		what = fmt.Sprintf(" for %.0f servers", c.resources)
	}
	return fmt.Sprintf("its turn at EC2's %s in %s%s", c.action, strings.TrimPrefix(strings.TrimSuffix(c.bucket, "/"+c.action), Own+"/"), what)
}
