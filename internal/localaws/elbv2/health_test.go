package elbv2_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/elbv2"
	"github.com/stampmill/stampmill/internal/localaws/record"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// servers are targets whose state and answers a test sets.
type servers map[string]*server

type server struct {
	state  string
	status int // 0: nothing listens
}

func (s servers) State(_, _, id string) (string, bool) {
	if found := s[id]; found != nil {
		return found.state, true
	}
	return "", false
}

func (s servers) Get(_, _, id string, _ int, _ string) (int, error) {
	if s[id].status == 0 {
		return 0, errors.New("connection refused")
	}
	return s[id].status, nil
}

// direct hands requests to the service as the endpoint's router would.
type direct struct{ service *elbv2.Service }

var recorded = record.New()

func (d direct) RoundTrip(hr *http.Request) (*http.Response, error) {
	if err := hr.ParseForm(); err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	request := &api.Request{HTTP: hr, Form: hr.PostForm, Action: hr.PostForm.Get("Action"), Account: api.DefaultAccount, Region: "us-east-1", ID: "id"}
	d.service.ServeAWS(recorder, request)
	return recorder.Result(), recorded.Keep("elasticloadbalancing", request, recorder.Code, recorder.Header(), recorder.Body.Bytes())
}

type fixture struct {
	*testing.T
	client  *elb.Client
	servers servers
	group   *string
}

func setup(t *testing.T, speed float64) *fixture {
	t.Helper()
	store, err := state.Open("")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, servers: servers{"i-1": {state: "running"}, "i-2": {state: "running", status: 200}, "i-off": {state: "stopped"}}}
	service, err := elbv2.New(&api.Env{Store: store, Speed: speed}, f.servers)
	if err != nil {
		t.Fatal(err)
	}
	f.client = elb.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""), BaseEndpoint: aws.String("http://localaws"),
		HTTPClient: &http.Client{Transport: direct{service}}, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	})
	made, err := f.client.CreateTargetGroup(context.Background(), &elb.CreateTargetGroupInput{
		Name: aws.String("web"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(80), HealthCheckPath: aws.String("/health"), HealthCheckIntervalSeconds: aws.Int32(10),
	})
	if err != nil {
		t.Fatal(err)
	}
	f.group = made.TargetGroups[0].TargetGroupArn
	return f
}

func (f *fixture) register(ids ...string) error {
	var targets []types.TargetDescription
	for _, id := range ids {
		targets = append(targets, types.TargetDescription{Id: aws.String(id)})
	}
	_, err := f.client.RegisterTargets(context.Background(), &elb.RegisterTargetsInput{TargetGroupArn: f.group, Targets: targets})
	return err
}

// health is state and reason of the group's targets.
func (f *fixture) health() map[string]string {
	f.Helper()
	out, err := f.client.DescribeTargetHealth(context.Background(), &elb.DescribeTargetHealthInput{TargetGroupArn: f.group})
	if err != nil {
		f.Fatal(err)
	}
	all := map[string]string{}
	for _, d := range out.TargetHealthDescriptions {
		all[*d.Target.Id] = string(d.TargetHealth.State) + " " + string(d.TargetHealth.Reason)
	}
	return all
}

func (f *fixture) expect(id, want string) {
	f.Helper()
	if got := f.health()[id]; got != want {
		f.Fatalf("%s is %q, want %q", id, got, want)
	}
}

func TestATargetIsInitialAndThenAsItsServerAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, 1)
		if err := f.register("i-1", "i-2"); err != nil {
			t.Fatal(err)
		}
		f.expect("i-2", "initial Elb.RegistrationInProgress")
		time.Sleep(10 * time.Second)
		f.expect("i-2", "healthy ")
		f.expect("i-1", "unhealthy Target.FailedHealthChecks")
		f.servers["i-1"].status = 503
		f.expect("i-1", "unhealthy Target.ResponseCodeMismatch")
		f.servers["i-1"].state = "stopped"
		f.expect("i-1", "unused Target.InvalidState")
		f.servers["i-1"].state = "terminated"
		f.expect("i-1", "")
	})
}

func TestADeregisteredTargetDrainsForItsDelayAtTheEndpointsSpeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t, 10)
		if err := f.register("i-2"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.client.ModifyTargetGroupAttributes(context.Background(), &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: f.group, Attributes: []types.TargetGroupAttribute{
			{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("60")},
		}}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.client.DeregisterTargets(context.Background(), &elb.DeregisterTargetsInput{TargetGroupArn: f.group, Targets: []types.TargetDescription{{Id: aws.String("i-2")}}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		f.expect("i-2", "draining Target.DeregistrationInProgress")
		time.Sleep(time.Second)
		f.expect("i-2", "")
	})
}

func TestOnlyRunningServersCanBeRegistered(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	for _, id := range []string{"i-off", "i-none"} {
		if err := f.register("i-2", id); !errors.As(err, new(*types.InvalidTargetException)) {
			t.Errorf("%s: got %v, want InvalidTarget", id, err)
		}
	}
	if len(f.health()) != 0 {
		t.Error("a refused registration registered a part of its targets")
	}
}

func TestTargetGroupsAreFoundByName(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	got, err := f.client.DescribeTargetGroups(context.Background(), &elb.DescribeTargetGroupsInput{Names: []string{"web"}})
	if err != nil || len(got.TargetGroups) != 1 || *got.TargetGroups[0].TargetGroupArn != *f.group || *got.TargetGroups[0].Matcher.HttpCode != "200" {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := f.client.DeleteTargetGroup(context.Background(), &elb.DeleteTargetGroupInput{TargetGroupArn: f.group}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.client.DescribeTargetGroups(context.Background(), &elb.DescribeTargetGroupsInput{Names: []string{"web"}}); !errors.As(err, new(*types.TargetGroupNotFoundException)) {
		t.Fatalf("got %v, want TargetGroupNotFound", err)
	}
}
