package doctor

import (
	"context"
	"time"
)

// workers tells by the leases of sweeper and reaper whether any worker is alive: each of them takes a lease that it has to renew.
func (d *doctor) workers(ctx context.Context) {
	for _, part := range []struct {
		lease, does, stays string
		never              Level
		do                 string
	}{
		{"sweeper", "sweeps", "jobs that wait for more than 15 minutes stay asleep", Problem,
			"start stampmill-worker with the same STAMPMILL_PREFIX, region and account; its log begins with `working`; then `stampmill ping`"},
		{"reaper", "reaps", "what crashes leave stays, and costs", Warning,
			"a worker begins to reap STAMPMILL_REAP_INTERVAL (10 minutes) after its start; 0 switches it off: then `stampmill orphans` removes by hand"},
	} {
		owner, until, err := d.Holder(ctx, part.lease)
		over := time.Since(until)
		switch {
		case codeIs(err, noTable): // told of the tables
		case err != nil:
			d.unread("workers", part.lease, err)
		case owner == "":
			d.find("workers", part.lease, part.never, part.do, "no worker has ever held the lease: nobody %s, so %s", part.does, part.stays)
		case over > allowedSkew:
			d.find("workers", part.lease, part.never, part.do,
				"nobody %s since %s: %s does so no more, and %s", part.does, until.UTC().Format(time.RFC3339), owner, part.stays)
		default:
			d.ok("workers", part.lease, "%s %s", owner, part.does)
		}
	}
}
