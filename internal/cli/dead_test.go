package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
)

// bury puts a message into the dead letters, as a worker does that gives it up.
func (s *shell) bury(lane jobs.Lane, original, body, reason string) {
	s.t.Helper()
	err := s.User.Queue.DeadLetter(s.t.Context(), jobs.Received{Lane: lane, OriginalID: original, Body: []byte(body)}, reason)
	if err != nil {
		s.t.Fatal(err)
	}
}

// letters are the dead letters as `dead list` gives them.
func (s *shell) letters(args ...string) []letter {
	s.t.Helper()
	var list []letter
	out := s.must(cli.ExitOK, append([]string{"dead", "list", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	return list
}

type letter struct {
	ID, OriginalID, From, Reason, Type, Kind, Name, Job, Body string
	Bytes                                                     int
}

const keyless = `{"schema":1,"type":"submit","kind":"Ping","name":"hello","spec":{"message":"hi"}}`

func submission(name, key string) string {
	return fmt.Sprintf(`{"schema":1,"type":"submit","kind":"Ping","name":%q,"key":%q,"spec":{}}`, name, key)
}

// A keyless submission is known by its first message's id, however often it dies and comes back.
func TestARedrivenJobKeepsItsIdentity(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		const first = "5fea7756-0ea4-451a-a703-a558b933e274"
		id := jobs.Identity("Ping", "hello", jobs.Target{}, first)
		s.bury(jobs.LaneLow, first, keyless, "nobody knew this kind")
		list := s.letters()
		if len(list) != 1 || list[0].OriginalID != first || list[0].Job != id || list[0].ID == first || list[0].From != "low" || list[0].Kind != "Ping" {
			t.Fatalf("listed %+v, expected the letter of %s", list, id)
		}
		s.must(cli.ExitOK, "dead", "redrive", list[0].ID[:8], "--yes")
		s.must(cli.ExitOK, "wait", id)
		if left := s.letters(); len(left) != 0 {
			t.Errorf("left in the dead letters: %+v", left)
		}
		s.bury(jobs.LaneLow, first, keyless, "once more") // as after a death between send and delete
		s.must(cli.ExitOK, "dead", "redrive", "--all", "--yes")
		time.Sleep(time.Minute)
		var found []struct{ ID string }
		if err := json.Unmarshal([]byte(s.must(cli.ExitOK, "job", "list", "-o", "json")), &found); err != nil || len(found) != 1 || found[0].ID != id {
			t.Errorf("the jobs are %v, %v; expected %s only", found, err, id)
		}
		if n := s.backlog(jobs.LaneLow); n != 0 {
			t.Errorf("%d messages are left in the lane", n)
		}
	})
}

func (s *shell) backlog(lane jobs.Lane) int {
	s.t.Helper()
	n, err := s.User.Queue.Backlog(s.t.Context(), lane)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestWhatAWorkerGivesUpComesBackUnderItsIdentity(t *testing.T) {
	installed(t, 1, func(t *testing.T, s *shell) {
		spec := s.file("hello.yaml", pingFile)
		id := strings.Fields(s.must(cli.ExitOK, "submit", spec, "--key", "k"))[0]
		s.must(cli.ExitOK, "wait", id)
		s.must(cli.ExitOK, "submit", s.file("other.yaml", strings.Replace(pingFile, "hi", "ho", 1)), "--key", "k")
		time.Sleep(time.Minute)
		list := s.letters("--reason", "ANOTHER SPEC", "--kind", "ping", "--name", "hello", "--newer", "1h")
		if len(list) != 1 || list[0].Job != id || list[0].From != "normal" || list[0].OriginalID == list[0].ID {
			t.Fatalf("listed %+v, expected the submission of %s", list, id)
		}
		original := list[0].OriginalID
		s.must(cli.ExitOK, "dead", "redrive", original, "--yes")
		time.Sleep(time.Minute)
		if list = s.letters(); len(list) != 1 || list[0].OriginalID != original {
			t.Fatalf("came back as %+v, expected the original id %s", list, original)
		}
	})
}

func TestLookingAtDeadLettersLosesNothingAndHidesNothing(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		const count = 57
		for i := range count {
			s.bury(jobs.LaneNormal, fmt.Sprint("original-", i), submission("web", fmt.Sprint(i)), "same key, another spec")
		}
		for range 3 {
			if list := s.letters(); len(list) != count {
				t.Fatalf("%d letters listed, expected %d", len(list), count)
			}
			if n := s.backlog(queue.DeadLetters); n != count {
				t.Fatalf("%d letters are visible to others after a list, expected %d", n, count)
			}
		}
		if got := s.letters("--limit", "5"); len(got) != 5 {
			t.Errorf("%d letters listed with --limit 5", len(got))
		}
		if a := s.run("dead", "drop", "--all"); a.code != cli.ExitUsage || !strings.Contains(a.err, "57 dead letters matched") || !strings.Contains(a.err, "--yes") {
			t.Errorf("drop without --yes ended with %d\n%s", a.code, a.err)
		}
		if n := s.backlog(queue.DeadLetters); n != count {
			t.Errorf("%d letters are left, expected %d", n, count)
		}
	})
}

