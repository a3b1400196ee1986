package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

// changes are the calls, of those made since the counters were reset, that change more than it may.
func (s *shell) changes(may string) []string {
	var made []string
	for action := range s.Endpoint.Calls() {
		service, verb, _ := strings.Cut(action, ":")
		looks := strings.HasPrefix(verb, "Describe") || strings.HasPrefix(verb, "Get") || strings.HasPrefix(verb, "List") || verb == "Query"
		own := may == "its own records" && (service == "sqs" || service == "dynamodb")
		if !looks && !own {
			made = append(made, action)
		}
	}
	return made
}

const arm = "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"

// badInput are specs with one mistake each, and what is told of it: in a plan with the place, in the failure of the job.
var badInput = map[string]struct{ document, place, told string }{
	"a pool without subnets": {`kind: Launch
name: web
spec:
  image: ` + arm + `
  count: 3
  pools:
    - types: [m7g.large]
    - types: [m7g.large]
      subnets: {tag: {tier: web}}
`, "bad.yaml:9:16: spec.pools[1].subnets", "pool 2 has no subnets: no subnet carries tier=web"},
	"a count over the quota": {`kind: Launch
name: web
spec:
  image: ` + arm + `
  count: 201
  pools: [{types: [m7g.large]}]
`, "bad.yaml:5:10: spec.count", "201 servers are to be launched, and there is room for 200"},
	"a count over the free addresses": {`kind: Launch
name: web
spec:
  image: ` + arm + `
  count: 10000
  accept: 100%
  pools: [{types: [m7g.medium], market: spot, subnets: [SUBNET]}]
`, "bad.yaml:5:10: spec.count", "there is room for 4091: free addresses"},
	"an instance profile that is not there": {`kind: Launch
name: web
spec:
  image: ` + arm + `
  count: 3
  pools: [{types: [m7g.large]}]
  server:
    instanceProfile: wbe
`, "bad.yaml:8:22: spec.server.instanceProfile", "there is no instance profile wbe in this account"},
	"an instance profile of another path": {`kind: Launch
name: web
spec:
  image: ` + arm + `
  count: 3
  pools: [{types: [m7g.large]}]
  server: {instanceProfile: arn:aws:iam::000000000000:instance-profile/web}
`, "bad.yaml:7:29: spec.server.instanceProfile", "the one of that name is arn:aws:iam::000000000000:instance-profile/apps/web"},
	"a key pair that is not there": {`kind: Launch
name: web
spec:
  image: ` + arm + `
  count: 3
  pools: [{types: [m7g.large]}]
  server: {keyName: nobody}
`, "bad.yaml:7:21: spec.server.keyName", "there is no key pair nobody"},
	"a KMS key of another region": {`kind: Launch
name: web
spec:
  image: ` + arm + `
  count: 3
  pools: [{types: [m7g.large]}]
  server:
    volumes:
      /dev/sdf: {size: 10GiB, kmsKey: "arn:aws:kms:us-east-1:000000000000:key/1"}
`, "bad.yaml:9:39: spec.server.volumes", "is in us-east-1, what it is to encrypt is in eu-west-1"},
	"a copy to a region that is not there": {`kind: Bake
name: web
spec:
  from: {parameter: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64}
  builder: {types: [m7g.large]}
  copyTo:
    us-east-1: {}
    eu-north-1: {}
`, "bad.yaml:8:17: spec.copyTo.eu-north-1", "there is no region eu-north-1"},
}

