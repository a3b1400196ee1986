package s3

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

const namespace = `xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// subresources are the settings of a bucket, with the code that answers for one that was never put.
var subresources = map[string]string{
	"lifecycle": "NoSuchLifecycleConfiguration", "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
	"encryption": "ServerSideEncryptionConfigurationNotFoundError", "tagging": "NoSuchTagSet", "policy": "NoSuchBucketPolicy",
	"list-type": "", "location": "", "delete": "",
}

// standardEncryption is what every bucket has since January 2023 without being asked: Amazon S3's own keys.
const standardEncryption = `<?xml version="1.0" encoding="UTF-8"?>
<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ApplyServerSideEncryptionByDefault>` +
	`<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`

func (s *Service) createBucket(w http.ResponseWriter, c *call) error {
	if !bucketName.MatchString(c.bucket) || strings.Contains(c.bucket, "..") {
		return api.Errorf("InvalidBucketName", "The specified bucket is not valid: %s: expected 3 to 63 lower-case letters, digits, hyphens and periods", c.bucket)
	}
	var in struct {
		LocationConstraint string
	}
	if len(c.Body) > 0 {
		if err := xml.Unmarshal(c.Body, &in); err != nil {
			return malformed(err)
		}
	}
	region := in.LocationConstraint
	switch {
	case region == "" && c.Region != "us-east-1":
		return api.Errorf("IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to: name %s as LocationConstraint", c.Region)
	case region == "us-east-1", region != "" && region != c.Region:
		return api.Errorf("InvalidLocationConstraint", "The specified location-constraint is not valid: %s", region)
	case region == "":
		region = "us-east-1"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.buckets.Get(c.bucket); ok {
		if b.Account != c.Account {
			return &api.Error{Code: "BucketAlreadyExists", Status: http.StatusConflict, Message: "The requested bucket name is not available."}
		}
		if region != "us-east-1" {
			return &api.Error{Code: "BucketAlreadyOwnedByYou", Status: http.StatusConflict, Message: "Your previous request to create the named bucket succeeded and you already own it."}
		}
	} else {
		s.buckets.Put(c.bucket, &bucket{Name: c.bucket, Account: c.Account, Region: region, Created: time.Now()})
	}
	w.Header().Set("Location", "/"+c.bucket)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Service) deleteBucket(w http.ResponseWriter, c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys[c.bucket]) > 0 {
		return &api.Error{Code: "BucketNotEmpty", Status: http.StatusConflict, Message: "The bucket you tried to delete is not empty"}
	}
	s.buckets.Delete(c.bucket)
	delete(s.keys, c.bucket)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) listBuckets(w http.ResponseWriter, c *call) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var b bytes.Buffer
	b.WriteString(xml.Header + `<ListAllMyBucketsResult ` + namespace + `><Owner><ID>` + c.Account + `</ID></Owner><Buckets>`)
	for _, bucket := range s.buckets.All() {
		if bucket.Account == c.Account {
			b.WriteString(`<Bucket><Name>` + bucket.Name + `</Name><CreationDate>` + timestamp(bucket.Created) + `</CreationDate><BucketRegion>` + bucket.Region + `</BucketRegion></Bucket>`)
		}
	}
	b.WriteString(`</Buckets></ListAllMyBucketsResult>`)
	return writeXML(w, b.Bytes())
}

func getLocation(w http.ResponseWriter, b *bucket) error {
	region := b.Region
	if region == "us-east-1" {
		region = ""
	}
	return writeXML(w, []byte(xml.Header+`<LocationConstraint `+namespace+`>`+region+`</LocationConstraint>`))
}

// settings keeps and tells a bucket's sub-resources as they were put.
func (s *Service) settings(w http.ResponseWriter, c *call) error {
	name := ""
	for candidate := range subresources {
		if c.query.Has(candidate) {
			name = candidate
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, _ := s.buckets.Get(c.bucket)
	switch c.method {
	case http.MethodGet:
		body, ok := old.Settings[name]
		if !ok && name == "encryption" {
			body, ok = []byte(standardEncryption), true
		}
		if !ok {
			return &api.Error{Code: subresources[name], Status: http.StatusNotFound, Message: "The bucket " + c.bucket + " has no " + name + " configuration"}
		}
		return writeXML(w, body)
	case http.MethodPut:
		if err := wellFormed(name, c.Body); err != nil {
			return malformed(err)
		}
	}
	changed := *old
	changed.Settings = maps.Clone(old.Settings)
	if changed.Settings == nil {
		changed.Settings = map[string][]byte{}
	}
	status := http.StatusOK
	if c.method == http.MethodPut {
		changed.Settings[name] = slices.Clone(c.Body)
	} else {
		delete(changed.Settings, name)
		status = http.StatusNoContent
	}
	s.buckets.Put(c.bucket, &changed)
	w.WriteHeader(status)
	return nil
}

// wellFormed checks that a setting can be read back.
func wellFormed(name string, body []byte) error {
	if name == "policy" {
		if !json.Valid(body) {
			return errors.New("a policy is JSON")
		}
		return nil
	}
	decoder := xml.NewDecoder(bytes.NewReader(body))
	for elements := 0; ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			if elements == 0 {
				return errors.New("the body is empty")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
}

func malformed(err error) error {
	return api.Errorf("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema: %v", err)
}

func timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func writeXML(w http.ResponseWriter, body []byte) error {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body)
	return err
}