func TestDeadLettersAreChosenByReasonKindNameAgeAndID(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		s.bury(jobs.LaneNormal, "old-one", submission("web", "a"), "Same key, another spec")
		time.Sleep(2 * time.Hour)
		s.bury(jobs.LaneHigh, "young-one", submission("db", "b"), "unknown kind")
		s.bury(jobs.LaneWake, "wake-one", `{"schema":1,"type":"wake","job":"bake-my-web-aaaaaaaaaaaaaaaa","run":1,"seq":3}`, "no such step")
		s.bury(jobs.LaneNormal, "rubbish", "<xml/>", "the message is not a JSON object")
		for _, c := range []struct {
			args []string
			want string
		}{
			{nil, "old-one young-one wake-one rubbish"},
			{[]string{"--reason", "KIND"}, "young-one"},
			{[]string{"--kind", "ping"}, "old-one young-one"},
			{[]string{"--kind", "Bake", "--name", "my-web"}, "wake-one"},
			{[]string{"--name", "db"}, "young-one"},
			{[]string{"--older", "1h"}, "old-one"},
			{[]string{"--newer", "1h", "--reason", "not a json"}, "rubbish"},
		} {
			var got []string
			for _, l := range s.letters(c.args...) {
				got = append(got, l.OriginalID)
			}
			if len(got) != len(strings.Fields(c.want)) || !sameSet(got, strings.Fields(c.want)) {
				t.Errorf("%v lists %v, expected %s", c.args, got, c.want)
			}
		}
		a := s.run("dead", "drop", "--reason", "spec", "young-one", "--yes")
		if a.code != cli.ExitNotFound {
			t.Errorf("an id and another's reason ended with %d: %s%s", a.code, a.out, a.err)
		}
		s.must(cli.ExitOK, "dead", "drop", "young", "rubbish", "--yes")
		if left := s.letters(); len(left) != 2 {
			t.Errorf("left %+v, expected two", left)
		}
	})
}

func sameSet(a, b []string) bool {
	in := map[string]int{}
	for _, s := range a {
		in[s]++
	}
	for _, s := range b {
		in[s]--
	}
	for _, n := range in {
		if n != 0 {
			return false
		}
	}
	return true
}

// severed is a wire that breaks after so many answers of an action: the process that uses it dies there.
type severed struct {
	inner  http.RoundTripper
	action string
	mu     sync.Mutex
	lives  int
	dead   bool
}

func (w *severed) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.dies(r) {
		return nil, errors.New("the process is dead")
	}
	return w.inner.RoundTrip(r)
}

func (w *severed) dies(r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), w.action) {
		w.lives--
	}
	w.dead = w.dead || w.lives < 0
	return w.dead
}

