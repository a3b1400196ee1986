package doctor

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/stampmill/stampmill/internal/jobs"
)

// looker is the clients of one account and region, which cannot change anything.
type looker struct {
	target   jobs.Target
	where    string
	dynamodb *dynamodb.Client
	ec2      *ec2.Client
	elbv2    *elasticloadbalancingv2.Client
	events   *eventbridge.Client
	iam      *iam.Client
	s3       *s3.Client
	sqs      *sqs.Client
	ssm      *ssm.Client
	sts      *sts.Client
}

// look makes the clients of a target. Each call of theirs passes the guard, and tells the clock when it was answered.
func (d *doctor) look(target jobs.Target) *looker {
	own := d.Clients.For(target)
	around := func(options *[]func(*middleware.Stack) error) {
		*options = append(*options, guard, d.clock.watch)
	}
	return &looker{
		target: target, where: whereOf(target, own.Region),
		dynamodb: dynamodb.New(own.DynamoDB.Options(), func(o *dynamodb.Options) { around(&o.APIOptions) }),
		ec2:      ec2.New(own.EC2.Options(), func(o *ec2.Options) { around(&o.APIOptions) }),
		elbv2:    elasticloadbalancingv2.New(own.ELBv2.Options(), func(o *elasticloadbalancingv2.Options) { around(&o.APIOptions) }),
		events:   eventbridge.New(own.Events.Options(), func(o *eventbridge.Options) { around(&o.APIOptions) }),
		iam:      iam.New(own.IAM.Options(), func(o *iam.Options) { around(&o.APIOptions) }),
		s3:       s3.New(own.S3.Options(), func(o *s3.Options) { around(&o.APIOptions) }),
		sqs:      sqs.New(own.SQS.Options(), func(o *sqs.Options) { around(&o.APIOptions) }),
		ssm:      ssm.New(own.SSM.Options(), func(o *ssm.Options) { around(&o.APIOptions) }),
		sts:      sts.New(own.STS.Options(), func(o *sts.Options) { around(&o.APIOptions) }),
	}
}

// reads begin the names of calls that change nothing.
var reads = []string{"Describe", "Get", "List", "Head"}

// guard refuses every call that is neither a read nor a dry run, before anything is sent.
func guard(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("StampmillLookOnly",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error,
		) {
			if name := awsmiddleware.GetOperationName(ctx); !harmless(name, in.Parameters) {
				return middleware.InitializeOutput{}, middleware.Metadata{}, fmt.Errorf("doctor only looks, and %s would change something", name)
			}
			return next.HandleInitialize(ctx, in)
		}), middleware.After)
}

func harmless(operation string, parameters any) bool {
	for _, prefix := range reads {
		if strings.HasPrefix(operation, prefix) {
			return true
		}
	}
	input := reflect.Indirect(reflect.ValueOf(parameters))
	if input.Kind() != reflect.Struct {
		return false
	}
	field := input.FieldByName("DryRun")
	if !field.IsValid() {
		return false
	}
	dry, ok := reflect.TypeAssert[*bool](field)
	return ok && dry != nil && *dry
}

// watch notes by how much each answer's time differs from ours.
func (c *clock) watch(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("StampmillClock",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error,
		) {
			before := time.Now()
			out, metadata, err := next.HandleInitialize(ctx, in)
			if at, ok := serverTime(metadata, err); ok {
				c.note(before, time.Now(), at)
			}
			return out, metadata, err
		}), middleware.After)
}
