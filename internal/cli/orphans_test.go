package cli_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// orphanTags are all the tags of a thing that a job made, which nobody knows any more.
func orphanTags() map[string]string {
	return map[string]string{jobs.TagInstallation: "stampmill", jobs.TagJob: "bake-gone-aaaaaaaaaaaaaaaa", jobs.TagIncarnation: "inc", jobs.TagRun: "1",
		jobs.TagThing: "builder", "Name": "gone\u001b[2J\u202e builder"}
}

// launch starts servers, and gives their ids.
func (s *shell) launch(token string, tags map[string]string, count int) []string {
	s.t.Helper()
	region := s.User.EC2.For(jobs.Target{})
	image, found, err := region.NewestImage(s.t.Context(), "amazon", "al2023-ami-*", "x86_64")
	if err != nil || !found {
		s.t.Fatal("no Amazon Linux image", err)
	}
	made, err := region.Launch(s.t.Context(), cloud.LaunchRequest{Token: token, ImageID: image.ID, Type: "t3.nano", Min: count, Max: count, InstanceTags: tags})
	if err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(time.Minute)
	ids := make([]string, len(made))
	for i, m := range made {
		ids[i] = m.ID
	}
	return ids
}

func (s *shell) runs(id string) bool {
	return slices.ContainsFunc(s.running(), func(running string) bool { return running == id })
}

func (s *shell) running() []string {
	var ids []string
	for _, i := range s.EC2().Inspect().Instances {
		if i.State == "running" {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

// orphanReport is what `orphans -o json` gives.
type orphanReport struct {
	Orphans []struct {
		ID, Kind, Held   string
		Due, Removed     bool
		GraceLeftSeconds int
	}
	History []struct{ ID, State, By, Job string }
}

func (s *shell) orphans(args ...string) orphanReport {
	s.t.Helper()
	var report orphanReport
	out := s.must(cli.ExitOK, append([]string{"orphans", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	return report
}

func TestOrphansAreShownAndRemovedAfterTheirGraceAndAQuestion(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		orphan := s.launch("inc-builder", orphanTags(), 1)[0]
		others := maps.Clone(orphanTags())
		others[jobs.TagInstallation] = "another"
		other := s.launch("inc-other", others, 1)[0]

		writes := s.calls("dynamodb:PutItem")
		for range 2 { // looking begins no grace
			r := s.orphans("--dry-run")
			if len(r.Orphans) != 1 || r.Orphans[0].ID != orphan || r.Orphans[0].GraceLeftSeconds != 1800 || r.Orphans[0].Due || len(r.History) != 0 {
				t.Fatalf("a dry run shows %+v, expected %s with its whole grace", r, orphan)
			}
			time.Sleep(time.Hour)
		}
		if n := s.calls("dynamodb:PutItem"); n != writes {
			t.Errorf("a dry run wrote %d items", n-writes)
		}
		s.orphans() // records it
		time.Sleep(29 * time.Minute)
		if r := s.orphans("--yes"); !s.runs(orphan) || r.Orphans[0].Due || r.Orphans[0].GraceLeftSeconds > 60 {
			t.Fatalf("before its grace was over: %+v", r)
		}
		time.Sleep(2 * time.Minute)
		a := s.run("orphans", "--dry-run")
		wants(t, a.out, "is removed next", orphan, "bake-gone-aaaaaaaaaaaaaaaa")
		a = s.run("orphans")
		wants(t, a.err, "1 orphan can be removed now (1 instance)", "--yes")
		if a.code != cli.ExitOK || !s.runs(orphan) {
			t.Fatalf("without --yes it ended with %d and the orphan's end: %s", a.code, a.err)
		}
		a = s.run("orphans", "--yes")
		wants(t, a.err, "1 orphan can be removed now (1 instance)")
		wants(t, a.out, "removed", orphan, "command line on")
		time.Sleep(10 * time.Minute)
		if s.runs(orphan) || !s.runs(other) {
			t.Errorf("running: %v; expected %s only", s.running(), other)
		}
		r := s.orphans("--dry-run")
		if len(r.Orphans) != 0 || len(r.History) != 1 || r.History[0].ID != orphan || r.History[0].State != "removed" {
			t.Errorf("afterwards %+v", r)
		}
		time.Sleep(91 * 24 * time.Hour)
		if r = s.orphans("--dry-run"); len(r.History) != 0 {
			t.Errorf("after 91 days the history still has %+v", r.History)
		}
	})
}

func TestOrphansOfALedgerThatSeemsToBeTheWrongOneAreHeldBack(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		s.launch("inc-servers", orphanTags(), 25)
		for range 3 {
			s.must(cli.ExitOK, "orphans", "--yes")
			time.Sleep(time.Hour)
		}
		wants(t, s.must(cli.ExitOK, "orphans", "--dry-run"), "held back: 25 of the 25 things with this installation's tag are in no ledger")
		if n := len(s.running()); n != 25 {
			t.Errorf("%d servers run, expected 25", n)
		}
	})
}

func TestOrphansTakesNoContradiction(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		wants(t, s.run("orphans", "--dry-run", "--yes").err, "expected one of them")
		wants(t, s.run("orphans", "--limit", "0").err, "1 or more")
		wants(t, s.must(cli.ExitOK, "orphans"), "no orphans", "nothing was removed in the last 90 days")
	})
}