// A death before any call loses no letter: each is in its lane or in the dead letters, or in both, under the same identity.
func TestARedriveThatDiesHalfWayLosesNothing(t *testing.T) {
	for _, action := range []string{"ReceiveMessage", "SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"} {
		for lives := range 3 {
			t.Run(fmt.Sprint(action, lives), func(t *testing.T) {
				installed(t, 0, func(t *testing.T, s *shell) {
					const count = 25
					want := map[string]bool{}
					for i := range count {
						original := fmt.Sprint("original-", i)
						want[jobs.Identity("Ping", "hello", jobs.Target{}, original)] = true
						s.bury(jobs.LaneNormal, original, keyless, "unknown kind")
					}
					s.transport = &severed{inner: s.Endpoint.RoundTripper(), action: action, lives: lives}
					s.run("dead", "redrive", "--all", "--yes")
					s.transport = nil
					time.Sleep(20 * time.Minute) // what the dead process held is free again
					s.must(cli.ExitOK, "dead", "list")
					if s.backlog(queue.DeadLetters) > 0 {
						s.must(cli.ExitOK, "dead", "redrive", "--all", "--yes")
					}
					if _, err := s.Start(nil); err != nil {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Minute)
					var found []struct{ ID, State string }
					if err := json.Unmarshal([]byte(s.must(cli.ExitOK, "job", "list", "-o", "json")), &found); err != nil {
						t.Fatal(err)
					}
					for _, job := range found {
						if !want[job.ID] || job.State != "succeeded" {
							t.Errorf("%s is %s and was not sent", job.ID, job.State)
						}
						delete(want, job.ID)
					}
					if len(want) > 0 || len(found) != count {
						t.Errorf("%d jobs, lost %v", len(found), want)
					}
					if n := s.backlog(queue.DeadLetters); n != 0 {
						t.Errorf("%d letters are still dead", n)
					}
				})
			})
		}
	}
}

func TestADeadLetterIsShownWholeAndDoesNothingToTheTerminal(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		const hostile = "\u001b]0;mine\u0007\u202eevil\u009b2J\r\n"
		body, err := json.Marshal(map[string]any{"schema": 1, "type": "submit", "kind": "Ping" + hostile, "name": hostile, "spec": map[string]string{"m": hostile}})
		if err != nil {
			t.Fatal(err)
		}
		s.bury(jobs.LaneHigh, "5fea7756-0ea4-451a-a703-a558b933e274", string(body), "no kind Ping"+hostile)
		id := s.letters()[0].ID
		for _, output := range []string{"table", "json", "yaml"} { // run refuses what a terminal obeys
			s.must(cli.ExitOK, "dead", "list", "-o", output)
			s.must(cli.ExitOK, "dead", "show", id, "-o", output)
		}
		wants(t, s.must(cli.ExitOK, "dead", "show", id), "original id  5fea7756-0ea4-451a-a703-a558b933e274", "from         high", "reason       no kind Ping", `"schema": 1`)
		var shown letter
		if err := json.Unmarshal([]byte(s.must(cli.ExitOK, "dead", "show", id, "-o", "json")), &shown); err != nil || shown.Body != string(body) {
			t.Errorf("the body is %q, %v; expected it as it was sent", shown.Body, err)
		}
		a := s.run("dead", "drop", "--all", "--yes")
		wants(t, a.err, "1 dead letter matched, of 1 that were read")
		wants(t, a.out, "1 dead letter dropped")
	})
}

