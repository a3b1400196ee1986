package launch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	awscapacity "github.com/stampmill/stampmill/internal/aws/capacity"
	"github.com/stampmill/stampmill/internal/aws/clients"
	awsec2 "github.com/stampmill/stampmill/internal/aws/ec2"
	awselbv2 "github.com/stampmill/stampmill/internal/aws/elbv2"
	awsledger "github.com/stampmill/stampmill/internal/aws/ledger"
	"github.com/stampmill/stampmill/internal/aws/queue"
	awss3 "github.com/stampmill/stampmill/internal/aws/s3"
	"github.com/stampmill/stampmill/internal/aws/setup"
	awsssm "github.com/stampmill/stampmill/internal/aws/ssm"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/terminate"
	"github.com/stampmill/stampmill/internal/jobs/userdata"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/machine"
)

const region = "eu-west-1"

// endpoint is the embedded endpoint in process, with the adapters and the engine on it.
type endpoint struct {
	t       *testing.T
	server  *localaws.Server
	ec2     *ec2.Service
	queue   *queue.Queue
	store   *store.Store
	ledger  *awsledger.Ledger
	engine  *jobs.Engine
	aws     *clients.Regional
	ami     string
	account string
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	server, err := localaws.New(localaws.Config{Log: quiet, Seed: 1, Machines: []machine.HostOption{machine.AgentWithoutProfile()}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := clients.New(clients.Config{Region: region, Endpoint: server.URL(), Transport: server.RoundTripper(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	own := all.For(jobs.Target{})
	installation := setup.Installation{Prefix: "test", Bucket: "test-bucket", Region: region, SQS: own.SQS, DynamoDB: own.DynamoDB, S3: own.S3}
	if err := installation.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := &endpoint{t: t, server: server, store: store.New(own.DynamoDB, setup.JobsTable("test")), ledger: awsledger.New(all, "test")}
	e.aws = own
	e.ec2 = server.Service("ec2").(*ec2.Service)
	if e.queue, err = queue.Open(t.Context(), queue.Config{API: own.SQS, Prefix: "test"}); err != nil {
		t.Fatal(err)
	}
	e.ami, _, _ = e.ec2.PublicParameter(region, "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64")
	servers, groups, agents := awsec2.New(all, nil), awselbv2.New(all), awsssm.New(all)
	launches := launch.Config{
		EC2:          func(target jobs.Target) launch.EC2 { return servers.For(target) },
		TargetGroups: func(target jobs.Target) launch.TargetGroups { return groups.For(target) },
		Parameters:   func(target jobs.Target) launch.Parameters { return agents.For(target) },
		Commands:     func(target jobs.Target) launch.Commands { return agents.For(target) },
		Ledger:       e.ledger, Capacity: awscapacity.New(own.DynamoDB, setup.JobsTable("test")), Files: awss3.New(all, jobs.Target{}, "test-bucket"), Region: region,
	}
	ends := terminate.Config{
		EC2:          func(target jobs.Target) terminate.Servers { return servers.For(target) },
		TargetGroups: func(target jobs.Target) terminate.TargetGroups { return groups.For(target) },
		Ledger:       e.ledger,
	}
	e.engine = jobs.NewEngine(jobs.EngineConfig{Store: e.store, Families: e.store, Sender: e.queue, Installation: "test", Log: quiet,
		Kinds: jobs.NewKinds(launch.New(launches), launch.NewBatch(launches), terminate.New(ends))})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		jobs.NewWorker(jobs.WorkerConfig{Engine: e.engine, Queue: e.queue, Slots: 16, Log: quiet}).Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		e.queue.Wait()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// carry submits a job and waits for its end.
func (e *endpoint) carry(kind, name, key, spec string, state jobs.State) *jobs.Job {
	e.t.Helper()
	m := &jobs.Message{Type: jobs.Submit, Kind: kind, Name: name, Key: key, Spec: json.RawMessage(spec)}
	if err := e.queue.Send(e.t.Context(), jobs.LaneNormal, m, 0); err != nil {
		e.t.Fatal(err)
	}
	for range 3600 {
		time.Sleep(time.Second) // virtual
		row, err := e.store.Load(e.t.Context(), m.JobID(""))
		if err != nil {
			e.t.Fatal(err)
		}
		if row == nil || row.Job == nil || !row.Job.Finished() {
			continue
		}
		if row.Job.State != state {
			e.t.Fatalf("%s is %s (%s), expected %s: %+v", row.Job.ID, row.Job.State, row.Job.Failure, state, row.Job.History)
		}
		return row.Job
	}
	e.t.Fatalf("%s did not end within an hour", m.JobID(""))
	return nil
}

func (e *endpoint) control(name, body string) {
	e.t.Helper()
	if _, err := e.server.Control(name, json.RawMessage(body)); err != nil {
		e.t.Fatal(err)
	}
}

// servers checks that the ordinals have one running server each and that nothing else lives, and gives the ledger's entries.
func (e *endpoint) servers(fleet string, ordinals ...int) []ledger.Server {
	e.t.Helper()
	servers, err := e.ledger.Servers(e.t.Context(), fleet)
	if err != nil {
		e.t.Fatal(err)
	}
	living := map[string]bool{}
	for _, instance := range e.ec2.Inspect().Instances {
		e.account = instance.Account
		if instance.State != "terminated" && instance.State != "shutting-down" {
			living[instance.ID] = true
		}
	}
	var held []int
	for _, server := range servers {
		held = append(held, server.Ordinal)
		if !living[server.InstanceID] {
			e.t.Errorf("ordinal %d is held by %s, which does not live", server.Ordinal, server.InstanceID)
		}
		delete(living, server.InstanceID)
	}
	if !slices.Equal(held, ordinals) {
		e.t.Errorf("the fleet holds %v, expected %v", held, ordinals)
	}
	if len(living) > 0 {
		e.t.Errorf("%d servers live and nobody holds them", len(living))
	}
	return servers
}

// calls counts EC2 calls that were not throttled.
func (e *endpoint) calls() (n int) {
	e.t.Helper()
	for action, count := range e.server.Calls() {
		if strings.HasPrefix(action, "ec2:") {
			n += int(count.Calls - count.Throttled)
		}
	}
	return n
}

func TestOnTheEndpointAFleetGrowsHealsAndShrinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t)
		e.control("capacity", `{"type": "m7g.large", "market": "spot", "capacity": 11}`)
		e.control("capacity", `{"type": "m7g.large", "market": "on-demand", "capacity": 9}`)
		e.control("dead-launches", `{"count": 4}`)
		var rows []string
		for i := range 40 {
			rows = append(rows, fmt.Sprintf(`{"shard": "s%d", "quote": "it's \"%d\" {{ x }}"}`, i, i))
		}
		spec := func(count int) string {
			return fmt.Sprintf(`{"image": %q, "count": %d, "pools": [{"types": ["m7g.large"], "market": "spot"}, {"types": ["m7g.large"]}, {"types": ["c7g.large"]}],
				"hostname": "web-{ordinal:04}", "settings": {"all": {"cluster": "blue"}, "each": {"rows": [%s]}},
				"bootstrap": {"text": "hostname > /var/lib/bootstrapped"}}`, e.ami, count, strings.Join(rows, ","))
		}
		e.carry("Launch", "web", "1", spec(30), jobs.Succeeded)
		servers := e.servers("web", upTo(30)...)
		time.Sleep(time.Minute) // virtual: they boot
		for _, server := range servers {
			e.knows(server)
		}
		before := e.calls()
		e.carry("Launch", "web", "2", spec(30), jobs.Succeeded)
		if more := e.calls() - before; more > 6 {
			t.Errorf("a fleet that is whole costs %d EC2 calls", more)
		}
		e.control("kill-instance", fmt.Sprintf(`{"instance": %q}`, servers[7].InstanceID))
		time.Sleep(time.Minute) // virtual: it goes
		e.carry("Launch", "web", "3", spec(36), jobs.Succeeded)
		e.servers("web", upTo(36)...)
		e.carry("Terminate", "down", "4", `{"fleet": "web", "to": 5}`, jobs.Succeeded)
		e.servers("web", upTo(5)...)
		e.carry("Terminate", "down", "5", `{"fleet": "web", "all": true}`, jobs.Succeeded)
		e.servers("web")
	})
}

// knows checks on the server's own disk that it knows its name and its settings.
func (e *endpoint) knows(server ledger.Server) {
	e.t.Helper()
	m, ok := e.ec2.Machine(e.account, region, server.InstanceID)
	if !ok {
		e.t.Fatalf("%s has no machine", server.InstanceID)
	}
	read := func(path string) string {
		for _, disk := range m.Disks() {
			if content, err := disk.Read(path); err == nil {
				return string(content)
			}
		}
		e.t.Fatalf("ordinal %d has no %s; its console says:\n%s", server.Ordinal, path, m.Console())
		return ""
	}
	name := fmt.Sprintf("web-%04d", server.Ordinal)
	if got := strings.TrimSpace(read("/etc/hostname")); got != name || server.Hostname != name {
		e.t.Errorf("ordinal %d is named %q", server.Ordinal, got)
	}
	if got := strings.TrimSpace(read("/var/lib/bootstrapped")); got != name {
		e.t.Errorf("ordinal %d was bootstrapped as %q", server.Ordinal, got)
	}
	var settings map[string]string
	if err := json.Unmarshal([]byte(read(userdata.PersistedPath)), &settings); err != nil {
		e.t.Fatal(err)
	}
	if want := fmt.Sprintf(`it's "%d" {{ x }}`, server.Ordinal); settings["quote"] != want || settings["cluster"] != "blue" {
		e.t.Errorf("ordinal %d is told %v", server.Ordinal, settings)
	}
}

func TestOnTheEndpointFewerThanAcceptedIsUndone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t)
		e.control("capacity", `{"type": "m7g.large", "capacity": 8}`)
		e.carry("Launch", "web", "1", fmt.Sprintf(`{"image": %q, "count": 12, "accept": "90%%", "pools": [{"types": ["m7g.large"]}]}`, e.ami), jobs.Failed)
		e.servers("web")
		if _, known, err := e.ledger.GetFleet(t.Context(), "web"); known || err != nil {
			t.Errorf("the fleet is still there, %v", err)
		}
		e.carry("Launch", "web", "2", fmt.Sprintf(`{"image": %q, "count": 12, "accept": "60%%", "pools": [{"types": ["m7g.large"]}]}`, e.ami), jobs.Succeeded)
		e.servers("web", upTo(8)...)
	})
}

