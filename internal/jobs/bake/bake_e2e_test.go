package bake_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/rig"
)

// installation is a whole installation on the embedded endpoint, in virtual time.
type installation struct {
	*rig.Rig
	t    *testing.T
	line *rig.Line
	keys int
}

func installed(t *testing.T, test func(t *testing.T, in *installation), capacity ...ec2.CapacityRule) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, err := rig.New(rig.Config{
			Endpoint: localaws.Config{EC2: ec2.Options{Capacity: capacity}},
			Worker:   func(c *config.Worker) { c.ReapInterval = 0 }, // its calls are no bake's
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		in := &installation{Rig: r, t: t, line: &rig.Line{}}
		if _, err := r.Start(in.line); err != nil {
			t.Fatal(err)
		}
		test(t, in)
	})
}

// base is a public Amazon Linux AMI of the endpoint.
func base(t *testing.T) seed.Image {
	t.Helper()
	images := seed.Images(rig.Region, 0)
	at := slices.IndexFunc(images, func(i seed.Image) bool { return i.Distribution == "amazon" && i.Architecture == "arm64" })
	if at < 0 {
		t.Fatal("the endpoint has no Amazon Linux")
	}
	return images[at]
}

// submit sends the body of a Bake's spec and gives the ended job.
func (in *installation) submit(name, body string) *jobs.Job {
	in.t.Helper()
	in.keys++
	text := "kind: Bake\nname: " + name + "\nspec:\n" + strings.NewReplacer("AMI", base(in.t).ID, "\n", "\n  ").Replace("\n"+strings.TrimSpace(body)) + "\n"
	ids, err := in.Submit(in.t.Context(), text, in.t.TempDir(), strings.Repeat("k", in.keys), nil)
	if err != nil {
		in.t.Fatal(err)
	}
	ended, err := in.Wait(in.t.Context(), 6*time.Hour, ids...)
	if err != nil {
		in.t.Fatal(err, in.line.Calls())
	}
	return ended[ids[0]]
}

func (in *installation) want(job *jobs.Job, state jobs.State) bake.Result {
	in.t.Helper()
	if job.State != state {
		var lines []string
		for _, line := range job.History {
			lines = append(lines, line.Step+": "+line.Text)
		}
		in.t.Fatalf("the bake is %s (%s), want %s\n%s", job.State, job.Failure, state, strings.Join(lines, "\n"))
	}
	var result bake.Result
	if err := json.Unmarshal(job.Result, &result); err != nil {
		in.t.Fatal(err)
	}
	return result
}

// alive counts what carries the installation's tag: instances that are not terminated, images and snapshots.
func (in *installation) alive(region string) (instances, images, snapshots int) {
	in.t.Helper()
	tags := map[string]string{jobs.TagInstallation: "stampmill"}
	at := in.User.EC2.For(jobs.Target{Region: region})
	servers, err := at.InstancesTagged(in.t.Context(), tags)
	if err != nil {
		in.t.Fatal(err)
	}
	amis, err := at.ImagesTagged(in.t.Context(), tags)
	if err != nil {
		in.t.Fatal(err)
	}
	disks, err := at.SnapshotsTagged(in.t.Context(), tags)
	if err != nil {
		in.t.Fatal(err)
	}
	return len(servers), len(amis), len(disks)
}

func (in *installation) wantAlive(region string, instances, images, snapshots int) {
	in.t.Helper()
	if i, a, s := in.alive(region); i != instances || a != images || s != snapshots {
		in.t.Errorf("%s holds %d instances, %d images, %d snapshots; want %d, %d, %d", region, i, a, s, instances, images, snapshots)
	}
}

func (in *installation) current(image string) int {
	in.t.Helper()
	line, _, err := in.User.Ledger.GetImage(in.t.Context(), image)
	if err != nil {
		in.t.Fatal(err)
	}
	return line.Current
}

const onEndpoint = `
from: {ami: AMI}
builder: {types: [m7g.large], instanceProfile: builder}
steps:
  - run: echo baked >/etc/motd
verify:
  - run: grep -q baked /etc/motd
`

func TestOnTheEndpointAPlainBakeTakesElevenEC2CallsAndItsAMIPolls(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		result := in.want(in.submit("web", onEndpoint+"bootTest: false\n"), jobs.Succeeded)
		if result.Image != "web@1" || !result.Current || result.AMIs[rig.Region] == "" {
			t.Errorf("%+v", result)
		}
		in.wantAlive(rig.Region, 0, 1, 1)
		if n := in.current("web"); n != 1 {
			t.Errorf("current is %d", n)
		}
		calls, polls := 0, -1 // the source is looked at too
		for _, call := range in.line.Calls() {
			if strings.HasPrefix(call, "ec2:") {
				calls++
			}
			if call == "ec2:DescribeImages" {
				polls++
			}
		}
		// A lone bake has the polls of its AMI for itself; bakes in parallel share them.
		if calls-polls > 9 {
			t.Errorf("%d EC2 calls, %d of them polls of the AMI: %v", calls, polls, in.line.Calls())
		}
	})
}

func TestOnTheEndpointABootTestAsksTheVerifyOfAServerFromTheNewAMI(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		in.want(in.submit("web", onEndpoint), jobs.Succeeded)
		in.wantAlive(rig.Region, 0, 1, 1)
		// What holds on the builder only fails the boot test: generalize removes it.
		job := in.submit("web", strings.ReplaceAll(onEndpoint, "/etc/motd", "/root/.bash_history"))
		in.want(job, jobs.Failed)
		if !strings.Contains(job.Failure, "boot-test-verify-1") {
			t.Errorf("failure %q", job.Failure)
		}
		in.wantAlive(rig.Region, 0, 1, 1)
		if n := in.current("web"); n != 1 {
			t.Errorf("current is %d", n)
		}
	})
}

