package sqs

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// message is one message, and where it stands in memory.
type message struct {
	ID string
	// Copy is 0, or for a copy that Mischief.Again made the receive that it doubles.
	Copy  int    `json:",omitempty"`
	Queue string // the queue's key
	// Source is the queue that a dead letter came from.
	Source     string `json:",omitempty"`
	Body       string
	MD5        string
	Attributes map[string]attribute `json:",omitempty"`
	System     map[string]attribute `json:",omitempty"`
	Group      string               `json:",omitempty"`
	Dedup      string               `json:",omitempty"`
	Sender     string
	// Sent is when it was sent; a message in a dead-letter queue keeps it.
	Sent time.Time

	delivery
	place     *node[*message]
	heapIndex int
	order     uint64
	inFlight  bool
	late      int // the receive for which the message has been late
}

// delivery is what changes about a message.
type delivery struct {
	Receives  int
	First     time.Time
	VisibleAt time.Time
}

// attribute is a message attribute.
type attribute struct {
	DataType         string   `query:"DataType"`
	StringValue      *string  `json:",omitempty" query:"StringValue"`
	BinaryValue      []byte   `json:",omitempty" query:"BinaryValue"`
	StringListValues []string `json:",omitempty" query:"StringListValue"`
	BinaryListValues [][]byte `json:",omitempty" query:"BinaryListValue"`
}

// key is the message's name among all: its id, which a copy shares, and which copy it is.
func (m *message) key() string {
	if m.Copy == 0 {
		return m.ID
	}
	return m.ID + "+" + strconv.Itoa(m.Copy)
}

// receipt names one delivery of the message: how often it had been received then.
func (m *message) receipt() string { return m.key() + ":" + strconv.Itoa(m.Receives) }

// parseReceipt splits a receipt handle.
func parseReceipt(handle string) (key string, receives int, err error) {
	key, count, ok := strings.Cut(handle, ":")
	receives, convErr := strconv.Atoi(count)
	if id, _, _ := strings.Cut(key, "+"); !ok || convErr != nil || len(id) != 36 {
		return "", 0, api.Errorf("ReceiptHandleIsInvalid", "The input receipt handle %q is not a valid receipt handle.", handle)
	}
	return key, receives, nil
}

// bodyMD5 is the digest by which an SDK checks a body.
func bodyMD5(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// attributesMD5 is the digest by which an SDK checks message attributes; empty without any.
func attributesMD5(attributes map[string]attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	var b []byte
	add := func(text string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		add(name)
		add(a.DataType)
		if strings.HasPrefix(a.DataType, "Binary") {
			b = append(b, 2)
			add(string(a.BinaryValue))
			continue
		}
		b = append(b, 1)
		if a.StringValue != nil {
			add(*a.StringValue)
		} else {
			add("")
		}
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// size is what counts towards the limits: body, attribute names, types and values.
func size(body string, attributes map[string]attribute) int {
	n := len(body)
	for name, a := range attributes {
		n += len(name) + len(a.DataType) + len(a.BinaryValue)
		if a.StringValue != nil {
			n += len(*a.StringValue)
		}
	}
	return n
}

// turns tells equal messages of one instant apart; under virtual time all that a program does may be one instant.
type turns struct {
	at   time.Time
	seen map[uint64]uint64
}

// messageID is a function of the seed, the queue, the message, the instant and how many-th such message it is at that
// instant, so that it does not depend on what other senders do.
func (s *Service) messageID(queue, body string, now time.Time) string {
	hash := fnv.New64a()
	hash.Write([]byte(queue))
	hash.Write([]byte{0})
	hash.Write([]byte(body))
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(now.UnixNano()))
	hash.Write(at[:])
	identity := hash.Sum64()
	if s.turns.seen == nil || !s.turns.at.Equal(now) {
		s.turns = turns{at: now, seen: map[uint64]uint64{}}
	}
	for {
		turn := s.turns.seen[identity]
		s.turns.seen[identity]++
		id := api.UUID(rand.New(rand.NewPCG(identity, uint64(s.env.Seed)*0x9e3779b97f4a7c15+turn)))
		if _, taken := s.messages.Get(id); !taken {
			return id
		}
	}
}
