package localaws

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/localaws/ec2"
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
	answer, err := server.Client().Get(server.URL() + "/_localaws/inspect")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
	}()
	var seen struct {
		EC2 ec2.Inspection `json:"ec2"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&seen); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	if len(seen.EC2.Instances) != 2 || len(seen.EC2.Volumes) != 2 {
		t.Fatalf("it shows %d instances and %d volumes", len(seen.EC2.Instances), len(seen.EC2.Volumes))
	}
	if i := seen.EC2.Instances[1]; i.LaunchIndex != 1 || i.ClientToken != "token" || string(i.UserData) != "hello" || i.State == "" {
		t.Errorf("it shows %+v", i)
	}
}
