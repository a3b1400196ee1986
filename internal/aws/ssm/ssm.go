// Package ssm is Systems Manager as the kinds need it: commands on servers, which servers have an agent that answers, and
// parameters.
//
// SendCommand has no token and nothing to look up by, so a repeated one runs again: the script itself must remember.
package ssm

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/batch"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// What one call takes.
const (
	idsPerCall      = 50 // aws-facts "SSM Run Command"
	commentLength   = 100
	minimumDelivery = 30 * time.Second
)

// Service gives regions.
type Service struct {
	clients *clients.Clients
	mu      sync.Mutex
	regions map[jobs.Target]*Region
}

// New makes the service.
func New(clients *clients.Clients) *Service {
	return &Service{clients: clients, regions: map[jobs.Target]*Region{}}
}

// For is the target's region; the same one for all its callers, so that they share calls.
func (s *Service) For(target jobs.Target) *Region {
	regional := s.clients.For(target)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.regions[regional.Target]
	if !ok {
		r = &Region{client: regional.SSM}
		shared := batch.Options{Size: idsPerCall, Along: idsPerCall, Fresh: jobs.KnowsNews, Blames: awserr.IsAboutOne}
		r.managed = batch.New(shared, r.fetchManaged)
		r.running = batch.New(shared, r.fetchRunning)
		s.regions[regional.Target] = r
	}
	return r
}

// Region is SSM in one account and region. It is safe for concurrent use.
type Region struct {
	client  *ssm.Client
	managed *batch.Batcher[string, c.ManagedInstance]
	running *batch.Batcher[invocation, string]
}

// Send starts a command on up to 50 servers.
func (r *Region) Send(ctx context.Context, command c.Command) (commandID string, err error) {
	if len(command.InstanceIDs) == 0 || len(command.InstanceIDs) > idsPerCall {
		return "", jobs.Fatalf("ssm SendCommand", "", strconv.Itoa(len(command.InstanceIDs))+" instances", "give 1 to 50")
	}
	document := "AWS-RunShellScript"
	if command.Shell == "powershell" {
		document = "AWS-RunPowerShellScript"
	}
	parameters := map[string][]string{"commands": {command.Script}}
	if command.Timeout > 0 {
		parameters["executionTimeout"] = []string{strconv.Itoa(seconds(command.Timeout))}
	}
	in := &ssm.SendCommandInput{
		DocumentName:       aws.String(document),
		InstanceIds:        command.InstanceIDs,
		Parameters:         parameters,
		OutputS3BucketName: optional(command.OutputBucket),
		OutputS3KeyPrefix:  optional(command.OutputPrefix),
		Comment:            optional(command.Comment[:min(len(command.Comment), commentLength)]),
	}
	if command.DeliveryTimeout > 0 {
		in.TimeoutSeconds = aws.Int32(int32(seconds(max(command.DeliveryTimeout, minimumDelivery))))
	}
	if len(command.InstanceIDs) > 1 { // a server that fails keeps the command from none of the others
		in.MaxConcurrency, in.MaxErrors = aws.String("100%"), aws.String("100%")
	}
	out, err := r.client.SendCommand(ctx, in)
	if err != nil {
		return "", awserr.From(err, command.InstanceIDs[0])
	}
	if out.Command == nil {
		return "", &jobs.Error{Class: jobs.Retry, Op: "ssm SendCommand", Thing: command.InstanceIDs[0], Message: "the answer has no command", Ambiguous: true}
	}
	return aws.ToString(out.Command.CommandId), nil
}

// CancelCommand asks SSM to cancel the command on the servers, or on all of its. What runs may run on.
func (r *Region) CancelCommand(ctx context.Context, commandID string, instanceIDs ...string) error {
	_, err := r.client.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: aws.String(commandID), InstanceIds: instanceIDs})
	return awserr.From(err, commandID)
}

// Managed tells of the servers whose agent has registered; others are absent. Calls that come together share requests.
func (r *Region) Managed(ctx context.Context, instanceIDs ...string) (map[string]c.ManagedInstance, error) {
	if len(instanceIDs) == 0 {
		return map[string]c.ManagedInstance{}, nil
	}
	found, err := r.managed.Get(ctx, instanceIDs...)
	return found, awserr.From(err, instanceIDs[0])
}

func (r *Region) fetchManaged(ctx context.Context, ids []string) (map[string]c.ManagedInstance, error) {
	pages := ssm.NewDescribeInstanceInformationPaginator(r.client, &ssm.DescribeInstanceInformationInput{
		Filters:    []types.InstanceInformationStringFilter{{Key: aws.String("InstanceIds"), Values: ids}},
		MaxResults: aws.Int32(idsPerCall),
	})
	found := make(map[string]c.ManagedInstance, len(ids))
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awserr.From(err, ids[0])
		}
		for _, i := range page.InstanceInformationList {
			found[aws.ToString(i.InstanceId)] = c.ManagedInstance{
				InstanceID: aws.ToString(i.InstanceId),
				PingStatus: string(i.PingStatus),
				Platform:   string(i.PlatformType),
				LastPing:   aws.ToTime(i.LastPingDateTime),
			}
		}
	}
	return found, nil
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
