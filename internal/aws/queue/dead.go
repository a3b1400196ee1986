package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/jobs"
)

// Letter is a message of the dead letters.
type Letter struct {
	jobs.Received
	// Reason is why nobody could work on it.
	Reason string
	// From is the lane that it came from; empty where nothing says so: somebody sent it here.
	From jobs.Lane
}

// Reading bounds what one look into the dead letters takes. Zero fields take their defaults.
type Reading struct {
	// Most is how many letters are looked at. Default 10,000.
	Most int
	// Bytes is how much of the chosen letters' bodies is kept. Default 64 MiB.
	Bytes int
	// Time is how long it goes on receiving. Default 2 min.
	Time time.Duration
	// Hold is how long letters stay hidden, so that none is met twice. Default 10 min.
	Hold time.Duration
}

// Dead are the letters of one look. A queue has no way to browse: letters were received, so they are hidden from others until
// Release or until Held. Nothing is lost if neither comes: they appear again by themselves.
type Dead struct {
	// Letters are those that were chosen, the oldest first.
	Letters []Letter
	// Read is how many were looked at, About how many the queue said that it has, and Hidden how many were in other readers'
	// hands when the look began.
	Read, About, Hidden int
	// Whole is false where a bound ended the look before the queue did.
	Whole bool
	// Held is until when the letters are surely hidden from others.
	Held time.Time

	queue *Queue
	mu    sync.Mutex
	held  map[string]jobs.Received // by message id: the newest receipt
}

// ReadDead looks through the dead letters and keeps those that choose wants; nil: all.
func (q *Queue) ReadDead(ctx context.Context, r Reading, choose func(Letter) bool) (*Dead, error) {
	r = r.withDefaults()
	about, hidden, err := q.countDead(ctx)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	d := &Dead{About: about, Hidden: hidden, Held: begun.Add(r.Hold), queue: q, held: map[string]jobs.Received{}}
	bytes, empty := 0, 0
	for empty < emptyReceives && (empty == 0 || len(d.held) < about) {
		if len(d.held) >= r.Most || bytes >= r.Bytes || time.Since(begun) >= r.Time {
			break
		}
		letters, err := q.receiveDead(ctx, r.Hold)
		if err != nil {
			return nil, errors.Join(err, d.Release(ctx))
		}
		fresh := 0
		for _, letter := range letters {
			_, again := d.held[letter.ID]
			held := letter.Received
			held.Body = nil
			d.held[letter.ID] = held
			if again {
				continue
			}
			fresh++
			if choose == nil || choose(letter) {
				bytes += len(letter.Body)
				d.Letters = append(d.Letters, letter)
			}
		}
		if fresh == 0 {
			empty++
		} else {
			empty = 0
		}
	}
	d.Read, d.Whole = len(d.held), empty > 0
	slices.SortStableFunc(d.Letters, func(a, b Letter) int { return a.Sent.Compare(b.Sent) })
	return d, nil
}

// Redrive sends the letter to the lane that it came from, under its original id, and then deletes it: a death in between
// leaves a double, which the job's identity makes harmless.
func (d *Dead) Redrive(ctx context.Context, letter Letter, lane jobs.Lane) error {
	if err := d.queue.SendRaw(ctx, lane, letter.Body, 0, map[string]string{AttributeOriginal: letter.OriginalID}); err != nil {
		return err
	}
	return d.Drop(ctx, letter)
}

// Drop deletes the letter.
func (d *Dead) Drop(ctx context.Context, letter Letter) error {
	d.mu.Lock()
	held, ok := d.held[letter.ID]
	d.mu.Unlock()
	if !ok {
		return fmt.Errorf("the dead letter %s is not in hand", letter.ID)
	}
	if err := d.queue.Delete(ctx, held); err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.held, letter.ID)
	d.mu.Unlock()
	return nil
}

