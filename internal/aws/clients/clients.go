// Package clients builds the SDK's clients, once for each target: the account by its role, and the region.
//
// Every client behaves in the same way. A call ends after a time-out, is refused when the caller's lease does not outlast
// it, is told to an observer, and is repeated once at most, at once, and only where the network failed. All other retries
// are waits of the job: the SDK's own would drain the throttling buckets behind the budgets' back.
package clients

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/stampmill/stampmill/internal/jobs"
)

// DefaultTimeout bounds a call that moves little, UploadTimeout one that moves a file.
const (
	DefaultTimeout = 10 * time.Second
	UploadTimeout  = 30 * time.Second
)

// Config says how clients are built. The zero value takes all from the environment, as the AWS CLI does: region,
// credentials, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICE.
type Config struct {
	// Region is the worker's own; empty: the environment's.
	Region string
	// Endpoint replaces AWS's addresses; empty: the environment's.
	Endpoint string
	// Credentials, if not nil, replace the environment's.
	Credentials aws.CredentialsProvider
	// Transport, if not nil, carries the requests: the embedded endpoint in process, for simulation. Then nothing is taken
	// from the environment.
	Transport http.RoundTripper
	// Timeout bounds a call; 0 is DefaultTimeout.
	Timeout time.Duration
	// Version goes into the user agent: stampmill/VERSION.
	Version string
	// Observe, if not nil, is told each call when it has ended, with the SDK's names: EC2, RunInstances. It must be quick
	// and safe for concurrent use.
	Observe Observer
}

// Observer is told of a call that has ended.
type Observer func(service, op string, err error, d time.Duration)

// Clients builds and keeps clients. It is safe for concurrent use.
type Clients struct {
	base     aws.Config
	endpoint bool

	mu      sync.Mutex
	roles   map[string]aws.CredentialsProvider
	targets map[jobs.Target]*Regional
}

// Regional is the clients of one account and region.
type Regional struct {
	Target   jobs.Target
	Region   string
	Alarms   *cloudwatch.Client
	Groups   *autoscaling.Client
	DynamoDB *dynamodb.Client
	EC2      *ec2.Client
	ELBv2    *elasticloadbalancingv2.Client
	Events   *eventbridge.Client
	IAM      *iam.Client
	Quotas   *servicequotas.Client
	S3       *s3.Client
	SNS      *sns.Client
	SQS      *sqs.Client
	SSM      *ssm.Client
	STS      *sts.Client
}

// New reads the environment and the configuration. It calls nobody.
func New(c Config) (*Clients, error) {
	base, err := c.base()
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	if base.Region == "" {
		return nil, fmt.Errorf("AWS configuration: no region: set AWS_REGION, or region in ~/.aws/config")
	}
	base.HTTPClient = memoryBodies{base.HTTPClient}
	if c.Endpoint != "" {
		base.BaseEndpoint = aws.String(c.Endpoint)
	}
	base.RetryMaxAttempts = 0 // AWS_MAX_ATTEMPTS would widen what newRetryer narrows
	base.Retryer = newRetryer
	call := &call{timeout: c.Timeout, observe: c.Observe}
	if call.timeout <= 0 {
		call.timeout = DefaultTimeout
	}
	version := c.Version
	if version == "" {
		version = "unknown"
	}
	base.APIOptions = append(base.APIOptions, call.add, middleware.AddUserAgentKeyValue("stampmill", version))
	return &Clients{
		base:     base,
		endpoint: ownEndpoint(base),
		roles:    map[string]aws.CredentialsProvider{},
		targets:  map[jobs.Target]*Regional{},
	}, nil
}

// base is the SDK's configuration. A transport that is given leads to one endpoint, whose region and credentials are given
// with it: what the environment says of others, certificates and profiles, is not read.
func (c Config) base() (aws.Config, error) {
	if c.Transport != nil {
		carrier := &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
		return aws.Config{Region: c.Region, Credentials: c.Credentials, HTTPClient: carrier, Logger: logging.Nop{}}, nil
	}
	pooled := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 512
		t.MaxIdleConnsPerHost = 128
	})
	// The SDK's own log speaks of what it tries next; what fails comes back as an error.
	options := []func(*config.LoadOptions) error{config.WithHTTPClient(pooled), config.WithLogger(logging.Nop{})}
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.Credentials != nil {
		options = append(options, config.WithCredentialsProvider(c.Credentials))
	}
	return config.LoadDefaultConfig(context.Background(), options...)
}

// Region is the worker's own region.
func (c *Clients) Region() string { return c.base.Region }

// For gives the target's clients. An empty role is the worker's own account, an empty region its own region.
func (c *Clients) For(target jobs.Target) *Regional {
	if target.Region == "" {
		target.Region = c.base.Region
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.targets[target]; ok {
		return r
	}
	cfg := c.base.Copy()
	cfg.Region = target.Region
	if target.Role != "" {
		cfg.Credentials = c.assumed(target.Role)
	}
	r := &Regional{
		Target:   target,
		Region:   target.Region,
		Alarms:   cloudwatch.NewFromConfig(cfg),
		Groups:   autoscaling.NewFromConfig(cfg),
		DynamoDB: dynamodb.NewFromConfig(cfg),
		EC2:      ec2.NewFromConfig(cfg),
		ELBv2:    elasticloadbalancingv2.NewFromConfig(cfg),
		Events:   eventbridge.NewFromConfig(cfg),
		IAM:      iam.NewFromConfig(cfg),
		Quotas:   servicequotas.NewFromConfig(cfg),
		S3: s3.NewFromConfig(cfg, func(o *s3.Options) {
			o.UsePathStyle = c.endpoint
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}),
		SNS: sns.NewFromConfig(cfg),
		SQS: sqs.NewFromConfig(cfg),
		SSM: ssm.NewFromConfig(cfg),
		STS: sts.NewFromConfig(cfg),
	}
	c.targets[target] = r
	return r
}

// assumed gives the role's credentials, one session for all regions.
func (c *Clients) assumed(role string) aws.CredentialsProvider {
	if p, ok := c.roles[role]; ok {
		return p
	}
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(c.base), role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "stampmill"
	})
	p := aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 5 * time.Minute })
	c.roles[role] = p
	return p
}

// ownEndpoint reports whether S3 is somewhere else than at AWS: buckets then stand in the path, not in the host's name.
func ownEndpoint(base aws.Config) bool {
	return base.BaseEndpoint != nil || os.Getenv("AWS_ENDPOINT_URL") != "" || os.Getenv("AWS_ENDPOINT_URL_S3") != ""
}

// newRetryer repeats a call once, soon, and only where the network failed.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 2
		o.Retryables = []retry.IsErrorRetryable{retry.NoRetryCanceledError{}, retry.RetryableConnectionError{}}
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 50 * time.Millisecond, nil })
	})
}
