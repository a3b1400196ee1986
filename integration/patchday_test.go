package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/drift"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
)

// inside keeps servers without public addresses: moto says that those are the account's own, as it would of Elastic IP addresses,
// and a server that holds one of these is not replaced by a surge.
const inside = "  server: {publicIP: false}\n"

// playBuilders are so many builders, one after another, that have set themselves up and stop themselves.
func (m *mill) playBuilders(n int) {
	m.t.Helper()
	if endpointName() == embedded {
		return
	}
	for i := range n {
		m.until(fmt.Sprintf("builder %d of %d", i+1, n), func() bool {
			found := m.servers(filter("tag:"+jobs.TagThing, "builder"), filter("instance-state-name", "running"))
			if len(found) == 0 {
				return false
			}
			if _, err := m.aws().EC2.StopInstances(m.t.Context(), &ec2.StopInstancesInput{InstanceIds: ids(found)}); err != nil {
				m.t.Fatal(err)
			}
			return true
		})
	}
}

// bakeWebTwice bakes web@1 and web@2 beside each other.
func (m *mill) bakeWebTwice() {
	m.t.Helper()
	both := append(m.submit(bakeInUserData), m.submit(bakeInUserData)...)
	for _, id := range both {
		m.playBuilder(id)
	}
	m.ended(0, both...)
}

// bakeChild bakes the image shop from web.
func (m *mill) bakeChild() {
	m.t.Helper()
	id := m.submit(strings.ReplaceAll(strings.ReplaceAll(bakeInUserData, "name: web", "name: shop"), amazonLinux, "web"))[0]
	m.playBuilder(id)
	m.ended(0, id)
}

// front launches the fleet front, of the image web.
func (m *mill) front(count int) {
	m.t.Helper()
	document := strings.ReplaceAll(launchOf("web", count, inside), "name: shop", "name: front")
	m.ended(0, m.submit(strings.ReplaceAll(document, "shop-{", "front-{"))...)
}

// version is one of an image's versions.
func (m *mill) version(image string, number int) ledger.Version {
	m.t.Helper()
	all := show[versions](m, "image", "show", image).Versions
	at := slices.IndexFunc(all, func(v ledger.Version) bool { return v.Number == number })
	if at < 0 {
		m.t.Fatalf("there is no %s@%d: %+v", image, number, all)
	}
	return all[at]
}

// runs checks that each server of the fleet runs the version, in the ledger and in EC2, under its ordinal's name.
func (m *mill) runs(fleet, image string, number, count int) map[int]ledger.Server {
	m.t.Helper()
	ref, ami := fmt.Sprintf("%s@%d", image, number), m.version(image, number).Regions[region].AMI
	servers := m.ordinals(fleet)
	if len(servers) != count {
		m.t.Errorf("the fleet %s has %d servers, expected %d", fleet, len(servers), count)
	}
	for ordinal, server := range servers {
		if server.Image != ref || server.AMI != ami || server.State != ledger.Healthy || server.Hostname != fmt.Sprintf("%s-%03d", fleet, ordinal) {
			m.t.Errorf("ordinal %d of %s is %+v, expected a healthy server of %s", ordinal, fleet, server, ref)
		}
	}
	for _, server := range m.fleet(fleet) {
		if aws.ToString(server.ImageId) != ami {
			m.t.Errorf("%s runs %s, expected %s", aws.ToString(server.InstanceId), aws.ToString(server.ImageId), ami)
		}
	}
	return servers
}

// replaced checks that no server of before is left.
func (m *mill) replaced(before, after map[int]ledger.Server) {
	m.t.Helper()
	for ordinal, server := range before {
		if after[ordinal].InstanceID == server.InstanceID {
			m.t.Errorf("ordinal %d is still %s", ordinal, server.InstanceID)
		}
	}
}

func TestAPatchDayRenewsParentsBeforeChildrenAndRollsTheirFleets(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	m.bakeWeb()
	m.bakeChild()
	m.front(1)
	m.ended(0, m.submit(launchOf("shop", 2, inside))...)
	front, shop := m.runs("front", "web", 1, 1), m.runs("shop", "shop", 1, 2)

	const patchDay = `
kind: Restamp
name: patch-day
spec:
  images: {select: [web, shop]}
  fleets: {select: {all: true}}
  rollout: {surge: 1, canary: {count: 1}, waves: [100%], drain: 1s}
`
	if planned := m.do("plan", m.folder+"/"+m.file(patchDay)); !strings.Contains(planned, "web") || !strings.Contains(planned, "front") {
		t.Errorf("the plan tells neither images nor fleets:\n%s", planned)
	}
	id := m.submit(patchDay)[0]
	m.playBuilders(2)
	m.ended(0, id)

	if child, parent := m.version("shop", 2), m.version("web", 2); child.Parent != "web@2" || child.SourceAMI != parent.Regions[region].AMI {
		t.Errorf("shop@2 is from %s, %s; expected web@2, %s", child.Parent, child.SourceAMI, parent.Regions[region].AMI)
	}
	if m.current("web") != 2 || m.current("shop") != 2 {
		t.Errorf("current are web@%d and shop@%d", m.current("web"), m.current("shop"))
	}
	m.replaced(front, m.runs("front", "web", 2, 1))
	m.replaced(shop, m.runs("shop", "shop", 2, 2))
	report := show[restamp.Report](m, "restamp", "report", "patch-day")
	if report.Totals.ImagesRenewed != 2 || report.Totals.FleetsRolled != 2 || report.Totals.ServersRolled != 3 {
		t.Errorf("the report tells %+v", report.Totals)
	}
	m.leaves(3, 4)
	m.quiet()
	t.Run("drift", func(t *testing.T) {
		unserved(t, everyFault(noImageMetadata))
		m.inLine()
		gone := m.ordinals("shop")[1].InstanceID
		m.terminate(gone)
		if a := m.stampmill("drift", "-o", "json"); a.code != exitDrift || !strings.Contains(a.out, string(drift.Gone)) || !strings.Contains(a.out, gone) {
			t.Errorf("with a server gone: %s", a)
		}
	})
}

