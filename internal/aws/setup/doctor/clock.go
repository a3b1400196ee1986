package doctor

import (
	"errors"
	"net/http"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// allowedSkew is by how much workers' clocks may differ (design.md, "The message protocol").
const allowedSkew = 5 * time.Second

// clock collects by how much this host's clock surely differs from AWS's.
type clock struct {
	mu     sync.Mutex
	worst  time.Duration // positive: this host is behind
	looked bool
}

// serverTime is the Date of an answer, an error's too.
func serverTime(metadata middleware.Metadata, err error) (time.Time, bool) {
	if at, ok := awsmiddleware.GetServerTime(metadata); ok {
		return at, true
	}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && response.Response != nil {
		at, err := http.ParseTime(response.Response.Header.Get("Date"))
		return at, err == nil
	}
	return time.Time{}, false
}

// note takes an answer that was given between before and after by our clock. Date tells whole seconds: what a second and the
// way there and back explain is no difference.
func (c *clock) note(before, after, server time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	skew := time.Duration(0)
	if ahead := server.Sub(after); ahead > 0 {
		skew = ahead
	} else if behind := before.Sub(server.Add(time.Second)); behind > 0 {
		skew = -behind
	}
	if !c.looked || skew.Abs() > c.worst.Abs() {
		c.worst = skew
	}
	c.looked = true
}

func (d *doctor) tellClock() {
	d.clock.mu.Lock()
	worst, looked := d.clock.worst, d.clock.looked
	d.clock.mu.Unlock()
	const thing = "this host"
	direction := "behind"
	if worst < 0 {
		direction = "ahead of"
	}
	off := worst.Abs().Round(100 * time.Millisecond)
	do := "set the clock: run chrony or systemd-timesyncd, on EC2 with 169.254.169.123; leases of workers whose clocks differ by more overlap"
	switch {
	case !looked:
		d.find("clock", thing, Warning, "", "no answer of AWS had a time to compare with")
	case off > allowedSkew:
		d.find("clock", thing, Problem, do, "the clock is %s %s AWS's; %s are allowed", off, direction, allowedSkew)
	case off > allowedSkew/2:
		d.find("clock", thing, Warning, do, "the clock is %s %s AWS's; %s are allowed", off, direction, allowedSkew)
	default:
		d.ok("clock", thing, "agrees with AWS's to about a second")
	}
}
