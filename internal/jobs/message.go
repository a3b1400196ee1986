package jobs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// MessageType says what a message wants.
type MessageType string

// The types of messages. Anybody may send the first four; the others are the job's own.
const (
	Submit MessageType = "submit"
	Cancel MessageType = "cancel"
	Reopen MessageType = "retry"
	// Ordering brings an order: see Verb.
	Ordering MessageType = "order"
	// Wake carries the seq of the save that it follows.
	Wake MessageType = "wake"
	// Nudge wakes without a seq: a finished child, an event.
	Nudge MessageType = "nudge"
	// Tick has a policy looked at. It is about no job, and anybody may send it.
	Tick MessageType = "tick"
)

// Message is what stands on the queues, as JSON.
type Message struct {
	Schema int         `json:"schema"`
	Type   MessageType `json:"type"`

	// A submission's.
	Kind     string            `json:"kind,omitempty"`
	Name     string            `json:"name,omitempty"`
	Role     string            `json:"role,omitempty"`
	Region   string            `json:"region,omitempty"`
	Key      string            `json:"key,omitempty"`
	Priority Priority          `json:"priority,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Spec     json.RawMessage   `json:"spec,omitempty"`
	Parent   *Parent           `json:"parent,omitempty"`

	// The others'.
	Job         string `json:"job,omitempty"`
	Incarnation string `json:"incarnation,omitempty"`
	Run         int    `json:"run,omitempty"`
	Seq         int64  `json:"seq,omitempty"`

	// An order's: what is asked, and when; At is a tick's too, the instant that is meant.
	Verb  Verb      `json:"verb,omitempty"`
	Value string    `json:"value,omitempty"`
	At    time.Time `json:"at,omitzero"`

	// Policy is the name of the policy that a tick is about.
	Policy string `json:"policy,omitempty"`

	awaited string // key of the thing whose event this nudge is; no queue can say it
}

// ErrNewerSchema says that a message or an item was written by a newer version: it is left to a newer worker.
var ErrNewerSchema = errors.New("written by a newer version of Stampmill")

// MaxMessage is the largest message that a queue takes, in bytes (aws-facts "SQS").
const MaxMessage = 1 << 20

// maxQuoted bounds what a decoder's error says, in bytes: it quotes what others wrote.
const maxQuoted = 300

// MaxSpec is the largest spec that a job carries, in bytes: it stands in the job's item.
const MaxSpec = 256 << 10

var (
	namePattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	kindPattern     = regexp.MustCompile(`^[A-Z][A-Za-z]{0,31}$`)
	rolePattern     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,128}$`)
	regionPattern   = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
	jobPattern      = regexp.MustCompile(`^[a-z]{1,32}-[a-z0-9-]{1,120}$`)
	keyPattern      = regexp.MustCompile(`^[\x21-\x7e]{1,256}$`)
	priorityPattern = regexp.MustCompile(`^(high|normal|low)$`)
	labelPattern    = regexp.MustCompile(`^[A-Za-z0-9][\w./-]{0,62}$`)
)

// ParseMessage reads a message from a queue and checks everything about it that does not need its kind. A queue is hostile.
// An EventBridge event is none: see ParseEvent.
func ParseMessage(body []byte) (*Message, error) {
	if len(body) > MaxMessage {
		return nil, fmt.Errorf("the message has %d bytes; at most %d are read", len(body), MaxMessage)
	}
	var head struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return nil, fmt.Errorf("the message is not a JSON object of the message schema: %s", Clip(err.Error(), maxQuoted))
	}
	if head.Schema > SchemaVersion {
		return nil, fmt.Errorf("schema %d: %w", head.Schema, ErrNewerSchema)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	var m Message
	if err := decoder.Decode(&m); err != nil {
		return nil, fmt.Errorf("the message does not follow the message schema: %s", Clip(err.Error(), maxQuoted))
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return &m, nil
}

// Encode gives the message as it stands on a queue.
func (m *Message) Encode() ([]byte, error) {
	m.Schema = SchemaVersion
	return json.Marshal(m)
}

// Target is whose and where a submission's job works.
func (m *Message) Target() Target { return Target{Role: m.Role, Region: m.Region} }

// JobID is the id of the job that the message is about. A submission without a key is named by the message's own id.
func (m *Message) JobID(messageID string) string {
	if m.Type != Submit {
		return m.Job
	}
	key := m.Key
	if key == "" {
		key = messageID
	}
	return Identity(m.Kind, m.Name, m.Target(), key)
}

// Digest is the submission's digest: the same for specs that differ in white space and order of members only.
func (m *Message) Digest() (string, error) {
	return Digest(m.Spec)
}

// Digest is a digest of a JSON document that does not depend on white space or the order of members.
func Digest(document json.RawMessage) (string, error) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if len(document) > 0 {
		if err := decoder.Decode(&value); err != nil {
			return "", fmt.Errorf("spec is not JSON: %w", err)
		}
	}
	canonical, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:16]), nil
}

func (m *Message) check() error {
	if m.Schema < 1 {
		return fmt.Errorf(`"schema" is %d; expected %d`, m.Schema, SchemaVersion)
	}
	switch m.Type {
	case Submit:
		return m.checkSubmission()
	case Cancel, Reopen, Ordering, Wake, Nudge:
		if !jobPattern.MatchString(m.Job) {
			return fmt.Errorf(`"job" is %q; expected a job's id, such as bake-web-abcdefghijklmnop`, clip(m.Job))
		}
		if m.Run < 1 && m.Type != Nudge {
			return fmt.Errorf(`"run" is %d; expected the number of the run that is meant, from 1`, m.Run)
		}
		if m.Type == Ordering {
			return m.checkOrder()
		}
		return nil
	case Tick:
		return m.checkTick()
	default:
		return fmt.Errorf(`"type" is %q; expected submit, cancel, retry, order or tick`, clip(string(m.Type)))
	}
}

func (m *Message) checkSubmission() error {
	for _, c := range []struct {
		field, value, expected string
		pattern                *regexp.Regexp
		optional               bool
	}{
		{"kind", m.Kind, "a kind, such as Bake", kindPattern, false},
		{"name", m.Name, "1 to 63 of a-z, 0-9 and -, beginning with a letter or digit", namePattern, false},
		{"role", m.Role, "a role's ARN", rolePattern, true},
		{"region", m.Region, "a region, such as eu-west-1", regionPattern, true},
		{"key", m.Key, "1 to 256 printable ASCII characters without spaces", keyPattern, true},
		{"priority", string(m.Priority), "high, normal or low", priorityPattern, true},
	} {
		if (c.value != "" || !c.optional) && !c.pattern.MatchString(c.value) {
			return fmt.Errorf("%q is %q; expected %s", c.field, clip(c.value), c.expected)
		}
	}
	if p := m.Parent; p != nil && (!jobPattern.MatchString(p.ID) || m.Key != childKey(p.Incarnation, p.Run, p.Fan, p.Index) || p.Index < 0 || p.Index >= p.Of) {
		return fmt.Errorf(`"parent" does not belong to the key %q; only a job's own fan-out names a parent`, clip(m.Key))
	}
	if len(m.Labels) > 50 {
		return fmt.Errorf(`"labels" has %d entries; expected at most 50`, len(m.Labels))
	}
	for name, value := range m.Labels {
		if !labelPattern.MatchString(name) || len(value) > 256 {
			return fmt.Errorf(`label %q is not valid; expected a name of letters, digits, . _ / - and a value of at most 256 bytes`, clip(name))
		}
	}
	return nil
}

// clip keeps quotations short.
func clip(s string) string { return Clip(s, 80) }
