package cli_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	groups "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// cells wants lines of a table, whatever its columns' widths.
func cells(t *testing.T, table string, wanted ...string) {
	t.Helper()
	for i, want := range wanted {
		wanted[i] = " " + want
	}
	wants(t, " "+strings.Join(strings.Fields(table), " ")+" ", wanted...)
}

// imported makes web@1 and web@2 of AMIs of the user's own, and gives their ids.
func (s *shell) imported() []string {
	s.t.Helper()
	base, found, err := s.User.EC2.For(jobs.Target{}).NewestImage(s.t.Context(), "amazon", "al2023-ami-*", "arm64")
	if err != nil || !found {
		s.t.Fatal("no Amazon Linux image", err)
	}
	client := s.User.Clients.For(jobs.Target{}).EC2
	var amis []string
	for n := range 2 {
		out, err := client.CopyImage(s.t.Context(), &ec2.CopyImageInput{Name: aws.String(fmt.Sprint("web-", n)), SourceImageId: &base.ID, SourceRegion: aws.String(rig.Region)})
		if err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(15 * time.Minute)
		amis = append(amis, *out.ImageId)
		s.must(cli.ExitOK, "import", "image", "web", "--ami", *out.ImageId, "--yes")
	}
	return amis
}

// fleetOf launches a fleet of three of web@1.
func (s *shell) fleetOf(name string) {
	s.t.Helper()
	s.must(cli.ExitOK, "submit", s.file(name+".yaml", `
kind: Launch
name: `+name+`
spec: {image: web@1, count: 3, pools: [{types: [m7g.large]}]}
`), "--wait")
}

// rollOut submits a rollout of a fleet to web@2 and gives its job.
func (s *shell) rollOut(fleet, options string) string {
	s.t.Helper()
	return regexp.MustCompile(`rollout-[a-z0-9-]+`).FindString(s.must(cli.ExitOK, "submit", s.file("rollout.yaml", `
kind: Rollout
name: `+fleet+`
spec: {fleet: `+fleet+`, image: web@2, waves: [1, 100%]`+options+`}
`)))
}

func TestARolloutIsWatchedAndSteeredFromTheCommandLine(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		s.imported()
		s.fleetOf("web-prod")
		id := s.rollOut("web-prod", ", gate: [{approve: true}]")
		time.Sleep(20 * time.Minute)

		wants(t, s.must(cli.ExitOK, "rollout", "list"), id, "web-prod", "web@2", "open", "approval of wave 1")
		cells(t, s.must(cli.ExitOK, "rollout", "show", "web-prod"), "former image web@1", "rolled 0", "wave 1 1 of 1 rolled: approve", "wave 2 0 of 2 rolled")
		var shown struct {
			Job     string
			Rollout struct{ Rolled, Left, Wave string }
		}
		if err := json.Unmarshal([]byte(s.must(cli.ExitOK, "rollout", "show", id, "-o", "json")), &shown); err != nil || shown.Job != id || shown.Rollout.Rolled != "0" ||
			shown.Rollout.Left != "1-2" || shown.Rollout.Wave != "1" {
			t.Errorf("as JSON it is %+v, %v", shown, err)
		}

		s.must(cli.ExitOK, "rollout", "pause", "web-prod")
		s.must(cli.ExitOK, "rollout", "approve", "web-prod")
		time.Sleep(20 * time.Minute)
		cells(t, s.must(cli.ExitOK, "rollout", "show", "web-prod"), "paused in wave 2", "gate approve passed after wave 1")
		s.must(cli.ExitOK, "rollout", "resume", "web-prod")
		time.Sleep(20 * time.Minute)
		cells(t, s.must(cli.ExitOK, "rollout", "show", "web-prod"), "approval of wave 2", "rolled 0-2")
		s.must(cli.ExitOK, "rollout", "approve", id, "--wave", "2")
		s.must(cli.ExitOK, "wait", id)
		cells(t, s.must(cli.ExitOK, "fleet", "show", "web-prod"), "on web@2 3")
		for ordinal := range 3 {
			if table := s.must(cli.ExitOK, "rollout", "show", id); !regexp.MustCompile(fmt.Sprintf(`server %d +i-[0-9a-f]+ web@1 → i-[0-9a-f]+ web@2`, ordinal)).MatchString(table) {
				t.Errorf("what ordinal %d was and is does not stand in\n%s", ordinal, table)
			}
		}

		// One that has ended goes back by another one, with the options of the old one.
		wants(t, s.must(cli.ExitOK, "rollout", "rollback", "web-prod"), "back to web@1")
		time.Sleep(20 * time.Minute)
		cells(t, s.must(cli.ExitOK, "rollout", "show", "web-prod"), "image web@1", "former image web@2", "approval of wave 1")
		s.must(cli.ExitOK, "rollout", "cancel", "web-prod")
		time.Sleep(20 * time.Minute)
		cells(t, s.must(cli.ExitOK, "rollout", "show", "web-prod"), "state cancelled", "rolled 0", "left as it is web@1 is on 1 server, not on the others", "a rollout to web@1 or to web@2")
		cells(t, s.must(cli.ExitOK, "fleet", "show", "web-prod"), "on web@1 1", "on web@2 2")
	})
}

