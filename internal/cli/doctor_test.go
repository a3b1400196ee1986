package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/localaws"
)

type finding struct{ Area, Thing, Level, Text, Do string }

// doctor runs doctor and gives what it found, with its exit code.
func (s *shell) doctor(args ...string) ([]finding, int) {
	s.t.Helper()
	a := s.run(append([]string{"doctor", "-o", "json"}, args...)...)
	var found []finding
	if err := json.Unmarshal([]byte(a.out), &found); err != nil {
		s.t.Fatalf("%v\n%s%s", err, a.out, a.err)
	}
	return found, a.code
}

// bad are the findings that are not ok. Point-in-time recovery is what setup leaves to CloudFormation.
func bad(found []finding) (rest []finding) {
	for _, f := range found {
		if f.Level != "ok" && !strings.Contains(f.Text, "point-in-time") {
			rest = append(rest, f)
		}
	}
	return rest
}

// spy passes requests on, after it has seen them; edit changes answers.
type spy struct {
	inner http.RoundTripper
	edit  func(action string, response *http.Response) *http.Response
	mu    sync.Mutex
	seen  map[string]bool // an action, with "dry " before it where it is a dry run
}

func (w *spy) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	action := actionOf(r, body)
	w.mu.Lock()
	w.seen[action] = true
	w.mu.Unlock()
	response, err := w.inner.RoundTrip(r)
	if err == nil && w.edit != nil {
		response = w.edit(action, response)
	}
	return response, err
}

func actionOf(r *http.Request, body []byte) string {
	if _, action, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return action
	}
	form, err := url.ParseQuery(string(body))
	if action := form.Get("Action"); err == nil && action != "" {
		if form.Get("DryRun") == "true" {
			return "dry " + action
		}
		return action
	}
	return "S3 " + r.Method
}

func (s *shell) spy(edit func(string, *http.Response) *http.Response) *spy {
	w := &spy{inner: s.Endpoint.RoundTripper(), edit: edit, seen: map[string]bool{}}
	s.transport = w
	return w
}

func (s *shell) events() *eventbridge.Client { return s.User.Clients.For(jobs.Target{}).Events }

// belongings makes something of each kind that rights are tried on.
func (s *shell) belongings() {
	s.t.Helper()
	tags := map[string]string{jobs.TagInstallation: "stampmill", jobs.TagThing: "image"}
	id := s.launch("token", tags, 1)[0]
	region, client := s.User.EC2.For(jobs.Target{}), s.User.Clients.For(jobs.Target{}).EC2
	if _, err := region.Capture(s.t.Context(), cloud.CaptureRequest{InstanceID: id, Name: "web-1", NoReboot: true, ImageTags: tags, SnapshotTags: tags}); err != nil {
		s.t.Fatal(err)
	}
	_, err := client.CreateVolume(s.t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1a"), Size: aws.Int32(8), TagSpecifications: []types.TagSpecification{
		{ResourceType: types.ResourceTypeVolume, Tags: []types.Tag{{Key: aws.String(jobs.TagInstallation), Value: aws.String("stampmill")}}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(30 * time.Minute)
}

func TestDoctorFindsNothingWrongWithAFreshSetUpAndChangesNothing(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		s.belongings()
		before := s.EC2().Inspect()
		s.must(cli.ExitOK, "ping")
		w := s.spy(nil)
		found, code := s.doctor("--worker", "--role", "arn:aws:iam::111122223333:role/stampmill", "--region", "us-east-1")
		for _, f := range bad(found) {
			if f.Area != "workers" || !strings.Contains(f.Thing, "reaper") { // this worker does not reap
				t.Errorf("found %+v", f)
			}
		}
		if code != cli.ExitOK {
			t.Errorf("ended with %d", code)
		}
		reads := regexp.MustCompile(`^(dry .*|(Describe|Get|List|Query|BatchGet)\w*|AssumeRole|S3 (GET|HEAD))$`)
		dry := 0
		for action := range w.seen {
			if !reads.MatchString(action) {
				t.Errorf("doctor called %s", action)
			}
			if strings.HasPrefix(action, "dry ") && !strings.HasPrefix(action, "dry Describe") {
				dry++
			}
		}
		if dry < 18 {
			t.Errorf("only %d changes were tried by dry runs: %v", dry, w.seen)
		}
		if after := s.EC2().Inspect(); len(after.Instances) != len(before.Instances) || len(after.Images) != len(before.Images) || len(after.Volumes) != len(before.Volumes) ||
			after.Instances[0].State != "running" {
			t.Errorf("before %+v\nafter %+v", before, after)
		}
		areas := map[string]bool{}
		for _, f := range found {
			areas[f.Area] = true
		}
		for _, area := range []string{"identity", "queues", "events", "tables", "bucket", "workers", "targets", "rights", "network", "clock"} {
			if !areas[area] {
				t.Errorf("nothing is said of %s", area)
			}
		}
	})
}

func TestDoctorSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, s *shell)
		args  []string
		level string
		area  string
		text  string
		do    string
	}{
		"a queue is missing": {func(t *testing.T, s *shell) {
			url := s.User.Queue.URL(jobs.LaneLow)
			fatal(t, ignore(s.User.SQS().DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &url})))
		}, nil, "problem", "queues", "no such queue", "stampmill setup"},
		"no redrive": {func(t *testing.T, s *shell) { s.set(jobs.LaneNormal, "RedrivePolicy", "") }, nil, "problem", "queues", "no redrive policy", "stampmill setup"},
		"visibility under the lease": {func(t *testing.T, s *shell) { s.set(jobs.LaneWake, "VisibilityTimeout", "60") }, nil,
			"problem", "queues", "visibility timeout is 1m0s, and a lease lasts 1m0s", "stampmill setup"},
		"another visibility": {func(t *testing.T, s *shell) { s.set(jobs.LaneWake, "VisibilityTimeout", "600") }, nil, "warning", "queues", "expected 1m30s", "stampmill setup"},
		"short retention":    {func(t *testing.T, s *shell) { s.set(jobs.LaneWake, "MessageRetentionPeriod", "3600") }, nil, "warning", "queues", "keeps messages for 1h0m0s", ""},
		"a delay":            {func(t *testing.T, s *shell) { s.set(jobs.LaneHigh, "DelaySeconds", "30") }, nil, "warning", "queues", "delays every message by 30s", ""},
		"not encrypted":      {func(t *testing.T, s *shell) { s.set(jobs.LaneHigh, "SqsManagedSseEnabled", "false") }, nil, "warning", "queues", "not encrypted", ""},
		"dead letters": {func(_ *testing.T, s *shell) { s.bury(jobs.LaneLow, "a", "{}", "no kind") }, nil,
			"warning", "queues", "1 dead letters", "stampmill dead list"},
		"a rule is missing": {func(t *testing.T, s *shell) {
			fatal(t, ignore(s.events().RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String("stampmill-images"), Ids: []string{setup.RuleTarget}})))
			fatal(t, ignore(s.events().DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: aws.String("stampmill-images")})))
		}, nil, "warning", "events", "no such rule", "stampmill setup"},
		"a rule without the wake queue": {func(t *testing.T, s *shell) {
			fatal(t, ignore(s.events().RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String("stampmill-commands"), Ids: []string{setup.RuleTarget}})))
		}, nil, "warning", "events", "none of its targets", "stampmill setup"},
		"a rule with another pattern": {func(t *testing.T, s *shell) {
			fatal(t, ignore(s.events().PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("stampmill-instances"), EventPattern: aws.String(`{"source":["aws.ec2"]}`)})))
		}, nil, "warning", "events", "its pattern is", "stampmill setup"},
		"a wake queue that takes no event": {func(t *testing.T, s *shell) { s.set(jobs.LaneWake, "Policy", "") }, nil,
			"warning", "events", "does not let it send", "stampmill setup"},
		"no TTL": {func(t *testing.T, s *shell) {
			fatal(t, ignore(s.User.DynamoDB().UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{TableName: aws.String("stampmill-jobs"),
				TimeToLiveSpecification: &ddb.TimeToLiveSpecification{AttributeName: aws.String("exp"), Enabled: aws.Bool(false)}})))
		}, nil, "problem", "tables", "time to live", "stampmill setup"},
		"an index is missing": {func(t *testing.T, s *shell) {
			fatal(t, ignore(s.User.DynamoDB().UpdateTable(t.Context(), &dynamodb.UpdateTableInput{TableName: aws.String("stampmill-jobs"),
				GlobalSecondaryIndexUpdates: []ddb.GlobalSecondaryIndexUpdate{{Delete: &ddb.DeleteGlobalSecondaryIndexAction{IndexName: aws.String("due")}}}})))
			time.Sleep(time.Hour)
		}, nil, "problem", "tables", "index is missing", "data-model.md"},
		"a table is missing": {func(t *testing.T, s *shell) {
			fatal(t, ignore(s.User.DynamoDB().DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String(setup.LedgerTable("stampmill"))})))
			time.Sleep(time.Minute)
		}, nil, "problem", "tables", "no such table", "stampmill setup"},
		"a public bucket": {func(t *testing.T, s *shell) {
			fatal(t, ignore(s.User.Clients.For(jobs.Target{}).S3.PutPublicAccessBlock(t.Context(), &s3.PutPublicAccessBlockInput{Bucket: &s.User.Bucket,
				PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true), IgnorePublicAcls: aws.Bool(true)}})))
		}, nil, "problem", "bucket", "blocked in part only", "stampmill setup"},
		"a bucket that forgets nothing": {func(t *testing.T, s *shell) {
			fatal(t, ignore(s.User.Clients.For(jobs.Target{}).S3.DeleteBucketLifecycle(t.Context(), &s3.DeleteBucketLifecycleInput{Bucket: &s.User.Bucket})))
		}, nil, "warning", "bucket", "nothing under launches/ expires", "stampmill setup"},
		"a right is missing": {func(_ *testing.T, s *shell) {
			s.belongings()
			s.fault(localaws.Rule{Action: "TerminateInstances", Code: "UnauthorizedOperation", Status: 403})
		}, nil,
			"problem", "rights", "may not ec2:TerminateInstances", "EC2PolicyArn"},
		"a person's rights": {func(_ *testing.T, s *shell) {
			s.belongings()
			s.spy(func(action string, r *http.Response) *http.Response {
				operators := action == "dry TerminateInstances" || action == "dry DeleteVolume" // as OperatorPolicy allows
				if strings.HasPrefix(action, "dry ") && !strings.HasPrefix(action, "dry Describe") && !strings.HasPrefix(action, "dry Get") && !operators {
					return answered(r, http.StatusForbidden, unauthorized)
				}
				return r
			})
		}, nil, "warning", "rights", "may not do what workers do", "doctor --worker"},
		"a worker without rights": {func(t *testing.T, s *shell) {
			s.fault(localaws.Rule{Service: "ec2", Contains: "DryRun=true", Code: "UnauthorizedOperation", Status: 403})
		}, []string{"--worker"}, "problem", "rights", "may not ec2:RunInstances", "EC2PolicyArn"},
		"dry runs that are not dry": {func(t *testing.T, s *shell) {
			s.spy(func(action string, r *http.Response) *http.Response {
				if action == "dry DescribeInstances" {
					return answered(r, http.StatusOK, `<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>`)
				}
				return r
			})
		}, nil, "warning", "rights", "does not know dry runs", ""},
		"what may not be looked at": {func(t *testing.T, s *shell) {
			s.fault(localaws.Rule{Action: "DescribeTable", Code: "AccessDeniedException"})
		}, nil,
			"warning", "tables", "not looked at", "OperatorPolicyArn"},
		"a role": {func(t *testing.T, s *shell) {
			s.fault(localaws.Rule{Action: "AssumeRole", Code: "AccessDenied", Status: 403})
		},
			[]string{"--role", "arn:aws:iam::111122223333:role/none"}, "problem", "targets", "cannot assume the role", "trust policy"},
		"a region":       {func(*testing.T, *shell) {}, []string{"--region", "mars-north-1"}, "problem", "targets", "region cannot be used", "EnableRegion"},
		"a clock behind": {func(t *testing.T, s *shell) { s.spy(dated(9 * time.Second)) }, nil, "problem", "clock", "behind AWS's; 5s are allowed", "chrony"},
		"a clock ahead":  {func(t *testing.T, s *shell) { s.spy(dated(-9 * time.Second)) }, nil, "problem", "clock", "ahead of AWS's", "chrony"},
		"no way to SSM": {func(t *testing.T, s *shell) {
			s.spy(func(action string, r *http.Response) *http.Response {
				if action == "DescribeRouteTables" {
					return answered(r, http.StatusOK, `<DescribeRouteTablesResponse><routeTableSet/></DescribeRouteTablesResponse>`)
				}
				return r
			})
		}, nil, "warning", "network", "no endpoint for ssm, ssmmessages, ec2messages", "interface endpoints"},
		"no credentials": {func(t *testing.T, s *shell) {
			s.fault(localaws.Rule{Action: "GetCallerIdentity", Code: "ExpiredToken", Status: 403})
		}, nil,
			"problem", "identity", "ExpiredToken", "renew the credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			installed(t, 0, func(t *testing.T, s *shell) {
				c.spoil(t, s)
				found, code := s.doctor(c.args...)
				hit := false
				for _, f := range found {
					hit = hit || f.Level == c.level && f.Area == c.area && strings.Contains(f.Text, c.text) && strings.Contains(f.Do, c.do)
				}
				if !hit || code != cli.ExitFailure { // nobody sweeps here, which is a problem itself
					t.Errorf("ended with %d; expected a %s of %s with %q and %q among\n%+v", code, c.level, c.area, c.text, c.do, bad(found))
				}
			})
		})
	}
}

