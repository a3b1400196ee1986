package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// launchOf is a launch that every endpoint can serve.
func launchOf(image string, count int, more string) string {
	return fmt.Sprintf(`
kind: Launch
name: shop
spec:
  image: %s
  count: %d
  pools: [{types: [t3.medium]}]
  hostname: "shop-{ordinal:03}"
  settings: {all: {site: Edge}}
%s`, image, count, more)
}

// ordinals gives a fleet's servers as `stampmill fleet servers` tells, and checks that EC2 has just these.
func (m *mill) ordinals(fleet string) map[int]ledger.Server {
	m.t.Helper()
	byOrdinal := map[int]ledger.Server{}
	var known []string
	for _, server := range show[[]ledger.Server](m, "fleet", "servers", fleet) {
		if _, twice := byOrdinal[server.Ordinal]; twice {
			m.t.Errorf("ordinal %d has two holders", server.Ordinal)
		}
		byOrdinal[server.Ordinal] = server
		known = append(known, server.InstanceID)
	}
	slices.Sort(known)
	var there []string
	m.until("the fleet's servers in EC2", func() bool { there = ids(m.fleet(fleet)); return len(there) == len(known) })
	if !slices.Equal(known, there) {
		m.t.Errorf("the fleet has %v, EC2 has %v", known, there)
	}
	return byOrdinal
}

func TestALaunchStampsSoManyServersEachWithItsOrdinal(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	image := linux
	m.ended(0, m.submit(launchOf(image, 3, "  tags: {team: edge}\n"))...)
	first := m.ordinals("shop")
	for ordinal := range 3 {
		server, ok := first[ordinal]
		if !ok || server.Hostname != fmt.Sprintf("shop-%03d", ordinal) || server.State != ledger.Healthy || server.AMI != image {
			t.Errorf("ordinal %d is %+v", ordinal, server)
		}
	}
	for _, server := range m.fleet("shop") {
		if server.State.Name != "running" || aws.ToString(server.ImageId) != image || tag(server.Tags, launch.TagFleet) != "shop" || tag(server.Tags, "team") != "edge" {
			t.Errorf("%s is %s of %s, tagged %v", aws.ToString(server.InstanceId), server.State.Name, aws.ToString(server.ImageId), server.Tags)
		}
	}

	// Again with a higher count: those that are there stay.
	m.ended(0, m.submit(launchOf(image, 5, ""))...)
	second := m.ordinals("shop")
	if len(second) != 5 || len(m.everLaunched()) != 5 {
		t.Errorf("the fleet has %d servers; %d were launched", len(second), len(m.everLaunched()))
	}
	for ordinal, server := range first {
		if second[ordinal].InstanceID != server.InstanceID {
			t.Errorf("ordinal %d was %s, and is %s", ordinal, server.InstanceID, second[ordinal].InstanceID)
		}
	}
	m.quiet()
}

func TestAnOrdinalIsTheServersLaunchIndexInItsBatch(t *testing.T) {
	t.Parallel()
	unserved(t, everyFault(noMaxCount))
	m := newMill(t)
	m.work()
	m.ended(0, m.submit(launchOf(linux, 9, ""))...)
	byOrdinal := m.ordinals("shop")
	for _, server := range m.fleet("shop") {
		if index := int(aws.ToInt32(server.AmiLaunchIndex)); byOrdinal[index].InstanceID != aws.ToString(server.InstanceId) {
			t.Errorf("%s has launch index %d; ordinal %d is %s", aws.ToString(server.InstanceId), index, index, byOrdinal[index].InstanceID)
		}
	}
}

