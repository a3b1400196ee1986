package cli_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/stampmill/stampmill/internal/cli"
)

const pingFile = "kind: Ping\nname: hello\nspec: {message: hi}\n"

func TestAWrongCommandLineEndsWithItsCodeAndSaysWhatWasExpected(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		good := s.file("good.yaml", pingFile)
		bad := s.file("bad.yaml", "kind: Ping\nname: hello\nspec: {massage: hi}\n")
		for _, c := range []struct {
			args []string
			code int
			word string
		}{
			{[]string{"foo"}, cli.ExitUsage, "unknown command"},
			{[]string{"job"}, cli.ExitUsage, "list, show"},
			{[]string{"image", "delete"}, cli.ExitUsage, "list, promote"},
			{[]string{"submit"}, cli.ExitUsage, "usage: stampmill submit FILE"},
			{[]string{"version", "-o", "xml"}, cli.ExitUsage, "expected table, json or yaml"},
			{[]string{"version", "--nope"}, cli.ExitUsage, "unknown flag"},
			{[]string{"submit", good, "--priority", "urgent"}, cli.ExitUsage, "high, normal or low"},
			{[]string{"validate", good, "--var", "x"}, cli.ExitUsage, "NAME=VALUE"},
			{[]string{"job", "list", "--state", "done"}, cli.ExitUsage, "succeeded"},
			{[]string{"schema", "Cake"}, cli.ExitUsage, "Bake"},
			{[]string{"ping", "--count", "0"}, cli.ExitUsage, "1 or more"},
			{[]string{"image", "show", "web@x"}, cli.ExitUsage, "web@41"},
			{[]string{"validate", bad}, cli.ExitInvalid, "did you mean message?"},
			{[]string{"submit", good, bad}, cli.ExitInvalid, ":3:"},
			{[]string{"plan", bad}, cli.ExitInvalid, "massage"},
			{[]string{"validate", "nowhere.yaml"}, cli.ExitInvalid, "no such file"},
			{[]string{"job", "show", "bake-web"}, cli.ExitNotFound, "there is no job bake-web"},
			{[]string{"logs", "bake-web"}, cli.ExitNotFound, "there is no job"},
			{[]string{"wait", "bake-web"}, cli.ExitNotFound, "there is no job"},
			{[]string{"cancel", "bake-web"}, cli.ExitNotFound, "there is no job"},
			{[]string{"retry", "bake-web-aaaaaaaaaaaaaaaa"}, cli.ExitNotFound, "no worker has taken it yet"},
			{[]string{"image", "show", "web"}, cli.ExitNotFound, "image list"},
			{[]string{"fleet", "show", "web"}, cli.ExitNotFound, "fleet list"},
			{[]string{"fleet", "servers", "web"}, cli.ExitNotFound, "fleet list"},
		} {
			a := s.run(c.args...)
			if a.code != c.code || !strings.Contains(a.err, c.word) {
				t.Errorf("%v: code %d and %q; expected %d and a word about %q", c.args, a.code, a.err, c.code, c.word)
			}
			if a.out != "" {
				t.Errorf("%v prints %q beside its error", c.args, a.out)
			}
		}
		if n := s.calls("sqs:SendMessage") + s.calls("sqs:SendMessageBatch"); n > 0 {
			t.Errorf("%d messages were sent", n)
		}
	})
}

func TestTheSameKeyPrintsTheSameJob(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		file := s.file("ping.yaml", pingFile)
		first, again := s.must(0, "submit", file, "--key", "k", "--wait"), s.must(0, "submit", file, "--key", "k", "--wait")
		if first != again || !strings.HasPrefix(first, "ping-hello-") {
			t.Errorf("%q, then %q", first, again)
		}
		if other := s.must(0, "submit", file, "--wait"); other == first {
			t.Error("a call without a key names the same job")
		}
		var list []struct{ ID string }
		decode(t, s.must(0, "job", "list", "-o", "json"), &list)
		if len(list) != 2 {
			t.Errorf("there are %d jobs, expected 2", len(list))
		}
	})
}

