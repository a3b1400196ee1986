package localaws

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/sqs"
)

func TestInspectShowsAtOnceWhatALaunchMade(t *testing.T) {
	t.Parallel()
	server := start(t, Config{})
	client := sdkec2.NewFromConfig(sdk(server, "test"))
	images, err := client.DescribeImages(background, &sdkec2.DescribeImagesInput{Owners: []string{"amazon"},
		Filters: []types.Filter{{Name: aws.String("architecture"), Values: []string{"arm64"}}}})
	if err != nil || len(images.Images) == 0 {
		t.Fatal(images, err)
	}
	_, err = client.RunInstances(background, &sdkec2.RunInstancesInput{ImageId: images.Images[0].ImageId, InstanceType: "m7g.medium",
		MinCount: aws.Int32(2), MaxCount: aws.Int32(2), UserData: aws.String("aGVsbG8="), ClientToken: aws.String("token")})
	if err != nil {
		t.Fatal(err)
	}
	var seen struct {
		EC2 ec2.Inspection `json:"ec2"`
	}
	inspect(t, server, &seen)
	if len(seen.EC2.Instances) != 2 || len(seen.EC2.Volumes) != 2 {
		t.Fatalf("it shows %d instances and %d volumes", len(seen.EC2.Instances), len(seen.EC2.Volumes))
	}
	if i := seen.EC2.Instances[1]; i.LaunchIndex != 1 || i.ClientToken != "token" || string(i.UserData) != "hello" || i.State == "" {
		t.Errorf("it shows %+v", i)
	}
}

func TestInspectShowsMessagesThatNobodyCanReceiveYet(t *testing.T) {
	t.Parallel()
	server := start(t, Config{})
	client := sdksqs.NewFromConfig(sdk(server, "test"))
	queue, err := client.CreateQueue(background, &sdksqs.CreateQueueInput{QueueName: aws.String("jobs")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.SendMessage(background, &sdksqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: aws.String("later"), DelaySeconds: 900}); err != nil {
		t.Fatal(err)
	}
	var seen struct {
		SQS []sqs.Held `json:"sqs"`
	}
	inspect(t, server, &seen)
	if len(seen.SQS) != 1 || seen.SQS[0].Body != "later" || seen.SQS[0].Queue != "jobs" || !seen.SQS[0].VisibleAt.After(seen.SQS[0].Sent) {
		t.Errorf("it shows %+v", seen.SQS)
	}
}

func inspect(t *testing.T, server *Server, into any) {
	t.Helper()
	answer, err := server.Client().Get(server.URL() + "/_localaws/inspect")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
}
