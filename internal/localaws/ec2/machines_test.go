package ec2

import (
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// command runs a script on the instance's machine as the SSM agent would.
func (b *bundle) command(t *testing.T, id, script string) machine.Result {
	t.Helper()
	m, ok := b.service.Machine(api.DefaultAccount, testRegion, id)
	if !ok {
		t.Fatalf("%s has no machine", id)
	}
	result := make(chan machine.Result, 1)
	m.Run(machine.Command{ID: "command", Shell: "sh", Script: script, Timeout: time.Minute, Region: testRegion}, func(r machine.Result) { result <- r })
	return <-result
}

func TestServersOfAnImageHaveWhatItsBuilderWrote(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := must(state.Open(""))(t)
		env := &api.Env{Store: store, Speed: 1, Seed: 1}
		service := must(New(env, machine.NewHost(), Options{}))(t)
		service.Start()
		defer service.Close()
		b := &bundle{service: service}
		b.Client = b.client(testRegion, api.DefaultAccount)

		withProfile := func(in *sdk.RunInstancesInput) {
			in.IamInstanceProfile = profile("builder")
			in.UserData = aws.String(base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\necho from user data > /etc/first\n")))
		}
		builder := ids(b.run(t, 1, withProfile))[0]
		time.Sleep(2 * time.Minute)
		if r := b.command(t, builder, "cat /etc/first && echo from command > /etc/second"); r.ExitCode != 0 || !strings.Contains(r.Stdout, "from user data") {
			t.Fatalf("on the builder: %+v", r)
		}
		must(b.StopInstances(t.Context(), &sdk.StopInstancesInput{InstanceIds: []string{builder}}))(t)
		time.Sleep(time.Minute)
		image := b.image(t, builder, "web", false)
		time.Sleep(11 * time.Minute)
		server := ids(b.run(t, 1, func(in *sdk.RunInstancesInput) { in.ImageId, in.IamInstanceProfile = &image, profile("web") }))[0]
		time.Sleep(2 * time.Minute)
		if r := b.command(t, server, "cat /etc/first /etc/second"); r.ExitCode != 0 || r.Stdout != "from user data\nfrom command\n" {
			t.Errorf("on the server: %+v", r)
		}
		status := must(b.DescribeInstanceStatus(t.Context(), &sdk.DescribeInstanceStatusInput{InstanceIds: []string{server}}))(t)
		if s := status.InstanceStatuses[0].InstanceStatus.Status; s != "ok" {
			t.Errorf("its status is %s", s)
		}
	})
}
