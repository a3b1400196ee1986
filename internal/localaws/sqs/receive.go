package sqs

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type receiveInput struct {
	queueInput
	AttributeNames              []string `query:"AttributeName"`
	MessageSystemAttributeNames []string `query:"MessageSystemAttributeName"`
	MessageAttributeNames       []string `query:"MessageAttributeName"`
	MaxNumberOfMessages         *int     `query:"MaxNumberOfMessages"`
	VisibilityTimeout           *int     `query:"VisibilityTimeout"`
	WaitTimeSeconds             *int     `query:"WaitTimeSeconds"`
	ReceiveRequestAttemptID     string   `json:"ReceiveRequestAttemptId" query:"ReceiveRequestAttemptId"`
}

// received is one message as a receiver gets it.
type received struct {
	MessageID              string               `json:"MessageId"`
	ReceiptHandle          string               `json:"ReceiptHandle"`
	MD5OfBody              string               `json:"MD5OfBody"`
	Body                   string               `json:"Body"`
	Attributes             map[string]string    `json:"Attributes,omitempty"`
	MD5OfMessageAttributes string               `json:"MD5OfMessageAttributes,omitempty"`
	MessageAttributes      map[string]attribute `json:"MessageAttributes,omitempty"`
}

type receiveResult struct {
	Messages []received `json:"Messages,omitempty"`
}

// systemAttributes are the names that a receive may ask for.
var systemAttributes = []string{
	"All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "MessageGroupId",
	"AWSTraceHeader", "DeadLetterQueueSourceArn", "SequenceNumber", "MessageDeduplicationId",
}

