package sqs

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// Options sets what the service does beside what it has to. The zero value delivers each message once, in order and on time.
type Options struct {
	// Mischief is asked before each delivery what shall go wrong with it. It is called under the service's lock, perhaps more than
	// once for one delivery, and must be a function of its argument alone. Nil is never anything.
	Mischief func(Delivery) Mischief
}

// Delivery names one delivery of one message, independently of who receives it and of when.
type Delivery struct {
	Account, Region, Queue string
	MessageID, Body        string
	// Receive is 1 for the first delivery. A copy goes on counting from the delivery that it doubles.
	Receive int
	// Copy is true for deliveries of a copy that Again made.
	Copy bool
}

// Mischief is what a standard queue may do to one delivery, all within AWS's promise of "at least once, best-effort order".
type Mischief struct {
	// Late lets the message come this much later than it is due.
	Late time.Duration
	// Again lets a copy of the message (same id, a receipt handle of its own) come this long after this delivery, whether or not
	// the message is deleted by then. The copy ends by its own deletion only. Copies are not copied.
	Again time.Duration
	// Rank orders the messages of one answer, lowest first; equal ranks keep their order.
	Rank uint64
}

// Rates is how often Seeded does what, as shares from 0 to 1, and for how long at most.
type Rates struct {
	Late, Again, Shuffle float64
	// MostLate and MostAgain bound the times; 0 is 5 s.
	MostLate, MostAgain time.Duration
}

// Seeded is a mischief that is a function of the seed, the queue, the message's body and how many-th time it is received.
// Message ids stay out of it, since they depend on the instant of sending.
func Seeded(seed int64, rates Rates) func(Delivery) Mischief {
	return func(d Delivery) Mischief {
		hash := fnv.New64a()
		for _, part := range []string{d.Account, d.Region, d.Queue, d.Body, strconv.FormatBool(d.Copy)} {
			hash.Write([]byte(part))
			hash.Write([]byte{0})
		}
		var receive [8]byte
		binary.LittleEndian.PutUint64(receive[:], uint64(d.Receive))
		hash.Write(receive[:])
		r := rand.New(rand.NewPCG(hash.Sum64(), uint64(seed)))
		// Each draw is made whatever the others give, so that one rate changes nothing of the others' effects.
		late, again, shuffle := r.Float64(), r.Float64(), r.Float64()
		lateBy, againBy, rank := between(r, rates.MostLate), between(r, rates.MostAgain), r.Uint64()
		var m Mischief
		if late < rates.Late {
			m.Late = lateBy
		}
		if again < rates.Again {
			m.Again = againBy
		}
		if shuffle < rates.Shuffle {
			m.Rank = rank
		}
		return m
	}
}

// between is a time from 1 ms to most, in whole milliseconds.
func between(r *rand.Rand, most time.Duration) time.Duration {
	most = cmp.Or(most, 5*time.Second)
	return time.Duration(1+r.Int64N(max(1, most.Milliseconds()))) * time.Millisecond
}

// mischief is what shall happen to the message's next delivery.
func (q *queue) mischief(m *message) Mischief {
	if q.service.options.Mischief == nil {
		return Mischief{}
	}
	return q.service.options.Mischief(Delivery{
		Account: q.Account, Region: q.Region, Queue: q.Name, MessageID: m.ID, Body: m.Body, Receive: m.Receives + 1, Copy: m.Copy > 0,
	})
}

// delay hides a message that was taken to be delivered but shall be late; it is false for one that comes now. Lateness counts
// from when the message was due, so that it does not depend on when somebody asks.
func (q *queue) delay(m *message, late time.Duration, now time.Time) bool {
	if late <= 0 || m.late == m.Receives+1 {
		return false
	}
	m.late = m.Receives + 1
	due := m.VisibleAt
	if due.IsZero() {
		due = m.Sent
	}
	if until := due.Add(late); until.After(now) {
		q.hide(m, until, false)
		q.service.deliveries.Put(m.key(), m.delivery)
		return true
	}
	return false
}

// double puts a copy of a message that is being delivered into the queue.
func (q *queue) double(m *message, after time.Duration, now time.Time) {
	if after <= 0 || m.Copy > 0 {
		return
	}
	q.service.sequence++
	twin := &message{
		ID: m.ID, Copy: m.Receives, Queue: m.Queue, Source: m.Source, Body: m.Body, MD5: m.MD5, Attributes: m.Attributes, System: m.System,
		Group: m.Group, Dedup: m.Dedup, Sender: m.Sender, Sent: m.Sent, delivery: m.delivery, order: q.service.sequence,
	}
	q.hide(twin, now.Add(after), false)
	q.service.messages.Put(twin.key(), twin)
	q.service.deliveries.Put(twin.key(), twin.delivery)
}

// shuffle orders an answer's messages by their ranks.
func shuffle(messages []received, ranks []uint64) []received {
	places := make([]int, len(messages))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(ranks[a], ranks[b]) })
	ordered := make([]received, len(messages))
	for i, place := range places {
		ordered[i] = messages[place]
	}
	return ordered
}
