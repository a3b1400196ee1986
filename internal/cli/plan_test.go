package cli_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/cli"
)

func TestTheCommandsOfThePlanningPageRun(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		page := readFile(t, filepath.Join("..", "..", "docs", "planning.md"))
		file := s.file("launch.yaml", regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(page)[1])
		ran := 0
		for line := range strings.Lines(page) {
			if args := words(strings.ReplaceAll(line, "launch.yaml", file)); len(args) > 1 && args[0] == "stampmill" {
				s.must(cli.ExitOK, args[1:]...)
				ran++
			}
		}
		if ran != 3 {
			t.Errorf("%d commands ran, want 3", ran)
		}
		wants(t, s.must(cli.ExitOK, "plan", file), "L-1216C47A", "L-34B43A08", "100000 vCPUs, 0 in use", "RunInstances servers (900 + 1.8/s) binds", "10m12s from now",
			"RunInstances in eu-west-1: 900 of 900 servers, 1.8 more a second; nobody has used it yet",
			"servers of pool 1, m7g.large", "servers of pool 2, m7g.large", "free addresses")
	})
}

func TestAPlanTellsAllProblemsAtOnceWithTheirPlaces(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		if _, err := s.Endpoint.Control("quota", json.RawMessage(`{"region":"eu-west-1","code":"L-1216C47A","value":64}`)); err != nil {
			t.Fatal(err)
		}
		file := s.file("wrong.yaml", `kind: Launch
name: web-prod
spec:
  image: web
  count: 200
  pools:
    - types: [m7g.large, z9.huge]
    - types: [m7g.large]
      subnets: [subnet-00000000000000000]
  server:
    keyName: nobody
`)
		a := s.run("plan", file)
		if a.code != cli.ExitFailure {
			t.Errorf("exit code %d", a.code)
		}
		wants(t, a.err, "wrong.yaml:4:10: spec.image", "no such image", "wrong.yaml:7:26: spec.pools[0].types[1]", "does not offer z9.huge",
			"wrong.yaml:9:16: spec.pools[1].subnets", "subnet-00000000000000000", "wrong.yaml:11:14: spec.server.keyName", "no key pair nobody",
			"wrong.yaml:5:10: spec.count", "room for 32", "--desired-value 400", "5 problems")
		var plans []struct{ Problems []struct{ Line int } }
		decode(t, s.run("plan", file, "-o", "json").out, &plans)
		if len(plans) != 1 || len(plans[0].Problems) != 5 || plans[0].Problems[0].Line == 0 {
			t.Errorf("as JSON: %+v", plans)
		}
		bake := s.file("bake.yaml", "kind: Bake\nname: web\nspec:\n  from: {ami: ami-00000000000000000}\n  builder: {types: [z9.huge], keyName: nobody}\n")
		a = s.run("plan", bake)
		wants(t, a.err, "bake.yaml:4:", "spec.from", "spec.builder.types[0]", "does not offer z9.huge", "no key pair nobody")
		down := s.file("down.yaml", "kind: Terminate\nname: down\nspec:\n  fleet: nobodys\n  all: true\n")
		a = s.run("plan", down)
		wants(t, a.err, "down.yaml:4:10: spec.fleet: there is no fleet nobodys")
	})
}
