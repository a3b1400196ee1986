package bake

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/copies"
	"github.com/stampmill/stampmill/internal/jobs/guest"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

const plain = `{"from":{"ami":"ami-0123456789abcdef0"},"builder":{"types":["m7g.large"]},"steps":[{"run":"true"}],"verify":[{"run":"true"}],"bootTest":false}`

func open(t *testing.T, text string) *program {
	t.Helper()
	normal, err := spec.Normalize[Spec](json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Region: "eu-west-1"}).Program(&jobs.Job{ID: "bake-web-x", Name: "web", Incarnation: "abcdefghijklmnop", Run: 1, Spec: normal})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*program)
}

func names(steps []jobs.Step) string {
	var all []string
	for _, s := range steps {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

func TestABakeHasOnlyTheStepsThatItsSpecAsksFor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		plain: "resolve builder answers step-1-run verify-1 generalize stop capture available publish gone",
		`{"from":"ami-0123456789abcdef0","capture":{"generalize":false}}`: "resolve builder answers content stop capture available publish gone",
		`{"from":"base","steps":[{"copy":{"from":{"content":"eA=="},"to":"/x"}},"reboot","make"],"verify":["nginx -t",{"http":{"port":80}}]}`: "resolve builder answers step-1-copy step-2-reboot step-3-run verify-1 verify-2 " +
			"generalize stop capture available boot-test boot-test-answers boot-test-verify-1 boot-test-verify-2 boot-test-end publish gone",
		`{"from":"i-0123456789abcdef0","verify":["true"]}`: "resolve capture available boot-test boot-test-answers boot-test-verify-1 boot-test-end publish gone",
		`{"from":"i-0123456789abcdef0"}`:                   "resolve capture available publish",
		`{"from":"i-0123456789abcdef0","steps":["true"]}`: "resolve source-image source-available builder answers step-1-run generalize stop capture available " +
			"publish gone source-gone",
		`{"from":"base","steps":["true"],"builder":{"provision":"userData"}}`: "resolve builder provision capture available publish gone",
		`{"from":"base","capture":{"generalize":false,"noReboot":{"freeze":"sync","thaw":"true"}},"copyTo":{"us-east-1":{}},"share":{"accounts":["111122223333"]},` +
			`"deprecateAfter":"30d","protect":true,"publish":{"parameter":"/images/web","launchTemplate":{"name":"web"}},"keep":{"versions":2},` +
			`"notify":{"url":"https://example.com"}}`: "resolve builder answers content freeze capture thaw available copies share deprecate protect publish parameter launch-template retire gone notify",
	} {
		if got := names(open(t, text).Steps()); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestUndoCoversWhatABakeMakes(t *testing.T) {
	t.Parallel()
	if got, want := names(open(t, plain).Undo()), "undo-check undo-servers undo-images undo-version"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	kept := `{"from":"base","onFailure":{"keepBuilder":"2h"},"notify":{"url":"https://example.com"}}`
	if got, want := names(open(t, kept).Undo()), "undo-check keep-builder undo-servers undo-images undo-version notify"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBadSpecsAreToldAtTheirPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`: "spec.from",
		`{"from":{"ami":"ami-0123456789abcdef0","image":"x"}}`:                                              "exactly one of ami",
		`{"from":"base","steps":[{"run":"x","reboot":true}]}`:                                               "spec.steps[0]: expected exactly one of run",
		`{"from":"base","steps":[{"copy":{"from":{"content":"eA=="},"to":"x"}}]}`:                           "absolute path",
		`{"from":"base","steps":[{"run":"x","secrets":{"a b":"/x"}}]}`:                                      "environment variable",
		`{"from":"base","verify":[{"matches":"("}]}`:                                                        "run or http",
		`{"from":"base","verify":[{"run":"x","matches":"("}]}`:                                              "regular expression",
		`{"from":"base","bootTest":true}`:                                                                   "expected a verify",
		`{"from":"base","share":{"public":true}}`:                                                           "publicConfirmed",
		`{"from":"base","share":{"accounts":["1"]}}`:                                                        "12 digits",
		`{"from":"base","share":{"organizations":["o-abc123"]}}`:                                            "ARN of an organization",
		`{"from":"base","share":{"accounts":["111122223333"]},"builder":{"rootVolume":{"encrypted":true}}}`: "AWS-managed key",
		`{"from":"base","share":{"accounts":["111122223333"]},"copyTo":{"us-east-1":{"encrypted":true}}}`:   "AWS-managed key",
		`{"from":"base","copyTo":{"nowhere":{}}}`:                                                           "nowhere",
		`{"from":"base","tags":{"stampmill:job":"x"}}`:                                                      "reserved",
		`{"from":"base","steps":["reboot"],"builder":{"provision":"userData"}}`:                             "first boot",
		`{"from":"base","builder":{"provision":"userData","market":"spot"}}`:                                "cannot stop itself",
		`{"from":"base","builder":{"market":"cheap"}}`:                                                      "cheap",
		`{"from":"base","capture":{"volumes":{"include":["/dev/sdf"],"exclude":["/dev/sdg"]}}}`:             "found both",
		`{"from":"base","capture":{"noReboot":{"thaw":"true"}}}`:                                            "freeze",
		`{"from":"base","publish":{"launchTemplate":{}}}`:                                                   "either name or id",
		`{"from":"base","notify":{}}`:                                                                       "expected the address to notify",
		`{"from":"base","stepps":[]}`:                                                                       "did you mean",
	} {
		err := New(Config{}).Check(json.RawMessage(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestPoolsComeInTheOrderOfTheSpec(t *testing.T) {
	t.Parallel()
	b := open(t, `{"from":"base","builder":{"types":["a.large","b.large"],"subnets":["subnet-1","subnet-2"],"market":["spot","on-demand"]}}`)
	b.progress.Subnets = b.spec.Builder.Subnets.IDs
	var got []string
	for _, p := range b.pools() {
		got = append(got, p.String())
	}
	want := []string{"a.large subnet-1 spot", "a.large subnet-2 spot", "b.large subnet-1 spot", "b.large subnet-2 spot",
		"a.large subnet-1", "a.large subnet-2", "b.large subnet-1", "b.large subnet-2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestAnAMIsNameIsTheSameForEachRepetitionAndAnotherForEachAttempt(t *testing.T) {
	t.Parallel()
	b := open(t, plain)
	b.progress.Version = 41
	turn := &jobs.Turn{Job: b.job}
	if got, want := b.amiName(turn, thingImage), "web@41-abcdefghijklmnop-r1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.job.Attempts = map[string]int{thingImage: 2}
	if got, want := b.amiName(turn, thingImage), "web@41-abcdefghijklmnop-r1-a2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.job.Name = strings.Repeat("x", 80)
	b.progress.Version, b.job.Run = 999_999_999, 9999
	if n := len(b.amiName(turn, thingImage)); n > 128 {
		t.Errorf("%d characters, EC2 takes 128", n)
	}
}

func TestOurTagsStandOverAUsers(t *testing.T) {
	t.Parallel()
	b := open(t, plain)
	b.spec.Tags = map[string]string{jobs.TagJob: "mine", "CostCenter": "1"}
	turn := &jobs.Turn{Job: b.job, Installation: "test"}
	tags := b.versionTags(turn)
	if tags[jobs.TagJob] != b.job.ID || tags["CostCenter"] != "1" || !copies.Ours(turn, tags) {
		t.Errorf("%v", tags)
	}
	tags[jobs.TagIncarnation] = "another"
	if copies.Ours(turn, tags) {
		t.Error("another incarnation's thing counts as ours")
	}
}

func TestAVerifyHoldsAScriptToWhatIsExpected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    Verify
		o    guest.Outcome
		good bool
	}{
		{Verify{}, guest.Outcome{}, true},
		{Verify{}, guest.Outcome{Exit: 1}, false},
		{Verify{ExitCode: 1}, guest.Outcome{Exit: 1}, true},
		{Verify{ExitCode: 1}, guest.Outcome{}, false},
		{Verify{Output: "ok"}, guest.Outcome{Stdout: "all ok\n"}, true},
		{Verify{Output: "ok"}, guest.Outcome{Stdout: "bad\n"}, false},
		{Verify{Matches: `^v1\.\d+`}, guest.Outcome{Stdout: "v1.26\n"}, true},
		{Verify{Matches: `^v1\.\d+`}, guest.Outcome{Stdout: "v2\n"}, false},
		{Verify{ExitCode: guest.ExitTimeout}, guest.Outcome{Exit: guest.ExitTimeout, TimedOut: true}, false},
	} {
		if reason := c.v.wrong(c.o); (reason == "") != c.good {
			t.Errorf("%+v of %+v: %q", c.v, c.o, reason)
		}
	}
}

func TestUserDataHoldsEveryStepAndStopsTheBuilder(t *testing.T) {
	t.Parallel()
	b := open(t, `{"from":"base","vars":{"V":"1"},"builder":{"provision":"userData"},"steps":[{"run":"echo one"}],"verify":[{"run":"echo two","output":"two"}],"bootTest":false}`)
	data, err := b.userData()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"#!/bin/sh", "V='1'", "step-1", "verify-1", "grep -qF -e 'two'", "shutdown -h now"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %q in\n%s", want, data)
		}
	}
}

func TestARetryBeginsAnew(t *testing.T) {
	t.Parallel()
	job := &jobs.Job{Name: "web", Run: 2, Spec: json.RawMessage(plain), Data: json.RawMessage(`{"run":1,"builder":{"id":"i-1"}}`)}
	p, err := New(Config{}).Program(job)
	if err != nil {
		t.Fatal(err)
	}
	if id := p.(*program).progress.Builder.ID; id != "" {
		t.Errorf("the builder of run 1, %s, is taken for this run's", id)
	}
	job.Data = json.RawMessage(`{"run":2,"builder":{"id":"i-2"}}`)
	if p, err = New(Config{}).Program(job); err != nil || p.(*program).progress.Builder.ID != "i-2" {
		t.Errorf("this run's progress is lost: %v", err)
	}
}

func TestExcludedVolumesAreLeftOutAndOnlyIncludedOnesAreIn(t *testing.T) {
	t.Parallel()
	b := open(t, `{"from":"base","capture":{"volumes":{"include":["/dev/sdf"]}}}`)
	b.progress.Source.RootDevice = "/dev/xvda"
	b.progress.Builder.Volumes = map[string]string{"/dev/xvda": "vol-1", "/dev/sdf": "vol-2", "/dev/sdg": "vol-3"}
	out := b.excluded()
	if len(out) != 1 || out[0].Device != "/dev/sdg" || !out[0].Exclude {
		t.Errorf("%+v", out)
	}
}

func TestPollsGrowLessFrequent(t *testing.T) {
	t.Parallel()
	before := time.Duration(0)
	for i := range 20 {
		wait := pollWait(i)
		if wait < before || wait > 30*time.Second {
			t.Errorf("poll %d waits %s after %s", i, wait, before)
		}
		before = wait
	}
}
