// Package events puts events on EventBridge's buses.
package events

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

// Source is what our events say they come from.
const Source = "stampmill"

// Service puts events in the worker's own name, in each bus's region. It is safe for concurrent use.
type Service struct{ clients *clients.Clients }

// New makes the service.
func New(c *clients.Clients) *Service { return &Service{c} }

// Put puts one event on the bus, which is named by its ARN. What the bus refuses of a request that was taken is an error too.
func (s *Service) Put(ctx context.Context, bus, detailType, detail string) error {
	part := strings.Split(bus, ":") // arn:aws:events:REGION:ACCOUNT:event-bus/NAME
	if len(part) != 6 {
		return jobs.Fatalf("put an event", bus, "it is no event bus's ARN", "write arn:aws:events:REGION:ACCOUNT:event-bus/NAME")
	}
	out, err := s.clients.For(jobs.Target{Region: part[3]}).Events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: aws.String(bus), Source: aws.String(Source), DetailType: aws.String(detailType), Detail: aws.String(detail),
	}}})
	if err != nil || out.FailedEntryCount == 0 {
		return awserr.From(err, bus)
	}
	for _, entry := range out.Entries {
		if code := aws.ToString(entry.ErrorCode); code != "" {
			return awserr.From(&smithy.OperationError{ServiceID: "EventBridge", OperationName: "PutEvents",
				Err: &smithy.GenericAPIError{Code: code, Message: aws.ToString(entry.ErrorMessage)}}, bus)
		}
	}
	return jobs.Fatalf("put an event", bus, "EventBridge refused it and did not say why", "")
}
