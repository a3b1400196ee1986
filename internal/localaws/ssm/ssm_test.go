package ssm

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/record"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// fleet is two servers that run, and one AMI.
type fleet map[string]machine.Machine

const image = "ami-0123456789abcdef0"

func (f fleet) Instances(string, string) []ec2.Instance {
	var all []ec2.Instance
	for _, id := range []string{"i-1", "i-2"} {
		all = append(all, ec2.Instance{ID: id, Tags: map[string]string{"Role": "web-" + id}, PrivateIP: "10.0.0.5"})
	}
	return all
}

func (f fleet) Instance(_, _, id string) (ec2.Instance, bool) {
	return ec2.Instance{ID: id}, f[id] != nil
}

func (f fleet) Machine(_, _, id string) (machine.Machine, bool) { m, ok := f[id]; return m, ok }

func (f fleet) ImageExists(_, _, id string) bool { return id == image }

func (f fleet) PublicParameters(string) map[string]ec2.PublicParameter {
	return map[string]ec2.PublicParameter{"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64": {ImageID: image, Created: time.Unix(0, 0)}}
}

// transport carries the SDK's requests to the service.
type transport struct{ service *Service }

var recorded = record.New()

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w := httptest.NewRecorder()
	request := &api.Request{HTTP: r, Body: body, Action: action, Account: "123456789012", Region: "eu-west-1", ID: "r"}
	t.service.ServeAWS(w, request)
	return w.Result(), recorded.Keep("ssm", request, w.Code, w.Header(), w.Body.Bytes())
}

// bucket keeps what is put.
type bucket struct {
	mu      sync.Mutex
	objects map[string]string
}

func (b *bucket) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[r.URL.Path] = string(body)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

type bench struct {
	*client.Client
	service *Service
	bucket  *bucket
	events  chan api.Event
}

// setup starts both servers and gives a client.
func setup(t *testing.T) *bench {
	t.Helper()
	store, err := state.Open("")
	if err != nil {
		t.Fatal(err)
	}
	f := fleet{}
	host := machine.NewHost()
	for _, id := range []string{"i-1", "i-2"} {
		f[id] = host.New(machine.Config{
			Identity: machine.Identity{InstanceID: id, Account: "123456789012", Region: "eu-west-1", Distribution: "amazon", Architecture: "x86_64",
				Platform: "linux", InstanceProfileARN: "arn:aws:iam::123456789012:instance-profile/p"},
			RootDevice: "/dev/xvda", UserData: func() []byte { return nil }, Metadata: true, Speed: 1,
		})
		f[id].PowerOn()
	}
	b := &bench{bucket: &bucket{objects: map[string]string{}}, events: make(chan api.Event, 100)}
	b.service, err = New(&api.Env{Store: store, Speed: 1, Roundtrip: b.bucket, Emit: func(e api.Event) { b.events <- e }}, f)
	if err != nil {
		t.Fatal(err)
	}
	b.Client = client.New(client.Options{Region: "eu-west-1", HTTPClient: &http.Client{Transport: transport{b.service}}, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}, nil
		})})
	t.Cleanup(func() {
		for _, m := range f {
			m.PowerOff(true)
		}
		b.service.Close()
	})
	return b
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func ready(t *testing.T) *bench {
	t.Helper()
	b := setup(t)
	time.Sleep(time.Minute)
	return b
}

func (b *bench) send(t *testing.T, in *client.SendCommandInput, script string) string {
	t.Helper()
	in.DocumentName = aws.String("AWS-RunShellScript")
	if in.Parameters == nil {
		in.Parameters = map[string][]string{}
	}
	in.Parameters["commands"] = []string{script}
	out, err := b.SendCommand(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.Command.CommandId
}

func (b *bench) result(t *testing.T, command, instance string) *client.GetCommandInvocationOutput {
	t.Helper()
	out, err := b.GetCommandInvocation(t.Context(), &client.GetCommandInvocationInput{CommandId: &command, InstanceId: &instance})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestACommandRunsAndTellsItsOutputWholeInS3(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := ready(t)
		id := b.send(t, &client.SendCommandInput{InstanceIds: []string{"i-1"}, OutputS3BucketName: aws.String("logs"), OutputS3KeyPrefix: aws.String("runs"),
			Parameters: map[string][]string{"workingDirectory": {"/tmp"}}}, "pwd\nseq 1 10000\necho oops >&2\nexit 7")
		if _, err := b.GetCommandInvocation(t.Context(), &client.GetCommandInvocationInput{CommandId: &id, InstanceId: aws.String("i-1")}); code(err) != "InvocationDoesNotExist" {
			t.Errorf("right after the send the invocation gives %v", err)
		}
		time.Sleep(time.Second)
		out := b.result(t, id, "i-1")
		if out.Status != types.CommandInvocationStatusFailed || out.ResponseCode != 7 || *out.StandardErrorContent != "oops\n" ||
			len(*out.StandardOutputContent) != outputKept || !strings.HasPrefix(*out.StandardOutputContent, "/tmp\n1\n2\n") {
			t.Errorf("the invocation is %s %d with %d bytes of output and %q", out.Status, out.ResponseCode, len(*out.StandardOutputContent), *out.StandardErrorContent)
		}
		whole := b.bucket.objects["/logs/runs/"+id+"/i-1/awsrunShellScript/0.awsrunShellScript/stdout"]
		if !strings.HasSuffix(whole, "9999\n10000\n") {
			t.Errorf("the bucket holds %d bytes: %v", len(whole), b.bucket.objects)
		}
		var statuses []any
		for len(b.events) > 0 {
			statuses = append(statuses, (<-b.events).Detail["status"])
		}
		if len(statuses) != 2 || statuses[0] != "InProgress" || statuses[1] != "Failed" {
			t.Errorf("the events tell %v", statuses)
		}
	})
}

func TestACommandOnTargetsIsListedByInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := ready(t)
		id := b.send(t, &client.SendCommandInput{Targets: []types.Target{{Key: aws.String("InstanceIds"), Values: []string{"i-1", "i-2"}}}}, "hostname")
		one := b.send(t, &client.SendCommandInput{Targets: []types.Target{{Key: aws.String("tag:Role"), Values: []string{"web-i-2"}}}}, "true")
		time.Sleep(time.Second)
		for command, want := range map[string]int{id: 2, one: 1} {
			list, err := b.ListCommandInvocations(t.Context(), &client.ListCommandInvocationsInput{CommandId: &command, Details: true})
			if err != nil {
				t.Fatal(err)
			}
			if len(list.CommandInvocations) != want || list.CommandInvocations[0].CommandPlugins[0].Status != types.CommandPluginStatusSuccess {
				t.Errorf("the invocations are %+v", list.CommandInvocations)
			}
		}
		commands, err := b.ListCommands(t.Context(), &client.ListCommandsInput{Filters: []types.CommandFilter{{Key: types.CommandFilterKeyStatus, Value: aws.String("Success")}}})
		if err != nil || len(commands.Commands) != 2 {
			t.Errorf("the commands are %+v, %v", commands, err)
		}
	})
}

func TestCommandsEndByCancelAndByTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := ready(t)
		cancelled := b.send(t, &client.SendCommandInput{InstanceIds: []string{"i-1"}}, "sleep 500")
		late := b.send(t, &client.SendCommandInput{InstanceIds: []string{"i-1"}, Parameters: map[string][]string{"executionTimeout": {"10"}}}, "sleep 500")
		time.Sleep(time.Second)
		if out := b.result(t, cancelled, "i-1"); out.Status != types.CommandInvocationStatusInProgress {
			t.Errorf("the command is %s while it runs", out.Status)
		}
		if _, err := b.CancelCommand(t.Context(), &client.CancelCommandInput{CommandId: &cancelled}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if out := b.result(t, cancelled, "i-1"); out.Status != types.CommandInvocationStatusCancelled {
			t.Errorf("the cancelled command is %s", out.Status)
		}
		if out := b.result(t, late, "i-1"); out.Status != types.CommandInvocationStatusTimedOut || *out.StatusDetails != "ExecutionTimedOut" {
			t.Errorf("the late command is %s, %s", out.Status, *out.StatusDetails)
		}
	})
}

func TestBadCommandsAreRefusedInAWSsWords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t) // the agents are not online yet
		long, many := strings.Repeat("x", 101), make([]string, 51)
		for i := range many {
			many[i] = "i-1"
		}
		shell, script := aws.String("AWS-RunShellScript"), map[string][]string{"commands": {"true"}}
		cases := map[string]struct {
			in   client.SendCommandInput
			want string
		}{
			"offline":        {client.SendCommandInput{DocumentName: shell, Parameters: script, InstanceIds: []string{"i-1"}}, "InvalidInstanceId"},
			"document":       {client.SendCommandInput{DocumentName: aws.String("AWS-Foo"), Parameters: script, InstanceIds: []string{"i-1"}}, "InvalidDocument"},
			"parameter":      {client.SendCommandInput{DocumentName: shell, Parameters: map[string][]string{"commands": {"true"}, "user": {"x"}}, InstanceIds: []string{"i-1"}}, "InvalidParameters"},
			"comment":        {client.SendCommandInput{DocumentName: shell, Parameters: script, InstanceIds: []string{"i-1"}, Comment: &long}, "ValidationException"},
			"51 instances":   {client.SendCommandInput{DocumentName: shell, Parameters: script, InstanceIds: many}, "ValidationException"},
			"unknown member": {client.SendCommandInput{DocumentName: shell, Parameters: script, InstanceIds: []string{"i-1"}, ServiceRoleArn: aws.String("arn")}, "ValidationException"},
		}
		for name, c := range cases {
			if _, err := b.SendCommand(t.Context(), &c.in); code(err) != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		}
	})
}

