package sqs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// lane is a queue with its dead-letter queue on both sides, and the calls made on them.
type lane struct {
	*testing.T
	*rand.Rand
	seed  int
	sides [2]side
	main  string
	dead  string
	// handles are the last receipt handles of the messages that were received, by body, for each side.
	handles [2]map[string]handle
	sent    int
	phase   int
	purged  bool
	began   time.Time
	history []string

	operations, excused int
	late                bool
	difference          string
}

// handle is a message's last receipt, the queue that gave it and the phase in which the message is in flight for certain.
type handle struct {
	queue, receipt string
	phase          int
}

func newLane(t *testing.T, seed, attempt int, ours, theirs side) *lane {
	name := fmt.Sprintf("lane-%d-%d-%d", os.Getpid(), seed, attempt)
	return &lane{
		T: t, Rand: rand.New(rand.NewPCG(uint64(seed), 9)), seed: seed, sides: [2]side{ours, theirs}, main: name, dead: name + "-dead",
		handles: [2]map[string]handle{{}, {}},
	}
}

// run makes the lane's calls, up to its first difference.
func (l *lane) run() {
	defer l.end()
	l.began = time.Now()
	if !l.begin() {
		return
	}
	for phase := range phasesPerLane {
		l.phase = phase
		pause(time.Until(l.began.Add(time.Duration(phase) * period)))
		start := l.began.Add(time.Duration(phase) * period)
		for i := range callsPerPhase {
			step := l.step
			if i == 0 {
				step = l.count
			}
			got, want, told := step()
			if time.Since(start) > window {
				l.late = true
				return
			}
			l.operations++
			if same(got, want) {
				l.history = append(l.history, told)
				continue
			}
			if listed(told, got, want) {
				l.excused++
				if refusedHereOnly(got, want) {
					// From here on the two would hold different messages.
					return
				}
				continue
			}
			l.difference = fmt.Sprintf("seed %d, phase %d:\n%s\n%s\n got %v\nwant %v", l.seed, phase, strings.Join(l.history, "\n"), told, got, want)
			return
		}
		l.history = append(l.history, "… "+period.String()+" later")
	}
}

func (l *lane) begin() bool {
	attributes := map[string]string{"VisibilityTimeout": "6"}
	if l.IntN(3) == 0 {
		attributes["DelaySeconds"] = "2"
	}
	most := 1 + l.IntN(3)
	l.history = append(l.history, fmt.Sprintf("CreateQueue %v, maxReceiveCount %d", attributes, most))
	got, want := l.both(func(_ int, s side) any {
		status, _ := s.call("CreateQueue", map[string]any{"QueueName": l.dead})
		if status != 200 {
			return status
		}
		own := map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, s.arn(l.dead), most)}
		maps.Copy(own, attributes)
		status, answer := s.call("CreateQueue", map[string]any{"QueueName": l.main, "Attributes": own})
		if status != 200 {
			l.Errorf("CreateQueue: %v", answer)
		}
		return status
	})
	return same(got, want) && same(got, 200)
}

func (l *lane) end() {
	l.both(func(_ int, s side) any {
		for _, name := range []string{l.main, l.dead} {
			if status, answer := s.call("DeleteQueue", map[string]any{"QueueUrl": s.queue(name)}); status != 200 {
				l.Errorf("DeleteQueue: %v", answer)
			}
		}
		return nil
	})
}

// both makes a call on both sides at once.
func (l *lane) both(do func(at int, s side) any) (got, want any) {
	var outcomes [2]any
	var all sync.WaitGroup
	for at, s := range l.sides {
		all.Go(func() { outcomes[at] = do(at, s) })
	}
	all.Wait()
	return outcomes[0], outcomes[1]
}

// step draws one call, makes it and says what it was.
func (l *lane) step() (got, want any, told string) {
	switch l.IntN(20) {
	case 0, 1, 2:
		return l.send()
	case 3, 4, 5:
		return l.sendBatch()
	case 6, 7, 8:
		return l.receiveAll(l.main)
	case 9:
		return l.receiveAll(l.dead)
	case 10, 11:
		return l.delete()
	case 12:
		return l.deleteBatch()
	case 13:
		return l.changeVisibility()
	case 14:
		return l.changeVisibilityBatch()
	case 15, 16:
		return l.total()
	case 17:
		return l.poll()
	case 18:
		return l.wrong()
	}
	if l.IntN(6) == 0 && !l.purged {
		return l.purge()
	}
	return l.attributes()
}

// plain makes one call with the queue's address and gives what of its answer is to be compared.
func (l *lane) plain(action, queue string, in map[string]any) (got, want any, told string) {
	got, want = l.both(func(_ int, s side) any { return essence(l.on(s, action, queue, in)) })
	return got, want, fmt.Sprintf("%s %s %v", action, l.short(queue), in)
}

func (l *lane) on(s side, action, queue string, in map[string]any) (int, map[string]any) {
	whole := map[string]any{"QueueUrl": s.queue(queue)}
	maps.Copy(whole, in)
	return s.call(action, whole)
}

func (l *lane) short(queue string) string {
	switch queue {
	case l.dead:
		return "dead"
	case l.main:
		return "main"
	}
	return "main-none"
}

// essence is an answer without ids and words.
func essence(status int, answer map[string]any) any {
	if status != 200 {
		kind, _ := answer["__type"].(string)
		_, code, _ := strings.Cut(kind, "#")
		return fmt.Sprint(status, " ", code)
	}
	var parts []string
	for _, list := range []string{"Successful", "Failed"} {
		entries, _ := answer[list].([]any)
		for _, e := range entries {
			entry := e.(map[string]any)
			text := fmt.Sprint(list, " ", entry["Id"])
			for _, name := range []string{"MD5OfMessageBody", "MD5OfMessageAttributes", "Code", "SenderFault"} {
				if entry[name] != nil {
					text += fmt.Sprint(" ", entry[name])
				}
			}
			parts = append(parts, text)
		}
	}
	for _, name := range []string{"MD5OfMessageBody", "MD5OfMessageAttributes"} {
		if answer[name] != nil {
			parts = append(parts, fmt.Sprint(answer[name]))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// timeout draws a timeout.
func (l *lane) timeout() int { return timeouts[l.IntN(len(timeouts))] }

// known are the bodies that both sides gave a handle for, sorted; inFlight leaves only those that are in flight for certain.
func (l *lane) known(inFlight bool) []string {
	var bodies []string
	for body, h := range l.handles[0] {
		other, ok := l.handles[1][body]
		if ok && (!inFlight || h.phase == l.phase && other.phase == l.phase) {
			bodies = append(bodies, body)
		}
	}
	slices.Sort(bodies)
	return bodies
}

// landed notes that a message is no longer in flight.
func (l *lane) landed(body string) {
	for at := range l.handles {
		h := l.handles[at][body]
		h.phase = -1
		l.handles[at][body] = h
	}
}

// body is a new body.
func (l *lane) body() string {
	l.sent++
	return fmt.Sprintf("%d%s", l.sent, []string{"", " ü", " <&>", "\n"}[l.IntN(4)])
}
