package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/stampmill/stampmill/internal/aws/setup"
)

const templateFile = "../deploy/cloudformation/stampmill.yaml"

// stack is the CloudFormation template, deployed.
type stack struct {
	name string
	api  *cloudformation.Client
}

// deploy makes the installation of that prefix by the template, as a person would who has an account.
func deploy(ctx context.Context, prefix string) (*stack, error) {
	template, err := os.ReadFile(templateFile)
	if err != nil {
		return nil, err
	}
	address := endpoint
	if address == "" {
		address = os.Getenv("AWS_ENDPOINT_URL")
	}
	s := &stack{name: prefix, api: cloudformation.New(cloudformation.Options{Region: region, BaseEndpoint: &address,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})}
	_, err = s.api.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: &s.name, TemplateBody: aws.String(string(template)),
		Capabilities: []types.Capability{types.CapabilityCapabilityIam},
		Parameters:   parameters(prefix)})
	if err != nil {
		return nil, fmt.Errorf("create stack %s: %w", s.name, err)
	}
	waiter := cloudformation.NewStackCreateCompleteWaiter(s.api, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = 500*time.Millisecond, time.Second
	})
	if err := waiter.Wait(ctx, s.described(), 3*time.Minute); err != nil {
		return nil, errors.Join(fmt.Errorf("stack %s: %w", s.name, err), s.failures(ctx))
	}
	return s, nil
}

// parameters name roles, keys and launch templates on moto, which leaves null in the policies where AWS leaves a statement out, and refuses
// them then. Elsewhere they are what a person gives first: nothing but the names.
func parameters(prefix string) []types.Parameter {
	values := map[string]string{"Prefix": prefix, "Installation": prefix}
	if endpointName() == independent {
		values["PassRoleArns"] = "arn:aws:iam::123456789012:role/server"
		values["AssumeRoleArns"] = "arn:aws:iam::123456789012:role/other"
		values["GroupTemplateArns"] = "arn:aws:ec2:" + region + ":123456789012:launch-template/lt-1"
		values["KmsKeyArns"] = "arn:aws:kms:" + region + ":123456789012:key/one"
	}
	var list []types.Parameter
	for name, value := range values {
		list = append(list, types.Parameter{ParameterKey: aws.String(name), ParameterValue: aws.String(value)})
	}
	return list
}

func (s *stack) described() *cloudformation.DescribeStacksInput {
	return &cloudformation.DescribeStacksInput{StackName: &s.name}
}

// failures says which resources were not made, and why.
func (s *stack) failures(ctx context.Context) error {
	out, err := s.api.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: &s.name})
	if err != nil {
		return err
	}
	for _, e := range out.StackEvents {
		if e.ResourceStatus == types.ResourceStatusCreateFailed {
			err = errors.Join(err, fmt.Errorf("%s: %s", aws.ToString(e.LogicalResourceId), aws.ToString(e.ResourceStatusReason)))
		}
	}
	return err
}

// resources gives the stack's resources, the physical by the logical id, all of which must be complete.
func (s *stack) resources(ctx context.Context) (map[string]string, error) {
	out, err := s.api.DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: &s.name})
	if err != nil {
		return nil, err
	}
	made := map[string]string{}
	for _, r := range out.StackResources {
		if r.ResourceStatus != types.ResourceStatusCreateComplete {
			return nil, fmt.Errorf("%s is %s", aws.ToString(r.LogicalResourceId), r.ResourceStatus)
		}
		made[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
	}
	return made, nil
}

func (s *stack) outputs(ctx context.Context) (map[string]string, error) {
	out, err := s.api.DescribeStacks(ctx, s.described())
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		values[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return values, nil
}

// remove deletes the stack.
func (s *stack) remove(ctx context.Context) error {
	if _, err := s.api.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &s.name}); err != nil {
		return err
	}
	waiter := cloudformation.NewStackDeleteCompleteWaiter(s.api, func(o *cloudformation.StackDeleteCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = 500*time.Millisecond, time.Second
	})
	return waiter.Wait(ctx, s.described(), 3*time.Minute)
}

// whole is an environment in which one endpoint serves all: where the template is deployed, it makes its own queues and tables.
func whole(environment []string) []string {
	return append(slices.Clone(environment), "AWS_ENDPOINT_URL_SQS=", "AWS_ENDPOINT_URL_DYNAMODB=")
}

func TestTheTemplateMakesWhatSetupMakes(t *testing.T) {
	t.Parallel()
	unserved(t, map[string]string{embedded: "there is no CloudFormation"})
	m := bareMill(t)
	m.settings = whole(m.settings)
	s, err := deploy(t.Context(), m.prefix)
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.resources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	values, err := s.outputs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Prefix": m.prefix, "Installation": m.prefix, "BucketName": made["Bucket"],
		"NormalQueueUrl": made["NormalQueue"], "WorkerPolicyArn": made["WorkerPolicy"]} {
		if value == "" || values[name] != value {
			t.Errorf("output %s is %q, expected %q; the stack made %v", name, values[name], value, made)
		}
	}
	if endpointName() == localstack { // elsewhere the test's own sight is of another service's queues and tables
		m.open()
		m.checkQueues()
		m.checkTables() // not the bucket: LocalStack's CloudFormation passes over its lifecycle
	}
	if missing := m.missing(); len(missing) > 0 {
		t.Errorf("the template did not make %v; it made %v", missing, made)
	}
	if err := s.remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	var gone []string
	for _, q := range setup.Queues(m.prefix) {
		gone = append(gone, q.Name)
	}
	for _, rule := range setup.Rules(m.prefix) {
		gone = append(gone, rule.Name)
	}
	if missing := m.missing(); !slices.Equal(missing, slices.Sorted(slices.Values(gone))) {
		t.Errorf("the stack's removal took %v, expected %v: tables and bucket stay", missing, gone)
	}
}

// missing makes what is missing of the installation, and gives its names.
func (m *mill) missing() []string {
	m.t.Helper()
	var names []string
	for _, thing := range show[[]struct {
		Name string
		Made bool
	}](m, "setup") {
		if thing.Made {
			names = append(names, thing.Name)
		}
	}
	slices.Sort(names)
	return names
}
