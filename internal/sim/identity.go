package sim

import (
	"bytes"
	"io"
	"net/http"
)

// marks stand before what a call is about: the queue, and the item's key.
var marks = [][]byte{[]byte(`"QueueUrl":"`), []byte(`"id":{"S":"`), []byte(`"pk":{"S":"`), []byte(`"sk":{"S":"`)}

// identity is a call's name and what it is about. Timers that are due at the same instant fire in any order, so that calls
// of one worker then change places: each must meet what was drawn for it.
func identity(call string, body []byte) string {
	identity := []byte(call)
	for _, mark := range marks {
		_, rest, ok := bytes.Cut(body, mark)
		if end := bytes.IndexByte(rest, '"'); ok && end >= 0 {
			identity = append(append(identity, ' '), rest[:end]...)
		}
	}
	return string(identity)
}

// bodyOf is a request's body, which stays to be read; nothing where it streams.
func bodyOf(request *http.Request) []byte {
	if request.GetBody == nil {
		return nil
	}
	copied, err := request.GetBody()
	if err != nil {
		return nil
	}
	body, err := io.ReadAll(copied)
	if err != nil {
		return nil
	}
	return body
}
