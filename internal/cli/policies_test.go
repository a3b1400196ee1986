package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
)

const monthly = `
kind: Policy
name: web-monthly
region: eu-west-1
labels: {team: edge}
spec:
  when: {schedule: "0 3 * * TUE#2", zone: Europe/Berlin}
  do:
    name: web
    bake:
      from: {ami: ami-12345678}
      builder: {types: [m7g.large]}
      steps:
        - run: ./install.sh
`

func TestPoliciesAreKeptShownPausedAndForgotten(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		s.file("install.sh", "#!/bin/sh\necho installed\n")
		file := s.file("policy.yaml", monthly)
		wants(t, s.must(0, "validate", file), "valid", "Policy", "web-monthly")
		wants(t, s.must(0, "plan", file), "bake web", "Tue 2000-01-11 03:00 CET", "Tue 2000-02-08 03:00 CET")
		wants(t, s.must(0, "apply", file), "web-monthly", "kept", "next Tue 2000-01-11 03:00 CET")
		wants(t, s.must(0, "apply", file), "unchanged")
		s.file("install.sh", "#!/bin/sh\necho installed otherwise\n")
		wants(t, s.must(0, "apply", file), "changed")
		wants(t, s.must(0, "policy", "list"), "web-monthly", "in 10d")
		wants(t, s.must(0, "policy", "show", "web-monthly"), "generation", "2", "next Tue 2000-01-11 03:00 CET", "bake")
		var shown struct {
			Spec struct {
				Do struct{ Bake json.RawMessage }
			}
		}
		decode(t, s.must(0, "policy", "show", "web-monthly", "-o", "json"), &shown)
		if !strings.Contains(string(shown.Spec.Do.Bake), "installed otherwise") {
			t.Errorf("the script was not read when the policy was applied: %s", shown.Spec.Do.Bake)
		}
		wants(t, s.must(0, "policy", "pause", "web-monthly"), "paused")
		wants(t, s.must(0, "policy", "list"), "paused")
		wants(t, s.must(0, "apply", s.file("other.yaml", strings.Replace(monthly, "TUE#2", "TUE#3", 1))), "changed")
		wants(t, s.must(0, "policy", "list"), "paused")
		wants(t, s.must(0, "policy", "resume", "web-monthly"), "resumed")
		wants(t, s.must(0, "policy", "show", "web-monthly"), "Tue 2000-01-18 03:00 CET")
		wants(t, s.must(0, "delete", "policy", "web-monthly"), "deleted")
		for _, args := range [][]string{{"policy", "show", "web-monthly"}, {"delete", "policy", "web-monthly"}, {"policy", "pause", "web-monthly"}} {
			if a := s.run(args...); a.code != cli.ExitNotFound || !strings.Contains(a.err, "policy list") {
				t.Errorf("%v of one that is gone: %+v", args, a)
			}
		}
	})
}

func TestWhatAPolicyDoesMayBeAFile(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		if err := os.MkdirAll(filepath.Join(s.folder, "images"), 0o700); err != nil {
			t.Fatal(err)
		}
		s.file("images/install.sh", "#!/bin/sh\n"+strings.Repeat("# long\n", 4000)) // too long for a message: it goes to the bucket
		s.file("images/web.yaml", `
kind: Bake
name: web
region: us-east-1
labels: {team: "${var.team}"}
vars: {os: al2023}
spec:
  from: {image: "base-${var.os}"}
  builder: {types: [m7g.large]}
  steps:
    - run: ./install.sh
`)
		file := s.file("policy.yaml", `
kind: Policy
name: web-follows
spec:
  when: {newerParent: true}
  do: {bake: images/web.yaml}
`)
		wants(t, s.must(0, "apply", file, "--var", "team=edge"), "kept")
		var shown struct {
			Spec struct {
				Do struct {
					Name, Region string
					Labels       map[string]string
					Bake         struct {
						From  struct{ Image string }
						Vars  map[string]string
						Steps []struct{ Run struct{ Key string } }
					}
				}
			}
		}
		decode(t, s.must(0, "policy", "show", "web-follows", "-o", "json"), &shown)
		do := shown.Spec.Do
		if do.Name != "web" || do.Region != "us-east-1" || do.Labels["team"] != "edge" || do.Bake.From.Image != "base-al2023" || do.Bake.Vars["os"] != "al2023" {
			t.Errorf("kept %+v", do)
		}
		if _, found, err := s.User.Files.Get(t.Context(), do.Bake.Steps[0].Run.Key); err != nil || !found {
			t.Errorf("the long script is not in the bucket: %v", err)
		}
	})
}

