package app

import (
	"context"
	"strings"

	"github.com/stampmill/stampmill/internal/aws/events"
	"github.com/stampmill/stampmill/internal/aws/sns"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/notify"
)

// carrier takes notifications to where their addresses say: SNS topics, event buses, and by HTTP to all others.
type carrier struct {
	topics *sns.Service
	buses  *events.Service
	http   notify.Callback
}

// carrier is around the callback that the app was made with.
func (a *App) carrier() notify.Callback {
	if already, ok := a.Callback.(*carrier); ok {
		return already
	}
	return &carrier{sns.New(a.Clients), events.New(a.Clients), a.Callback}
}

// Post implements notify.Callback.
func (c *carrier) Post(ctx context.Context, address, id string, body []byte) error {
	switch {
	case strings.HasPrefix(address, "arn:") && strings.Contains(address, ":sns:"):
		return c.topics.Publish(ctx, address, id, notify.Subject, string(body))
	case strings.HasPrefix(address, "arn:"):
		return c.buses.Put(ctx, address, notify.Subject, string(body))
	case c.http == nil:
		return jobs.Fatalf("notify", address, "this process posts nothing", "")
	}
	return c.http.Post(ctx, address, id, body)
}
