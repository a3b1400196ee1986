package localaws

import (
	"encoding/base64"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func TestAServersOwnAnswerMakesItsTargetHealthy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := start(t, Config{Seed: 3})
		if err := server.SendEvents(EventTarget{Queue: "jobs"}); err != nil {
			t.Fatal(err)
		}
		config := sdk(server, "AKID")
		servers, balancers := ec2.NewFromConfig(config), elb.NewFromConfig(config)
		script := "#!/bin/sh\ndnf install -y nginx\nsystemctl enable --now nginx\n"
		ran, err := servers.RunInstances(background, &ec2.RunInstancesInput{
			ImageId: aws.String("resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"), InstanceType: "t3.micro", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), UserData: aws.String(base64.StdEncoding.EncodeToString([]byte(script))),
		})
		if err != nil {
			t.Fatal(err)
		}
		group, err := balancers.CreateTargetGroup(background, &elb.CreateTargetGroupInput{Name: aws.String("web"), Protocol: "HTTP", Port: aws.Int32(80)})
		if err != nil {
			t.Fatal(err)
		}
		arn, id := group.TargetGroups[0].TargetGroupArn, ran.Instances[0].InstanceId
		time.Sleep(time.Minute)
		if _, err := balancers.RegisterTargets(background, &elb.RegisterTargetsInput{TargetGroupArn: arn, Targets: []elbtypes.TargetDescription{{Id: id}}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		health, err := balancers.DescribeTargetHealth(background, &elb.DescribeTargetHealthInput{TargetGroupArn: arn})
		if err != nil || len(health.TargetHealthDescriptions) != 1 || health.TargetHealthDescriptions[0].TargetHealth.State != elbtypes.TargetHealthStateEnumHealthy {
			t.Fatalf("health %+v, %v", health, err)
		}
	})
}
