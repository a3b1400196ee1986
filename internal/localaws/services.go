package localaws

import (
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
)

// newServices makes all services; one that asks another comes after it.
func newServices(env *api.Env) ([]api.Service, error) {
	queues, err := sqs.New(env)
	if err != nil {
		return nil, err
	}
	return []api.Service{queues}, nil
}
