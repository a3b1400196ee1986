package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/jobs"
)

func TestSetupMakesWhatIsMissingAndChangesNothingTheSecondTime(t *testing.T) {
	t.Parallel()
	m := bareMill(t)
	if a := m.stampmill("ping"); a.code != exitFailure || !strings.Contains(a.errs, "stampmill setup") {
		t.Errorf("without an installation: %s", a)
	}
	type made struct {
		Thing, Name string
		Made        bool
	}
	for _, first := range []bool{true, false} {
		all := show[[]made](m, "setup")
		if len(all) != 13 {
			t.Errorf("expected 5 queues, 2 tables, a bucket and 5 rules, not %v", all)
		}
		for _, thing := range all {
			if thing.Made != first {
				t.Errorf("%s %s: made is %v, expected %v", thing.Thing, thing.Name, thing.Made, first)
			}
		}
	}
	m.open()
	m.checkQueues()
	m.checkTables()
	m.checkBucket()
}

func (m *mill) checkQueues() {
	m.t.Helper()
	for _, lane := range jobs.Lanes {
		url := m.Queue.URL(lane)
		out, err := m.SQS().GetQueueAttributes(m.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
		if err != nil {
			m.t.Fatal(err)
		}
		var redrive struct {
			Target string `json:"deadLetterTargetArn"`
			Count  any    `json:"maxReceiveCount"`
		}
		if err := json.Unmarshal([]byte(out.Attributes["RedrivePolicy"]), &redrive); err != nil || !strings.HasSuffix(redrive.Target, ":"+queue.Name(m.prefix, queue.DeadLetters)) {
			m.t.Errorf("the redrive policy of %s is %q: %v", lane, out.Attributes["RedrivePolicy"], err)
		}
		if out.Attributes["VisibilityTimeout"] != "90" || out.Attributes["ReceiveMessageWaitTimeSeconds"] != "20" {
			m.t.Errorf("the attributes of %s are %v", lane, out.Attributes)
		}
	}
}

func (m *mill) checkTables() {
	m.t.Helper()
	for _, table := range setup.Tables(m.prefix) {
		out, err := m.DynamoDB().DescribeTable(m.t.Context(), &dynamodb.DescribeTableInput{TableName: &table.Name})
		if err != nil {
			m.t.Fatal(err)
		}
		if out.Table.TableStatus != dynamodbtypes.TableStatusActive || len(out.Table.GlobalSecondaryIndexes) != len(table.Indexes) {
			m.t.Errorf("%s is %s with %d indexes", table.Name, out.Table.TableStatus, len(out.Table.GlobalSecondaryIndexes))
		}
		ttl, err := m.DynamoDB().DescribeTimeToLive(m.t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &table.Name})
		if err != nil {
			m.t.Fatal(err)
		}
		if aws.ToString(ttl.TimeToLiveDescription.AttributeName) != table.ExpiresBy {
			m.t.Errorf("%s expires by %q, expected %q", table.Name, aws.ToString(ttl.TimeToLiveDescription.AttributeName), table.ExpiresBy)
		}
	}
}

func (m *mill) checkBucket() {
	m.t.Helper()
	access, err := m.aws().S3.GetPublicAccessBlock(m.t.Context(), &s3.GetPublicAccessBlockInput{Bucket: &m.Bucket})
	if err != nil || !aws.ToBool(access.PublicAccessBlockConfiguration.BlockPublicAcls) {
		m.t.Errorf("the bucket is not private: %v", err)
	}
	rules, err := m.aws().S3.GetBucketLifecycleConfiguration(m.t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: &m.Bucket})
	if err != nil || len(rules.Rules) != 4 {
		m.t.Errorf("the bucket forgets nothing: %v", err)
	}
}

func TestPingProvesTheSetUp(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	if a := m.stampmill("ping", "--timeout", "1s"); a.code != exitTimeout || !strings.Contains(a.errs, "no worker answered") {
		t.Errorf("without a worker: %s", a)
	}
	m.work()
	type pong struct {
		Job       string
		RoundTrip int64 `json:"roundTripMs"`
	}
	for _, p := range show[[]pong](m, "ping", "--count", "3") {
		if p.Job == "" || p.RoundTrip <= 0 {
			t.Errorf("the pong is %+v", p)
		}
	}
	m.quiet()
}

func TestAWrongSpecIsRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	path := m.folder + "/" + m.file("kind: Ping\nname: right\n---\nkind: Ping\nname: wrong\nspec: {wait: soon}\n")
	if a := m.stampmill("submit", path); a.code != exitInvalid || !strings.Contains(a.errs, "wait") {
		t.Errorf("%s", a)
	}
	if n := m.messages(visible, inFlight, delayed); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
	if a := m.stampmill("job", "show", "ping-right-nobody"); a.code != exitNotFound {
		t.Errorf("a job that is not there: %s", a)
	}
}
