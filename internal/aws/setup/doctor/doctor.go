// Package doctor examines a set-up and says what is wrong with it and what to do. It changes nothing: every call is a read or
// an EC2 dry run, and a client that is about to make any other refuses.
//
// Each finding is ok, a warning (it works, or could not be looked at) or a problem (jobs fail or get lost by it).
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/smithy-go"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Problem Level = "problem"
)

// Finding is one thing that was looked at.
type Finding struct {
	// Area is what is examined: identity, clock, queues, events, tables, bucket, workers, rights, network.
	Area  string `json:"area"`
	Thing string `json:"thing"`
	Level Level  `json:"level"`
	// Text is what is so, Do what to do about it.
	Text string `json:"text"`
	Do   string `json:"do,omitempty"`
}

// Config is what is examined.
type Config struct {
	Clients      *clients.Clients
	Prefix       string
	Installation string
	Bucket       string // empty: the one that the prefix gives
	// Lease, Visibility and Retention are the workers' settings.
	Lease, Visibility, Retention time.Duration
	// Targets are further accounts and regions to examine; Known gives those that jobs, images and fleets name.
	Targets []jobs.Target
	Known   func(context.Context) ([]jobs.Target, error)
	// Holder says which worker holds a lease, and until when; an empty owner: nobody ever did.
	Holder func(ctx context.Context, lease string) (owner string, until time.Time, err error)
	// AsWorker says that workers run as whoever examines: then all that they need and may not is a problem.
	AsWorker bool
}

// doctor collects findings.
type doctor struct {
	Config
	own   *looker
	who   string // the ARN of whoever examines
	clock clock

	mu       sync.Mutex
	findings []Finding
}

// Examine looks at everything, and gives what it found, area by area. Its error is the context's.
func Examine(ctx context.Context, c Config) ([]Finding, error) {
	d := &doctor{Config: c}
	d.own = d.look(jobs.Target{})
	if d.identify(ctx) {
		d.queues(ctx)
		d.events(ctx)
		d.tables(ctx)
		d.bucket(ctx)
		d.workers(ctx)
		for _, target := range d.targets(ctx) {
			if l := d.look(target); d.reach(ctx, l) {
				d.rights(ctx, l)
				d.network(ctx, l)
			}
		}
	}
	d.tellClock()
	return d.findings, ctx.Err()
}

func (d *doctor) find(area, thing string, level Level, do, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.findings = append(d.findings, Finding{Area: area, Thing: thing, Level: level, Text: fmt.Sprintf(format, args...), Do: do})
}

func (d *doctor) ok(area, thing, format string, args ...any) {
	d.find(area, thing, OK, "", format, args...)
}

// unread tells of a look that failed. Who may not look learns nothing, which is no problem of the set-up.
func (d *doctor) unread(area, thing string, err error) {
	if refused(err) {
		d.find(area, thing, Warning,
			"give it the stack's OperatorPolicyArn, or have somebody run doctor who has it", "not looked at: %s may not (%s)", d.who, reason(err))
		return
	}
	d.find(area, thing, Problem,
		orDefault(hint(err), "try again; if it stays so, check region, network and endpoint"), "cannot be looked at: %s", reason(err))
}

// setUp is what to do about what is missing.
const setUp = "run `stampmill setup` or deploy deploy/cloudformation/stampmill.yaml; " +
	"if the installation is elsewhere, set STAMPMILL_PREFIX, AWS_REGION or AWS_PROFILE"

// refused reports whether IAM said no.
func refused(err error) bool {
	return codeIs(err, "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "Forbidden", "AuthorizationError")
}

func codeIs(err error, codes ...string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if strings.EqualFold(api.ErrorCode(), code) {
			return true
		}
	}
	return false
}

// classified is what AWS answered, whatever was wrapped around it.
func classified(err error) (*jobs.Error, bool) {
	if op, ok := errors.AsType[*smithy.OperationError](err); ok {
		err = op
	}
	return errors.AsType[*jobs.Error](awserr.From(err, ""))
}

// reason is an error in few words.
func reason(err error) string {
	if known, ok := classified(err); ok {
		return strings.Join(slices.DeleteFunc([]string{known.Op, known.Code, known.Message}, func(s string) bool { return s == "" }), ": ")
	}
	return err.Error()
}

func hint(err error) string {
	if known, ok := classified(err); ok {
		return known.Hint
	}
	return ""
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

func whereOf(t jobs.Target, own string) string {
	if t.Region == "" {
		t.Region = own
	}
	return t.String()
}
