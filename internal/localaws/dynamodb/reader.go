package dynamodb

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// reader reads JSON in one pass, straight into what the calls need: attribute values are the bulk of all requests, and
// a generic decoder would build each twice.
type reader struct {
	data []byte
	at   int
	// raw and text are the last string with escapes and what it says: a batch repeats its statement's text.
	raw  []byte
	text string
}

func (r *reader) fail(expected string) error {
	return failure("SerializationException", "the body's JSON is wrong at byte %d: expected %s", r.at, expected)
}

// peek is the next byte that is not white space, or 0 at the end.
func (r *reader) peek() byte {
	for r.at < len(r.data) {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
	return 0
}

// next consumes the byte if it comes next.
func (r *reader) next(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

func (r *reader) literal(word string) bool {
	if r.peek() != word[0] || len(r.data)-r.at < len(word) || string(r.data[r.at:r.at+len(word)]) != word {
		return false
	}
	r.at += len(word)
	return true
}

func (r *reader) end() error {
	if r.peek() != 0 || r.at < len(r.data) {
		return r.fail("nothing more")
	}
	return nil
}

// object calls member with each name; member reads the value. A member that is null is as if it were not there.
func (r *reader) object(member func(name string) error) error {
	return r.members(func(name string) error {
		if r.literal("null") {
			return nil
		}
		return member(name)
	})
}

// members is object without the rule for null.
func (r *reader) members(member func(name string) error) error {
	if !r.next('{') {
		return r.fail("{")
	}
	if r.next('}') {
		return nil
	}
	for {
		name, err := r.string()
		if err != nil {
			return err
		}
		if !r.next(':') {
			return r.fail(":")
		}
		if err := member(name); err != nil {
			return err
		}
		if r.next(',') {
			continue
		}
		if r.next('}') {
			return nil
		}
		return r.fail(", or }")
	}
}

// array calls element at the start of each element.
func (r *reader) array(element func() error) error {
	if !r.next('[') {
		return r.fail("[")
	}
	if r.next(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if r.next(',') {
			continue
		}
		if r.next(']') {
			return nil
		}
		return r.fail(", or ]")
	}
}

func (r *reader) string() (string, error) {
	if !r.next('"') {
		return "", r.fail("a string")
	}
	start := r.at
	for i := start; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			r.at = i + 1
			return string(r.data[start:i]), nil
		case c == '\\':
			return r.escaped(start, i)
		case c < ' ':
			r.at = i
			return "", r.fail("no control characters in a string")
		}
	}
	r.at = len(r.data)
	return "", r.fail("the string's end")
}

// escaped reads a string with escapes: it finds the end and leaves the escapes to encoding/json.
func (r *reader) escaped(start, i int) (string, error) {
	for ; i < len(r.data) && r.data[i] != '"'; i++ {
		if r.data[i] == '\\' {
			i++
		}
	}
	if i >= len(r.data) {
		return "", r.fail("the string's end")
	}
	raw := r.data[start-1 : i+1]
	if !bytes.Equal(raw, r.raw) {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", r.fail("a string with valid escapes")
		}
		r.raw, r.text = raw, s
	}
	r.at = i + 1
	return r.text, nil
}

func (r *reader) boolean() (bool, error) {
	switch {
	case r.literal("true"):
		return true, nil
	case r.literal("false"):
		return false, nil
	}
	return false, r.fail("true or false")
}

func (r *reader) integer() (int, error) {
	r.peek()
	start := r.at
	for r.at < len(r.data) && (r.data[r.at] == '-' || r.data[r.at] >= '0' && r.data[r.at] <= '9') {
		r.at++
	}
	n, err := strconv.Atoi(string(r.data[start:r.at]))
	if err != nil {
		r.at = start
		return 0, r.fail("an integer")
	}
	return n, nil
}

func (r *reader) strings() ([]string, error) {
	list := []string{}
	err := r.array(func() error {
		s, err := r.string()
		list = append(list, s)
		return err
	})
	return list, err
}
