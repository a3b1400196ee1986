package localaws

import (
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/dynamodb"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/elbv2"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/s3"
	"github.com/stampmill/stampmill/internal/localaws/secretsmanager"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
	"github.com/stampmill/stampmill/internal/localaws/sts"
)

// newServices makes all services; one that asks another comes after it.
func (s *Server) newServices() ([]api.Service, error) {
	queues, err := sqs.New(s.env)
	if err != nil {
		return nil, err
	}
	if s.events, err = newEvents(s.env, queues); err != nil {
		return nil, err
	}
	s.env.Emit = s.events.emit
	tables, err := dynamodb.New(s.env)
	if err != nil {
		return nil, err
	}
	options := s.config.EC2
	options.Buckets = !s.config.Unlimited
	servers, err := ec2.New(s.env, machine.NewHost(s.config.Machines...), options)
	if err != nil {
		return nil, err
	}
	balancers, err := elbv2.New(s.env, servers)
	if err != nil {
		return nil, err
	}
	objects, err := s3.New(s.env)
	if err != nil {
		return nil, err
	}
	secrets, err := secretsmanager.New(s.env)
	if err != nil {
		return nil, err
	}
	tokens, err := sts.New(s.env)
	if err != nil {
		return nil, err
	}
	return []api.Service{queues, tables, objects, secrets, tokens, servers, balancers}, nil
}
