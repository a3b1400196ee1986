package ec2

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

func TestAKilledEndpointComesBackAsItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		store := must(state.Open(path))(t)
		b := startOn(t, store, withoutPropagation)
		must(b.service.Controls()["capacity"]([]byte(`{"type":"c7g.large","capacity":0}`)))(t)
		id := b.running(t, token("kept"), func(in *sdk.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{tagged("instance", "Name", "web")}
		})
		if m, ok := b.service.Machine("000000000000", testRegion, id); ok {
			m.Run(machine.Command{Script: "kept"}, func(machine.Result) {})
		}
		image := b.image(t, id, "web", false)
		pending := ids(b.run(t, 1))[0]
		if err := store.Flush(); err != nil {
			t.Fatal(err)
		}
		// The kill: nothing of what Close would write reaches the log that the next start reads.
		copied := must(state.Open(path))(t)
		b.service.Close()

		again := startOn(t, copied, withoutPropagation)
		defer again.service.Close()
		time.Sleep(10 * time.Second)
		found := must(again.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{Filters: []types.Filter{{Name: aws.String("tag:Name"), Values: []string{"web"}}}}))(t)
		if len(found.Reservations) != 1 || found.Reservations[0].Instances[0].State.Name != "running" {
			t.Fatalf("found %+v", found.Reservations)
		}
		if content := again.host.of(t, id).read("/dev/xvda", "/etc/motd"); content != "kept" {
			t.Errorf("the server reads %q", content)
		}
		if s := again.describe(t, pending).State.Name; s != "running" {
			t.Errorf("the pending instance is %s", s)
		}
		if repeated := again.run(t, 1, token("kept"), func(in *sdk.RunInstancesInput) {
			in.TagSpecifications = []types.TagSpecification{tagged("instance", "Name", "web")}
		}); *repeated.Instances[0].InstanceId != id {
			t.Error("the token is forgotten")
		}
		time.Sleep(10 * time.Minute)
		if s := again.describeImage(t, image).State; s != "available" {
			t.Errorf("the image is %s", s)
		}
		clone := again.running(t, func(in *sdk.RunInstancesInput) { in.ImageId = &image })
		if content := again.host.of(t, clone).read("/dev/xvda", "/etc/motd"); content != "kept" {
			t.Errorf("a server of the image reads %q", content)
		}
		_, err := again.tryRun(1, func(in *sdk.RunInstancesInput) { in.InstanceType = "c7g.large" })
		wantCode(t, err, "InsufficientInstanceCapacity")
	})
}

func TestALaunchThatAKillCutsIsWhollyThereOrNotAtAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		store := must(state.Open(path))(t)
		b := startOn(t, store, withoutPropagation)
		b.run(t, 14, token("batch"), func(in *sdk.RunInstancesInput) {
			in.UserData = aws.String(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 15<<10))) // more than a buffer in all
		})
		if err := store.Flush(); err != nil {
			t.Fatal(err)
		}
		log := must(os.ReadFile(path))(t)
		b.service.Close()
		whole := 0
		for cut := range len(log) + 1 {
			if cut > 0 && log[cut-1] != '\n' && cut%(1<<16) != 0 {
				continue
			}
			if err := os.WriteFile(path, log[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			again := must(state.Open(path))(t)
			servers := must(state.NewTable[json.RawMessage](again, "ec2-instances"))(t).Len()
			tokens := must(state.NewTable[json.RawMessage](again, "ec2-tokens"))(t).Len()
			if servers != 14*tokens {
				t.Fatalf("cut at %d of %d bytes there are %d servers and %d tokens", cut, len(log), servers, tokens)
			}
			whole += tokens
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if whole == 0 {
			t.Error("the launch was never there")
		}
	})
}
