package cli_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/cli"
)

const (
	source   = "{parameter: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64}"
	webBake  = "kind: Bake\nname: web\nspec:\n  from: " + source + "\n  builder: {types: [m7g.large], instanceProfile: builder}\n"
	webSteps = `
  steps:
    - run: |
        echo first; echo oops >&2
        printf 'no line end'
    - run: "printf '\\033[31mred\\n'; echo second"
  verify:
    - run: echo ready
      output: ready
  publish: {parameter: /images/web}
  keep: {versions: 1}
`
	webLaunch = `
kind: Launch
name: web-prod
spec:
  image: web
  count: 120
  pools: [{types: [m7g.large]}]
  hostname: web-{ordinal:04}
`
)

func TestAnImageIsBakedAndServersAreStampedFromTheCommandLine(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		bake, launch := s.file("bake.yaml", webBake+strings.TrimPrefix(webSteps, "\n")), s.file("launch.yaml", webLaunch)
		a := s.run("submit", bake, "--wait")
		if a.code != 0 {
			t.Fatalf("%+v", a)
		}
		wants(t, a.err, " of 18  ", "step-1-run on i-", "succeeded bake-web-")
		id := strings.TrimSpace(a.out)
		logs := s.must(0, "logs", id)
		wants(t, logs, "── step-1-run stdout ──\nfirst\nno line end\n", "── step-1-run stderr ──\noops\n", "── step-2-run stdout ──\n", "[31mred\nsecond\n",
			"── verify-1 stdout ──\nready\n", "── boot-test-verify-1 stdout ──\nready\n")
		if strings.Index(logs, "step-2-run") > strings.Index(logs, "verify-1") || strings.Index(logs, "verify-1") > strings.Index(logs, "boot-test-") {
			t.Errorf("the scripts are not in the order in which they ran:\n%s", logs)
		}
		wants(t, s.must(0, "job", "show", id[:12]), "state   succeeded", "TIME", "published ami-", "target")
		ami := strings.TrimSpace(s.must(0, "image", "show", "web", "--ami"))
		if !regexp.MustCompile(`^ami-[0-9a-f]{17}$`).MatchString(ami) {
			t.Errorf("--ami prints %q", ami)
		}
		wants(t, s.must(0, "image", "show", "web@1"), "web@1", "current", "eu-west-1="+ami)
		if a := s.run("image", "show", "web", "--ami", "--region", "us-east-1"); a.code != cli.ExitNotFound || !strings.Contains(a.err, "it is in: eu-west-1=") {
			t.Errorf("an AMI elsewhere: %+v", a)
		}
		a = s.run("submit", launch, "--wait", "-o", "json")
		var ended []struct {
			State  string
			Result struct{ Launched string }
		}
		decode(t, a.out, &ended)
		if a.code != 0 || a.err != "" || len(ended) != 1 || ended[0].Result.Launched != "0-119" {
			t.Errorf("the launch: %+v", a)
		}
		wants(t, s.must(0, "fleet", "show", "web-prod"), "servers          120", "healthy        120")
		if n := len(strings.Fields(s.must(0, "fleet", "servers", "web-prod", "--ids"))); n != 120 {
			t.Errorf("%d ids, expected 120", n)
		}
		wants(t, s.must(0, "fleet", "servers", "web-prod"), "web-0119")
		s.planDown()
	})
}

// planDown tries a plan of what is there: nothing changes.
func (s *shell) planDown() {
	s.t.Helper()
	down := s.file("down.yaml", "kind: Terminate\nname: down\nspec: {fleet: web-prod, to: 100}\n")
	again := s.file("again.yaml", webBake+strings.TrimPrefix(webSteps, "\n")+"---\n"+strings.TrimLeft(strings.Replace(webLaunch, "120", "130", 1), "\n"))
	s.Endpoint.ResetCalls()
	out := s.must(0, "plan", down, again)
	wants(s.t, out, "20: ordinals 100-119; 100 stay", "web@2; web@1 is current", "it holds ami-", "web@1 would stay: the fleet web-prod uses it",
		"makes a newer version", "10: ordinals 120-129, in 1 batch", "web-0120 … web-0129", "120 servers are there: 0-119")
	for action, count := range s.Endpoint.Calls() {
		_, name, _ := strings.Cut(action, ":")
		if !regexp.MustCompile(`^(Get|Describe|List|Query|BatchGet)`).MatchString(name) && count.Calls > 0 && !ofWorkers(action) {
			s.t.Errorf("a plan called %s", action)
		}
	}
}

// ofWorkers are what idle workers call, and for late events: a plan neither deletes messages nor takes leases.
func ofWorkers(action string) bool {
	return slices.Contains([]string{"sqs:ReceiveMessage", "sqs:DeleteMessageBatch", "dynamodb:UpdateItem", "dynamodb:Scan"}, action)
}

