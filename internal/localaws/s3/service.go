// Package s3 is the embedded endpoint's object store: buckets and whole objects over the REST protocol, in path style and
// by host name, with presigned addresses, conditional writes and checksums. Multipart uploads, versions and copies are not
// served; lifecycle rules are kept and told, not carried out.
package s3

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// Service is S3.
type Service struct {
	env *api.Env

	mu      sync.RWMutex
	buckets *state.Table[*bucket]
	objects *state.Table[*object] // by bucket/key
	keys    map[string][]string   // the sorted keys of each bucket
}

// bucket is a bucket's record; bucket names are one namespace for all accounts.
type bucket struct {
	Name, Account, Region string
	Created               time.Time
	// Settings are the sub-resources, such as lifecycle, as they were put.
	Settings map[string][]byte
}

// object is an object's record. It is never changed: a new put makes a new one.
type object struct {
	Bucket, Key, ETag string
	Data              []byte
	Modified          time.Time
	Headers           map[string]string // Content-Type and the like, and the metadata
	Checksums         map[string]string // by header name
}

// New reads buckets and objects.
func New(env *api.Env) (*Service, error) {
	s := &Service{env: env, keys: map[string][]string{}}
	var err error
	if s.buckets, err = state.NewTable[*bucket](env.Store, "s3.buckets"); err != nil {
		return nil, err
	}
	if s.objects, err = state.NewTable[*object](env.Store, "s3.objects"); err != nil {
		return nil, err
	}
	for _, o := range s.objects.All() {
		s.keys[o.Bucket] = append(s.keys[o.Bucket], o.Key)
	}
	for _, keys := range s.keys {
		slices.Sort(keys)
	}
	return s, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "s3" }

// Start does nothing.
func (s *Service) Start() {}

// Close does nothing.
func (s *Service) Close() {}

// Summary tells how many objects each bucket has.
func (s *Service) Summary() any {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := map[string]int{}
	for name := range s.buckets.All() {
		all[name] = len(s.keys[name])
	}
	return all
}

// call is one request, taken apart.
type call struct {
	*api.Request
	bucket, key string
	query       url.Values
	method      string
}

func (s *Service) parse(r *api.Request) *call {
	c := &call{Request: r, method: r.HTTP.Method, query: r.HTTP.URL.Query()}
	path := strings.TrimPrefix(r.HTTP.URL.Path, "/")
	if name, ok := s.hostBucket(r.HTTP.Host); ok {
		c.bucket, c.key = name, path
		return c
	}
	c.bucket, c.key, _ = strings.Cut(path, "/")
	return c
}

// hostBucket is the bucket that a virtual host's name begins with.
func (s *Service) hostBucket(host string) (string, bool) {
	if name, rest, ok := strings.Cut(host, ".s3."); ok && strings.Contains(rest, ".") {
		return name, true
	}
	if own, err := url.Parse(s.env.URL()); err == nil {
		return strings.CutSuffix(host, "."+own.Host)
	}
	return "", false
}

// operations are the calls by method, place (service, bucket or object) and sub-resource.
var operations = map[string]string{
	"GET service": "ListBuckets", "PUT bucket": "CreateBucket", "HEAD bucket": "HeadBucket", "DELETE bucket": "DeleteBucket",
	"GET bucket list-type": "ListObjectsV2", "GET bucket location": "GetBucketLocation", "POST bucket delete": "DeleteObjects",
	"PUT object": "PutObject", "GET object": "GetObject", "HEAD object": "HeadObject", "DELETE object": "DeleteObject",
	"PUT bucket lifecycle": "PutBucketLifecycleConfiguration", "GET bucket lifecycle": "GetBucketLifecycleConfiguration",
	"DELETE bucket lifecycle":      "DeleteBucketLifecycle",
	"PUT bucket publicAccessBlock": "PutPublicAccessBlock", "GET bucket publicAccessBlock": "GetPublicAccessBlock",
	"PUT bucket encryption": "PutBucketEncryption", "GET bucket encryption": "GetBucketEncryption",
	"PUT bucket tagging": "PutBucketTagging", "GET bucket tagging": "GetBucketTagging",
	"PUT bucket policy": "PutBucketPolicy", "GET bucket policy": "GetBucketPolicy",
}

// parameters are the query parameters that an operation may have beside its sub-resource and the signature's.
var parameters = map[string][]string{
	"ListObjectsV2": {"prefix", "delimiter", "continuation-token", "start-after", "max-keys", "encoding-type", "fetch-owner"},
	"GetObject":     {"response-content-type", "response-content-disposition"},
}

