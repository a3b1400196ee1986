package sqs

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (l *lane) message() map[string]any {
	in := map[string]any{"MessageBody": l.body()}
	if l.IntN(3) == 0 {
		in["DelaySeconds"] = append(timeouts, 0)[l.IntN(len(timeouts)+1)]
	}
	if l.IntN(4) == 0 {
		in["MessageAttributes"] = map[string]any{
			"trace.id": map[string]any{"DataType": "String", "StringValue": "x"},
			"n":        map[string]any{"DataType": "Number", "StringValue": "5"},
			"raw":      map[string]any{"DataType": "Binary", "BinaryValue": base64.StdEncoding.EncodeToString([]byte{0, 1})},
		}
	}
	return in
}

func (l *lane) send() (got, want any, told string) {
	return l.plain("SendMessage", l.main, l.message())
}

func (l *lane) sendBatch() (got, want any, told string) {
	var entries []map[string]any
	for i := range 1 + l.IntN(4) {
		entry := l.message()
		entry["Id"] = fmt.Sprint(i)
		if l.IntN(10) == 0 {
			entry["DelaySeconds"] = 901
		}
		entries = append(entries, entry)
	}
	return l.plain("SendMessageBatch", l.main, map[string]any{"Entries": entries})
}

// emptyAnswers end receiveAll: ElasticMQ counts what it moves to the dead letters towards the number asked for, and so answers with
// nothing though there is more. "Short polling … might return fewer messages, or none" (ReceiveMessage).
const emptyAnswers = 5

// receiveAll receives until nothing comes any more: which messages one of several receives gets is the service's choice.
func (l *lane) receiveAll(queue string) (got, want any, told string) {
	in := map[string]any{"MaxNumberOfMessages": 1 + l.IntN(10), "MessageSystemAttributeNames": []string{"All"}, "MessageAttributeNames": []string{[]string{"All", "n", "trace.*", "zzz"}[l.IntN(4)]}}
	if l.IntN(3) > 0 {
		in["VisibilityTimeout"] = l.timeout()
	}
	got, want = l.both(func(at int, s side) any {
		var all []string
		mine, empty := maps.Clone(in), 0
		for empty < emptyAnswers {
			status, answer := l.on(s, "ReceiveMessage", queue, mine)
			if status != 200 {
				return essence(status, answer)
			}
			messages, _ := answer["Messages"].([]any)
			if len(messages) == 0 {
				empty++
				mine["MaxNumberOfMessages"] = 10
				continue
			}
			empty = 0
			if most := mine["MaxNumberOfMessages"].(int); len(messages) > most {
				return fmt.Sprintf("%d messages, asked for %d", len(messages), most)
			}
			for _, m := range messages {
				all = append(all, l.received(at, queue, m.(map[string]any)))
			}
		}
		slices.Sort(all)
		return strings.Join(all, "; ")
	})
	return got, want, fmt.Sprintf("receive all from %s %v", l.short(queue), in)
}

// received keeps a message's handle and gives what of the message is to be compared.
func (l *lane) received(at int, queue string, m map[string]any) string {
	body := m["Body"].(string)
	l.handles[at][body] = handle{queue, m["ReceiptHandle"].(string), l.phase}
	attributes, _ := m["Attributes"].(map[string]any)
	return fmt.Sprintf("%q %v received=%v attributes=%v %v", body, m["MD5OfBody"], attributes["ApproximateReceiveCount"], m["MessageAttributes"], m["MD5OfMessageAttributes"])
}

// one is a call on the last handle of a known message, or nothing if none is known.
func (l *lane) one(action string, in map[string]any) (got, want any, told string) {
	known := l.known(l.IntN(10) > 0)
	if len(known) == 0 {
		return l.total()
	}
	body := known[l.IntN(len(known))]
	queue := l.handles[0][body].queue
	got, want = l.both(func(at int, s side) any {
		whole := map[string]any{"ReceiptHandle": l.handles[at][body].receipt}
		maps.Copy(whole, in)
		return essence(l.on(s, action, queue, whole))
	})
	if action == "DeleteMessage" || in["VisibilityTimeout"] == 0 {
		l.landed(body)
	}
	return got, want, fmt.Sprintf("%s %s %q %v", action, l.short(queue), body, in)
}

