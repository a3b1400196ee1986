// Package sns publishes messages to SNS topics.
package sns

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

// Service publishes in the worker's own name, in each topic's region. It is safe for concurrent use.
type Service struct{ clients *clients.Clients }

// New makes the service.
func New(c *clients.Clients) *Service { return &Service{c} }

// Publish sends a message to the topic. Its id goes as the attribute "delivery": a repetition has the same.
func (s *Service) Publish(ctx context.Context, topic, id, subject, message string) error {
	part := strings.Split(topic, ":") // arn:aws:sns:REGION:ACCOUNT:NAME
	if len(part) != 6 {
		return jobs.Fatalf("publish", topic, "it is no topic's ARN", "write arn:aws:sns:REGION:ACCOUNT:NAME")
	}
	_, err := s.clients.For(jobs.Target{Region: part[3]}).SNS.Publish(ctx, &sns.PublishInput{
		TopicArn: aws.String(topic), Subject: aws.String(subject), Message: aws.String(message),
		MessageAttributes: map[string]types.MessageAttributeValue{"delivery": {DataType: aws.String("String"), StringValue: aws.String(id)}},
	})
	return awserr.From(err, topic)
}