func TestBadInputIsToldWithItsPlaceAndNothingIsMade(t *testing.T) {
	for name, c := range badInput {
		t.Run(name, func(t *testing.T) {
			installed(t, 0, func(t *testing.T, s *shell) {
				for control, body := range map[string]string{
					"quota":             `{"region":"eu-west-1","code":"L-1216C47A","value":400}`,
					"instance-profiles": `{"profiles":[{"name":"web","path":"/apps/"}]}`,
				} {
					if _, err := s.Endpoint.Control(control, json.RawMessage(body)); err != nil {
						t.Fatal(err)
					}
				}
				subnets, err := s.User.EC2.For(jobs.Target{}).Subnets(t.Context(), nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				file := s.file("bad.yaml", strings.ReplaceAll(c.document, "SUBNET", subnets[0].ID))
				s.Endpoint.ResetCalls()
				a := s.run("plan", file)
				if a.code != cli.ExitFailure {
					t.Errorf("the plan's exit code is %d", a.code)
				}
				wants(t, a.err, c.place, c.told, "1 problem")
				if made := s.changes("nothing"); len(made) > 0 {
					t.Errorf("the plan made calls that change something: %v", made)
				}

				if _, err := s.Start(nil); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				if a := s.run("submit", file, "--wait"); a.code != cli.ExitJobFailed || !strings.Contains(a.out+a.err, c.told) {
					t.Errorf("the job ended with %d and does not say %q:\n%s%s", a.code, c.told, a.out, a.err)
				}
				if took := time.Since(begun); took > time.Minute {
					t.Errorf("it took the job %s", took)
				}
				if made := s.changes("its own records"); len(made) > 0 {
					t.Errorf("the job made calls that change something: %v", made)
				}
			})
		})
	}
}

// What is wrong by itself is refused before anybody is asked.
func TestASpecThatCannotBeIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	const launch = "kind: Launch\nname: web\nspec:\n  image: " + arm + "\n"
	const bake = "kind: Bake\nname: web\nspec:\n  from: {ami: ami-0123456789abcdef0}\n"
	for document, place := range map[string]string{
		launch + "  count: 0\n  pools: [{types: [m7g.large]}]\n":                                     "bad.yaml:5:10: spec.count: expected",
		launch + "  count: 10001\n  pools: [{types: [m7g.large]}]\n":                                 "bad.yaml:5:10: spec.count: expected",
		launch + "  count: 3\n  pools: []\n":                                                         "bad.yaml:6:10: spec.pools: expected at least one pool",
		launch + "  count: 3\n  pools: [{types: []}]\n":                                              "bad.yaml:6:19: spec.pools[0].types: expected at least one instance type",
		launch + "  count: 3\n  pools: [{types: [m7g.large], market: sport}]\n":                      "bad.yaml:6:40: spec.pools[0].market: expected",
		bake + "  copyTo: {us-est-1: {}}\n":                                                          "did you mean us-east-1?",
		bake + "  copyTo:\n    us-east-1:\n      kmsKey: arn:aws:kms:eu-west-1:000000000000:key/1\n": "bad.yaml:7:15: spec.copyTo.us-east-1.kmsKey: the KMS key arn:aws:kms:eu-west-1:000000000000:key/1 is in eu-west-1",
	} {
		file := filepath.Join(t.TempDir(), "bad.yaml")
		if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"plan", "submit"} {
			code, out, calls := unheard(t, command, file)
			if code != cli.ExitInvalid || !strings.Contains(out, place) || calls > 0 {
				t.Errorf("%s ended with %d after %d calls, want %q:\n%s%s", command, code, calls, place, document, out)
			}
		}
	}
}

func TestABudgetThatCannotBeIsRefusedBeforeAnyCall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "launch.yaml")
	if err := os.WriteFile(file, []byte("kind: Launch\nname: web\nspec:\n  image: "+arm+"\n  count: 3\n  pools: [{types: [m7g.large]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"RunInstances=0/2":             "a budget of zero or less would never grant a call",
		"RunInstances:resources=5/-1":  "a budget of zero or less would never grant a call",
		"RunInstance=5/2":              `there is no action "RunInstance"`,
		"CreateImage:resources=10/1":   "resources are limited for",
		"RunInstances:resources=10000": "expected [REGION/]ACTION",
	} {
		t.Setenv("STAMPMILL_LIMITS", name)
		for _, args := range [][]string{{"plan", file}, {"budget", "list"}} {
			if code, out, calls := unheard(t, args...); code != cli.ExitUsage || !strings.Contains(out, value) || !strings.Contains(out, name) || calls > 0 {
				t.Errorf("%s with %s ended with %d after %d calls: %s", args[0], name, code, calls, out)
			}
		}
	}
}

// unheard runs a command line where nobody answers, and counts its calls.
func unheard(t *testing.T, args ...string) (code int, told string, calls int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.RunWith(t.Context(), args, cli.IO{In: strings.NewReader(""), Out: &out, Err: &errs}, clients.Config{
		Region: rig.Region, Endpoint: "http://aws.test", Version: "test", Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		Transport: transport(func(*http.Request) (*http.Response, error) {
			calls++
			return nil, errors.New("nobody answers")
		}),
	})
	return code, out.String() + errs.String(), calls
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