func TestWaitsEndWithTheJobsOwnCode(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		fails := s.file("fails.yaml", "kind: Ping\nname: fails\nspec: {fail: true, message: \"\\e[31mred\\x7f\"}\n")
		if a := s.run("submit", fails, "--wait"); a.code != cli.ExitJobFailed || !strings.Contains(a.err, "failed    ping-fails-") {
			t.Errorf("a failed job: %+v", a)
		}
		slow := s.file("slow.yaml", "kind: Ping\nname: slow\nspec: {wait: 30m}\n")
		a := s.run("submit", slow, "--wait", "--timeout", "5s")
		if a.code != cli.ExitTimeout || !strings.Contains(a.err, "had not ended after 5s; they go on") {
			t.Errorf("a wait that is too long: %+v", a)
		}
		id := strings.TrimSpace(a.out)
		wants(t, s.must(0, "cancel", "ping-slow"), id, "asked to cancel")
		if a := s.run("wait", id); a.code != cli.ExitCancelled {
			t.Errorf("a cancelled job: %+v", a)
		}
		wants(t, s.must(0, "cancel", id), "has ended already: cancelled")
		wants(t, s.must(0, "retry", id), "run 2")
		s.must(0, "wait", id, "--run", "2")
		var job struct {
			State string
			Run   int
		}
		decode(t, s.must(0, "job", "show", id, "-o", "json"), &job)
		if job.State != "succeeded" || job.Run != 2 { // the command waits for the run, not for the end before it
			t.Errorf("after the retry: %+v", job)
		}
		if a := s.run("wait", "ping-"); a.code != cli.ExitNotFound || !strings.Contains(a.err, "2 jobs begin with ping-") {
			t.Errorf("a beginning of two ids: %+v", a)
		}
	})
}

func TestACancelThatComesFirstWins(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		file := s.file("ping.yaml", "kind: Ping\nname: hello\nspec: {wait: 30m}\n")
		id := strings.TrimSpace(s.must(0, "submit", file, "--key", "k"))
		wants(t, s.must(0, "cancel", id), "not taken by a worker yet")
		if _, err := s.Start(nil); err != nil {
			t.Fatal(err)
		}
		s.must(cli.ExitCancelled, "wait", id)
	})
}

func TestWhatNobodyTakesIsToldOnce(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		a := s.run("submit", s.file("ping.yaml", pingFile), "--wait", "--timeout", "5m")
		if n := strings.Count(a.err, "does one run"); a.code != cli.ExitTimeout || n != 1 {
			t.Errorf("told %d times: %+v", n, a)
		}
		if a := s.run("ping", "--timeout", "10s"); a.code != cli.ExitTimeout || !strings.Contains(a.err, "STAMPMILL_PREFIX") {
			t.Errorf("a ping without a worker: %+v", a)
		}
	})
}

func TestEveryOutputIsOneDocument(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		file := s.file("ping.yaml", pingFile)
		id := strings.TrimSpace(s.must(0, "submit", file, "--wait"))
		for _, args := range [][]string{
			{"submit", file}, {"submit", file, "--wait"}, {"validate", file}, {"plan", file}, {"job", "list"}, {"job", "show", id}, {"wait", id},
			{"cancel", id}, {"retry", id}, {"image", "list"}, {"fleet", "list"}, {"setup"}, {"ping"}, {"ping", "--count", "2"}, {"version"},
			{"schema"}, {"schema", "message"}, {"schema", "Bake"},
		} {
			var value any
			out := s.must(0, append(args, "-o", "json")...)
			if err := json.Unmarshal([]byte(out), &value); err != nil || value == nil {
				t.Errorf("%v -o json is no document: %v\n%s", args, err, out)
			}
			if args[0] == "retry" {
				s.must(0, "wait", id, "--run", "2")
				s.must(0, append(args, "--wait", "-o", "yaml")...)
				continue
			}
			out = s.must(0, append(args, "-o", "yaml")...)
			if err := yaml.Unmarshal([]byte(out), &value); err != nil || value == nil {
				t.Errorf("%v -o yaml is no document: %v\n%s", args, err, out)
			}
			if out = s.must(0, args...); strings.Contains(out, "\x1b") {
				t.Errorf("%v is coloured in a pipe", args)
			}
		}
	})
}

type refused struct{}

func (refused) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// elsewhere is another region's signature: nothing is set up there.
type elsewhere struct{ inner http.RoundTripper }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), "/eu-west-1/", "/us-west-2/"))
	return e.inner.RoundTrip(r)
}

// signedOut is where the SDK finds no credentials.
type signedOut struct{}

func (signedOut) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found")
}

