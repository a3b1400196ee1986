package rig_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/drift"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/userdata"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/rig"
)

// stamper is an installation with one worker, which counts its own EC2 calls only: no reaper looks around beside it.
type stamper struct {
	*bubble
	account string
}

func stamping(t *testing.T, test func(s *stamper)) {
	t.Helper()
	c := rig.Config{Worker: func(w *config.Worker) { w.ReapInterval = 1000 * time.Hour }}
	c.Endpoint.Machines = []machine.HostOption{machine.AgentWithoutProfile()}
	installed(t, c, func(b *bubble) {
		b.worker(nil)
		time.Sleep(time.Minute) // for the reaper's first look
		test(&stamper{bubble: b})
	})
}

// carry submits a job and waits for its end.
func (s *stamper) carry(kind, name, key, spec string, state jobs.State) *jobs.Job {
	s.t.Helper()
	m := &jobs.Message{Type: jobs.Submit, Kind: kind, Name: name, Key: key, Spec: json.RawMessage(spec)}
	s.must(s.User.Queue.Send(background, jobs.LaneNormal, m, 0))
	return s.ends(m.JobID(""), state)
}

func (s *stamper) control(name, body string) {
	s.t.Helper()
	_, err := s.Endpoint.Control(name, json.RawMessage(body))
	s.must(err)
}

func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func (s *stamper) result(job *jobs.Job) (result launch.Result) {
	s.t.Helper()
	if err := json.Unmarshal(job.Result, &result); err != nil {
		s.t.Fatalf("%v: %s", err, job.Result)
	}
	return result
}

// servers checks that the ordinals have one running server each and that nothing else lives, and gives the ledger's entries.
func (s *stamper) servers(fleet string, ordinals ...int) []ledger.Server {
	s.t.Helper()
	servers, err := s.User.Ledger.Servers(background, fleet)
	if err != nil {
		s.t.Fatal(err)
	}
	living := map[string]bool{}
	for _, instance := range s.EC2().Inspect().Instances {
		s.account = instance.Account
		if instance.State != "terminated" && instance.State != "shutting-down" {
			living[instance.ID] = true
		}
	}
	var held []int
	for _, server := range servers {
		held = append(held, server.Ordinal)
		if !living[server.InstanceID] {
			s.t.Errorf("ordinal %d is held by %s, which does not live", server.Ordinal, server.InstanceID)
		}
		delete(living, server.InstanceID)
	}
	if !slices.Equal(held, ordinals) {
		s.t.Errorf("the fleet holds %v, expected %v", held, ordinals)
	}
	if len(living) > 0 {
		s.t.Errorf("%d servers live and nobody holds them", len(living))
	}
	return servers
}

// calls counts EC2 calls that were not throttled.
func (s *stamper) calls() (n int) {
	s.t.Helper()
	for action, count := range s.Endpoint.Calls() {
		if strings.HasPrefix(action, "ec2:") {
			n += int(count.Calls - count.Throttled)
		}
	}
	return n
}

