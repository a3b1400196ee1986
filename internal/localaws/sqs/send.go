package sqs

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// sendInput is one message to send.
type sendInput struct {
	MessageBody             string               `query:"MessageBody"`
	DelaySeconds            *int                 `query:"DelaySeconds"`
	MessageAttributes       map[string]attribute `json:"MessageAttributes"`
	MessageSystemAttributes map[string]attribute `json:"MessageSystemAttributes"`
	MessageGroupID          string               `json:"MessageGroupId" query:"MessageGroupId"`
	MessageDeduplicationID  string               `json:"MessageDeduplicationId" query:"MessageDeduplicationId"`
	AttributeList           []namedAttribute     `json:"-" query:"MessageAttribute"`
	SystemAttributeList     []namedAttribute     `json:"-" query:"MessageSystemAttribute"`
}

type namedAttribute struct {
	Name  string    `query:"Name" xml:"Name"`
	Value attribute `query:"Value" xml:"Value"`
}

// sendResult is what a sender gets for one message.
type sendResult struct {
	MessageID              string `json:"MessageId" xml:"MessageId"`
	MD5OfMessageBody       string `xml:"MD5OfMessageBody"`
	MD5OfMessageAttributes string `json:",omitempty" xml:"MD5OfMessageAttributes,omitempty"`
	MD5OfSystemAttributes  string `json:"MD5OfMessageSystemAttributes,omitempty" xml:"MD5OfMessageSystemAttributes,omitempty"`
}

func sendMessage(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		sendInput
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
	in.flatten()
	if err := q.check(&in.sendInput); err != nil {
		return nil, err
	}
	return q.send(&in.sendInput, sender(r), time.Now()), nil
}

type sendEntry struct {
	ID string `json:"Id" query:"Id"`
	sendInput
}

type sentEntry struct {
	ID string `json:"Id" xml:"Id"`
	sendResult
}

func sendMessageBatch(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		Entries []sendEntry `query:"SendMessageBatchRequestEntry"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := checkBatch(in.Entries, func(e *sendEntry) string { return e.ID }); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(r, in.QueueURL)
	if err != nil {
		return nil, err
	}
	total := 0
	for i := range in.Entries {
		in.Entries[i].flatten()
		total += size(in.Entries[i].MessageBody, in.Entries[i].MessageAttributes)
	}
	if total > maxMessageSize {
		return nil, api.Errorf("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxMessageSize, total)
	}
	var result struct {
		Successful []sentEntry   `xml:"SendMessageBatchResultEntry"`
		Failed     []failedEntry `xml:"BatchResultErrorEntry"`
	}
	result.Successful, result.Failed = []sentEntry{}, []failedEntry{}
	now := time.Now()
	for i := range in.Entries {
		e := &in.Entries[i]
		if err := q.check(&e.sendInput); err != nil {
			result.Failed = append(result.Failed, failure(e.ID, err))
			continue
		}
		result.Successful = append(result.Successful, sentEntry{e.ID, q.send(&e.sendInput, sender(r), now)})
	}
	return result, nil
}

// flatten brings the query protocol's lists into the maps of the JSON protocol.
func (in *sendInput) flatten() {
	fill := func(into *map[string]attribute, from []namedAttribute) {
		for _, a := range from {
			if *into == nil {
				*into = map[string]attribute{}
			}
			(*into)[a.Name] = a.Value
		}
	}
	fill(&in.MessageAttributes, in.AttributeList)
	fill(&in.MessageSystemAttributes, in.SystemAttributeList)
}

var (
	attributeName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,256}$`)
	groupName     = regexp.MustCompile("^[A-Za-z0-9!\"#$%&'()*+,./:;<=>?@\\[\\\\\\]^_`{|}~-]{1,128}$")
)

