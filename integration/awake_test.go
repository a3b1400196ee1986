package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

// amazonLinuxParameter names the newest Amazon Linux, on AWS as on every endpoint.
const amazonLinuxParameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"

// linux is the endpoint's Amazon Linux, once it is awake.
var linux string

var awaken = sync.OnceValue(func() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	sdk, err := clients.New(clients.Config{Region: region, Endpoint: endpoint, Timeout: time.Minute,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if err != nil {
		return err
	}
	own := sdk.For(jobs.Target{})
	for service, ask := range map[string]func() error{
		"STS":      func() error { _, err := own.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); return err },
		"SQS":      func() error { _, err := own.SQS.ListQueues(ctx, &sqs.ListQueuesInput{}); return err },
		"S3":       func() error { _, err := own.S3.ListBuckets(ctx, &s3.ListBucketsInput{}); return err },
		"DynamoDB": func() error { _, err := own.DynamoDB.ListTables(ctx, &dynamodb.ListTablesInput{}); return err },
		"EC2": func() error {
			name := amazonLinuxParameter
			parameter, err := own.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
			if err != nil {
				return err
			}
			linux = *parameter.Parameter.Value
			_, err = own.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{linux}})
			return err
		},
	} {
		for err := ask(); err != nil; err = ask() {
			if ctx.Err() != nil {
				return fmt.Errorf("%s of the endpoint %s does not answer: %w", service, endpointName(), err)
			}
		}
	}
	return nil
})

// awake waits until every service of the endpoint answers. Some load what they serve at the first question, for longer
// than a worker's call may take.
func awake(t *testing.T) {
	t.Helper()
	if err := awaken(); err != nil {
		t.Fatal(err)
	}
}
