package rig_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/rig"
)

const otherAccount = "222222222222"

// homeBus is the installation's home bus.
func homeBus() string { return setup.HomeBus("aws", rig.Region, api.DefaultAccount) }

// person is somebody of the account.
func (b *bubble) person(account string) *app.App {
	b.t.Helper()
	sdk, err := clients.New(clients.Config{Region: rig.Region, Endpoint: b.Endpoint.URL(), Transport: b.Endpoint.RoundTripper(),
		Credentials: credentials.NewStaticCredentialsProvider(account, "secret", "")})
	b.must(err)
	return app.Build(app.Options{Common: config.Common{Prefix: "stampmill", Installation: "stampmill"}, Clients: sdk})
}

// forwarding is how the account's events of the regions come to the bus, and what was told of it.
func (b *bubble) forwarding(account, bus string, regions ...string) (setup.Forwarding, *[]string) {
	b.t.Helper()
	f, err := b.person(account).Forwarding(background, bus, regions)
	b.must(err)
	var told []string
	f.Tell = func(thing, name string, changed bool) {
		told = append(told, fmt.Sprint(thing, " ", name, " ", changed))
	}
	return f, &told
}

func (b *bubble) permit(accounts ...string) {
	b.t.Helper()
	in, err := b.person(api.DefaultAccount).Installation(background)
	b.must(err)
	in.Tell = func(string, string, bool) {}
	b.must(in.Permit(background, accounts))
}

func TestABakeHearsOfItsCopyInAnotherRegionWhereEventsAreForwarded(t *testing.T) {
	t.Parallel()
	for _, forwards := range []bool{true, false} {
		story := fullBake()
		copying := 7*time.Minute + 6*time.Second // looks come on ticks: none comes just after this
		story.Config.Endpoint.EC2.CopyMin, story.Config.Endpoint.EC2.CopyMax = copying, copying
		installed(t, story.Config, func(b *bubble) {
			if forwards {
				f, _ := b.forwarding(api.DefaultAccount, "", copyRegion)
				b.must(f.Make(background))
			}
			b.worker(nil)
			job := b.ends(b.submit("k", story.Spec), jobs.Succeeded)
			made, published := told(job, "made copy-"+copyRegion), told(job, "published")
			if made.IsZero() || published.IsZero() {
				t.Fatalf("the history tells nothing of the copy: %v", job.History)
			}
			late := published.Sub(made) - copying
			if soon := late >= 0 && late <= 2*time.Second; soon != forwards {
				t.Errorf("forwarded %v: it was published %s after the copy was available", forwards, late)
			}
		})
	}
}

func TestABakeInAnotherAccountHearsOfItsAMIWhereEventsAreForwardedAndPermitted(t *testing.T) {
	t.Parallel()
	for _, permitted := range []bool{true, false} {
		story := plainBake()
		story.Config.Endpoint.EC2.ImageMin, story.Config.Endpoint.EC2.ImageMax = 7*time.Minute+6*time.Second, 7*time.Minute+6*time.Second
		installed(t, story.Config, func(b *bubble) {
			f, _ := b.forwarding(otherAccount, homeBus(), rig.Region)
			b.must(f.Make(background))
			if permitted {
				b.permit(otherAccount)
			}
			b.worker(nil)
			job := b.ends(b.submit("k", "\nrole: arn:aws:iam::"+otherAccount+":role/stampmill"+story.Spec), jobs.Succeeded)
			late := told(job, "published").Sub(told(job, "made image")) - story.Config.Endpoint.EC2.ImageMax
			if soon := late >= 0 && late <= 2*time.Second; soon != permitted {
				t.Errorf("permitted %v: it was published %s after the AMI was available", permitted, late)
			}
		})
	}
}

