package sqs

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const jobsURL = "http://sqs.test/000000000000/jobs"

// counter is a queue named jobs with mischief, and its sender and receiver.
type counter struct {
	*testing.T
	*Service
}

func newCounter(t *testing.T, mischief func(Delivery) Mischief) counter {
	t.Helper()
	c := counter{t, newService(t, "", Options{Mischief: mischief})}
	call(t, c.Service, "CreateQueue", map[string]any{"QueueName": "jobs"}, nil)
	return c
}

func (c counter) send(body string) {
	c.Helper()
	call(c.T, c.Service, "SendMessage", map[string]any{"QueueUrl": jobsURL, "MessageBody": body}, nil)
}

func (c counter) receive(wait int) []received {
	c.Helper()
	var out receiveResult
	call(c.T, c.Service, "ReceiveMessage", map[string]any{"QueueUrl": jobsURL, "MaxNumberOfMessages": 10, "WaitTimeSeconds": wait, "VisibilityTimeout": 60}, &out)
	return out.Messages
}

func (c counter) delete(m received) {
	c.Helper()
	call(c.T, c.Service, "DeleteMessage", map[string]any{"QueueUrl": jobsURL, "ReceiptHandle": m.ReceiptHandle}, nil)
}

func TestALateMessageComesThatMuchLaterToALongPollToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t, func(d Delivery) Mischief {
			if d.Body == "late" && d.Receive == 1 {
				return Mischief{Late: 3 * time.Second}
			}
			return Mischief{}
		})
		began := time.Now()
		c.send("late")
		c.send("prompt")
		if got := c.receive(0); len(got) != 1 || got[0].Body != "prompt" {
			t.Fatalf("got %v, want the prompt message only", got)
		}
		if got := c.receive(20); len(got) != 1 || got[0].Body != "late" || time.Since(began).Truncate(time.Millisecond) != 3*time.Second {
			t.Fatalf("after %s: %v, want the late message after 3s", time.Since(began), got)
		}
		if got := c.receive(20); len(got) != 0 {
			t.Fatalf("a message in flight came again: %v", got)
		}
	})
}

func TestACopyComesEvenAfterTheMessageWasDeletedAndEndsByItsOwnDeletion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t, func(d Delivery) Mischief { return Mischief{Again: 2 * time.Second} })
		c.send("job")
		first := c.receive(0)
		c.delete(first[0])
		if got := c.receive(1); len(got) != 0 {
			t.Fatalf("the copy came too early: %v", got)
		}
		second := c.receive(5)
		if len(second) != 1 || second[0].MessageID != first[0].MessageID || second[0].ReceiptHandle == first[0].ReceiptHandle || second[0].Body != "job" {
			t.Fatalf("got %v, want a copy of %v with another receipt handle", second, first)
		}
		// The original's handle does not delete the copy; left alone, it comes again.
		c.delete(first[0])
		time.Sleep(time.Minute)
		third := c.receive(0)
		if len(third) != 1 {
			t.Fatalf("got %v, want the copy again", third)
		}
		c.delete(third[0])
		time.Sleep(time.Hour)
		if got := c.receive(0); len(got) != 0 {
			t.Fatalf("a deleted copy came again: %v", got)
		}
	})
}

func TestRanksOrderAnAnswer(t *testing.T) {
	t.Parallel()
	c := newCounter(t, func(d Delivery) Mischief { return Mischief{Rank: 10 - uint64(d.Body[0]-'0')} })
	for _, body := range []string{"1", "2", "3"} {
		c.send(body)
	}
	if got := bodies(c.receive(0)); got != "3 2 1" {
		t.Fatalf("got %s, want 3 2 1", got)
	}
}

func TestTheSameSeedMakesTheSameMischief(t *testing.T) {
	t.Parallel()
	story := func(seed int64) string {
		var told []string
		synctest.Test(t, func(t *testing.T) {
			c := newCounter(t, Seeded(seed, Rates{Late: 0.3, Again: 0.3, Shuffle: 1}))
			began := time.Now()
			for i := range 30 {
				c.send(fmt.Sprint(i))
			}
			for range 20 {
				got := c.receive(20)
				told = append(told, fmt.Sprint(time.Since(began), " ", bodies(got)))
				for _, m := range got {
					c.delete(m)
				}
			}
		})
		return strings.Join(told, "\n")
	}
	if a, b := story(7), story(7); a != b {
		t.Errorf("seed 7 gives\n%s\nand then\n%s", a, b)
	}
	if a, b := story(7), story(8); a == b {
		t.Error("seeds 7 and 8 do the same")
	}
}

func TestSeededMischiefKeepsItsRates(t *testing.T) {
	t.Parallel()
	mischief := Seeded(1, Rates{Late: 0.1, Again: 0.2, MostAgain: time.Second})
	late, again := 0, 0
	for i := range 10_000 {
		m := mischief(Delivery{Queue: "jobs", Body: fmt.Sprint(i), Receive: 1})
		if m.Late > 0 {
			late++
		}
		if m.Again > 0 {
			again++
		}
		if m.Late > 5*time.Second || m.Again > time.Second || m.Rank != 0 {
			t.Fatalf("%+v is out of bounds", m)
		}
	}
	if late < 900 || late > 1100 || again < 1800 || again > 2200 {
		t.Fatalf("of 10,000 deliveries %d were late and %d doubled, want about 1,000 and 2,000", late, again)
	}
}

func TestACopySurvivesARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/state"
		twice := func(Delivery) Mischief { return Mischief{Again: time.Second} }
		c := counter{t, newService(t, path, Options{Mischief: twice})}
		call(t, c.Service, "CreateQueue", map[string]any{"QueueName": "jobs"}, nil)
		c.send("job")
		c.delete(c.receive(0)[0])
		if err := c.env.Store.Flush(); err != nil {
			t.Fatal(err)
		}
		c.Service = newService(t, path, Options{})
		if got := c.receive(5); len(got) != 1 || got[0].Body != "job" {
			t.Fatalf("got %v, want the copy", got)
		}
	})
}

func bodies(messages []received) string {
	var all []string
	for _, m := range messages {
		all = append(all, m.Body)
	}
	return strings.Join(all, " ")
}
