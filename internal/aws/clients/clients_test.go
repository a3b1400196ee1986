package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stampmill/stampmill/internal/jobs"
)

// wire answers requests in process and remembers them.
type wire struct {
	mu     sync.Mutex
	bodies []string
	agents []string
	answer func(n int, body string, r *http.Request) (status int, text string, err error)
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	w.bodies, w.agents = append(w.bodies, string(body)), append(w.agents, r.Header.Get("User-Agent"))
	n := len(w.bodies)
	w.mu.Unlock()
	status, text, err := w.answer(n, string(body), r)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r,
	}, nil
}

func made(t *testing.T, w *wire, change func(*Config)) *Clients {
	t.Helper()
	config := Config{
		Region: "eu-west-1", Endpoint: "http://aws.test", Transport: w, Version: "1.2.3",
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
	}
	if change != nil {
		change(&config)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func refusal(code string) string {
	return "<Response><Errors><Error><Code>" + code + "</Code><Message>words</Message></Error></Errors><RequestID>1</RequestID></Response>"
}

func TestOnlyANetworkFaultIsRepeatedAndOnlyOnce(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	for name, c := range map[string]struct {
		answer func(n int, body string, r *http.Request) (int, string, error)
		calls  int
		fails  bool
	}{
		"a throttle": {func(int, string, *http.Request) (int, string, error) {
			return 503, refusal("RequestLimitExceeded"), nil
		}, 1, true},
		"an internal error": {func(int, string, *http.Request) (int, string, error) { return 500, refusal("InternalError"), nil }, 1, true},
		"a lasting reset":   {func(int, string, *http.Request) (int, string, error) { return 0, "", reset }, 2, true},
		"a reset, then answers": {func(n int, _ string, _ *http.Request) (int, string, error) {
			if n == 1 {
				return 0, "", reset
			}
			return 200, "<StopInstancesResponse/>", nil
		}, 2, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{answer: c.answer}
			_, err := made(t, w, nil).For(jobs.Target{}).EC2.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{"i-1"}})
			if len(w.bodies) != c.calls || (err != nil) != c.fails {
				t.Errorf("%s: %d calls, %v; expected %d", name, len(w.bodies), err, c.calls)
			}
		})
	}
}

func TestACallEndsAfterItsTimeoutAndALongPollAfterItsWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: func(_ int, _ string, r *http.Request) (int, string, error) {
			<-r.Context().Done()
			return 0, "", r.Context().Err()
		}}
		regional := made(t, w, nil).For(jobs.Target{})
		for name, c := range map[string]struct {
			call  func(ctx context.Context) error
			takes time.Duration
		}{
			"a call": {func(ctx context.Context) error {
				_, err := regional.EC2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
				return err
			}, DefaultTimeout},
			"a large one": {func(ctx context.Context) error {
				_, err := regional.EC2.DescribeInstances(WithTimeout(ctx, UploadTimeout), &ec2.DescribeInstancesInput{})
				return err
			}, UploadTimeout},
			"a long poll": {func(ctx context.Context) error {
				_, err := regional.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String("http://aws.test/1/q"), WaitTimeSeconds: 20})
				return err
			}, 20*time.Second + DefaultTimeout},
		} {
			begun := time.Now()
			if err := c.call(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != c.takes {
				t.Errorf("%s ended after %v with %v; expected %v", name, time.Since(begun), err, c.takes)
			}
		}
	})
}

func TestTheObserverIsToldOfEachCall(t *testing.T) {
	t.Parallel()
	w := &wire{answer: func(int, string, *http.Request) (int, string, error) { return 400, refusal("AuthFailure"), nil }}
	var told string
	c := made(t, w, func(c *Config) {
		c.Observe = func(service, op string, err error, _ time.Duration) {
			told = fmt.Sprint(service, " ", op, " ", err != nil)
		}
	})
	if _, err := c.For(jobs.Target{}).EC2.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{"i-1"}}); err == nil {
		t.Error("the refusal is lost")
	}
	if told != "EC2 StopInstances true" {
		t.Errorf("told %q", told)
	}
	if !strings.Contains(w.agents[0], "stampmill/1.2.3") {
		t.Errorf("user agent %q", w.agents[0])
	}
}

func TestATargetsClientsAreBuiltOnceAndARoleIsAssumedOnceForAllRegions(t *testing.T) {
	t.Parallel()
	var regions sync.Map
	w := &wire{answer: func(_ int, body string, r *http.Request) (int, string, error) {
		if strings.Contains(body, "Action=AssumeRole") {
			return 200, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>AKIDROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>` +
				`<SessionToken>t</SessionToken><Expiration>` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, nil
		}
		regions.Store(r.Header.Get("Authorization")[:60], true)
		return 200, "<DescribeInstancesResponse/>", nil
	}}
	c := made(t, w, nil)
	role := jobs.Target{Role: "arn:aws:iam::210987654321:role/stampmill"}
	first, second := c.For(role), c.For(role)
	if first != second || c.For(jobs.Target{}) != c.For(jobs.Target{Region: "eu-west-1"}) {
		t.Error("a target's clients were built twice")
	}
	var callers sync.WaitGroup
	for i := range 20 {
		callers.Go(func() {
			region := []string{"eu-west-1", "us-east-1"}[i%2]
			if _, err := c.For(role.In(region)).EC2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{}); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	assumed := 0
	for _, body := range w.bodies {
		if strings.Contains(body, "Action=AssumeRole") {
			assumed++
		}
	}
	if assumed != 1 {
		t.Errorf("the role was assumed %d times", assumed)
	}
	regions.Range(func(scope, _ any) bool {
		if !strings.Contains(scope.(string), "AKIDROLE") {
			t.Errorf("signed as %s", scope)
		}
		return true
	})
}

func TestWithoutARegionThePersonIsToldWhatToSet(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("got %v", err)
	}
}