// ActionOf names the operation; an unknown one is named by its method and what it asks for.
func (s *Service) ActionOf(r *api.Request) string {
	c := s.parse(r)
	place := "object"
	switch {
	case c.bucket == "":
		place = "service"
	case c.key == "":
		place = "bucket"
	}
	shape := c.method + " " + place
	for _, name := range sortedKeys(c.query) {
		if action, ok := operations[shape+" "+name]; ok {
			return action
		}
	}
	if action, ok := operations[shape]; ok {
		return action
	}
	return shape + " " + strings.Join(sortedKeys(c.query), " ")
}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	w.Header().Set("X-Amz-Request-Id", r.ID)
	c := s.parse(r)
	err := s.admit(c)
	if err == nil {
		err = s.dispatch(w, c)
	}
	if err != nil {
		api.WriteS3Error(w, r, err)
	}
}

func (s *Service) dispatch(w http.ResponseWriter, c *call) error {
	switch c.Action {
	case "ListBuckets":
		return s.listBuckets(w, c)
	case "CreateBucket":
		return s.createBucket(w, c)
	}
	b, err := s.bucketOf(c)
	if err != nil {
		return err
	}
	switch c.Action {
	case "HeadBucket":
		w.Header().Set("X-Amz-Bucket-Region", b.Region)
		w.WriteHeader(http.StatusOK)
		return nil
	case "DeleteBucket":
		return s.deleteBucket(w, c)
	case "GetBucketLocation":
		return getLocation(w, b)
	case "ListObjectsV2":
		return s.list(w, c)
	case "DeleteObjects":
		return s.deleteObjects(w, c)
	case "PutObject":
		return s.put(w, c)
	case "GetObject", "HeadObject":
		return s.get(w, c)
	case "DeleteObject":
		s.remove(c.bucket, c.key)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return s.settings(w, c)
}

// admit refuses what nobody signed, what a presigned address's time has passed for, and what is not served.
func (s *Service) admit(c *call) error {
	if c.AccessKey == "" {
		return forbidden("AccessDenied", "Access Denied: the request is not signed")
	}
	served := false
	for _, action := range operations {
		served = served || action == c.Action
	}
	if !served {
		return &api.Error{Code: "NotImplemented", Status: http.StatusNotImplemented, Message: "this endpoint's S3 does not serve " + c.Action}
	}
	for _, name := range sortedKeys(c.query) {
		_, sub := subresources[name]
		if strings.HasPrefix(strings.ToLower(name), "x-amz-") || name == "x-id" || sub || slices.Contains(parameters[c.Action], name) {
			continue
		}
		return &api.Error{Code: "NotImplemented", Status: http.StatusNotImplemented, Message: "the query parameter " + name + " of " + c.Action + " is not served"}
	}
	if c.HTTP.Header.Get("X-Amz-Copy-Source") != "" {
		return &api.Error{Code: "NotImplemented", Status: http.StatusNotImplemented, Message: "this endpoint's S3 does not serve CopyObject"}
	}
	return c.checkExpiry(time.Now())
}

func (c *call) checkExpiry(now time.Time) error {
	if !c.query.Has("X-Amz-Expires") {
		return nil
	}
	signed, err := time.Parse("20060102T150405Z", c.query.Get("X-Amz-Date"))
	lasts, convErr := strconv.Atoi(c.query.Get("X-Amz-Expires"))
	if err != nil || convErr != nil || lasts < 1 || lasts > 7*24*3600 {
		return api.Errorf("AuthorizationQueryParametersError", "X-Amz-Date must be a time and X-Amz-Expires 1 to 604800 seconds")
	}
	if now.After(signed.Add(time.Duration(lasts) * time.Second)) {
		return forbidden("AccessDenied", "Request has expired")
	}
	return nil
}

// bucketOf is the bucket of the call, if it is its caller's.
func (s *Service) bucketOf(c *call) (*bucket, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.buckets.Get(c.bucket)
	if !ok {
		return nil, &api.Error{Code: "NoSuchBucket", Status: http.StatusNotFound, Message: "The specified bucket does not exist: " + c.bucket}
	}
	if b.Account != c.Account {
		return nil, forbidden("AccessDenied", "Access Denied: the bucket belongs to another account")
	}
	return b, nil
}

func forbidden(code, message string) error {
	return &api.Error{Code: code, Status: http.StatusForbidden, Message: message}
}

func sortedKeys(query url.Values) []string {
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