func receiveMessage(s *Service, r *api.Request) (any, error) {
	var in receiveInput
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	q, err := s.find(r, in.QueueURL)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	most, visibility, wait := 1, q.limits.visibility, q.limits.wait
	s.mu.Unlock()
	if in.MaxNumberOfMessages != nil {
		most = *in.MaxNumberOfMessages
	}
	if in.VisibilityTimeout != nil {
		visibility = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	if in.WaitTimeSeconds != nil {
		wait = time.Duration(*in.WaitTimeSeconds) * time.Second
	}
	messages, err := s.receive(r.HTTP.Context(), q, most, visibility, wait, &in)
	return receiveResult{messages}, err
}

func (in *receiveInput) check() error {
	within := func(name string, value *int, least, most int) error {
		if value != nil && (*value < least || *value > most) {
			return invalid("Value %d for parameter %s is invalid. Reason: Must be >= %d and <= %d, if provided.", *value, name, least, most)
		}
		return nil
	}
	if err := within("MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 10); err != nil {
		return err
	}
	if err := within("VisibilityTimeout", in.VisibilityTimeout, 0, maxVisibility); err != nil {
		return err
	}
	if err := within("WaitTimeSeconds", in.WaitTimeSeconds, 0, maxWait); err != nil {
		return err
	}
	if in.ReceiveRequestAttemptID != "" {
		return invalid("ReceiveRequestAttemptId is for FIFO queues; this endpoint serves standard queues only.")
	}
	for _, name := range slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames) {
		if !slices.Contains(systemAttributes, name) {
			return api.Errorf("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	return nil
}

// receive takes up to most messages, and waits for the first one if there is none. A caller that goes away while it
// waits strands nothing; one that goes away later strands what was taken until its visibility ends, as on AWS.
func (s *Service) receive(ctx context.Context, q *queue, most int, visibility, wait time.Duration, in *receiveInput) ([]received, error) {
	deadline := time.Now().Add(wait)
	s.mu.Lock()
	q.arrivals++
	w := &waiter{wake: make(chan struct{}, 1), turn: time.Duration(q.arrivals%256) * time.Microsecond}
	s.mu.Unlock()
	for {
		now := time.Now()
		s.mu.Lock()
		if s.queues[q.key()] != q {
			s.mu.Unlock()
			return nil, api.Errorf("QueueDoesNotExist", "The specified queue was deleted.")
		}
		q.settle(now)
		if q.inFlight >= maxInFlight && wait == 0 {
			s.mu.Unlock()
			return nil, api.Errorf("OverLimit", "The queue %s has reached its %d messages in flight; delete messages or wait.", q.Name, maxInFlight)
		}
		messages := q.receiveNow(most, visibility, now, in)
		if len(messages) > 0 || !now.Before(deadline) {
			if q.visible > 0 {
				q.wakeOne()
			}
			s.mu.Unlock()
			return messages, nil
		}
		until := deadline
		if due, ok := q.due(); ok && due.Before(until) {
			until = due.Add(w.turn) // one after the other, so that it is not chance who takes the message
		}
		w.place = q.waiters.push(w)
		s.mu.Unlock()
		gone := s.await(ctx, w, until.Sub(now))
		s.mu.Lock()
		if w.place != nil {
			q.waiters.remove(w.place)
			w.place = nil
		} else if gone && q.visible > 0 {
			// It was woken for a message that it will not take.
			q.wakeOne()
		}
		s.mu.Unlock()
		select {
		case <-w.wake:
		default:
		}
		if gone {
			return nil, nil
		}
	}
}

// await waits for a wake or the time; it is true if the caller or the endpoint has gone away.
func (s *Service) await(ctx context.Context, w *waiter, d time.Duration) (gone bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-timer.C:
	case <-ctx.Done():
		return true
	case <-s.closed:
		return true
	}
	return false
}

func (q *queue) receiveNow(most int, visibility time.Duration, now time.Time, in *receiveInput) []received {
	var messages []received
	var ranks []uint64
	for len(messages) < most && q.inFlight < maxInFlight {
		m := q.next(now)
		if m == nil {
			break
		}
		mischief := q.mischief(m)
		if q.delay(m, mischief.Late, now) {
			continue
		}
		m.Receives++
		if m.First.IsZero() {
			m.First = now
		}
		if visibility > 0 {
			q.hide(m, now.Add(visibility), true)
		} else {
			m.VisibleAt = now
			defer q.show(m)
		}
		q.service.deliveries.Put(m.key(), m.delivery)
		messages, ranks = append(messages, m.describe(in)), append(ranks, mischief.Rank)
		q.double(m, mischief.Again, now)
	}
	return shuffle(messages, ranks)
}

// describe is the message with the attributes that the receiver asks for.
func (m *message) describe(in *receiveInput) received {
	out := received{MessageID: m.ID, ReceiptHandle: m.receipt(), MD5OfBody: m.MD5, Body: m.Body}
	asked := func(name string) bool {
		return slices.Contains(in.MessageSystemAttributeNames, name) || slices.Contains(in.AttributeNames, name) ||
			slices.Contains(in.MessageSystemAttributeNames, "All") || slices.Contains(in.AttributeNames, "All")
	}
	add := func(name, value string) {
		if value == "" || !asked(name) {
			return
		}
		if out.Attributes == nil {
			out.Attributes = map[string]string{}
		}
		out.Attributes[name] = value
	}
	if len(in.AttributeNames)+len(in.MessageSystemAttributeNames) > 0 {
		add("SenderId", m.Sender)
		add("SentTimestamp", strconv.FormatInt(m.Sent.UnixMilli(), 10))
		add("ApproximateReceiveCount", strconv.Itoa(m.Receives))
		add("ApproximateFirstReceiveTimestamp", strconv.FormatInt(m.First.UnixMilli(), 10))
		add("MessageGroupId", m.Group)
		if trace := m.System["AWSTraceHeader"].StringValue; trace != nil {
			add("AWSTraceHeader", *trace)
		}
		if m.Source != "" {
			parts := strings.SplitN(m.Source, "/", 3)
			add("DeadLetterQueueSourceArn", "arn:aws:sqs:"+parts[1]+":"+parts[0]+":"+parts[2])
		}
	}
	for name, a := range m.Attributes {
		if !matchesAny(name, in.MessageAttributeNames) {
			continue
		}
		if out.MessageAttributes == nil {
			out.MessageAttributes = map[string]attribute{}
		}
		out.MessageAttributes[name] = a
	}
	out.MD5OfMessageAttributes = attributesMD5(out.MessageAttributes)
	return out
}

// matchesAny says whether a name is asked for: whole, by "All", or by a prefix such as "trace.*".
func matchesAny(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		prefix, wild := strings.CutSuffix(pattern, ".*")
		return pattern == "All" || pattern == name || wild && (prefix == "" || strings.HasPrefix(name, prefix+"."))
	})
}

// xmlShape is the query protocol's form, with lists for maps.
func (result receiveResult) xmlShape() any {
	type entry struct {
		MessageID              string           `xml:"MessageId"`
		ReceiptHandle          string           `xml:"ReceiptHandle"`
		MD5OfBody              string           `xml:"MD5OfBody"`
		Body                   string           `xml:"Body"`
		Attributes             []nameValue      `xml:"Attribute"`
		MD5OfMessageAttributes string           `xml:"MD5OfMessageAttributes,omitempty"`
		MessageAttributes      []namedAttribute `xml:"MessageAttribute"`
	}
	var shape struct {
		Messages []entry `xml:"Message"`
	}
	for _, m := range result.Messages {
		e := entry{MessageID: m.MessageID, ReceiptHandle: m.ReceiptHandle, MD5OfBody: m.MD5OfBody, Body: m.Body, MD5OfMessageAttributes: m.MD5OfMessageAttributes}
		for name, value := range m.Attributes {
			e.Attributes = append(e.Attributes, nameValue{name, value})
		}
		for name, value := range m.MessageAttributes {
			e.MessageAttributes = append(e.MessageAttributes, namedAttribute{name, value})
		}
		shape.Messages = append(shape.Messages, e)
	}
	return shape
}