// several is one for a batch, with a bad handle among the good ones now and then. All are of one queue.
func (l *lane) several(action string, in func() map[string]any) (got, want any, told string) {
	known := l.known(true)
	queue := []string{l.main, l.dead}[l.IntN(2)]
	known = slices.DeleteFunc(known, func(body string) bool { return l.handles[0][body].queue != queue || l.handles[1][body].queue != queue })
	l.Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] })
	known = known[:min(len(known), 5)]
	if len(known) == 0 || l.IntN(4) == 0 {
		known = append(known, "")
	}
	extra := make([]map[string]any, len(known))
	for i := range known {
		extra[i] = in()
	}
	got, want = l.both(func(at int, s side) any {
		var entries []map[string]any
		for i, body := range known {
			entry := map[string]any{"Id": fmt.Sprint(i), "ReceiptHandle": "nonsense"}
			if body != "" {
				entry["ReceiptHandle"] = l.handles[at][body].receipt
			}
			maps.Copy(entry, extra[i])
			entries = append(entries, entry)
		}
		return essence(l.on(s, action, queue, map[string]any{"Entries": entries}))
	})
	for i, body := range known {
		if body != "" && (action == "DeleteMessageBatch" || extra[i]["VisibilityTimeout"] == 0) {
			l.landed(body)
		}
	}
	return got, want, fmt.Sprintf("%s %s %q %v", action, l.short(queue), known, extra)
}

func (l *lane) delete() (got, want any, told string) { return l.one("DeleteMessage", nil) }

func (l *lane) deleteBatch() (got, want any, told string) {
	return l.several("DeleteMessageBatch", func() map[string]any { return nil })
}

func (l *lane) visibility() map[string]any {
	return map[string]any{"VisibilityTimeout": append(timeouts, 0)[l.IntN(len(timeouts)+1)]}
}

func (l *lane) changeVisibility() (got, want any, told string) {
	return l.one("ChangeMessageVisibility", l.visibility())
}

func (l *lane) changeVisibilityBatch() (got, want any, told string) {
	return l.several("ChangeMessageVisibilityBatch", l.visibility)
}

// count compares the counters at a phase's begin, when nothing is about to change.
func (l *lane) count() (got, want any, told string) {
	got, want = l.counters(func(visible, inFlight, delayed int) string {
		return fmt.Sprintf("%d visible, %d in flight, %d delayed", visible, inFlight, delayed)
	})
	return got, want, "count"
}

// total compares the counters' sums: ElasticMQ counts a message as delayed or in flight until the millisecond is over in which it
// was sent or became visible.
func (l *lane) total() (got, want any, told string) {
	got, want = l.counters(func(visible, inFlight, delayed int) string { return fmt.Sprint(visible + inFlight + delayed) })
	return got, want, "total"
}

func (l *lane) counters(tell func(visible, inFlight, delayed int) string) (got, want any) {
	names := []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"}
	got, want = l.both(func(_ int, s side) any {
		var all []string
		for _, queue := range []string{l.main, l.dead} {
			_, answer := l.on(s, "GetQueueAttributes", queue, map[string]any{"AttributeNames": names})
			attributes, _ := answer["Attributes"].(map[string]any)
			numbers := make([]int, len(names))
			for i, name := range names {
				n, err := strconv.Atoi(fmt.Sprint(attributes[name]))
				if err != nil {
					l.Errorf("%s %v: %v", name, attributes[name], err)
				}
				numbers[i] = n
			}
			all = append(all, l.short(queue)+": "+tell(numbers[0], numbers[1], numbers[2]))
		}
		return strings.Join(all, "; ")
	})
	return got, want
}