func TestAFleetGrowsHealsAndShrinks(t *testing.T) {
	t.Parallel()
	stamping(t, func(s *stamper) {
		s.control("capacity", `{"type": "m7g.large", "market": "spot", "capacity": 11}`)
		s.control("capacity", `{"type": "m7g.large", "market": "on-demand", "capacity": 9}`)
		s.control("dead-launches", `{"count": 4}`)
		var rows []string
		for i := range 40 {
			rows = append(rows, fmt.Sprintf(`{"shard": "s%d", "quote": "it's \"%d\" {{ x }}"}`, i, i))
		}
		spec := func(count int) string {
			return fmt.Sprintf(`{"image": %q, "count": %d, "pools": [{"types": ["m7g.large"], "market": "spot"}, {"types": ["m7g.large"]}, {"types": ["c7g.large"]}],
				"hostname": "web-{ordinal:04}", "settings": {"all": {"cluster": "blue"}, "each": {"rows": [%s]}},
				"bootstrap": {"text": "hostname > /var/lib/bootstrapped"}}`, arm64(), count, strings.Join(rows, ","))
		}
		s.carry("Launch", "web", "1", spec(30), jobs.Succeeded)
		servers := s.servers("web", upTo(30)...)
		time.Sleep(time.Minute) // virtual: they boot
		for _, server := range servers {
			s.knows(server)
		}
		before := s.calls()
		s.carry("Launch", "web", "2", spec(30), jobs.Succeeded)
		if more := s.calls() - before; more > 6 {
			t.Errorf("a fleet that is whole costs %d EC2 calls", more)
		}
		s.control("kill-instance", fmt.Sprintf(`{"instance": %q}`, servers[7].InstanceID))
		time.Sleep(time.Minute) // virtual: it goes
		s.carry("Launch", "web", "3", spec(36), jobs.Succeeded)
		s.servers("web", upTo(36)...)
		s.carry("Terminate", "down", "4", `{"fleet": "web", "to": 5}`, jobs.Succeeded)
		s.servers("web", upTo(5)...)
		s.carry("Terminate", "down", "5", `{"fleet": "web", "all": true}`, jobs.Succeeded)
		s.servers("web")
	})
}

// knows checks on the server's own disk that it knows its name and its settings.
func (s *stamper) knows(server ledger.Server) {
	s.t.Helper()
	m, ok := s.EC2().Machine(s.account, rig.Region, server.InstanceID)
	if !ok {
		s.t.Fatalf("%s has no machine", server.InstanceID)
	}
	read := func(path string) string {
		for _, disk := range m.Disks() {
			if content, err := disk.Read(path); err == nil {
				return string(content)
			}
		}
		s.t.Fatalf("ordinal %d has no %s; its console says:\n%s", server.Ordinal, path, m.Console())
		return ""
	}
	name := fmt.Sprintf("web-%04d", server.Ordinal)
	if got := strings.TrimSpace(read("/etc/hostname")); got != name || server.Hostname != name {
		s.t.Errorf("ordinal %d is named %q", server.Ordinal, got)
	}
	if got := strings.TrimSpace(read("/var/lib/bootstrapped")); got != name {
		s.t.Errorf("ordinal %d was bootstrapped as %q", server.Ordinal, got)
	}
	var settings map[string]string
	if err := json.Unmarshal([]byte(read(userdata.PersistedPath)), &settings); err != nil {
		s.t.Fatal(err)
	}
	if want := fmt.Sprintf(`it's "%d" {{ x }}`, server.Ordinal); settings["quote"] != want || settings["cluster"] != "blue" {
		s.t.Errorf("ordinal %d is told %v", server.Ordinal, settings)
	}
}

func TestFewerThanAcceptedIsUndone(t *testing.T) {
	t.Parallel()
	stamping(t, func(s *stamper) {
		s.control("capacity", `{"type": "m7g.large", "capacity": 8}`)
		s.carry("Launch", "web", "1", fmt.Sprintf(`{"image": %q, "count": 12, "accept": "90%%", "pools": [{"types": ["m7g.large"]}]}`, arm64()), jobs.Failed)
		s.servers("web")
		if _, known, err := s.User.Ledger.GetFleet(background, "web"); known || err != nil {
			t.Errorf("the fleet is still there, %v", err)
		}
		s.carry("Launch", "web", "2", fmt.Sprintf(`{"image": %q, "count": 12, "accept": "60%%", "pools": [{"types": ["m7g.large"]}]}`, arm64()), jobs.Succeeded)
		s.servers("web", upTo(8)...)
	})
}