func (q *queue) check(in *sendInput) error {
	switch {
	case in.MessageBody == "":
		return missing("MessageBody")
	case !allowed(in.MessageBody):
		return api.Errorf("InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	case in.DelaySeconds != nil && (*in.DelaySeconds < 0 || *in.DelaySeconds > maxDelay):
		return invalid("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= %d.", *in.DelaySeconds, maxDelay)
	case in.MessageDeduplicationID != "":
		return invalid("Value %s for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid for this queue type.", in.MessageDeduplicationID)
	case in.MessageGroupID != "" && !groupName.MatchString(in.MessageGroupID):
		return invalid("Value %s for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.", in.MessageGroupID)
	case len(in.MessageAttributes) > 10:
		return invalid("Number of message attributes [%d] exceeds the allowed maximum [10].", len(in.MessageAttributes))
	}
	for name, a := range in.MessageAttributes {
		if err := checkAttribute(name, a); err != nil {
			return err
		}
	}
	for name := range in.MessageSystemAttributes {
		if name != "AWSTraceHeader" {
			return invalid("Message system attribute name '%s' is invalid: expected AWSTraceHeader.", name)
		}
	}
	if n := size(in.MessageBody, in.MessageAttributes); n > q.limits.size {
		return invalid("One or more parameters are invalid. Reason: Message must be shorter than %d bytes; it has %d.", q.limits.size, n)
	}
	return nil
}

func checkAttribute(name string, a attribute) error {
	if !attributeName.MatchString(name) {
		return invalid("The message attribute name '%s' is invalid: expected 1 to 256 letters, digits, underscores, hyphens and periods.", name)
	}
	base, _, _ := strings.Cut(a.DataType, ".")
	switch base {
	case "String", "Number":
		if a.StringValue == nil || *a.StringValue == "" {
			return invalid("The message attribute '%s' must contain a non-empty StringValue.", name)
		}
	case "Binary":
		if len(a.BinaryValue) == 0 {
			return invalid("The message attribute '%s' must contain a non-empty BinaryValue.", name)
		}
	default:
		return invalid("The message attribute '%s' has an invalid type %q: expected String, Number or Binary, with a custom label after a period at most.", name, a.DataType)
	}
	return nil
}

// allowed says whether SQS takes the text: what XML can hold.
func allowed(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, c := range text {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF {
			return false
		}
	}
	return true
}

// send puts a checked message into the queue.
func (q *queue) send(in *sendInput, sender string, now time.Time) sendResult {
	s := q.service
	s.sequence++
	m := &message{
		ID: s.messageID(q.key(), in.MessageBody, now), Queue: q.key(), Body: in.MessageBody, MD5: bodyMD5(in.MessageBody),
		Attributes: in.MessageAttributes, System: in.MessageSystemAttributes, Group: in.MessageGroupID, Sender: sender, Sent: now,
		order: s.sequence,
	}
	delay := q.limits.delay
	if in.DelaySeconds != nil {
		delay = time.Duration(*in.DelaySeconds) * time.Second
	}
	if delay > 0 {
		q.hide(m, now.Add(delay), false)
	} else {
		q.show(m)
	}
	s.messages.Put(m.key(), m)
	return sendResult{m.ID, m.MD5, attributesMD5(m.Attributes), attributesMD5(m.System)}
}

func sender(r *api.Request) string {
	if r.AccessKey != "" {
		return r.AccessKey
	}
	return "AIDAANONYMOUS"
}

// failedEntry is one entry of a batch that was not carried out.
type failedEntry struct {
	ID          string `json:"Id" xml:"Id"`
	SenderFault bool   `xml:"SenderFault"`
	Code        string `xml:"Code"`
	Message     string `xml:"Message"`
}

// failure is an entry's error; its code is the query protocol's in both protocols.
func failure(id string, err error) failedEntry {
	e := api.AsError(err)
	code := e.Code
	if query := older[code]; query != "" {
		code = query
	}
	return failedEntry{ID: id, SenderFault: e.Status < 500, Code: code, Message: e.Message}
}

var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkBatch refuses a batch as a whole.
func checkBatch[T any](entries []T, id func(*T) string) error {
	if len(entries) == 0 {
		return api.Errorf("EmptyBatchRequest", "There should be at least one entry in the request.")
	}
	if len(entries) > 10 {
		return api.Errorf("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(entries))
	}
	seen := make(map[string]bool, len(entries))
	for i := range entries {
		name := id(&entries[i])
		if !entryID.MatchString(name) {
			return api.Errorf("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long; got %q.", name)
		}
		if seen[name] {
			return api.Errorf("BatchEntryIdsNotDistinct", "Id %s repeated.", name)
		}
		seen[name] = true
	}
	return nil
}
