package rollout

import (
	"context"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Groups is EC2 Auto Scaling in one account and region.
type Groups interface {
	Group(ctx context.Context, name string) (cloud.Group, bool, error)
	// Refreshes are the newest, the newest first.
	Refreshes(ctx context.Context, group string) ([]cloud.Refresh, error)
	StartRefresh(ctx context.Context, request cloud.RefreshRequest) (id string, err error)
	CancelRefresh(ctx context.Context, group string) error
	// RollbackRefresh is false where AWS does not roll the refresh back.
	RollbackRefresh(ctx context.Context, group string) (begun bool, err error)
}

// Templates is EC2's launch templates in one account and region.
type Templates interface {
	TemplateVersion(ctx context.Context, template cloud.LaunchTemplate) (exists bool, imageID string, err error)
	AddTemplateVersion(ctx context.Context, template cloud.LaunchTemplate, sourceVersion, imageID, token, description string) (version string, err error)
}