func TestALaunchReplacesAServerThatIsGoneUnderItsOrdinal(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	image := linux
	m.ended(0, m.submit(launchOf(image, 3, ""))...)
	before := m.ordinals("shop")
	m.terminate(before[1].InstanceID)
	m.ended(0, m.submit(launchOf(image, 3, ""))...)
	after := m.ordinals("shop")
	if len(after) != 3 || after[1].InstanceID == before[1].InstanceID || after[0].InstanceID != before[0].InstanceID || after[2].InstanceID != before[2].InstanceID {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}

func TestAFleetIsLaunchedFromAnImageBakedHere(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	ami := m.bakeWeb()
	m.ended(0, m.submit(launchOf("web", 2, ""))...)
	for ordinal, server := range m.ordinals("shop") {
		if server.AMI != ami || server.Image != "web@1" {
			t.Errorf("ordinal %d is of %s, %s", ordinal, server.Image, server.AMI)
		}
	}
}

func TestALaunchOfWhatIsNotThereFailsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	for name, document := range map[string]string{
		"no such AMI":   launchOf("ami-0123456789abcdef0", 2, ""),
		"no such image": launchOf("nobody@7", 2, ""),
	} {
		if job := m.ended(exitJobFailed, m.submit(document)...)[0]; job.Failure == "" {
			t.Errorf("%s: %s", name, job)
		}
	}
	m.leaves(0, 0)
	if launched := m.everLaunched(); len(launched) != 0 {
		t.Errorf("%v were launched", ids(launched))
	}
}

func TestServersAreCheckedByAScriptBeforeTheyCount(t *testing.T) {
	t.Parallel()
	unserved(t, everyFault(noAgent))
	m := newMill(t)
	m.work()
	m.ended(0, m.submit(launchOf(linux, 2, `  server: {instanceProfile: mill}
  healthy:
    run: test "$(hostname)" = "shop-$(printf %03d "$STAMPMILL_ORDINAL")" || grep -q Edge /run/stampmill/settings.json
    within: 5m
`))...)
	m.ordinals("shop")
	m.ended(exitJobFailed, m.submit(launchOf(linux, 4, "  server: {instanceProfile: mill}\n  healthy: {run: exit 1, within: 1m}\n"))...)
	if left := m.ordinals("shop"); len(left) != 2 {
		t.Errorf("a launch that failed left %d servers instead of the 2 that were there", len(left))
	}
}

func TestServersAreRegisteredWithTheirTargetGroup(t *testing.T) {
	t.Parallel()
	unserved(t, map[string]string{localstack: noTargetGroups})
	m := newMill(t)
	m.work()
	subnets, err := m.EC2.For(m.own()).Subnets(t.Context(), nil, nil)
	if err != nil || len(subnets) == 0 {
		t.Fatalf("no default subnet: %v", err)
	}
	group, err := m.aws().ELBv2.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: aws.String(m.prefix), Protocol: elbtypes.ProtocolEnumHttp,
		Port: aws.Int32(80), VpcId: &subnets[0].VpcID, TargetType: elbtypes.TargetTypeEnumInstance})
	if err != nil {
		t.Fatal(err)
	}
	m.ended(0, m.submit(launchOf(linux, 3, "  attach: {targetGroups: ["+m.prefix+"]}\n"))...)
	registered := func() []string {
		health, err := m.aws().ELBv2.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: group.TargetGroups[0].TargetGroupArn})
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, target := range health.TargetHealthDescriptions {
			if target.TargetHealth.State != elbtypes.TargetHealthStateEnumDraining {
				list = append(list, aws.ToString(target.Target.Id))
			}
		}
		slices.Sort(list)
		return list
	}
	if there := ids(m.fleet("shop")); !slices.Equal(registered(), there) || len(there) != 3 {
		t.Errorf("the group has %v, the fleet %v", registered(), there)
	}
	m.ended(0, m.submit("kind: Terminate\nname: less\nspec: {fleet: shop, to: 1, drain: 2s}\n")...)
	if there := ids(m.fleet("shop")); !slices.Equal(registered(), there) || len(there) != 1 {
		t.Errorf("the group has %v, the fleet %v", registered(), there)
	}
}

// result reads a job's result.
func result[T any](t *testing.T, j job) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(j.Result, &value); err != nil {
		t.Fatalf("the result of %s: %v", j, err)
	}
	return value
}