func TestInstanceInformationShowsWhatIsOnline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		online := &client.DescribeInstanceInformationInput{Filters: []types.InstanceInformationStringFilter{{Key: aws.String("PingStatus"), Values: []string{"Online"}}}}
		if out, err := b.DescribeInstanceInformation(t.Context(), online); err != nil || len(out.InstanceInformationList) != 0 {
			t.Errorf("before the boot: %+v, %v", out, err)
		}
		time.Sleep(time.Minute)
		out, err := b.DescribeInstanceInformation(t.Context(), &client.DescribeInstanceInformationInput{
			InstanceInformationFilterList: []types.InstanceInformationFilter{{Key: types.InstanceInformationFilterKeyInstanceIds, ValueSet: []string{"i-2"}}}})
		if err != nil || len(out.InstanceInformationList) != 1 || out.InstanceInformationList[0].PingStatus != types.PingStatusOnline || *out.InstanceInformationList[0].PlatformName != "Amazon Linux" {
			t.Errorf("i-2: %+v, %v", out, err)
		}
	})
}

func TestParametersHaveVersionsPathsAndTags(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, ctx := setup(t), t.Context()
		put := func(name, value string, kind types.ParameterType, overwrite bool) error {
			_, err := b.PutParameter(ctx, &client.PutParameterInput{Name: &name, Value: &value, Type: kind, Overwrite: &overwrite})
			return err
		}
		for _, err := range []error{put("/app/a", "1", "String", false), put("/app/deep/b", "x,y", "StringList", false), put("/app/secret", "s3cret", "SecureString", false), put("/app/a", "2", "", true)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := put("/app/a", "3", "String", false); code(err) != "ParameterAlreadyExists" {
			t.Errorf("a second put gives %v", err)
		}
		get := func(name string, decrypt bool) string {
			out, err := b.GetParameter(ctx, &client.GetParameterInput{Name: &name, WithDecryption: &decrypt})
			if err != nil {
				return code(err)
			}
			return *out.Parameter.Value
		}
		for name, want := range map[string]string{"/app/a": "2", "/app/a:1": "1", "/app/a:9": "ParameterVersionNotFound", "/app/none": "ParameterNotFound", "/app/secret": "s3cret",
			"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64": image} {
			if got := get(name, true); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if get("/app/secret", false) == "s3cret" {
			t.Error("a secret is shown without decryption")
		}
		flat, err := b.GetParametersByPath(ctx, &client.GetParametersByPathInput{Path: aws.String("/app")})
		if err != nil || len(flat.Parameters) != 2 {
			t.Errorf("directly below /app: %+v, %v", flat, err)
		}
		deep, err := b.GetParametersByPath(ctx, &client.GetParametersByPathInput{Path: aws.String("/app"), Recursive: aws.Bool(true), MaxResults: aws.Int32(2)})
		if err != nil || len(deep.Parameters) != 2 || deep.NextToken == nil {
			t.Errorf("below /app: %+v, %v", deep, err)
		}
		history, err := b.GetParameterHistory(ctx, &client.GetParameterHistoryInput{Name: aws.String("/app/a")})
		if err != nil || len(history.Parameters) != 2 {
			t.Errorf("the history: %+v, %v", history, err)
		}
		deleted, err := b.DeleteParameters(ctx, &client.DeleteParametersInput{Names: []string{"/app/a", "/nope"}})
		if err != nil || len(deleted.DeletedParameters) != 1 || len(deleted.InvalidParameters) != 1 {
			t.Errorf("deleting: %+v, %v", deleted, err)
		}
	})
}

func TestAnAnswerDoesNotProveThatAnImageParameterWasWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, ctx := setup(t), t.Context()
		for name, value := range map[string]string{"/good": image, "/bad": "ami-00000000000000000"} {
			if _, err := b.PutParameter(ctx, &client.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString, DataType: aws.String("aws:ec2:image")}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.GetParameter(ctx, &client.GetParameterInput{Name: aws.String("/good")}); code(err) != "ParameterNotFound" {
			t.Errorf("right after the put: %v", err)
		}
		time.Sleep(10 * time.Second)
		if _, err := b.GetParameter(ctx, &client.GetParameterInput{Name: aws.String("/good")}); err != nil {
			t.Errorf("after the validation: %v", err)
		}
		if _, err := b.GetParameter(ctx, &client.GetParameterInput{Name: aws.String("/bad")}); code(err) != "ParameterNotFound" {
			t.Errorf("an unknown AMI: %v", err)
		}
	})
}

func TestACommandThatRanWhenTheEndpointEndedIsFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/state"
		store, err := state.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(&api.Env{Store: store}, fleet{})
		if err != nil {
			t.Fatal(err)
		}
		s.commands.Put("123456789012/eu-west-1/c", &command{ID: "c", Account: "123456789012", Region: "eu-west-1", Invocations: map[string]*invocation{"i-1": {Status: "InProgress", Begun: true}}})
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if store, err = state.Open(path); err != nil {
			t.Fatal(err)
		}
		if s, err = New(&api.Env{Store: store}, fleet{}); err != nil {
			t.Fatal(err)
		}
		if c, ok := s.commands.Get("123456789012/eu-west-1/c"); !ok || c.Invocations["i-1"].Status != "Failed" {
			t.Errorf("the command came back as %+v", c)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