// alarm makes an alarm of the installation's own, which has no data yet.
func (m *mill) alarm() string {
	m.t.Helper()
	name := m.prefix + "-5xx"
	_, err := m.aws().Alarms.PutMetricAlarm(m.t.Context(), &cloudwatch.PutMetricAlarmInput{AlarmName: &name, Namespace: &m.prefix, MetricName: aws.String("5xx"),
		Statistic: cloudwatchtypes.StatisticSum, Period: aws.Int32(300), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1),
		ComparisonOperator: cloudwatchtypes.ComparisonOperatorGreaterThanThreshold})
	if err != nil {
		m.t.Fatal(err)
	}
	return name
}

func (m *mill) raise(alarm string, state cloudwatchtypes.StateValue) {
	m.t.Helper()
	_, err := m.aws().Alarms.SetAlarmState(m.t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: &alarm, StateValue: state, StateReason: aws.String("the test says so")})
	if err != nil {
		m.t.Fatal(err)
	}
}

// rolloutShown is what `stampmill rollout show` tells.
type rolloutShown struct {
	Job, State, WaitsFor string
	Rollout              rollout.Status
}

// toNewest rolls the fleet shop to web@2, its canary first.
func toNewest(gates string) string {
	return "kind: Rollout\nname: shop\nspec: {fleet: shop, image: web@2, surge: 1, canary: {count: 1}, waves: [100%], drain: 1s, gate: [" + gates + "]}\n"
}

// shopOfTwo has the images web@1 and web@2, and the fleet shop of two servers of web@1.
func (m *mill) shopOfTwo() map[int]ledger.Server {
	m.t.Helper()
	m.bakeWebTwice()
	m.ended(0, m.submit(launchOf("web@1", 2, inside))...)
	return m.runs("shop", "web", 1, 2)
}

func TestARolloutWhoseAlarmIsRaisedGoesBack(t *testing.T) {
	t.Parallel()
	unserved(t, map[string]string{independent: noCBOR})
	m := newMill(t)
	m.work()
	before := m.shopOfTwo()
	alarm := m.alarm()
	id := m.submit(toNewest("{alarm: " + alarm + "}"))[0]
	m.until("the rollout to wait for the alarm", func() bool {
		return strings.Contains(show[rolloutShown](m, "rollout", "show", "shop").WaitsFor, alarm)
	})
	m.raise(alarm, cloudwatchtypes.StateValueAlarm)
	if job := m.ended(exitJobFailed, id)[0]; !strings.Contains(job.Failure, alarm) {
		t.Errorf("it does not say why it failed: %s", job)
	}
	m.onlyCanaryChanged(before)
	if told := show[rolloutShown](m, "rollout", "show", "shop").Rollout; !told.Back || len(told.Gates) != 1 || told.Gates[0].Passed {
		t.Errorf("the rollout tells %+v", told)
	}
	m.leaves(2, 2)
}

// onlyCanaryChanged checks that the canary is another server of the image of before, and that the other one is as it was.
func (m *mill) onlyCanaryChanged(before map[int]ledger.Server) map[int]ledger.Server {
	m.t.Helper()
	after := m.runs("shop", "web", 1, 2)
	if after[0].InstanceID == before[0].InstanceID || after[1].InstanceID != before[1].InstanceID {
		m.t.Errorf("the canary alone was to be rolled, and back: before %+v\nafter %+v", before, after)
	}
	return after
}

func TestAPersonTurnsARolloutBackAndApprovesTheNext(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	before := m.shopOfTwo()
	turned := m.submit(toNewest("{approve: true}"))[0]
	m.waitsForApproval("canary")
	m.do("rollout", "rollback", "shop")
	m.ended(exitJobFailed, turned)
	before = m.onlyCanaryChanged(before)

	approved := m.submit(toNewest("{approve: true}"))[0]
	for _, wave := range []string{"canary", "1"} {
		m.waitsForApproval(wave)
		m.do("rollout", "approve", "shop")
	}
	m.ended(0, approved)
	m.replaced(before, m.runs("shop", "web", 2, 2))
	m.leaves(2, 2)
	m.quiet()
}