func (l *lane) attributes() (got, want any, told string) {
	names := []string{"VisibilityTimeout", "DelaySeconds", "ReceiveMessageWaitTimeSeconds"}
	set := map[string]string{"VisibilityTimeout": fmt.Sprint(l.timeout())}
	got, want = l.both(func(_ int, s side) any {
		status, answer := l.on(s, "SetQueueAttributes", l.main, map[string]any{"Attributes": set})
		if status != 200 {
			return essence(status, answer)
		}
		_, answer = l.on(s, "GetQueueAttributes", l.main, map[string]any{"AttributeNames": names})
		return fmt.Sprint(answer["Attributes"])
	})
	return got, want, fmt.Sprintf("SetQueueAttributes %v", set)
}

func (l *lane) purge() (got, want any, told string) {
	l.purged = true
	for body, h := range l.handles[0] {
		if h.queue == l.dead {
			l.landed(body)
		}
	}
	return l.plain("PurgeQueue", l.dead, nil)
}

// poll waits for a message that is sent while it waits. Everything visible is taken first.
func (l *lane) poll() (got, want any, told string) {
	if got, want, told = l.receiveAll(l.main); !same(got, want) {
		return got, want, told
	}
	body, none := l.body(), 0
	got, want = l.both(func(at int, s side) any {
		arrived := make(chan any, 1)
		go func() {
			began := time.Now()
			_, answer := l.on(s, "ReceiveMessage", l.main, map[string]any{"WaitTimeSeconds": 1, "VisibilityTimeout": 6, "MessageSystemAttributeNames": []string{"All"}})
			messages, _ := answer["Messages"].([]any)
			if len(messages) != 1 {
				arrived <- fmt.Sprintf("%d messages", len(messages))
				return
			}
			if time.Since(began) > 800*time.Millisecond {
				arrived <- "the message came when the poll ended, not when it was sent"
				return
			}
			arrived <- l.received(at, l.main, messages[0].(map[string]any))
		}()
		pause(50 * time.Millisecond)
		l.on(s, "SendMessage", l.main, map[string]any{"MessageBody": body, "DelaySeconds": none})
		return <-arrived
	})
	return got, want, told + "; then a long poll, and a message after 50ms"
}

// wrong draws a call that has to be refused.
func (l *lane) wrong() (got, want any, told string) {
	entry := func(id, body string) map[string]any { return map[string]any{"Id": id, "MessageBody": body} }
	wrong := []struct {
		action string
		in     map[string]any
	}{
		{"SendMessage", map[string]any{"MessageBody": "x", "DelaySeconds": 901}},
		{"SendMessage", map[string]any{"MessageBody": "x", "DelaySeconds": -1}},
		{"SendMessage", map[string]any{"MessageBody": ""}},
		{"SendMessage", map[string]any{"MessageBody": "\x01"}},
		{"SendMessageBatch", map[string]any{"Entries": []any{}}},
		{"SendMessageBatch", map[string]any{"Entries": []any{entry("a", "x"), entry("a", "y")}}},
		{"SendMessageBatch", map[string]any{"Entries": slices.Repeat([]any{entry("a", "x")}, 11)}},
		{"DeleteMessageBatch", map[string]any{"Entries": []any{map[string]any{"Id": "a", "ReceiptHandle": "nonsense"}}}},
		{"ReceiveMessage", map[string]any{"MaxNumberOfMessages": 11}},
		{"ReceiveMessage", map[string]any{"MaxNumberOfMessages": 0}},
		{"ReceiveMessage", map[string]any{"WaitTimeSeconds": 21}},
		{"DeleteMessage", map[string]any{"ReceiptHandle": "nonsense"}},
		{"ChangeMessageVisibility", map[string]any{"ReceiptHandle": "nonsense", "VisibilityTimeout": 2}},
		{"SetQueueAttributes", map[string]any{"Attributes": map[string]string{"VisibilityTimeout": "-1"}}},
		{"GetQueueAttributes", map[string]any{"AttributeNames": []string{"Nonsense"}}},
		{"SendMessageBatch", map[string]any{"Entries": []any{entry("a b", "x")}}},
	}
	// The last one would leave a message on one side.
	w := wrong[l.IntN(len(wrong)-1)]
	queue := l.main
	if l.IntN(8) == 0 {
		queue += "-none"
	}
	return l.plain(w.action, queue, w.in)
}
