package s3

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

const maxKeys = 1000

type listResult struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	KeyCount              int
	MaxKeys               int
	IsTruncated           bool
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listed
	CommonPrefixes        []commonPrefix
}

type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
	StorageClass string
}

type commonPrefix struct{ Prefix string }

// list answers ListObjectsV2. A continuation token is the last key or prefix that was told, encoded.
func (s *Service) list(w http.ResponseWriter, c *call) error {
	q := c.query
	result := listResult{
		Name: c.bucket, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), StartAfter: q.Get("start-after"), EncodingType: q.Get("encoding-type"),
		MaxKeys: maxKeys, ContinuationToken: q.Get("continuation-token"),
	}
	if text := q.Get("max-keys"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return api.Errorf("InvalidArgument", "max-keys %q: expected a number from 0", text)
		}
		result.MaxKeys = min(n, maxKeys)
	}
	after := result.StartAfter
	if result.ContinuationToken != "" {
		raw, err := base64.URLEncoding.DecodeString(result.ContinuationToken)
		if err != nil {
			return api.Errorf("InvalidArgument", "The continuation token provided is incorrect")
		}
		after = string(raw)
	}
	s.mu.RLock()
	s.fill(&result, after)
	s.mu.RUnlock()
	if result.EncodingType == "url" {
		result.encode()
	}
	body, err := xml.Marshal(result)
	if err != nil {
		return err
	}
	return writeXML(w, append([]byte(xml.Header), body...))
}

func (s *Service) fill(result *listResult, after string) {
	keys := s.keys[result.Name]
	at, _ := slices.BinarySearch(keys, max(result.Prefix, after))
	last := ""
	for _, key := range keys[at:] {
		if !strings.HasPrefix(key, result.Prefix) {
			if key > result.Prefix {
				break
			}
			continue
		}
		told, isPrefix := key, false
		if result.Delimiter != "" {
			if head, _, ok := strings.Cut(key[len(result.Prefix):], result.Delimiter); ok {
				told, isPrefix = result.Prefix+head+result.Delimiter, true
			}
		}
		if told <= after || told == last {
			continue
		}
		if result.KeyCount == result.MaxKeys {
			result.IsTruncated = result.MaxKeys > 0
			if result.IsTruncated {
				result.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
			}
			return
		}
		last = told
		result.KeyCount++
		if isPrefix {
			result.CommonPrefixes = append(result.CommonPrefixes, commonPrefix{told})
			continue
		}
		o, _ := s.objects.Get(result.Name + "/" + key)
		result.Contents = append(result.Contents, listed{key, timestamp(o.Modified), o.ETag, len(o.Data), "STANDARD"})
	}
}

// encode writes keys as encoding-type=url asks: what XML cannot hold survives.
func (result *listResult) encode() {
	escape := func(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "%2F", "/") }
	result.Prefix, result.Delimiter, result.StartAfter = escape(result.Prefix), escape(result.Delimiter), escape(result.StartAfter)
	for i := range result.Contents {
		result.Contents[i].Key = escape(result.Contents[i].Key)
	}
	for i := range result.CommonPrefixes {
		result.CommonPrefixes[i].Prefix = escape(result.CommonPrefixes[i].Prefix)
	}
}

func (s *Service) deleteObjects(w http.ResponseWriter, c *call) error {
	var in struct {
		Quiet  bool
		Object []struct{ Key string }
	}
	if err := xml.Unmarshal(c.Body, &in); err != nil {
		return malformed(err)
	}
	if len(in.Object) == 0 || len(in.Object) > 1000 {
		return api.Errorf("MalformedXML", "DeleteObjects takes 1 to 1000 keys, got %d", len(in.Object))
	}
	if _, err := verify(c.HTTP.Header, c.Body); err != nil {
		return err
	}
	type deleted struct{ Key string }
	result := struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
		Deleted []deleted
	}{}
	for _, o := range in.Object {
		s.remove(c.bucket, o.Key)
		if !in.Quiet {
			result.Deleted = append(result.Deleted, deleted{o.Key})
		}
	}
	body, err := xml.Marshal(result)
	if err != nil {
		return err
	}
	return writeXML(w, append([]byte(xml.Header), body...))
}
