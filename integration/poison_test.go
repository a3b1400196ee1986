package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestPoisonGoesToTheDeadLettersWhileOthersGoOn(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	poison := map[string]string{ // by a word of its reason
		"not a JSON object": `{`,
		"soon":              `{"schema":1,"type":"submit","kind":"Ping","name":"a","spec":{"wait":"soon"}}`,
		"Dance":             `{"schema":1,"type":"submit","kind":"Dance","name":"a","spec":{}}`,
		"name":              `{"schema":1,"type":"submit","kind":"Ping","name":"../etc","spec":{}}`,
	}
	for _, body := range poison {
		if err := m.Queue.SendRaw(t.Context(), jobs.LaneNormal, []byte(body), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	sent := m.submit(many(10, "kind: Ping\nname: sound-%d\n"))
	m.work()
	m.ended(0, sent...)
	var dead []string
	m.until(fmt.Sprintf("%d dead letters", len(poison)), func() bool { dead = append(dead, m.dead()...); return len(dead) >= len(poison) })
	for word, body := range poison {
		found := 0
		for _, letter := range dead {
			if reason, text, _ := strings.Cut(letter, "\n"); text == body && strings.Contains(reason, word) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d dead letters of %s that speak of %q, in %q", found, body, word, dead)
		}
	}
	m.quiet()
}

func TestTheSameKeyIsOneJobAndAnotherSpecIsRefused(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	const one = "kind: Ping\nname: a\nspec: {message: one}\n"
	id := m.submit(one, "--key", "k")[0]
	first := m.ended(0, id)[0]
	if again := m.submit(one, "--key", "k")[0]; again != id {
		t.Errorf("the same key is %s, and then %s", id, again)
	}
	if other := m.submit(one, "--key", "l")[0]; other == id {
		t.Errorf("another key is %s too", id)
	}
	m.submit(strings.ReplaceAll(one, "one", "two"), "--key", "k")
	var dead []string
	m.until("the dead letter", func() bool { dead = append(dead, m.dead()...); return len(dead) > 0 })
	if len(dead) != 1 || !strings.HasPrefix(dead[0], "same key, another spec") {
		t.Errorf("dead letters: %q", dead)
	}
	m.quiet()
	if again := m.job(id); again.Incarnation != first.Incarnation || again.Run != 1 || !again.Ended.Equal(first.Ended) {
		t.Errorf("it was carried out again: %s", again)
	}
}

func TestASubmissionSentTwiceAtOnceIsOneBake(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	for range 5 {
		m.submit(bakeInUserData, "--key", "k")
	}
	m.work()
	m.work()
	id := m.submit(bakeInUserData, "--key", "k")[0]
	m.playBuilder(id)
	m.ended(0, id)
	m.quiet()
	m.leaves(0, 1)
	if launched := m.everLaunched(); len(launched) != 1 {
		t.Errorf("it launched %v", ids(launched))
	}
	if dead := m.dead(); len(dead) != 0 {
		t.Errorf("dead letters: %q", dead)
	}
}