// Release shows the letters that were not deleted to others again, even where ctx has ended.
func (d *Dead) Release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	errs := make(chan error, len(d.held))
	for _, held := range d.held {
		go func() { errs <- d.queue.Hide(ctx, held, 0) }()
	}
	var failed error
	for range d.held {
		if err := <-errs; err != nil {
			failed = err // they appear by themselves when their time is over: one reason is enough
		}
	}
	clear(d.held)
	return failed
}

// MendTime is how long before its hold ends a letter may still be acted on.
const MendTime = 3 * time.Minute

const (
	// emptyReceives is how many receives in a row have to bring nothing new before the queue counts as read, while it said
	// that it has more: one alone may have missed what another reader was just giving back.
	emptyReceives = 2
	// emptyWait is the long poll of a look: it asks all of SQS's servers, where a short poll asks some.
	emptyWait = time.Second
	// releaseTime bounds a release.
	releaseTime = 20 * time.Second
)

func (r Reading) withDefaults() Reading {
	if r.Most <= 0 {
		r.Most = 10_000
	}
	if r.Bytes <= 0 {
		r.Bytes = 64 << 20
	}
	if r.Time <= 0 {
		r.Time = 2 * time.Minute
	}
	if r.Hold <= 0 {
		r.Hold = 10 * time.Minute
	}
	return r
}

// countDead says about how many letters can be received, and how many others hold.
func (q *Queue) countDead(ctx context.Context) (waiting, hidden int, err error) {
	names := []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible}
	out, err := q.API.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.lanes[DeadLetters].url, AttributeNames: names})
	if err != nil {
		return 0, 0, fmt.Errorf("count the dead letters: %w", err)
	}
	waiting, err = strconv.Atoi(out.Attributes[string(names[0])])
	if err != nil {
		return 0, 0, fmt.Errorf("count the dead letters: %w", err)
	}
	hidden, err = strconv.Atoi(out.Attributes[string(names[1])])
	if err != nil {
		return 0, 0, fmt.Errorf("count the dead letters: %w", err)
	}
	return waiting, hidden, nil
}

func (q *Queue) receiveDead(ctx context.Context, hold time.Duration) ([]Letter, error) {
	out, err := q.API.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &q.lanes[DeadLetters].url, MaxNumberOfMessages: batchEntries, WaitTimeSeconds: int32(emptyWait / time.Second),
		VisibilityTimeout:     int32(hold / time.Second),
		MessageAttributeNames: []string{AttributeOriginal, AttributeReason, AttributeLane},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameSentTimestamp, types.MessageSystemAttributeNameDeadLetterQueueSourceArn},
	})
	if err != nil {
		return nil, fmt.Errorf("receive from the dead letters: %w", err)
	}
	letters := make([]Letter, len(out.Messages))
	for i, m := range out.Messages {
		letters[i] = q.letter(m)
	}
	return letters, nil
}

// letter reads a dead letter. What SQS itself moved here carries no attributes of ours: its source queue is known, and its
// reason is the queue's redrive policy.
func (q *Queue) letter(m types.Message) Letter {
	l := Letter{Received: FromSQS(DeadLetters, m), Reason: attribute(m, AttributeReason)}
	lane := jobs.Lane(attribute(m, AttributeLane))
	if source := m.Attributes[string(types.MessageSystemAttributeNameDeadLetterQueueSourceArn)]; source != "" {
		moved := jobs.Lane(strings.TrimPrefix(source[strings.LastIndexByte(source, ':')+1:], q.Prefix+"-"))
		if lane == "" {
			lane = moved
		}
		if l.Reason == "" {
			l.Reason = fmt.Sprintf("received again and again from %s without an end: the queue's redrive policy gave it up", moved)
		}
	}
	if slices.Contains(jobs.Lanes, lane) {
		l.From = lane
	}
	return l
}

func attribute(m types.Message, name string) string {
	return aws.ToString(m.MessageAttributes[name].StringValue)
}