func (m *mill) waitsForApproval(wave string) {
	m.t.Helper()
	m.until("wave "+wave+" to wait for a person", func() bool {
		told := show[rolloutShown](m, "rollout", "show", "shop").Rollout
		return told.Wave == wave && told.Stage == "approve"
	})
}

func TestAFleetRolledInPlaceKeepsItsServers(t *testing.T) {
	t.Parallel()
	unserved(t, everyFault(noRootReplacement))
	m := newMill(t)
	m.work()
	before := m.shopOfTwo()
	m.ended(0, m.submit("kind: Rollout\nname: shop\nspec: {fleet: shop, image: web@2, strategy: inPlace, maxUnavailable: 1, waves: [100%], drain: 1s}\n")...)
	for ordinal, server := range m.ordinals("shop") {
		if server.InstanceID != before[ordinal].InstanceID || server.Image != "web@2" {
			t.Errorf("ordinal %d was %s, and is %s of %s", ordinal, before[ordinal].InstanceID, server.InstanceID, server.Image)
		}
	}
	m.inLine("shop")
	m.leaves(2, 2) // the volumes of before are gone
}

// inLine checks that drift finds nothing.
func (m *mill) inLine(fleets ...string) {
	m.t.Helper()
	if a := m.stampmill(append([]string{"drift"}, fleets...)...); a.code != 0 {
		m.t.Errorf("stampmill drift: %s", a)
	}
}

func TestWhatIsCurrentIsPromotedRolledBackAndRecalled(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	m.bakeWeb()
	held := m.submit(bakeInUserData + "  publish: {hold: true}\n")[0]
	m.playBuilder(held)
	m.ended(0, held)
	if current := m.current("web"); current != 1 {
		t.Errorf("a version that is held is current: web@%d", current)
	}
	m.do("image", "promote", "web@2")
	if current := m.current("web"); current != 2 {
		t.Errorf("web@%d is current after the promotion", current)
	}
	m.do("image", "rollback", "web", "--reason", "the shop is slow")
	if current := m.current("web"); current != 1 {
		t.Errorf("web@%d is current after the rollback", current)
	}
	m.do("image", "promote", "web@2")
	m.leaves(0, 2)
	t.Run("recall", func(t *testing.T) {
		unserved(t, everyFault(noDisabling))
		if out := m.do("image", "recall", "web@2", "--reason", "CVE-2026-1234"); m.current("web") != 1 {
			t.Errorf("web@%d is current after the recall:\n%s", m.current("web"), out)
		}
		for _, image := range m.images(region) {
			expected := types.ImageStateAvailable
			if tag(image.Tags, bake.TagVersion) == "web@2" {
				expected = types.ImageStateDisabled
			}
			if image.State != expected {
				t.Errorf("%s is %s, expected %s", aws.ToString(image.Name), image.State, expected)
			}
		}
		if job := m.ended(exitJobFailed, m.submit(launchOf("web@2", 1, ""))...)[0]; !strings.Contains(job.Failure, "recalled") {
			t.Errorf("a launch from it: %s", job)
		}
		m.do("image", "restore", "web@2")
		m.ended(0, m.submit(launchOf("web@2", 1, ""))...)
		m.leaves(1, 2)
	})
}

func TestServersThatWereThereAreImportedAndRolled(t *testing.T) {
	t.Parallel()
	unserved(t, map[string]string{localstack: noTargetGroups})
	m := newMill(t)
	m.work()
	m.bakeWeb()
	app := m.prefix + "-app"
	out, err := m.aws().EC2.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: aws.String(linux), InstanceType: types.InstanceTypeT3Medium,
		MinCount: aws.Int32(2), MaxCount: aws.Int32(2),
		NetworkInterfaces: []types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), AssociatePublicIpAddress: aws.Bool(false)}},
		TagSpecifications: []types.TagSpecification{
			{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("app"), Value: &app}}},
			{ResourceType: types.ResourceTypeVolume, Tags: []types.Tag{{Key: aws.String(jobs.TagInstallation), Value: &m.prefix}}}}})
	if err != nil {
		t.Fatal(err)
	}
	there := ids(out.Instances)
	m.until("the servers to run", func() bool {
		out, err := m.aws().EC2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{
			Filters: []types.Filter{filter("instance-id", there...), filter("instance-state-name", "running")}})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Reservations) == 1 && len(out.Reservations[0].Instances) == 2
	})
	m.do("import", "fleet", "shop", "--filter", "Name=tag:app,Values="+app, "--yes")
	before := m.ordinals("shop")
	if imported := []string{before[0].InstanceID, before[1].InstanceID}; !slices.Equal(slices.Sorted(slices.Values(imported)), there) {
		t.Fatalf("imported are %+v, expected %v", before, there)
	}
	m.ended(0, m.submit("kind: Rollout\nname: shop\nspec: {fleet: shop, image: web, surge: 1, waves: [100%], drain: 1s}\n")...)
	after := m.ordinals("shop")
	m.replaced(before, after)
	for ordinal, server := range after {
		if server.Image != "web@1" {
			t.Errorf("ordinal %d runs %s", ordinal, server.Image)
		}
	}
	m.leaves(2, 1)
}