func TestTroubleWithAWSSaysWhatToDo(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		for name, c := range map[string]struct {
			transport http.RoundTripper
			words     []string
		}{
			"the endpoint is down": {refused{}, []string{"does not answer", "connection refused"}},
			"nothing is set up":    {elsewhere{s.Endpoint.RoundTripper()}, []string{"stampmill setup", "STAMPMILL_PREFIX", "eu-west-1"}},
			"no credentials":       {signedOut{}, []string{"AWS_PROFILE", "aws sso login"}},
		} {
			s.transport = c.transport
			a := s.run("job", "list")
			if a.code != cli.ExitFailure || a.out != "" {
				t.Errorf("%s: %+v", name, a)
			}
			wants(t, a.err, c.words...)
			if strings.Contains(a.err, "operation error") || strings.Contains(a.err, "RequestID") {
				t.Errorf("%s: the SDK's own words: %s", name, a.err)
			}
		}
	})
}

func TestSetupSaysWhatItMadeAndMakesNothingTwice(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		var made []struct{ Made bool }
		decode(t, s.must(0, "setup", "-o", "json"), &made)
		if len(made) < 7 {
			t.Errorf("%d things, expected queues, tables and a bucket", len(made))
		}
		for _, m := range made {
			if m.Made {
				t.Errorf("made again: %+v", made)
			}
		}
	})
}

func TestCompletionAndHelpAreThere(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		for _, name := range []string{"bash", "zsh", "fish", "powershell"} {
			wants(t, s.must(0, "completion", name), "stampmill")
		}
		wants(t, s.must(0, "__complete", "schema", ""), "Bake", "message")
		for _, name := range []string{"submit", "plan", "logs", "wait", "ping", "image show", "fleet servers", "job list", "cancel", "validate", "schema"} {
			wants(t, s.must(0, append(strings.Fields(name), "--help")...), "Examples:", "stampmill "+strings.Fields(name)[0])
		}
	})
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}

func TestSetupForwardsOtherRegionsEventsAndTakesThatBack(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		flags := []string{"setup", "--event-regions", "us-east-1,eu-central-1", "--event-accounts", "222222222222"}
		wants(t, s.must(0, flags...), "stampmill-forward-us-east-1", "us-east-1/stampmill-forward-images", "eu-central-1/stampmill-forward-commands",
			"stampmill-222222222222", "made")
		back := s.must(0, append(flags, "--stop-forwarding")...)
		wants(t, back, "stampmill-forward-us-east-1", "stampmill-222222222222", "removed")
		if strings.Contains(back, "queue") {
			t.Errorf("it touched more than the forwarding: %s", back)
		}
		if again := s.must(0, append(flags, "--stop-forwarding")...); strings.Contains(again, "removed") {
			t.Errorf("removed twice: %s", again)
		}
		only := s.must(0, "setup", "--event-regions", "eu-west-1", "--forward-to", "arn:aws:events:us-west-2:222222222222:event-bus/default")
		wants(t, only, "eu-west-1/stampmill-forward-images")
		if strings.Contains(only, "queue") || strings.Contains(only, "table") {
			t.Errorf("it made an installation: %s", only)
		}
	})
}

func TestSetupRefusesForwardingThatCannotBe(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		for _, c := range []struct {
			args []string
			code int
			word string
		}{
			{[]string{"--event-regions", "Frankfurt"}, cli.ExitUsage, "--event-regions"},
			{[]string{"--event-regions", "eu-west-1"}, cli.ExitFailure, "other regions only"},
			{[]string{"--event-accounts", "me"}, cli.ExitFailure, "twelve digits"},
			{[]string{"--forward-to", "arn:aws:events:us-west-2:222222222222:event-bus/default"}, cli.ExitUsage, "--event-regions"},
			{[]string{"--event-regions", "us-east-1", "--forward-to", "default"}, cli.ExitFailure, "arn:aws:events:REGION"},
			{[]string{"--no-events", "--event-regions", "us-east-1"}, cli.ExitUsage, "--no-events"},
			{[]string{"--stop-forwarding"}, cli.ExitUsage, "--event-regions"},
		} {
			a := s.run(append([]string{"setup"}, c.args...)...)
			if a.code != c.code || !strings.Contains(a.err, c.word) {
				t.Errorf("%v: %+v, want %q", c.args, a, c.word)
			}
		}
	})
}