func TestOnTheEndpointOnlyHealthyTargetsStayAndTerminateDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t)
		subnets, err := e.aws.EC2.DescribeSubnets(t.Context(), &sdkec2.DescribeSubnetsInput{})
		if err != nil {
			t.Fatal(err)
		}
		group, err := e.aws.ELBv2.CreateTargetGroup(t.Context(), &elasticloadbalancingv2.CreateTargetGroupInput{Name: aws.String("web"), Port: aws.Int32(80),
			Protocol: elbtypes.ProtocolEnumHttp, VpcId: subnets.Subnets[0].VpcId, TargetType: elbtypes.TargetTypeEnumInstance})
		if err != nil {
			t.Fatal(err)
		}
		targets := func() (healthy int) {
			out, err := e.aws.ELBv2.DescribeTargetHealth(t.Context(), &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: group.TargetGroups[0].TargetGroupArn})
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
		job := e.carry("Launch", "web", "1", fmt.Sprintf(`{"image": %q, "count": 6, "accept": "80%%", "pools": [{"types": ["m7g.large"]}], "hostname": "web-{ordinal}",
			"bootstrap": {"text": "dnf install -y nginx\nif [ \"$STAMPMILL_ORDINAL\" != 3 ]; then systemctl enable --now nginx; fi\n"},
			"attach": {"targetGroups": ["web"]}, "healthy": {"statusChecks": true, "targetGroup": true, "within": "5m"}}`, e.ami), jobs.Succeeded)
		e.servers("web", 0, 1, 2, 4, 5)
		if n := targets(); n != 5 {
			t.Errorf("%d targets are healthy, expected 5", n)
		}
		if result := resultOf(t, job); result.Missing.String() != "3" || len(result.Failures) != 1 || !strings.Contains(result.Failures[0].Reason, "unhealthy") {
			t.Errorf("the result is %s", job.Result)
		}
		began := time.Now()
		e.carry("Terminate", "down", "2", `{"fleet": "web", "to": 2}`, jobs.Succeeded)
		e.servers("web", 0, 1)
		if took := time.Since(began); took < 5*time.Minute || targets() != 2 {
			t.Errorf("terminating took %s with %d targets left, expected the target group's 300 s of draining and 2", took, targets())
		}
	})
}