func TestForwardingIsMadeOnceAndTakenBackWhole(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		f, told := b.forwarding(api.DefaultAccount, "", copyRegion, "eu-central-1")
		b.must(f.Make(background))
		if len(*told) != 12 || slices.ContainsFunc(*told, func(s string) bool { return s[len(s)-4:] != "true" }) {
			t.Errorf("it made %v, want a role and five rules a region", *told)
		}
		*told = nil
		b.must(f.Make(background))
		if slices.ContainsFunc(*told, func(s string) bool { return s[len(s)-4:] == "true" }) {
			t.Errorf("the second time it made %v", *told)
		}
		b.must(f.Remove(background))
		b.must(f.Remove(background))
		for _, region := range f.Regions {
			b.wantForwarding(f, region, 0)
		}
		if out, err := f.Events(rig.Region).DescribeRule(background, &eventbridge.DescribeRuleInput{Name: aws.String("stampmill-images")}); err != nil {
			t.Errorf("the installation's own rule: %v, %v", out, err)
		}
	})
}

// wantForwarding holds a region to so many targets of a rule that forwards; 0: there is neither rule nor role.
func (b *bubble) wantForwarding(f setup.Forwarding, region string, targets int) {
	b.t.Helper()
	_, roleErr := f.IAM.GetRole(background, &iam.GetRoleInput{RoleName: aws.String("stampmill-forward-" + region)})
	if there := roleErr == nil; there != (targets > 0) {
		b.t.Errorf("the role of %s is there: %v", region, there)
	}
	for _, rule := range setup.ForwardRules("stampmill") {
		out, err := f.Events(region).ListTargetsByRule(background, &eventbridge.ListTargetsByRuleInput{Rule: &rule.Name})
		if there := err == nil; there != (targets > 0) || there && len(out.Targets) != targets {
			b.t.Errorf("%s in %s: %v, %v, want %d targets", rule.Name, region, out, err, targets)
		}
	}
}

func TestTakingForwardingBackLeavesWhatOthersForwardByTheSameRules(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		ours, _ := b.forwarding(api.DefaultAccount, "", copyRegion)
		theirs, _ := b.forwarding(api.DefaultAccount, setup.HomeBus("aws", "ap-south-1", otherAccount), copyRegion)
		b.must(ours.Make(background))
		b.must(theirs.Make(background))
		b.wantForwarding(ours, copyRegion, 2)
		b.must(ours.Remove(background))
		b.wantForwarding(ours, copyRegion, 1)
		b.must(theirs.Remove(background))
		b.wantForwarding(ours, copyRegion, 0)
	})
}

// IAM tells EventBridge of a role after seconds. Here a role that was made by hand is mended meanwhile.
func TestForwardingWaitsForARoleThatEventBridgeDoesNotKnowYet(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		f, _ := b.forwarding(api.DefaultAccount, "", copyRegion)
		name, trust := "stampmill-forward-"+copyRegion, `{"Statement":[{"Effect":"Allow","Principal":{"Service":"%s"},"Action":"sts:AssumeRole"}]}`
		create := func(service string) {
			_, err := f.IAM.CreateRole(background, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(fmt.Sprintf(trust, service))})
			b.must(err)
		}
		create("ec2.amazonaws.com")
		made := time.AfterFunc(7*time.Second, func() {
			_, err := f.IAM.DeleteRolePolicy(background, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: aws.String("to-" + api.DefaultAccount + "-" + rig.Region)})
			b.must(err)
			_, err = f.IAM.DeleteRole(background, &iam.DeleteRoleInput{RoleName: &name})
			b.must(err)
			create("events.amazonaws.com")
		})
		defer made.Stop()
		b.must(f.Make(background))
		b.wantForwarding(f, copyRegion, 1)
	})
}

func TestForwardingToWhatIsNoOtherBusIsRefused(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		for _, c := range []struct{ bus, region string }{
			{homeBus(), rig.Region},
			{"default", copyRegion},
			{"arn:aws:events:eu-west-1:000000000000:event-bus/others", copyRegion},
			{"arn:aws:sqs:eu-west-1:000000000000:stampmill-wake", copyRegion},
		} {
			f, told := b.forwarding(api.DefaultAccount, c.bus, c.region)
			if err := f.Make(background); err == nil || len(*told) > 0 {
				t.Errorf("%s from %s: %v, made %v", c.bus, c.region, err, *told)
			}
		}
	})
}
