package rig_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/drift"
	"github.com/stampmill/stampmill/internal/rig"
)

func (b *bubble) drifts(userData bool, fleets ...string) (report drift.Report, kinds []string) {
	b.t.Helper()
	report, err := b.User.Drift(background, userData, fleets...)
	b.must(err)
	for _, f := range report.Fleets {
		if f.Error != "" {
			b.t.Errorf("%s: %s", f.Name, f.Error)
		}
		for _, found := range f.Findings {
			kinds = append(kinds, string(found.Kind))
		}
	}
	slices.Sort(kinds)
	return report, kinds
}

func TestDriftIsWhatSomebodyChangedAndNothingElse(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		_, err := settled(b.Rig)
		b.must(err)
		b.worker(nil)
		b.ends(b.submit("launch", smallLaunch(6)), jobs.Succeeded)
		b.ends(b.submit("import", importServers), jobs.Succeeded)
		report, kinds := b.drifts(true)
		if len(kinds) > 0 || len(report.Strays) > 0 {
			t.Fatalf("nobody changed anything, and there is %v: %+v", kinds, report)
		}
		if report.Calls["DescribeInstances"] != 1 || report.Calls["DescribeInstanceImageMetadata"] != 1 || report.Calls["DescribeInstanceAttribute"] != 9 {
			t.Errorf("the look took %v", report.Calls)
		}
		servers, err := b.User.Ledger.Servers(background, "web-prod")
		b.must(err)
		id := func(ordinal int) string { return servers[ordinal].InstanceID }
		api := b.User.Clients.For(jobs.Target{}).EC2
		change := func(_ any, err error) { b.t.Helper(); b.must(err) }
		change(api.TerminateInstances(background, &sdkec2.TerminateInstancesInput{InstanceIds: []string{id(0)}}))
		change(api.StopInstances(background, &sdkec2.StopInstancesInput{InstanceIds: []string{id(1), id(2)}}))
		change(api.DeleteTags(background, &sdkec2.DeleteTagsInput{Resources: []string{id(3)}, Tags: []types.Tag{{Key: aws.String("stampmill:installation")}, {Key: aws.String("stampmill:fleet")}}}))
		time.Sleep(10 * time.Minute)
		change(api.ModifyInstanceAttribute(background, &sdkec2.ModifyInstanceAttributeInput{InstanceId: aws.String(id(2)), InstanceType: &types.AttributeValue{Value: aws.String("m7g.xlarge")}}))
		change(api.StartInstances(background, &sdkec2.StartInstancesInput{InstanceIds: []string{id(2)}}))
		change(api.CreateTags(background, &sdkec2.CreateTagsInput{Resources: []string{b.foreign()}, Tags: []types.Tag{
			{Key: aws.String("stampmill:installation"), Value: aws.String("stampmill")}, {Key: aws.String("stampmill:fleet"), Value: aws.String("web-prod")}}}))
		time.Sleep(10 * time.Minute)
		_, kinds = b.drifts(false)
		if want := []string{"gone", "stopped", "tags", "type", "unknown"}; !slices.Equal(kinds, want) {
			t.Errorf("drift is %v, want %v", kinds, want)
		}
		if report, kinds := b.drifts(false, "old"); len(kinds) > 0 || len(report.Fleets) != 1 {
			t.Errorf("of the other fleet: %v, %+v", kinds, report)
		}
		b.ends(b.submit("down", "kind: Terminate\nname: down\nspec: {fleet: web-prod, ordinals: [0, 5]}\n"), jobs.Succeeded)
		if _, kinds = b.drifts(false); slices.Contains(kinds, string(drift.Missing)) {
			t.Errorf("what a person terminated is missing: %v", kinds)
		}
	})
}

// foreign is a server of settled that no import took.
func (b *bubble) foreign() string {
	for _, i := range b.EC2().Inspect().Instances {
		if i.Tags["app"] == "other" {
			return i.ID
		}
	}
	b.t.Fatal("there is none")
	return ""
}

func TestDriftTellsTheAgeOfWhatServersRunAlsoWhereTheImageIsGone(t *testing.T) {
	t.Parallel()
	installed(t, rig.Config{}, func(b *bubble) {
		ami, err := ownAMI(background, b.Rig)
		b.must(err)
		w := b.worker(nil)
		b.ends(b.submit("import", "kind: Import\nname: golden\nspec: {image: {ami: "+ami+"}}\n"), jobs.Succeeded)
		b.ends(b.submit("launch", "kind: Launch\nname: front\nspec: {image: golden, count: 2, pools: [{types: [m7g.large]}]}\n"), jobs.Succeeded)
		b.must(b.User.EC2.For(jobs.Target{}).Deregister(background, ami, false))
		w.Drain() // a worker looks for work all these days
		time.Sleep(10*24*time.Hour + time.Hour)
		report, kinds := b.drifts(false)
		if f := report.Fleets[0]; len(kinds) > 0 || f.AgeDays != 10 || f.OldestDays != 10 || len(f.Servers) != 2 || f.Servers[0].AgeDays != 10 {
			t.Errorf("drift is %v of %+v", kinds, f)
		}
		b.worker(nil)
	})
}
