package localaws

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stampmill/stampmill/internal/localaws/api"
)

func TestFaultsDoWhatTheySay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault Fault
		want  error // for the caller
		code  string
		takes time.Duration
		acts  time.Duration // when it acted; -1: never
	}{
		"refuse":       {fault: Fault{Refuse: true}, want: syscall.ECONNRESET, acts: -1},
		"late":         {fault: Fault{Late: 5 * time.Second}, want: syscall.ECONNRESET, acts: 5 * time.Second},
		"delay":        {fault: Fault{Delay: 2 * time.Second}, takes: 2 * time.Second, acts: 2 * time.Second},
		"code":         {fault: Fault{Code: "RequestThrottled", Status: 503}, code: "RequestThrottled", acts: -1},
		"drop":         {fault: Fault{Drop: true}, want: syscall.ECONNRESET},
		"delay answer": {fault: Fault{DelayAnswer: 3 * time.Second}, takes: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, nil)
				d.server.config.Intercept = func(r *api.Request) Fault {
					if r.Action == "SendMessage" {
						return c.fault
					}
					return Fault{}
				}
				began := time.Now()
				_, err := d.client.SendMessage(background, &sqs.SendMessageInput{QueueUrl: d.url, MessageBody: aws.String("x")})
				switch {
				case c.want != nil && !errors.Is(err, c.want), c.code != "" && codeOf(err) != c.code, c.want == nil && c.code == "" && err != nil:
					t.Fatalf("got %v", err)
				case time.Since(began) != c.takes:
					t.Fatalf("the call took %s, want %s", time.Since(began), c.takes)
				}
				acted := c.acts >= 0
				if got := d.receive(d.url, 10); len(got) == 1 != acted {
					t.Fatalf("the queue has %d messages, acted should be %t", len(got), acted)
				}
				if at := max(c.acts, c.takes); acted && time.Since(began) != at {
					t.Fatalf("it acted after %s, want %s", time.Since(began), at)
				}
				calls := d.server.Calls()["sqs:SendMessage"]
				if c.code != "" && calls != (Count{Calls: 1, Errors: 1, Throttled: 1}) {
					t.Fatalf("counted %+v", calls)
				}
			})
		})
	}
}

func TestACallThatItsCallerGaveUpIsCarriedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		d.server.config.Intercept = func(r *api.Request) Fault { return Fault{Delay: 2 * time.Second} }
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if _, err := d.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: d.url, MessageBody: aws.String("x")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if len(d.receive(d.url, 10)) != 1 {
			t.Fatal("the call had no effect")
		}
	})
}

func TestFaultRulesAreSetOverTheControlPath(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	control := func(method, path, body string) (int, string) {
		t.Helper()
		request, err := http.NewRequest(method, d.server.URL()+"/_localaws/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := d.server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var text json.RawMessage
		if err := json.NewDecoder(answer.Body).Decode(&text); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	if status, text := control("POST", "faults", `{"service":"sqs","action":"SendMessage","contains":"marked","skip":1,"times":1,"code":"RequestThrottled"}`); status != 200 {
		t.Fatal(text)
	}
	var met []bool
	for _, body := range []string{"plain", "marked", "marked", "marked"} {
		_, err := d.client.SendMessage(background, &sqs.SendMessageInput{QueueUrl: d.url, MessageBody: aws.String(body)})
		met = append(met, err != nil)
	}
	if met[0] || met[1] || !met[2] || met[3] {
		t.Fatalf("faults met the calls %v, want the third only", met)
	}
	if _, text := control("GET", "calls", ""); !strings.Contains(text, `"sqs:SendMessage":{"calls":4,"errors":1,"throttled":1}`) {
		t.Fatal(text)
	}
	for _, wrong := range []string{`{"service":"sqs"}`, `{"code":"x","servce":"sqs"}`, `{"code":"x","probability":2}`, `{"delay":"soon"}`} {
		if status, text := control("POST", "faults", wrong); status != 400 {
			t.Errorf("%s was taken: %s", wrong, text)
		}
	}
	if status, _ := control("GET", "health", ""); status != 200 {
		t.Error("the endpoint is not healthy")
	}
	if status, text := control("POST", "nothing", ""); status != 404 || !strings.Contains(text, "capacity") {
		t.Errorf("an unknown control does not list the known ones: %d %s", status, text)
	}
}

func TestAnAssumedRoleActsInItsAccount(t *testing.T) {
	t.Parallel()
	server := start(t, Config{})
	config := sdk(server, "AKID")
	for key, want := range map[string]string{"AKID": api.DefaultAccount, "111122223333": "111122223333"} {
		got, err := sts.NewFromConfig(sdk(server, key)).GetCallerIdentity(background, nil)
		if err != nil || *got.Account != want {
			t.Fatalf("%s: %v, %v", key, got, err)
		}
	}
	config.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(config), "arn:aws:iam::444455556666:role/path/worker")
	got, err := sts.NewFromConfig(config).GetCallerIdentity(background, nil)
	if err != nil || *got.Account != "444455556666" || !strings.HasPrefix(*got.Arn, "arn:aws:sts::444455556666:assumed-role/worker/") {
		t.Fatalf("%v, %v", got, err)
	}
	client := sqs.NewFromConfig(config)
	created, err := client.CreateQueue(background, &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil || *created.QueueUrl != server.URL()+"/444455556666/q" {
		t.Fatalf("%v, %v", created, err)
	}
}

func TestClosingEndsLongPollsAndRefusesCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		var ended atomic.Bool
		go func() {
			// The answer does not matter, only that there is one.
			_, _ = d.client.ReceiveMessage(background, &sqs.ReceiveMessageInput{QueueUrl: d.url, WaitTimeSeconds: 20})
			ended.Store(true)
		}()
		synctest.Wait()
		began := time.Now()
		if err := d.server.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !ended.Load() || time.Since(began) != 0 {
			t.Fatal("closing waits for the long poll")
		}
		if _, err := d.client.ListQueues(background, nil); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v, want a refused connection", err)
		}
	})
}