// At night one types the fleet's name: it means the rollout that works on it, not the one that was submitted last.
func TestAFleetsNameMeansTheRolloutThatWorksOnItNotOneInLine(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		s.imported()
		s.fleetOf("web-prod")
		first := s.rollOut("web-prod", ", gate: [{approve: true}]")
		time.Sleep(20 * time.Minute)
		second := s.rollOut("web-prod", "")
		time.Sleep(time.Minute)
		wants(t, s.must(cli.ExitOK, "rollout", "show", "web-prod"), first)
		wants(t, s.must(cli.ExitOK, "rollout", "show", second), second, first+" works on it")
		wants(t, s.must(cli.ExitOK, "rollout", "approve", "web-prod"), first, "wave 1 is approved")
		wants(t, s.must(cli.ExitOK, "rollout", "pause", "web-prod"), first)
		time.Sleep(20 * time.Minute)
		cells(t, s.must(cli.ExitOK, "rollout", "show", "web-prod"), "paused until a person's resume")
		s.must(cli.ExitOK, "rollout", "resume", "web-prod")
		time.Sleep(20 * time.Minute)
		s.must(cli.ExitOK, "rollout", "approve", "web-prod", "--wave", "2")
		s.must(cli.ExitOK, "wait", first, second)
		wants(t, s.must(cli.ExitOK, "rollout", "show", "web-prod"), second)
		if a := s.run("plan", s.file("misnamed.yaml", "kind: Rollout\nname: tuesday\nspec: {fleet: web-prod, image: web@2}\n")); a.code == cli.ExitOK || !strings.Contains(a.out+a.err, "write name: web-prod") {
			t.Errorf("a rollout that is named otherwise: %+v", a)
		}
	})
}

func TestAnOrderThatFitsNoRolloutIsRefused(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		wants(t, s.must(cli.ExitOK, "rollout", "list"), "JOB")
		s.imported()
		s.fleetOf("asks")
		s.fleetOf("does-not-ask")
		asks := s.rollOut("asks", ", gate: [{approve: true}]")
		open := s.rollOut("does-not-ask", `, window: {days: [sat], from: "02:00", to: "03:00"}`)
		ended := s.rollOut("asks", ", gate: [{approve: true}]") // waits in line for the first
		time.Sleep(time.Minute)
		s.must(cli.ExitOK, "rollout", "cancel", ended)
		launch := strings.Fields(strings.Split(s.must(cli.ExitOK, "job", "list", "--kind", "Launch"), "\n")[1])[0]
		time.Sleep(20 * time.Minute)
		for name, c := range map[string]struct {
			args []string
			code int
			says string
		}{
			"nobody's":                    {[]string{"pause", "nobodys"}, cli.ExitNotFound, "there is no rollout of a fleet nobodys"},
			"no rollout's job":            {[]string{"show", launch}, cli.ExitNotFound, "not a Rollout"},
			"a job that is not there":     {[]string{"cancel", "rollout-web-aaaaaaaaaaaaaaaa"}, cli.ExitNotFound, "rollout-web-aaaaaaaaaaaaaaaa"},
			"none":                        {[]string{"resume"}, cli.ExitUsage, "accepts 1 arg"},
			"one that has ended":          {[]string{"resume", ended}, cli.ExitFailure, "has ended already: cancelled"},
			"one that ended, back":        {[]string{"rollback", ended}, cli.ExitFailure, "is not what the fleet asks ran last"},
			"a wave that is not there":    {[]string{"approve", asks, "--wave", "canary"}, cli.ExitUsage, `no wave "canary"; its waves are 1, 2`},
			"an approval nobody asks for": {[]string{"approve", open}, cli.ExitFailure, "asks for no approval"},
			"a wave where none counts":    {[]string{"pause", asks, "--wave", "1"}, cli.ExitUsage, "unknown flag"},
		} {
			a := s.run(append([]string{"rollout"}, c.args...)...)
			if a.code != c.code || !strings.Contains(a.err, c.says) {
				t.Errorf("%s: it ends with %d and %q, want %d and %q", name, a.code, a.err, c.code, c.says)
			}
		}
	})
}

// pooled makes an Auto Scaling group of four from an AMI, and imports it as the fleet "pool".
func (s *shell) pooled(ami string) {
	s.t.Helper()
	own := s.User.Clients.For(jobs.Target{})
	if _, err := own.EC2.CreateLaunchTemplate(s.t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("pool"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &ami, InstanceType: "m7g.large"}}); err != nil {
		s.t.Fatal(err)
	}
	if _, err := own.Groups.CreateAutoScalingGroup(s.t.Context(), &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("pool"), MinSize: aws.Int32(1), MaxSize: aws.Int32(9),
		DesiredCapacity: aws.Int32(4), LaunchTemplate: &groups.LaunchTemplateSpecification{LaunchTemplateName: aws.String("pool"), Version: aws.String("1")},
		AvailabilityZones: []string{rig.Region + "a"}}); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(5 * time.Minute)
	s.must(cli.ExitOK, "import", "fleet", "pool", "--auto-scaling-group", "pool", "--yes")
}

func TestLineageCountsWhatAGroupRuns(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		amis := s.imported()
		s.pooled(amis[0])
		s.fleetOf("web-prod")
		tree := s.must(cli.ExitOK, "image", "lineage", "web")
		wants(t, tree, "pool  (fleet, Auto Scaling group pool, 4 servers)", "web-prod  (fleet, 3 servers)")
		wants(t, s.must(cli.ExitOK, "image", "show", "web"), "pool(4)", "web-prod(3)")
		if _, err := s.User.Clients.For(jobs.Target{}).Groups.DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("pool"), ForceDelete: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Minute)
		wants(t, s.must(cli.ExitOK, "image", "lineage", "web"), "servers unknown: ", "there is no such group any more", "web-prod  (fleet, 3 servers)")
		wants(t, s.must(cli.ExitOK, "image", "show", "web"), "pool(?)", "web-prod(3)")
	})
}
