// Package hostile holds what an endpoint on a socket may be sent: it has tests only, apart from the services' own, so that
// fuzzing them builds no SDK.
package hostile

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

const testRegion = "eu-west-1"

func hostileService(t testing.TB) *ec2.Service {
	t.Helper()
	store, err := state.Open("")
	if err != nil {
		t.Fatal(err)
	}
	service, err := ec2.New(&api.Env{Store: store, Speed: 1, Seed: 1}, nowhere{}, ec2.Options{
		Propagation: -1,
		BaseDisk:    func(_, _, _ string) machine.Disk { return blank{} },
		EmptyDisk:   func() machine.Disk { return blank{} },
		DecodeDisk:  func([]byte) (machine.Disk, error) { return blank{}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	service.Start()
	return service
}

// nowhere makes machines in which nothing happens.
type nowhere struct{}

func (nowhere) New(machine.Config) machine.Machine { return still{} }

type still struct{}

func (still) PowerOn()                                             {}
func (still) PowerOff(bool)                                        {}
func (still) Reboot()                                              {}
func (still) Disks() map[string]machine.Disk                       { return map[string]machine.Disk{} }
func (still) Agent() machine.Agent                                 { return machine.Agent{} }
func (still) Run(_ machine.Command, done func(machine.Result))     { done(machine.Result{}) }
func (still) Cancel(string)                                        {}
func (still) Get(int, string) (status int, body []byte, err error) { return 200, nil, nil }
func (still) Console() []byte                                      { return nil }
func (still) StatusOK() bool                                       { return true }

type blank struct{}

func (b blank) Fork() machine.Disk        { return b }
func (blank) Encode() ([]byte, error)     { return []byte("{}"), nil }
func (blank) Read(string) ([]byte, error) { return nil, fs.ErrNotExist }

// hostileAnswer is the service's answer to a form, which must be XML to its end.
func hostileAnswer(t testing.TB, service *ec2.Service, form url.Values) (status int, body string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	service.ServeAWS(recorder, &api.Request{
		HTTP: httptest.NewRequest(http.MethodPost, "/", nil), Service: "ec2", Region: testRegion, Account: api.DefaultAccount, AccessKey: api.DefaultAccount,
		Action: form.Get("Action"), Form: form, ID: "request",
	})
	body = recorder.Body.String()
	decoder := xml.NewDecoder(strings.NewReader(body))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return recorder.Code, body
		} else if err != nil {
			t.Fatalf("the answer is no XML: %v\n%.500s", err, body)
		}
	}
}

// Whatever a caller sends, EC2 answers: in XML, without a panic, and never as if it were its own fault.
func FuzzQueries(f *testing.F) {
	image := seed.Images(testRegion, 1)[0].ID
	for _, query := range []string{
		"Action=DescribeInstances&Filter.1.Name=tag:a&Filter.1.Value.1=*a*b?\\*", "Action=DescribeInstances&Filter.1000000000.Value.1=x", "Action=DescribeInstances&Filter.0.Name=a",
		"Action=DescribeInstances&Filter.-1.Name=a", "Action=DescribeInstances&Filter=&MaxResults=-1&NextToken=AA", "Action=DescribeImages&ImageId.1=&Owner.1=self",
		"Action=RunInstances&ImageId=" + image + "&InstanceType=m7g.large&MinCount=1&MaxCount=2&UserData=IyEvYmluL3No&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=%3C%00%3E",
		"Action=RunInstances&ImageId=resolve:ssm:/a&MinCount=2147483647&MaxCount=2147483647&InstanceType=m7g.large",
		"Action=RunInstances&ImageId=" + image + "&InstanceType=m7g.large&MinCount=1&MaxCount=1&BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=-1&NetworkInterface.1.DeviceIndex=7",
		"Action=CreateLaunchTemplate&LaunchTemplateName=a&LaunchTemplateData.ImageId=" + image + "&LaunchTemplateData.TagSpecification.1.Tag.9.Key=a",
		"Action=CreateTags&ResourceId.1=i-1&Tag.1.Key=a&Tag.1.Value=b", "Action=CreateVolume&Size=2147483647&AvailabilityZone=eu-west-1a", "Action=CopyImage&SourceImageId=" + image + "&SourceRegion=x&Name=a",
		"Action=CreateSecurityGroup&GroupName=a&GroupDescription=b", "Action=DescribeSubnets&Filter.1.Name=vpc-id&Filter.1.Value.1=a", "Action=%3Cx%3E", "Action=", "Action=RegisterImage&Name=a",
		"Action=TerminateInstances&InstanceId.1=i-0123456789abcdef0&DryRun=true", "Action=DescribeSnapshots&RestorableBy.1=self", "Action=ModifyImageAttribute&ImageId=" + image + "&LaunchPermission.Add.1.UserId=1",
	} {
		f.Add(query)
	}
	for _, name := range actions(f) {
		f.Add("Action=" + name)
	}
	service, count := hostileService(f), 0
	defer func() { service.Close() }()
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if count++; count%renewal == 0 {
			service.Close()
			service = hostileService(t)
		}
		if status, body := hostileAnswer(t, service, form); status >= 500 && !strings.Contains(body, "Capacity") {
			t.Fatalf("%d: %.500s", status, body)
		}
	})
}

