package localaws

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// decodeChunked takes the chunk signatures out of a body that was sent aws-chunked, and puts its trailers (checksums)
// among the headers, where a service finds them as if they had been sent up front.
func decodeChunked(r *api.Request) error {
	h := r.HTTP.Header
	if !strings.HasPrefix(h.Get("X-Amz-Content-Sha256"), "STREAMING-") && !strings.Contains(h.Get("Content-Encoding"), "aws-chunked") {
		return nil
	}
	body, rest := make([]byte, 0, len(r.Body)), r.Body
	for {
		line, after, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok {
			return api.Errorf("IncompleteBody", "the aws-chunked body ends before its last chunk")
		}
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseUint(string(digits), 16, 31)
		if err != nil {
			return api.Errorf("InvalidChunkSizeError", "%q is not an aws-chunked body's chunk size", digits)
		}
		rest = after
		if size == 0 {
			break
		}
		if uint64(len(rest)) < size+2 {
			return api.Errorf("IncompleteBody", "the aws-chunked body ends inside a chunk")
		}
		body, rest = append(body, rest[:size]...), rest[size+2:]
	}
	for line := range bytes.SplitSeq(rest, []byte("\r\n")) {
		if name, value, ok := strings.Cut(string(line), ":"); ok {
			h.Set(textproto.TrimString(name), textproto.TrimString(value))
		}
	}
	if want := h.Get("X-Amz-Decoded-Content-Length"); want != "" && want != strconv.Itoa(len(body)) {
		return &api.Error{Code: "IncompleteBody", Status: http.StatusBadRequest, Message: "the aws-chunked body has " + strconv.Itoa(len(body)) + " bytes, X-Amz-Decoded-Content-Length says " + want}
	}
	encodings := strings.FieldsFunc(h.Get("Content-Encoding"), func(c rune) bool { return c == ',' || c == ' ' })
	h.Del("Content-Encoding")
	for _, encoding := range encodings {
		if encoding != "aws-chunked" {
			h.Add("Content-Encoding", encoding)
		}
	}
	r.Body = body
	return nil
}
