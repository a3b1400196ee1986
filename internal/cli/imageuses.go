package cli

import (
	"context"
	"fmt"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/catalog"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// imageUse is a fleet that runs a version, with its servers: a group's are counted at Auto Scaling.
type imageUse struct {
	catalog.FleetUse
	// Unknown says why the group could not be asked.
	Unknown string
}

func (u imageUse) size() string {
	if u.Unknown != "" {
		return "?"
	}
	return fmt.Sprint(u.Servers)
}

// usesOf are the fleets that run the version. A group that cannot be asked takes the others not along.
func usesOf(ctx context.Context, a *app.App, v ledger.Version) ([]imageUse, error) {
	running, err := catalog.Running(ctx, a.Ledger, v)
	if _, err := jobs.Unread(err); err != nil {
		return nil, err
	}
	uses := make([]imageUse, len(running))
	for i, use := range running {
		uses[i] = imageUse{FleetUse: use}
		if use.Group == "" {
			continue
		}
		size, err := a.GroupServers(ctx, use.Target, use.Group, v)
		if err != nil {
			uses[i].Unknown = err.Error()
		}
		uses[i].Servers = size
	}
	return uses, nil
}