func TestDoctorTellsWhenTheLastWorkerIsGone(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		has := func(word string) {
			t.Helper()
			found, _ := s.doctor()
			for _, f := range found {
				if f.Area == "workers" && f.Thing == "sweeper" && strings.Contains(f.Text, word) {
					return
				}
			}
			t.Errorf("expected %q of the sweeper in %+v", word, found)
		}
		has("no worker has ever held")
		w, err := s.Start(nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		has(" sweeps")
		w.Drain()
		time.Sleep(10 * time.Minute)
		has("nobody sweeps since")
	})
}

func TestDoctorIsReadableAtNight(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		a := s.run("doctor")
		wants(t, a.out, "problem  workers sweeper: no worker has ever held the lease", "    → start stampmill-worker", "1 problem, 3 warnings, ")
		if strings.Contains(a.out, "ok  ") || a.code != cli.ExitFailure || a.err != "" {
			t.Errorf("ended with %d: %s\n%s", a.code, a.err, a.out)
		}
		wants(t, s.run("doctor", "--all").out, "ok  queues stampmill-high: as it should be; 0 messages wait")
	})
}

const unauthorized = `<?xml version="1.0"?><Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized</Message></Error></Errors><RequestID>1</RequestID></Response>`

func answered(r *http.Response, status int, body string) *http.Response {
	r.StatusCode, r.ContentLength, r.Body = status, int64(len(body)), io.NopCloser(strings.NewReader(body))
	return r
}

// dated moves the time that answers tell.
func dated(by time.Duration) func(string, *http.Response) *http.Response {
	return func(_ string, r *http.Response) *http.Response {
		r.Header.Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
		return r
	}
}

func (s *shell) set(lane jobs.Lane, name, value string) {
	s.t.Helper()
	url := s.User.Queue.URL(lane)
	fatal(s.t, ignore(s.User.SQS().SetQueueAttributes(s.t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{name: value}})))
}

func (s *shell) fault(rule localaws.Rule) {
	s.t.Helper()
	_, err := s.Endpoint.AddFault(rule)
	fatal(s.t, err)
}

func ignore[T any](_ T, err error) error { return err }

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
