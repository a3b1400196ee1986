package sqs

import (
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type handleEntry struct {
	ID            string `json:"Id" query:"Id"`
	ReceiptHandle string `query:"ReceiptHandle"`
}

type doneEntry struct {
	ID string `json:"Id" xml:"Id"`
}

func deleteMessage(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		ReceiptHandle string `query:"ReceiptHandle"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(r, in.QueueURL)
	if err != nil {
		return nil, err
	}
	return nil, q.delete(in.ReceiptHandle)
}

func deleteMessageBatch(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		Entries []handleEntry `query:"DeleteMessageBatchRequestEntry"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := checkBatch(in.Entries, func(e *handleEntry) string { return e.ID }); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(r, in.QueueURL)
	if err != nil {
		return nil, err
	}
	var result struct {
		Successful []doneEntry   `xml:"DeleteMessageBatchResultEntry"`
		Failed     []failedEntry `xml:"BatchResultErrorEntry"`
	}
	result.Successful, result.Failed = []doneEntry{}, []failedEntry{}
	for _, e := range in.Entries {
		if err := q.delete(e.ReceiptHandle); err != nil {
			result.Failed = append(result.Failed, failure(e.ID, err))
		} else {
			result.Successful = append(result.Successful, doneEntry{e.ID})
		}
	}
	return result, nil
}

// delete drops the message of the handle. An old handle, of a message that was received again since, succeeds and
// deletes nothing; so does a handle of a message that is gone.
func (q *queue) delete(handle string) error {
	m, current, err := q.byHandle(handle)
	if err != nil {
		return err
	}
	if m != nil && current {
		q.drop(m)
	}
	return nil
}

// byHandle finds a handle's message, nil if it is gone, and whether the handle is that of its last delivery.
func (q *queue) byHandle(handle string) (m *message, current bool, err error) {
	if handle == "" {
		return nil, false, missing("ReceiptHandle")
	}
	key, receives, err := parseReceipt(handle)
	if err != nil {
		return nil, false, err
	}
	m, ok := q.service.messages.Get(key)
	if !ok {
		return nil, false, nil
	}
	if m.Queue != q.key() {
		if m.Source == q.key() {
			// It went to the dead letters since.
			return nil, false, nil
		}
		return nil, false, api.Errorf("ReceiptHandleIsInvalid", "The receipt handle %q belongs to another queue than %s.", handle, q.Name)
	}
	return m, m.Receives == receives, nil
}

type visibilityEntry struct {
	ID                string `json:"Id" query:"Id"`
	ReceiptHandle     string `query:"ReceiptHandle"`
	VisibilityTimeout *int   `query:"VisibilityTimeout"`
}

func changeVisibility(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		ReceiptHandle     string `query:"ReceiptHandle"`
		VisibilityTimeout *int   `query:"VisibilityTimeout"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(r, in.QueueURL)
	if err != nil {
		return nil, err
	}
	return nil, q.changeVisibility(in.ReceiptHandle, in.VisibilityTimeout, time.Now())
}

func changeVisibilityBatch(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		Entries []visibilityEntry `query:"ChangeMessageVisibilityBatchRequestEntry"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := checkBatch(in.Entries, func(e *visibilityEntry) string { return e.ID }); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(r, in.QueueURL)
	if err != nil {
		return nil, err
	}
	var result struct {
		Successful []doneEntry   `xml:"ChangeMessageVisibilityBatchResultEntry"`
		Failed     []failedEntry `xml:"BatchResultErrorEntry"`
	}
	result.Successful, result.Failed = []doneEntry{}, []failedEntry{}
	now := time.Now()
	for _, e := range in.Entries {
		if err := q.changeVisibility(e.ReceiptHandle, e.VisibilityTimeout, now); err != nil {
			result.Failed = append(result.Failed, failure(e.ID, err))
		} else {
			result.Successful = append(result.Successful, doneEntry{e.ID})
		}
	}
	return result, nil
}

// changeVisibility sets a new end of a delivery's visibility timeout, counted from now; zero ends it.
func (q *queue) changeVisibility(handle string, seconds *int, now time.Time) error {
	if seconds == nil {
		return missing("VisibilityTimeout")
	}
	if *seconds < 0 || *seconds > maxVisibility {
		return invalid("Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and %d.", *seconds, maxVisibility)
	}
	q.settle(now)
	m, current, err := q.byHandle(handle)
	if err != nil {
		return err
	}
	if m == nil || !current {
		return invalid("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", handle)
	}
	if !m.inFlight {
		return api.Errorf("MessageNotInflight", "The message %s is not in flight: its visibility timeout has ended.", m.ID)
	}
	q.take(m)
	m.VisibleAt = now.Add(time.Duration(*seconds) * time.Second)
	q.service.deliveries.Put(m.key(), m.delivery)
	if *seconds == 0 {
		q.show(m)
	} else {
		q.hide(m, m.VisibleAt, true)
	}
	return nil
}
