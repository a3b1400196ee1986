package localaws

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stampmill/stampmill/internal/localaws/record"
)

func TestOneAnswerOfEachShapeIsRecorded(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "recorded")
	t.Setenv("STAMPMILL_RECORD", folder)
	d := newDesk(t, nil)
	for _, body := range []string{"a", "b"} {
		d.send(body, 0)
	}
	if _, err := d.client.GetQueueUrl(background, &sqs.GetQueueUrlInput{QueueName: aws.String("none")}); err == nil {
		t.Fatal("there is a queue named none")
	}
	kept := map[string]record.Recording{}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		var r record.Recording
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		kept[r.Action] = r
	}
	if len(files) != 3 || kept["SendMessage"].Status != 200 || kept["GetQueueUrl"].Status != 400 || len(kept["CreateQueue"].Body) == 0 {
		t.Fatalf("%d files: %v; want one each of CreateQueue, SendMessage and a failed GetQueueUrl", len(files), kept)
	}
}

func TestAnswersByCBORAreToldApartByTheirMembers(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "recorded")
	t.Setenv("STAMPMILL_RECORD", folder)
	d := newDesk(t, nil)
	alarms := cloudwatch.New(cloudwatch.Options{Region: "eu-west-1", BaseEndpoint: aws.String("http://aws.test"), HTTPClient: d.server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	describe := func() {
		t.Helper()
		if _, err := alarms.DescribeAlarms(background, &cloudwatch.DescribeAlarmsInput{}); err != nil {
			t.Fatal(err)
		}
	}
	describe()
	describe()
	if _, err := alarms.PutMetricAlarm(background, &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("web-5xx"), Namespace: aws.String("web"), MetricName: aws.String("5xx"), Statistic: types.StatisticSum, Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold,
	}); err != nil {
		t.Fatal(err)
	}
	describe()
	if files, err := filepath.Glob(filepath.Join(folder, "monitoring.DescribeAlarms.200.*")); err != nil || len(files) != 2 {
		t.Fatalf("%v, %v; want an answer without alarms and one with an alarm", files, err)
	}
}