func TestOnlyHealthyTargetsStayAndTerminateDrains(t *testing.T) {
	t.Parallel()
	stamping(t, func(s *stamper) {
		own := s.User.Clients.For(jobs.Target{})
		subnets, err := own.EC2.DescribeSubnets(background, &sdkec2.DescribeSubnetsInput{})
		if err != nil {
			t.Fatal(err)
		}
		group, err := own.ELBv2.CreateTargetGroup(background, &elasticloadbalancingv2.CreateTargetGroupInput{Name: aws.String("web"), Port: aws.Int32(80),
			Protocol: elbtypes.ProtocolEnumHttp, VpcId: subnets.Subnets[0].VpcId, TargetType: elbtypes.TargetTypeEnumInstance})
		if err != nil {
			t.Fatal(err)
		}
		targets := func() (healthy int) {
			out, err := own.ELBv2.DescribeTargetHealth(background, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: group.TargetGroups[0].TargetGroupArn})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range out.TargetHealthDescriptions {
				if d.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy {
					healthy++
				}
			}
			return healthy
		}
		job := s.carry("Launch", "web", "1", fmt.Sprintf(`{"image": %q, "count": 6, "accept": "80%%", "pools": [{"types": ["m7g.large"]}], "hostname": "web-{ordinal}",
			"bootstrap": {"text": "dnf install -y nginx\nif [ \"$STAMPMILL_ORDINAL\" != 3 ]; then systemctl enable --now nginx; fi\n"},
			"attach": {"targetGroups": ["web"]}, "healthy": {"statusChecks": true, "targetGroup": true, "within": "5m"}}`, arm64()), jobs.Succeeded)
		s.servers("web", 0, 1, 2, 4, 5)
		if n := targets(); n != 5 {
			t.Errorf("%d targets are healthy, expected 5", n)
		}
		if result := s.result(job); result.Missing.String() != "3" || len(result.Failures) != 1 || !strings.Contains(result.Failures[0].Reason, "unhealthy") {
			t.Errorf("the result is %s", job.Result)
		}
		report, err := s.User.Drift(background, false, "web")
		if err != nil || len(report.Fleets) != 1 || len(report.Fleets[0].Findings) != 1 || report.Fleets[0].Findings[0].Kind != drift.Missing || *report.Fleets[0].Findings[0].Ordinal != 3 {
			t.Errorf("ordinal 3 is missing, and drift tells %+v, %v", report, err)
		}
		began := time.Now()
		s.carry("Terminate", "down", "2", `{"fleet": "web", "to": 2}`, jobs.Succeeded)
		s.servers("web", 0, 1)
		if took := time.Since(began); took < 5*time.Minute || targets() != 2 {
			t.Errorf("terminating took %s with %d targets left, expected the target group's 300 s of draining and 2", took, targets())
		}
	})
}

func TestServersAreAskedWhetherTheyAreHealthy(t *testing.T) {
	t.Parallel()
	stamping(t, func(s *stamper) {
		job := s.carry("Launch", "web", "1", `{"image": "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", "count": 60, "accept": "95%",
			"pools": [{"types": ["m7g.large"]}], "hostname": "web-{ordinal}",
			"bootstrap": {"text": "dnf install -y nginx\nif [ \"$STAMPMILL_ORDINAL\" != 7 ]; then systemctl enable --now nginx; fi\n"},
			"healthy": {"run": {"text": "systemctl is-active nginx"}, "http": {"port": 80, "path": "/"}, "within": "5m"}}`, jobs.Succeeded)
		s.servers("web", append(upTo(7), upTo(60)[8:]...)...)
		if result := s.result(job); result.Missing.String() != "7" || len(result.Failures) != 1 || !strings.Contains(result.Failures[0].Reason, "inactive") {
			t.Errorf("the result is %s", job.Result)
		}
		if sent := s.Endpoint.Calls()["ssm:SendCommand"].Calls; sent > 8 {
			t.Errorf("60 servers were sent %d commands", sent)
		}
	})
}

func TestAThousandServersCostAtMostTwentyCalls(t *testing.T) {
	t.Parallel()
	stamping(t, func(s *stamper) {
		before := s.calls()
		s.carry("Launch", "web", "1", fmt.Sprintf(`{"image": %q, "count": 1000, "pools": [{"types": ["m7g.large"]}], "hostname": "web-{ordinal:04}",
			"settings": {"all": {"cluster": "blue"}}}`, arm64()), jobs.Succeeded)
		s.servers("web", upTo(1000)...)
		calls := s.calls() - before
		if calls > 20 {
			t.Errorf("1,000 servers cost %d EC2 calls, expected at most 20", calls)
		}
	})
}
