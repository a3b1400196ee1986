package notify

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

type post struct{ url, id, body string }

// recorder answers with the errors in turn, then with none.
type recorder struct {
	answers []error
	posts   []post
}

func (r *recorder) Post(_ context.Context, url, id string, body []byte) error {
	r.posts = append(r.posts, post{url, id, string(body)})
	if n := len(r.posts) - 1; n < len(r.answers) {
		return r.answers[n]
	}
	return nil
}

func turnOf(since time.Duration) *jobs.Turn {
	return &jobs.Turn{Job: &jobs.Job{ID: "bake-web-abc", Kind: "Bake", Name: "web", Incarnation: "inc", Run: 2,
		StepSince: time.Now().Add(-since)}}
}

var refused = &jobs.Error{Class: jobs.Retry, Message: "503"}

func do(t *testing.T, r *recorder, state *State, turn *jobs.Turn) jobs.Move {
	t.Helper()
	step := Steps(&Spec{URL: "https://x/y"}, r, state, func() any { return map[string]string{"image": "web@1"} })[0]
	move, err := step.Do(t.Context(), turn)
	if err != nil {
		t.Fatal(err)
	}
	return move
}

func TestADeliveryIsRepeatedUnderOneIDUntilItIsTaken(t *testing.T) {
	t.Parallel()
	r, state, turn := &recorder{answers: []error{refused, errors.New("dropped")}}, &State{}, turnOf(0)
	for range 2 {
		if move := do(t, r, state, turn); !move.IsWait() {
			t.Fatalf("a failed delivery gives %+v", move)
		}
	}
	if move := do(t, r, state, turn); !move.IsDone() {
		t.Fatalf("a delivery gives %+v", move)
	}
	if move := do(t, r, state, turn); !move.IsDone() || len(r.posts) != 3 {
		t.Errorf("a delivered notification was sent again: %d posts", len(r.posts))
	}
	for _, p := range r.posts {
		if p != r.posts[0] {
			t.Errorf("repetitions differ: %v and %v", p, r.posts[0])
		}
	}
}

func TestAMessageTellsHowTheJobEnded(t *testing.T) {
	t.Parallel()
	r, turn := &recorder{}, turnOf(0)
	do(t, r, &State{}, turn)
	turn.Job.Phase, turn.Job.End, turn.Job.Failure = jobs.Undoing, jobs.Failed, "verify: exit 1"
	do(t, r, &State{}, turn)
	for i, want := range []Message{{State: jobs.Succeeded}, {State: jobs.Failed, Failure: "verify: exit 1"}} {
		var got Message
		if err := json.Unmarshal([]byte(r.posts[i].body), &got); err != nil {
			t.Fatal(err)
		}
		if got.State != want.State || got.Failure != want.Failure || got.ID != r.posts[i].id || got.Result == nil {
			t.Errorf("message %d: %+v", i, got)
		}
	}
	if r.posts[0].id == r.posts[1].id {
		t.Error("two ends have one id")
	}
}

func TestWhatCannotBeDeliveredIsAWarning(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		since time.Duration
	}{
		"gone":  {&jobs.Error{Class: jobs.Fatal, Message: "410"}, 0},
		"a day": {refused, GiveUp},
	} {
		turn := turnOf(c.since)
		if move := do(t, &recorder{answers: []error{c.err}}, &State{}, turn); !move.IsDone() || len(turn.Job.Warnings) != 1 {
			t.Errorf("%s: %+v with warnings %v", name, move, turn.Job.Warnings)
		}
	}
}

func TestASpecNamesAnAddress(t *testing.T) {
	t.Parallel()
	for text, s := range map[string]Spec{
		"expected the address":      {},
		"expected an http or https": {URL: "ftp://example.com"},
		"without user":              {URL: "https://me:secret@example.com"},
	} {
		p := spec.NewProblems()
		if s.CheckSpec(p); p.Err() == nil || !strings.Contains(p.Err().Error(), text) {
			t.Errorf("%+v: %v, want %q", s, p.Err(), text)
		}
	}
	for _, s := range []Spec{{URL: "https://ci.example.com/hook"}, {SNSTopic: "arn:aws:sns:eu-west-1:111122223333:patch"},
		{EventBus: "arn:aws:events:eu-west-1:111122223333:event-bus/default"}} {
		p := spec.NewProblems()
		if s.CheckSpec(p); p.Err() != nil {
			t.Error(p.Err())
		}
	}
}

func TestEachOfSeveralAddressesIsToldOnceThoughAnotherFails(t *testing.T) {
	t.Parallel()
	r, state, turn := &recorder{answers: []error{refused, nil, refused, nil}}, &State{}, turnOf(0)
	s := &Spec{URL: "https://x/y", SNSTopic: "arn:aws:sns:eu-west-1:111122223333:patch"}
	step := Steps(s, r, state, nil)[0]
	for i, waits := range []bool{true, true, false} {
		if move, err := step.Do(t.Context(), turn); err != nil || move.IsWait() != waits {
			t.Fatalf("turn %d gives %+v, %v", i, move, err)
		}
	}
	told := map[string]int{}
	for _, p := range r.posts {
		told[p.url]++
	}
	if told[s.SNSTopic] != 1 || told[s.URL] != 3 || !state.Ended {
		t.Errorf("posted %v", told)
	}
}

func TestASpecThatNamesNobodyCostsNoStep(t *testing.T) {
	t.Parallel()
	if steps := Steps(nil, &recorder{}, &State{}, nil); len(steps) > 0 {
		t.Errorf("%d steps", len(steps))
	}
}