func TestAPolicyThatMakesNoSenseIsRefusedWithItsPlace(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		s.file("bake.yaml", "kind: Bake\nname: web\nspec:\n  from: {ami: ami-12345678}\n  bulder: {}\n")
		s.file("two.yaml", "kind: Ping\nname: a\n---\nkind: Ping\nname: b\n")
		for i, c := range []struct{ when, do, want string }{
			{`{schedule: "0 3 30 2 *"}`, `{heal: {all: true}}`, `:4:20: spec.when.schedule: no such day ever comes`},
			{`{schedule: "0 25 * * *"}`, `{heal: {all: true}}`, `:4:20: spec.when.schedule: hour "25"`},
			{`{schedule: "0 3 * * *", zone: Europe/Atlantis}`, `{heal: {all: true}}`, `:4:39: spec.when.zone: there is no time zone "Europe/Atlantis"`},
			{`{schedule: "0 3 * * *", zone: Local}`, `{heal: {all: true}}`, `there is no time zone "Local"`},
			{`{every: 5m, zone: UTC}`, `{heal: {all: true}}`, `:4:27: spec.when.zone: expected a schedule`},
			{`{every: 5s}`, `{heal: {all: true}}`, `:4:17: spec.when.every: expected at least 1m`},
			{`{}`, `{heal: {all: true}}`, `:4:9: spec.when`},
			{`{check: 5m}`, `{heal: {all: true}}`, `expected an occasion`},
			{`{olderThan: 1m}`, `{restamp: {}}`, `expected at least 1h`},
			{`{newerBase: true}`, `{heal: {all: true}}`, `about images`},
			{`{every: 5m}`, `{}`, `:5:7: spec.do`},
			{`{every: 5m}`, `{heal: {}}`, `:5:14: spec.do.heal: expected fleets, labels or all`},
			{`{every: 5m}`, `{heal: {all: true, fleets: [a]}}`, `found both`},
			{`{every: 5m}`, `{heal: {all: true}, bake: {from: {ami: ami-12345678}}, name: web}`, `found bake and heal`},
			{`{every: 5m}`, `{bake: {from: {ami: ami-12345678}}}`, `add name: web`},
			{`{every: 5m}`, `{name: web, bake: {from: {ami: ami-12345678}, bulder: {}}}`, `:5:53: spec.do.bake.bulder: unknown field; did you mean builder?`},
			{`{every: 5m}`, `{name: web, bake: {from: {ami: nonsense}}}`, `spec.do.bake.from.ami`},
			{`{every: 5m}`, `{name: web, bake: bake.yaml}`, `bake.yaml:5:3: spec.bulder: unknown field; did you mean builder?`},
			{`{every: 5m}`, `{name: web, bake: nothing.yaml}`, `:5:25: spec.do.bake: expected a spec of kind Bake, or the name of a file with one, found "nothing.yaml": there is no such file`},
			{`{every: 5m}`, `{name: web, bake: two.yaml}`, `two.yaml:1:7: kind: expected a kind, found the text "Ping"`},
			{`{every: 5m}`, `{name: web, bake: policy.yaml}`, `own file`},
			{`{every: 5m}`, `{name: web, bake: "-"}`, `expected a spec of kind Bake`},
			{`{every: 5m}`, `{name: web, bake: 7}`, `expected a spec of kind Bake, or the name of a file`},
		} {
			file := s.file("policy.yaml", fmt.Sprintf("kind: Policy\nname: p\nspec:\n  when: %s\n  do: %s\n", c.when, c.do))
			if a := s.run("apply", file); a.code != cli.ExitInvalid || !strings.Contains(a.err, c.want) {
				t.Errorf("%d. when %s do %s: exit code %d, want %q in\n%s", i, c.when, c.do, a.code, c.want, a.err)
			}
		}
		ping, kept := s.file("ping.yaml", "kind: Ping\nname: p\n"), s.file("policy.yaml", "kind: Policy\nname: p\nspec: {when: {every: 5m}, do: {heal: {all: true}}}\n")
		if a := s.run("apply", ping); a.code != cli.ExitInvalid || !strings.Contains(a.err, "stampmill submit") {
			t.Errorf("applying a job: %+v", a)
		}
		if a := s.run("submit", kept); a.code != cli.ExitInvalid || !strings.Contains(a.err, "stampmill apply") {
			t.Errorf("submitting a policy: %+v", a)
		}
		wants(t, s.must(0, "policy", "list"), "POLICY")
	})
}

func TestAPolicyTellsWhatItDidLast(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		s.must(0, "apply", s.file("policy.yaml", `
kind: Policy
name: web-tick
spec:
  when: {message: true}
  do: {name: web, bake: {from: {ami: ami-12345678}, builder: {types: [m7g.large]}}}
`))
		wants(t, s.must(0, "policy", "list"), "on a message")
		time.Sleep(time.Minute)
		s.tick("web-tick")
		time.Sleep(time.Minute)
		wants(t, s.must(0, "policy", "show", "web-tick"), "it is 2000-01-01T00:01:", "bake-web-", "failed")
		wants(t, s.must(0, "policy", "list"), "bake-web-")
	})
}

// tick sends what EventBridge Scheduler would.
func (s *shell) tick(name string) {
	s.t.Helper()
	m := &jobs.Message{Type: jobs.Tick, Policy: name, At: time.Now().UTC().Truncate(time.Second)}
	if err := s.User.Queue.Send(s.t.Context(), jobs.LaneNormal, m, 0); err != nil {
		s.t.Fatal(err)
	}
}
