package s3

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

const maxKey = 1024

// kept are the headers of a put that come back with each get; metadata headers are kept as well.
var kept = []string{"Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires"}

func (s *Service) put(w http.ResponseWriter, c *call) error {
	if len(c.key) > maxKey {
		return api.Errorf("KeyTooLongError", "Your key is too long: %d bytes, at most %d", len(c.key), maxKey)
	}
	h := c.HTTP.Header
	sums, err := verify(h, c.Body)
	if err != nil {
		return err
	}
	digest := md5.Sum(c.Body)
	if want := h.Get("Content-Md5"); want != "" && want != base64.StdEncoding.EncodeToString(digest[:]) {
		return api.Errorf("BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	o := &object{
		Bucket: c.bucket, Key: c.key, ETag: `"` + hex.EncodeToString(digest[:]) + `"`, Data: slices.Clone(c.Body), Modified: time.Now(),
		Headers: map[string]string{"Content-Type": "binary/octet-stream"}, Checksums: sums,
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") || slices.Contains(kept, name) {
			o.Headers[name] = h.Get(name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := c.bucket + "/" + c.key
	old, exists := s.objects.Get(id)
	if err := checkWrite(h, old, exists); err != nil {
		return err
	}
	if !exists {
		keys := s.keys[c.bucket]
		at, _ := slices.BinarySearch(keys, c.key)
		s.keys[c.bucket] = slices.Insert(keys, at, c.key)
	}
	s.objects.Put(id, o)
	w.Header().Set("Etag", o.ETag)
	for name, value := range sums {
		w.Header().Set(name, value)
	}
	if len(sums) > 0 {
		w.Header().Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
	w.Header().Set("X-Amz-Server-Side-Encryption", "AES256")
	w.WriteHeader(http.StatusOK)
	return nil
}

// checkWrite is the condition of a put.
func checkWrite(h http.Header, old *object, exists bool) error {
	failed := func(condition string) error {
		return &api.Error{Code: "PreconditionFailed", Status: http.StatusPreconditionFailed, Message: "At least one of the pre-conditions you specified did not hold: " + condition}
	}
	if want := h.Get("If-None-Match"); want != "" {
		if want != "*" {
			return &api.Error{Code: "NotImplemented", Status: http.StatusNotImplemented, Message: "If-None-Match of a put takes * only"}
		}
		if exists {
			return failed("If-None-Match")
		}
	}
	if want := h.Get("If-Match"); want != "" {
		if !exists {
			return noSuchKey(h.Get("If-Match"))
		}
		if !sameTag(want, old.ETag) {
			return failed("If-Match")
		}
	}
	return nil
}

func noSuchKey(key string) error {
	return &api.Error{Code: "NoSuchKey", Status: http.StatusNotFound, Message: "The specified key does not exist: " + key}
}

func sameTag(want, have string) bool {
	return want == "*" || strings.Trim(want, `"`) == strings.Trim(have, `"`)
}

// get answers GetObject and HeadObject.
func (s *Service) get(w http.ResponseWriter, c *call) error {
	s.mu.RLock()
	o, ok := s.objects.Get(c.bucket + "/" + c.key)
	s.mu.RUnlock()
	if !ok {
		return noSuchKey(c.key)
	}
	h := c.HTTP.Header
	if want := h.Get("If-Match"); want != "" && !sameTag(want, o.ETag) {
		return &api.Error{Code: "PreconditionFailed", Status: http.StatusPreconditionFailed, Message: "At least one of the pre-conditions you specified did not hold: If-Match"}
	}
	out := w.Header()
	for name, value := range o.Headers {
		out.Set(name, value)
	}
	out.Set("Etag", o.ETag)
	out.Set("Last-Modified", o.Modified.UTC().Format(http.TimeFormat))
	out.Set("Accept-Ranges", "bytes")
	out.Set("X-Amz-Server-Side-Encryption", "AES256")
	if want := h.Get("If-None-Match"); want != "" && sameTag(want, o.ETag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	for _, name := range []string{"response-content-type", "response-content-disposition"} {
		if value := c.query.Get(name); value != "" {
			out.Set(strings.TrimPrefix(name, "response-"), value)
		}
	}
	data, status := o.Data, http.StatusOK
	if text := h.Get("Range"); text != "" {
		first, last, ok := parseRange(text, len(o.Data))
		if !ok {
			return &api.Error{Code: "InvalidRange", Status: http.StatusRequestedRangeNotSatisfiable, Message: "The requested range is not satisfiable: " + text}
		}
		out.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(o.Data)))
		data, status = o.Data[first:last+1], http.StatusPartialContent
	} else if strings.EqualFold(h.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		for name, value := range o.Checksums {
			out.Set(name, value)
		}
		if len(o.Checksums) > 0 {
			out.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
		}
	}
	out.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if c.method == http.MethodHead {
		return nil
	}
	_, err := w.Write(data)
	return err
}

// parseRange reads one byte range: bytes=0-9, bytes=5- or bytes=-3.
func parseRange(text string, size int) (first, last int, ok bool) {
	spec, found := strings.CutPrefix(text, "bytes=")
	from, to, dashed := strings.Cut(spec, "-")
	if !found || !dashed || size == 0 {
		return 0, 0, false
	}
	if from == "" {
		n, err := strconv.Atoi(to)
		return max(0, size-n), size - 1, err == nil && n > 0
	}
	first, err := strconv.Atoi(from)
	if err != nil || first < 0 || first >= size {
		return 0, 0, false
	}
	last = size - 1
	if to != "" {
		n, err := strconv.Atoi(to)
		if err != nil || n < first {
			return 0, 0, false
		}
		last = min(last, n)
	}
	return first, last, true
}

// remove drops an object; one that is not there is gone already.
func (s *Service) remove(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects.Delete(bucket + "/" + key)
	keys := s.keys[bucket]
	if at, ok := slices.BinarySearch(keys, key); ok {
		s.keys[bucket] = slices.Delete(keys, at, at+1)
	}
}