func TestAPlanTellsWhatBindsAndWhatAnEarlierDocumentMakes(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		file := s.file("all.yaml", webBake+strings.TrimPrefix(webSteps, "\n")+"---\n"+strings.TrimLeft(strings.Replace(webLaunch, "120", "2000", 1), "\n")+
			"---\nkind: Terminate\nname: down\nspec: {fleet: web-prod, all: true}\n")
		s.Endpoint.ResetCalls()
		out := s.must(0, "plan", file)
		wants(t, out, "web@1; the image is new", "1. m7g.large, on-demand, a default subnet", "web, which is not there yet: Bake web", "submit this document once that bake has ended",
			"2000: ordinals 0-1999, in 20 batches", "RunInstances servers (900 + 1.8/s) binds", "10m12s", "web-prod, which is not there yet: Launch web-prod")
		for action, count := range s.Endpoint.Calls() {
			_, name, _ := strings.Cut(action, ":")
			if !regexp.MustCompile(`^(Get|Describe|List|Query|BatchGet)`).MatchString(name) && count.Calls > 0 {
				t.Errorf("a plan called %s", action)
			}
		}
		var plans []struct {
			Kind    string
			Details json.RawMessage
		}
		decode(t, s.must(0, "plan", file, "-o", "json"), &plans)
		var details struct {
			Planned string
			Batches int
			Seconds int
			Image   struct{ DependsOn string }
		}
		decode(t, string(plans[1].Details), &details)
		if details.Planned != "0-1999" || details.Batches != 20 || details.Seconds != 612 || !strings.HasPrefix(details.Image.DependsOn, "Bake web") {
			t.Errorf("the launch's details: %+v", details)
		}
		alone := s.file("alone.yaml", webLaunch)
		if a := s.run("plan", alone); a.code != cli.ExitFailure || !strings.Contains(a.err, "alone.yaml:1: Launch web-prod") || !strings.Contains(a.err, "no such image") {
			t.Errorf("a launch of what nobody makes: %+v", a)
		}
	})
}

func TestAFailureIsToldWithItsOutputAndCannotPlayWithTheTerminal(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		file := s.file("bake.yaml", webBake+"  steps:\n    - run: \"echo '\\e]0;title\\a\\u202e\\x9b31m' >&2; exit 3\"\n")
		a := s.run("submit", file, "--wait")
		if a.code != cli.ExitJobFailed || !strings.Contains(a.err, "exit code 3") || !strings.Contains(a.err, "undoing") {
			t.Errorf("%+v", a)
		}
		id := strings.TrimSpace(a.out)
		wants(t, s.must(0, "logs", id), "── step-1-run stderr ──", "]0;title")
		for _, output := range []string{"table", "json", "yaml"} { // run looks at what they print
			wants(t, s.must(0, "job", "list", "-o", output), "exit code 3")
			wants(t, s.must(0, "job", "show", id, "--spec", "-o", output), "exit code 3")
		}
		var job struct{ Failure string }
		decode(t, s.must(0, "job", "show", id, "-o", "json"), &job)
		if !strings.Contains(job.Failure, "\x1b]0;title") {
			t.Errorf("JSON keeps the text as it is, escaped: %q", job.Failure)
		}
	})
}

const talkative = webBake + `  steps:
    - run: |
        i=0
        while [ $i -lt 5 ]; do echo "line $i ä"; sleep 60; i=$((i+1)); done
  bootTest: false
`

func TestAScriptIsFollowedWhileItRuns(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		id := strings.TrimSpace(s.must(0, "submit", s.file("bake.yaml", talkative)))
		begun := time.Now()
		a := s.run("logs", id, "--follow")
		wants(t, a.out, "── step-1-run stdout ──\nline 0 ä\nline 1 ä\nline 2 ä\nline 3 ä\nline 4 ä\n")
		if n := s.calls("ssm:SendCommand"); n < 20 {
			t.Errorf("%d commands: nothing was looked at while the script ran", n)
		}
		if a.code != 0 || strings.Count(a.out, "line 0") != 1 || time.Since(begun) < 5*time.Minute {
			t.Errorf("after %s: %+v", time.Since(begun), a)
		}
		if again := s.must(0, "logs", id); again != a.out {
			t.Errorf("afterwards\n%s\nlive\n%s", again, a.out)
		}
	})
}

// noCommands refuses SendCommand, as IAM does where a policy does not allow it.
type noCommands struct{ inner http.RoundTripper }

func (n noCommands) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".SendCommand") {
		r = r.Clone(r.Context())
		r.Header.Set("X-Amz-Target", "AmazonSSM.NoSuchAction")
		response, err := n.inner.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		return denied(response), response.Body.Close()
	}
	return n.inner.RoundTrip(r)
}

func TestFollowingWithoutTheRightToSendCommandsSaysSoAndShowsTheOutputAtItsEnd(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		id := strings.TrimSpace(s.must(0, "submit", s.file("bake.yaml", talkative)))
		s.transport = noCommands{s.Endpoint.RoundTripper()}
		a := s.run("logs", id, "--follow")
		if a.code != 0 || strings.Count(a.err, "not shown live") != 1 || !strings.Contains(a.err, "your IAM policy must allow ssm:SendCommand") {
			t.Errorf("%+v", a)
		}
		wants(t, a.out, "line 0 ä\nline 1 ä\nline 2 ä\nline 3 ä\nline 4 ä\n")
	})
}

func TestABuilderWithoutSSMLeavesItsConsole(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		for name, c := range map[string]struct {
			step string
			code int
		}{"good": {"echo made it", 0}, "bad": {"echo lost; exit 4", cli.ExitJobFailed}} {
			file := s.file(name+".yaml", strings.Replace(webBake, "name: web", "name: "+name, 1)+"  steps: ["+quoted(c.step)+"]\n")
			text := strings.Replace(readFile(t, file), "builder: {", "builder: {provision: userData, ", 1)
			a := s.run("submit", s.file(name+".yaml", text), "--wait")
			if a.code != c.code {
				t.Errorf("%s: %+v", name, a)
			}
			word, _, _ := strings.Cut(strings.TrimPrefix(c.step, "echo "), ";")
			wants(t, s.must(0, "logs", strings.TrimSpace(a.out)), "── console ──", word+"\n")
		}
	})
}
