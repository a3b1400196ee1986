package localaws

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/autoscaling"
	"github.com/stampmill/stampmill/internal/localaws/cloudwatch"
	"github.com/stampmill/stampmill/internal/localaws/dynamodb"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/elbv2"
	"github.com/stampmill/stampmill/internal/localaws/eventbridge"
	"github.com/stampmill/stampmill/internal/localaws/iam"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/s3"
	"github.com/stampmill/stampmill/internal/localaws/secretsmanager"
	"github.com/stampmill/stampmill/internal/localaws/servicequotas"
	"github.com/stampmill/stampmill/internal/localaws/sns"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
	"github.com/stampmill/stampmill/internal/localaws/ssm"
	"github.com/stampmill/stampmill/internal/localaws/sts"
)

// newServices makes all services; one that asks another comes after it.
func (s *Server) newServices() ([]api.Service, error) {
	queues, err := sqs.New(s.env, s.config.SQS)
	if err != nil {
		return nil, err
	}
	identities, err := iam.New(s.env)
	if err != nil {
		return nil, err
	}
	if s.events, err = eventbridge.New(s.env, queues, identities, s.config.LoseEvent); err != nil {
		return nil, err
	}
	s.env.Emit = s.events.Emit
	tables, err := dynamodb.New(s.env)
	if err != nil {
		return nil, err
	}
	options := s.config.EC2
	options.Buckets = !s.config.Unlimited
	if options.ResolveParameter == nil {
		options.ResolveParameter = s.parameter
	}
	if options.ImageParameters == nil {
		options.ImageParameters = s.imageParameters
	}
	if options.ProfileARN == nil {
		options.ProfileARN = identities.ProfileARN
	}
	servers, err := ec2.New(s.env, machine.NewHost(s.config.Machines...), options)
	if err != nil {
		return nil, err
	}
	commands, err := ssm.New(s.env, servers)
	if err != nil {
		return nil, err
	}
	balancers, err := elbv2.New(s.env, servers)
	if err != nil {
		return nil, err
	}
	alarms, err := cloudwatch.New(s.env)
	if err != nil {
		return nil, err
	}
	groups, err := autoscaling.New(s.env, servers, balancers, alarms)
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
	quotas, err := servicequotas.New(s.env)
	if err != nil {
		return nil, err
	}
	topics, err := sns.New(s.env)
	if err != nil {
		return nil, err
	}
	return []api.Service{topics, quotas, identities, queues, s.events, tables, objects, secrets, tokens, servers, commands, balancers, alarms, groups}, nil
}

// imageParameters are the account's parameters of the type aws:ec2:image.
func (s *Server) imageParameters(account, region string) map[string]string {
	return s.services["ssm"].(*ssm.Service).ImageParameters(account, region)
}

// parameter asks SSM for a parameter's value, for image ids of the form resolve:ssm:NAME.
func (s *Server) parameter(account, region, name string) (string, error) {
	body, err := json.Marshal(map[string]string{"Name": name})
	if err != nil {
		return "", err
	}
	hr, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.config.URL, http.NoBody)
	if err != nil {
		return "", err
	}
	a := &answer{header: http.Header{}, status: http.StatusOK}
	s.services["ssm"].ServeAWS(a, &api.Request{HTTP: hr, Body: body, Service: "ssm", Action: "GetParameter", Account: account, Region: region, ID: requestID()})
	if a.status != http.StatusOK {
		return "", api.Errorf("InvalidParameterValue", "resolve:ssm:%s: SSM answers %s", name, a.code)
	}
	var out struct{ Parameter struct{ Value string } }
	err = json.Unmarshal(a.body.Bytes(), &out)
	return out.Parameter.Value, err
}