// What SQS moved by itself carries none of our attributes: its source queue says where it came from.
func TestALetterThatTheQueueItselfGaveUpGoesBackToItsLane(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		s.must(cli.ExitOK, "submit", s.file("hello.yaml", pingFile), "--priority", "low")
		sent, err := s.User.Queue.Receive(t.Context(), jobs.LaneLow, 1, 0)
		if err != nil || len(sent) != 1 {
			t.Fatal(sent, err)
		}
		for range 101 {
			if err := s.User.Queue.Hide(t.Context(), sent[0], 0); err != nil {
				t.Fatal(err)
			}
			more, err := s.User.Queue.Receive(t.Context(), jobs.LaneLow, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(more) == 0 {
				break
			}
			sent = more
		}
		list := s.letters()
		if len(list) != 1 || list[0].From != "low" || list[0].OriginalID != sent[0].ID || !strings.Contains(list[0].Reason, "redrive policy") {
			t.Fatalf("listed %+v, expected the message %s of the lane low", list, sent[0].ID)
		}
		s.must(cli.ExitOK, "dead", "redrive", "--all", "--yes")
		back, err := s.User.Queue.Receive(t.Context(), jobs.LaneLow, 1, 0)
		if err != nil || len(back) != 1 || back[0].OriginalID != sent[0].ID {
			t.Errorf("came back as %+v, %v", back, err)
		}
	})
}

func TestLettersInOthersHandsAreSaidToBeThere(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		s.bury(jobs.LaneLow, "a", keyless, "unknown kind")
		if _, err := s.User.Queue.Receive(t.Context(), queue.DeadLetters, 1, 0); err != nil {
			t.Fatal(err)
		}
		a := s.run("dead", "list", "-o", "json")
		wants(t, a.err, "about 1 dead letter in other readers' hands")
		if a.out != "[]\n" {
			t.Errorf("listed %s", a.out)
		}
	})
}

func TestAQueueLongerThanOneLookIsSaidToBeReadInPart(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		for i := range 30 {
			s.bury(jobs.LaneLow, fmt.Sprint("original-", i), keyless, "unknown kind")
		}
		d, err := s.User.Queue.ReadDead(t.Context(), queue.Reading{Most: 10}, nil)
		if err != nil || d.Whole || d.Read != 10 || d.About != 30 || len(d.Letters) != 10 {
			t.Fatalf("%+v, %v", d, err)
		}
		if err := d.Drop(t.Context(), d.Letters[0]); err != nil {
			t.Fatal(err)
		}
		if err := d.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.Drop(t.Context(), d.Letters[1]); err == nil {
			t.Error("a letter that was given back is dropped")
		}
		d, err = s.User.Queue.ReadDead(t.Context(), queue.Reading{Bytes: 1}, nil)
		if err != nil || d.Whole || d.About != 29 {
			t.Fatalf("%+v, %v", d, err)
		}
		if err := d.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := s.backlog(queue.DeadLetters); n != 29 {
			t.Errorf("%d letters are left, expected 29", n)
		}
	})
}

func TestDeadTakesNoCommandThatMightMeanEverything(t *testing.T) {
	installed(t, 0, func(t *testing.T, s *shell) {
		for _, c := range []struct {
			args []string
			code int
			word string
		}{
			{[]string{"dead"}, cli.ExitUsage, "list, redrive, show"},
			{[]string{"dead", "drop"}, cli.ExitUsage, "--all"},
			{[]string{"dead", "redrive", "--yes"}, cli.ExitUsage, "--all"},
			{[]string{"dead", "redrive", "--all", "--yes"}, cli.ExitNotFound, "no dead letter matches"},
			{[]string{"dead", "list", "--older", "2h", "--newer", "1h"}, cli.ExitUsage, "nothing between"},
			{[]string{"dead", "list", "--older", "-1h"}, cli.ExitUsage, "more than 0s"},
			{[]string{"dead", "list", "--limit", "0"}, cli.ExitUsage, "1 or more"},
			{[]string{"dead", "show", "nothing"}, cli.ExitNotFound, "dead list"},
		} {
			if a := s.run(c.args...); a.code != c.code || !strings.Contains(a.err, c.word) {
				t.Errorf("%v ended with %d: %s; expected %d and %q", c.args, a.code, a.err, c.code, c.word)
			}
		}
	})
}