// actions are the names of the calls that the service has.
func actions(t testing.TB) []string {
	t.Helper()
	source, err := os.ReadFile("../ec2/actions.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, found := range regexp.MustCompile(`"([A-Z][A-Za-z]+)": +on\(`).FindAllSubmatch(source, -1) {
		names = append(names, string(found[1]))
	}
	if len(names) < 40 {
		t.Fatalf("actions.go lists %d calls", len(names))
	}
	return names
}

// targets are the services with a JSON protocol, by what X-Amz-Target begins with.
var targets = []string{"AmazonSQS", "DynamoDB_20120810", "AmazonSSM", "secretsmanager"}

// Whatever a caller sends, the services with a JSON protocol answer: in JSON, without a panic, and never as if it were
// their own fault.
func FuzzCalls(f *testing.F) {
	const queue = `"QueueUrl":"http://127.0.0.1:4567/000000000000/q"`
	for _, calls := range [][2]string{
		{"CreateQueue", `{"QueueName":"q","Attributes":{"VisibilityTimeout":"-1","RedrivePolicy":"{"}}`}, {"CreateQueue", `{"QueueName":"../q"}`}, {"ListQueues", `{"MaxResults":-1}`},
		{"SendMessage", `{` + queue + `,"MessageBody":"a\u0000","DelaySeconds":901}`}, {"SendMessageBatch", `{` + queue + `,"Entries":[{"Id":"a","MessageBody":"b"},{"Id":"a"}]}`},
		{"ReceiveMessage", `{` + queue + `,"MaxNumberOfMessages":11,"MessageAttributeNames":["*"]}`}, {"DeleteMessageBatch", `{` + queue + `,"Entries":[{"Id":"","ReceiptHandle":"AQEB"}]}`},
		{"ChangeMessageVisibilityBatch", `{` + queue + `,"Entries":null}`}, {"GetQueueAttributes", `{` + queue + `,"AttributeNames":["All"]}`}, {"StartMessageMoveTask", `{"SourceArn":"arn:aws:sqs:::"}`},
		{"SetQueueAttributes", `{` + queue + `,"Attributes":{"RedrivePolicy":"{\"maxReceiveCount\":1e99}"}}`}, {"PurgeQueue", `{` + queue + `}`},
	} {
		f.Add(byte(0), calls[0], calls[1])
	}
	for _, calls := range [][2]string{
		{"CreateTable", aTable},
		{"PutItem", `{"TableName":"tab","Item":{"id":{"S":"a"},"n":{"N":"1e-130"},"l":{"L":[{"M":{}}]}}}`}, {"GetItem", `{"TableName":"tab","Key":{"id":{"S":""}}}`},
		{"UpdateItem", `{"TableName":"tab","Key":{"id":{"S":"a"}},"UpdateExpression":"SET n = n + :n","ExpressionAttributeValues":{":n":{"N":"9e125"}}}`},
		{"Query", `{"TableName":"tab","KeyConditionExpression":"id = :i","ExpressionAttributeValues":{":i":{"S":"a"}},"Limit":0}`}, {"Scan", `{"TableName":"tab","Segment":5,"TotalSegments":2}`},
		{"TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"tab","Item":{}}},{}]}`}, {"BatchWriteItem", `{"RequestItems":{"tab":[{}]}}`}, {"BatchGetItem", `{"RequestItems":{"tab":{"Keys":[]}}}`},
		{"UpdateTimeToLive", `{"TableName":"tab"}`}, {"UpdateTable", `{"TableName":"tab"}`}, {"DescribeTable", `{"TableName":""}`},
	} {
		f.Add(byte(1), calls[0], calls[1])
	}
	for _, calls := range [][2]string{
		{"PutParameter", `{"Name":"/a//b","Value":"","Type":"String"}`}, {"GetParameters", `{"Names":[]}`}, {"SendCommand", `{"DocumentName":"AWS-RunShellScript","InstanceIds":["i-1"],"Parameters":{"commands":[]}}`},
		{"DescribeInstanceInformation", `{"Filters":[{"Key":"","Values":[]}]}`}, {"GetCommandInvocation", `{"CommandId":"a","InstanceId":"b"}`}, {"GetParametersByPath", `{"Path":"/","MaxResults":-1}`},
		{"SendCommand", `{"DocumentName":"AWS-RunShellScript","Targets":[{"Key":"tag:a","Values":["*"]}],"MaxConcurrency":"-1%","Parameters":{"commands":["ls"],"executionTimeout":["x"]}}`},
	} {
		f.Add(byte(2), calls[0], calls[1])
	}
	f.Add(byte(3), "CreateSecret", `{"Name":"a","SecretBinary":"!"}`)
	f.Add(byte(3), "GetSecretValue", `{"SecretId":"","VersionStage":"x"}`)
	f.Add(byte(3), "DeleteSecret", strings.Repeat("[", 20_000))
	server, count := hostileServer(f), 0
	defer func() {
		if err := server.Close(); err != nil {
			f.Fatal(err)
		}
	}()
	f.Fuzz(func(t *testing.T, service byte, action, body string) {
		if count++; count%renewal == 0 {
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			server = hostileServer(t)
		}
		call(t, server, targets[int(service)%len(targets)]+"."+action, body)
	})
}

// renewal is after how many calls an endpoint gives way to a new one: what they make stays in memory.
const renewal = 200

// hostileServer is an endpoint with a queue and a table.
func hostileServer(t testing.TB) *localaws.Server {
	t.Helper()
	server, err := localaws.New(localaws.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	call(t, server, "AmazonSQS.CreateQueue", `{"QueueName":"q"}`)
	call(t, server, "DynamoDB_20120810.CreateTable", aTable)
	return server
}

const aTable = `{"TableName":"tab","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST"}`

// call sends one call, and does not wait for messages that are not there.
func call(t testing.TB, server *localaws.Server, target, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	request := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:4567/", strings.NewReader(body)).WithContext(ctx)
	request.RequestURI = ""
	request.Header["X-Amz-Target"] = []string{target}
	response, err := server.RoundTripper().RoundTrip(request)
	if err != nil {
		return // a long poll that was given up
	}
	answer, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode >= 500 || len(answer) > 0 && !json.Valid(answer) {
		t.Fatalf("%s answers %d: %.500s", target, response.StatusCode, answer)
	}
}
