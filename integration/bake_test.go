package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// bakeInUserData is a bake that every endpoint can serve: its builder needs no agent.
const bakeInUserData = `
kind: Bake
name: web
spec:
  from: AMAZON_LINUX
  builder: {types: [t3.medium], provision: userData}
  bootTest: false
  steps:
    - run: echo stamped >/etc/motd
  tags: {team: edge}
`

// versions are what `stampmill image show` tells.
type versions struct {
	Current  int
	Versions []ledger.Version
}

// current is the image's current version; 0: none.
func (m *mill) current(image string) int {
	m.t.Helper()
	if a := m.stampmill("image", "show", image); a.code == exitNotFound {
		return 0
	}
	return show[versions](m, "image", "show", image).Current
}

// bakeWeb bakes the image web to the end and gives its AMI.
func (m *mill) bakeWeb() string {
	m.t.Helper()
	id := m.submit(bakeInUserData)[0]
	m.playBuilder(id)
	m.ended(0, id)
	image := show[versions](m, "image", "show", "web")
	return image.Versions[slices.IndexFunc(image.Versions, func(v ledger.Version) bool { return v.Job == id })].Regions[region].AMI
}

func TestABakeLeavesOneTaggedImageAndNothingElse(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	document := strings.ReplaceAll(bakeInUserData, amazonLinux, `{newest: {owner: amazon, name: "al2023-ami-2023*-x86_64", architecture: x86_64}}`)
	id := m.submit(document + "  publish: {parameter: /" + m.prefix + "/web}\n")[0]
	m.playBuilder(id)
	job := m.ended(0, id)[0]
	m.leaves(0, 1)
	image := m.images(region)[0]
	for name, value := range map[string]string{bake.TagImage: "web", bake.TagVersion: "web@1", "team": "edge"} {
		if tag(image.Tags, name) != value {
			t.Errorf("the AMI's tag %s is %q, expected %q", name, tag(image.Tags, name), value)
		}
	}
	if image.State != types.ImageStateAvailable || !strings.HasPrefix(aws.ToString(image.Name), "web@1-"+job.Incarnation) {
		t.Errorf("the AMI %s is %s", aws.ToString(image.Name), image.State)
	}
	if shown := show[versions](m, "image", "show", "web"); shown.Current != 1 || shown.Versions[0].Regions[region].AMI != aws.ToString(image.ImageId) {
		t.Errorf("the catalog has %+v, EC2 has %s", shown, aws.ToString(image.ImageId))
	}
	name := "/" + m.prefix + "/web"
	parameter, err := m.aws().SSM.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name})
	if err != nil || aws.ToString(parameter.Parameter.Value) != aws.ToString(image.ImageId) {
		t.Errorf("the parameter does not name the AMI %s: %v", aws.ToString(image.ImageId), err)
	}
	if launched := m.everLaunched(); len(launched) != 1 {
		t.Errorf("the bake launched %v", ids(launched))
	}
	m.quiet()
}

func TestASecondBakeIsTheNextVersionAndRetiresTheOldOne(t *testing.T) {
	t.Parallel()
	unserved(t, everyFault(noReferences))
	m := newMill(t)
	m.work()
	first := m.bakeWeb()
	id := m.submit(bakeInUserData + "  keep: {versions: 1}\n")[0]
	m.playBuilder(id)
	m.ended(0, id)
	m.leaves(0, 1)
	if image := m.images(region)[0]; aws.ToString(image.ImageId) == first || tag(image.Tags, bake.TagVersion) != "web@2" {
		t.Errorf("%s is left, %s", aws.ToString(image.ImageId), tag(image.Tags, bake.TagVersion))
	}
}

func TestABakeIsCopiedToAnotherRegionAndShared(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	const other, friend = "us-west-2", "111122223333"
	id := m.submit(bakeInUserData + "  copyTo: {" + other + ": {}}\n  share: {accounts: [\"" + friend + "\"]}\n")[0]
	m.playBuilder(id)
	m.ended(0, id)
	m.leaves(0, 1)
	shown := show[versions](m, "image", "show", "web").Versions[0].Regions
	if shown[region].AMI != aws.ToString(m.images(region)[0].ImageId) {
		t.Errorf("the catalog has %s in %s, EC2 has %s", shown[region].AMI, region, aws.ToString(m.images(region)[0].ImageId))
	}
	copied, err := m.Clients.For(m.own().In(other)).EC2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{shown[other].AMI}})
	if err != nil || len(copied.Images) != 1 || copied.Images[0].State != types.ImageStateAvailable || !strings.HasPrefix(aws.ToString(copied.Images[0].Name), "web@1-") {
		t.Errorf("the copy in %s is %+v: %v", other, copied, err)
	}
	out, err := m.aws().EC2.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: aws.String(shown[region].AMI), Attribute: types.ImageAttributeNameLaunchPermission})
	if err != nil || len(out.LaunchPermissions) != 1 || aws.ToString(out.LaunchPermissions[0].UserId) != friend {
		t.Errorf("the AMI is shared with %+v: %v", out, err)
	}
}

func TestABakeWhoseBuilderDiesFailsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	id := m.submit(strings.ReplaceAll(bakeInUserData, "echo stamped", "sleep 600; echo stamped"))[0]
	m.until("the builder", func() bool { return len(m.servers(filter("instance-state-name", "running"))) == 1 })
	m.terminate(ids(m.servers())[0])
	if job := m.ended(exitJobFailed, id)[0]; !strings.Contains(job.Failure, "terminated") {
		t.Errorf("it does not say why it failed: %s", job)
	}
	m.leaves(0, 0)
	if current := m.current("web"); current != 0 {
		t.Errorf("%d is current", current)
	}
	m.quiet()
}

func TestABakeWhoseScriptFailsSaysWhyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	unserved(t, everyFault(noServers))
	m := newMill(t)
	m.work()
	id := m.submit(strings.ReplaceAll(bakeInUserData, "echo stamped >/etc/motd", "echo no such package; exit 3"))[0]
	m.ended(exitJobFailed, id)
	if job := m.job(id); !strings.Contains(job.String(), "no such package") || !strings.Contains(job.Failure, "step-1") {
		t.Errorf("it does not say why it failed: %s", job)
	}
	m.leaves(0, 0)
	m.quiet()
}

func TestABakeOverSSMIsVerifiedBootTestedAndItsOutputIsKept(t *testing.T) {
	t.Parallel()
	unserved(t, everyFault(noAgent))
	m := newMill(t)
	m.work()
	id := m.submit(`
kind: Bake
name: web
spec:
  from: AMAZON_LINUX
  builder: {types: [t3.medium], instanceProfile: mill}
  steps:
    - run: echo a word of the script; echo stamped >/etc/motd
    - reboot: true
  verify:
    - run: cat /etc/motd
      output: stamped
  deprecateAfter: 30d
`)[0]
	m.ended(0, id)
	m.leaves(0, 1)
	if launched := m.everLaunched(); len(launched) != 2 {
		t.Errorf("expected a builder and a server booted from the AMI, not %v", ids(launched))
	}
	if image := m.images(region)[0]; image.DeprecationTime == nil {
		t.Error("the AMI is never deprecated")
	}
	if out := m.do("logs", id); !strings.Contains(out, "a word of the script") {
		t.Errorf("the script's output is not kept:\n%s", out)
	}
}

func TestTheSnapshotsOfABakeAreTaggedAndGoWithIt(t *testing.T) {
	t.Parallel()
	unserved(t, everyFault(noSnapshotTags))
	m := newMill(t)
	m.work("STAMPMILL_PACE=20")
	id := m.submit(bakeInUserData)[0]
	m.playBuilder(id)
	m.waits(id, "available")
	m.until("the snapshot", func() bool { return len(m.snapshots(region)) == 1 })
	m.do("cancel", id)
	m.ended(exitCancelled, id)
	m.until("the snapshot to go", func() bool { return len(m.snapshots(region)) == 0 })
	m.leaves(0, 0)
}

func TestAnImageBakedHereIsWhatTheNextOneStartsFrom(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	parent := m.bakeWeb()
	id := m.submit(strings.ReplaceAll(strings.ReplaceAll(bakeInUserData, "name: web", "name: shop"), amazonLinux, "web"))[0]
	m.playBuilder(id)
	m.ended(0, id)
	shop := show[versions](m, "image", "show", "shop").Versions[0]
	if shop.Parent != "web@1" || shop.SourceAMI != parent {
		t.Errorf("shop@1 is from %s, %s", shop.Parent, shop.SourceAMI)
	}
	var result map[string]json.RawMessage
	if err := json.Unmarshal(m.job(id).Result, &result); err != nil || len(result) == 0 {
		t.Errorf("the result is %s: %v", m.job(id).Result, err)
	}
}