func TestTheSDKWorksOverASocket(t *testing.T) {
	t.Parallel()
	server := start(t, Config{})
	socket := httptest.NewServer(server)
	t.Cleanup(socket.Close)
	client := sqs.NewFromConfig(sdkOver(socket.URL, "AKID", socket.Client()))
	queue, err := client.CreateQueue(background, &sqs.CreateQueueInput{QueueName: aws.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	polled := make(chan error, 1)
	go func() {
		got, err := client.ReceiveMessage(background, &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, WaitTimeSeconds: 20})
		if err == nil && len(got.Messages) != 1 {
			err = errors.New("no message")
		}
		polled <- err
	}()
	if _, err := client.SendMessage(background, &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	if err := <-polled; err != nil {
		t.Fatal(err)
	}
	if _, err := server.AddFault(Rule{Service: "sqs", Drop: true, Times: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.SendMessage(background, &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: aws.String("x")}); err == nil || codeOf(err) != err.Error() {
		t.Fatalf("got %v, want a broken connection", err)
	}
}

func TestTheQueryProtocolOfSQSWorks(t *testing.T) {
	t.Parallel()
	server := start(t, Config{})
	ask := func(query string) (int, string) {
		t.Helper()
		answer, err := server.Client().Post(server.URL()+"/", "application/x-www-form-urlencoded", strings.NewReader("Version=2012-11-05&"+query))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	for _, c := range []struct{ query, want string }{
		{"Action=CreateQueue&QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=7", "<CreateQueueResult><QueueUrl>" + server.URL() + "/000000000000/q</QueueUrl></CreateQueueResult>"},
		{"Action=SendMessage&QueueUrl=/000000000000/q&MessageBody=a%26b&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=Binary&MessageAttribute.1.Value.BinaryValue=AAE%3D", "<MD5OfMessageBody>"},
		{"Action=GetQueueAttributes&QueueUrl=/000000000000/q&AttributeName.1=VisibilityTimeout", "<Attribute><Name>VisibilityTimeout</Name><Value>7</Value></Attribute>"},
		{"Action=ReceiveMessage&QueueUrl=/000000000000/q&AttributeName.1=All&VisibilityTimeout=0", "<Body>a&amp;b</Body>"},
		{"Action=ReceiveMessage&QueueUrl=/000000000000/q&MessageAttributeName.1=All", "<MessageAttribute><Name>n</Name><Value><BinaryValue>AAE=</BinaryValue><DataType>Binary</DataType></Value></MessageAttribute>"},
		{"Action=SendMessage&QueueUrl=/000000000000/none&MessageBody=x", "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>"},
		{"Action=SendMessage&QueueUrl=/000000000000/q&MessageBody=x&Dely=3", "UnknownParameter"},
		{"Action=Nonsense", "<Code>InvalidAction</Code>"},
	} {
		if _, got := ask(c.query); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.query, got, c.want)
		}
	}
}

func TestEventsReachTheQueuesThatAskForThem(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	if err := d.server.SendEvents(EventTarget{Queue: "jobs", Sources: []string{"aws.ec2"}}); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"aws.ssm", "aws.ec2"} {
		d.server.env.Emit(api.Event{Account: api.DefaultAccount, Region: "us-east-1", Source: source, DetailType: "EC2 AMI State Change", Resources: []string{"ami-1"}})
	}
	got := d.receive(d.url, 0)
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	var event struct {
		Source     string
		DetailType string `json:"detail-type"`
		Resources  []string
	}
	if err := json.Unmarshal([]byte(*got[0].Body), &event); err != nil || event.Source != "aws.ec2" || event.DetailType != "EC2 AMI State Change" || event.Resources[0] != "ami-1" {
		t.Fatalf("%+v, %v", event, err)
	}
}