func TestOnTheEndpointServersAreAskedWhetherTheyAreHealthy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t)
		job := e.carry("Launch", "web", "1", `{"image": "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", "count": 60, "accept": "95%",
			"pools": [{"types": ["m7g.large"]}], "hostname": "web-{ordinal}",
			"bootstrap": {"text": "dnf install -y nginx\nif [ \"$STAMPMILL_ORDINAL\" != 7 ]; then systemctl enable --now nginx; fi\n"},
			"healthy": {"run": {"text": "systemctl is-active nginx"}, "http": {"port": 80, "path": "/"}, "within": "5m"}}`, jobs.Succeeded)
		e.servers("web", append(upTo(7), upTo(60)[8:]...)...)
		if result := resultOf(t, job); result.Missing.String() != "7" || len(result.Failures) != 1 || !strings.Contains(result.Failures[0].Reason, "inactive") {
			t.Errorf("the result is %s", job.Result)
		}
		if sent := e.server.Calls()["ssm:SendCommand"].Calls; sent > 8 {
			t.Errorf("60 servers were sent %d commands", sent)
		}
	})
}

func TestOnTheEndpointAThousandServersCostAtMostFortyCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t)
		before := e.calls()
		e.carry("Launch", "web", "1", fmt.Sprintf(`{"image": %q, "count": 1000, "pools": [{"types": ["m7g.large"]}], "hostname": "web-{ordinal:04}",
			"settings": {"all": {"cluster": "blue"}}}`, e.ami), jobs.Succeeded)
		e.servers("web", upTo(1000)...)
		calls := e.calls() - before
		if calls > 20 {
			t.Errorf("1,000 servers cost %d EC2 calls, expected at most 20", calls)
		}
	})
}