func TestOnTheEndpointABakeWhoseVerifyFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		job := in.submit("web", strings.Replace(onEndpoint, "grep -q baked", "cat /etc/motd; grep -q raw", 1))
		in.want(job, jobs.Failed)
		in.wantAlive(rig.Region, 0, 0, 0)
		if n := in.current("web"); n != 0 {
			t.Errorf("current is %d", n)
		}
		if !slices.ContainsFunc(job.History, func(line jobs.Line) bool { return strings.Contains(line.Text, "baked") }) {
			t.Error("the history does not show what the verify wrote")
		}
	})
}

func TestOnTheEndpointACapacityErrorMovesToTheNextPool(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		job := in.submit("web", strings.Replace(onEndpoint, "[m7g.large]", "[c7g.large, m7g.large]", 1)+"bootTest: false\n")
		in.want(job, jobs.Succeeded)
		if job.Attempts["builder"] != 2 {
			t.Errorf("the builder took attempt %d", job.Attempts["builder"])
		}
	}, ec2.CapacityRule{Type: "c7g.large", Capacity: 0})
}

func TestOnTheEndpointScriptsRebootCopyAndKeepTheirEnvironment(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		in.want(in.submit("web", `
from: {parameter: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64}
builder: {types: [m7g.large], instanceProfile: builder, statusChecks: true}
vars: {nginx: "1.26"}
steps:
  - copy: {from: {content: eD0xCg==}, to: /opt/app/app.conf, mode: "0600"}
  - run: "echo run >>/opt/runs; [ $(wc -l </opt/runs) -gt 1 ] || exit 194"
  - reboot
  - run: echo "$nginx" >/opt/version
verify:
  - {run: "cat /opt/version /opt/app/app.conf; wc -l </opt/runs", matches: "^1.26\\nx=1\\n2"}
copyTo: {us-east-1: {}}
publish: {parameter: /images/web}
`), jobs.Succeeded)
		in.wantAlive(rig.Region, 0, 1, 1)
		in.wantAlive("us-east-1", 0, 1, 1)
		for _, region := range []string{rig.Region, "us-east-1"} {
			if value, ok, err := in.User.SSM.For(jobs.Target{Region: region}).Parameter(t.Context(), "/images/web"); err != nil || !ok || !strings.HasPrefix(value, "ami-") {
				t.Errorf("the parameter in %s is %q: %v", region, value, err)
			}
		}
	})
}

func TestOnTheEndpointImagesOfOursAndNewestOnesAreSources(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		in.want(in.submit("base", onEndpoint+"bootTest: false\n"), jobs.Succeeded)
		for _, from := range []string{"base", "base@1", "{newest: {owner: amazon, name: al2023-ami-*, architecture: arm64}}"} {
			in.want(in.submit("web", strings.Replace(onEndpoint, "{ami: AMI}", from, 1)+"bootTest: false\nkeep: {versions: 1}\n"), jobs.Succeeded)
		}
		in.wantAlive(rig.Region, 0, 2, 2) // base@1 and web@3
		if n := in.current("web"); n != 3 {
			t.Errorf("current is %d", n)
		}
	})
}

func TestOnTheEndpointUserDataProvisionsWithoutSSM(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		spec := strings.Replace(onEndpoint, "instanceProfile: builder", "provision: userData", 1) + "bootTest: false\n"
		in.want(in.submit("web", spec), jobs.Succeeded)
		in.wantAlive(rig.Region, 0, 1, 1)
		job := in.submit("web", strings.Replace(spec, "grep -q baked", "grep -q raw", 1))
		in.want(job, jobs.Failed)
		if !strings.Contains(job.Failure, "verify-1") {
			t.Errorf("failure %q", job.Failure)
		}
		in.wantAlive(rig.Region, 0, 1, 1)
	})
}

func TestOnTheEndpointTheBuilderOfAFailedBakeIsKept(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		job := in.submit("web", strings.Replace(onEndpoint, "echo baked", "exit 9", 1)+"onFailure: {keepBuilder: 2h}\n")
		result := in.want(job, jobs.Failed)
		in.wantAlive(rig.Region, 1, 0, 0)
		kept, err := in.User.Ledger.ListKept(t.Context())
		if err != nil || kept[result.KeptBuilder].IsZero() {
			t.Errorf("kept %v, result %+v: %v", kept, result, err)
		}
	})
}

func TestOnTheEndpointAWindowsHostIsBakedAndStopsBySysprep(t *testing.T) {
	t.Parallel()
	installed(t, func(t *testing.T, in *installation) {
		spec := `
from: {parameter: /aws/service/ami-windows-latest/Windows_Server-2022-English-Full-Base}
builder: {types: [m7i.large], instanceProfile: builder}
steps:
  - run: Set-Content -Path C:\\site.txt -Value baked
  - reboot
verify:
  - {run: "Get-Content -Path C:\\\\site.txt", output: baked}
`
		in.want(in.submit("win", spec), jobs.Succeeded)
		in.wantAlive(rig.Region, 0, 1, 1)
		job := in.submit("win", strings.Replace(spec, "- reboot", "- run: exit 7", 1))
		in.want(job, jobs.Failed)
		if !strings.Contains(job.Failure, "exit code 7") {
			t.Errorf("failure %q", job.Failure)
		}
	})
}
