package localaws

import (
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

const defaultRegion = "us-east-1"

// targets maps the first part of X-Amz-Target, and the name in a path of RPC v2, to a signing name, for requests that are not signed.
var targets = map[string]string{
	"AmazonSQS": "sqs", "DynamoDB_20120810": "dynamodb", "AmazonSSM": "ssm", "secretsmanager": "secretsmanager", "AWSEvents": "events",
	"ServiceQuotasV20190624": "servicequotas", "GraniteServiceVersion20100801": "monitoring",
}

// versions maps the query protocol's Version to a signing name, for requests that are not signed.
var versions = map[string]string{
	"2012-11-05": "sqs", "2016-11-15": "ec2", "2011-06-15": "sts", "2015-12-01": "elasticloadbalancing",
	"2010-05-08": "iam", "2011-01-01": "autoscaling", "2010-08-01": "monitoring", "2010-03-31": "sns",
}

// route finds out which service is asked for what, and by whom. The request is never nil, so that an error can be worded
// for its caller.
func (s *Server) route(hr *http.Request, body []byte) (*api.Request, error) {
	r := &api.Request{
		HTTP: hr, Body: body, ID: requestID(), Region: defaultRegion, FromServer: api.ServerOf(hr.Context()),
	}
	query, err := url.ParseQuery(hr.URL.RawQuery)
	if err != nil {
		return r, api.Errorf("MalformedQueryString", "the address's query cannot be read: %v", err)
	}
	if key, region, service, ok := credentialScope(hr.Header.Get("Authorization"), query.Get("X-Amz-Credential")); ok {
		r.AccessKey, r.Region, r.Service = key, region, service
	}
	r.Account = accountOf(r.AccessKey)
	if err := readAction(r, query); err != nil {
		return r, err
	}
	service := s.services[r.Service]
	if service == nil {
		return r, &api.Error{Code: "UnknownService", Status: http.StatusNotFound, Message: "this endpoint has no service " + r.Service + "; it serves " + s.serviceNames()}
	}
	if err := decodeChunked(r); err != nil {
		return r, err
	}
	if namer, ok := service.(api.ActionNamer); ok {
		r.Action = namer.ActionOf(r)
	}
	return r, nil
}

// readAction finds the action, and the service where no signature names it.
func readAction(r *api.Request, query url.Values) error {
	if target := r.HTTP.Header.Get("X-Amz-Target"); target != "" {
		prefix, action, _ := strings.Cut(target, ".")
		r.Action = action
		if r.Service == "" {
			r.Service = targets[prefix]
		}
		return nil
	}
	if api.IsCBOR(r.HTTP) {
		return readOperation(r)
	}
	if r.Service == "s3" {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(r.HTTP.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" && !query.Has("Action") {
		if r.Service == "" {
			r.Service = "s3"
			return nil
		}
		return api.Errorf("MissingAction", "the request has neither X-Amz-Target nor a form with Action")
	}
	r.Form = query
	if kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(r.Body))
		if err != nil {
			return api.Errorf("MalformedQueryString", "the form cannot be read: %v", err)
		}
		for key, values := range form {
			r.Form[key] = append(r.Form[key], values...)
		}
	}
	r.Action = r.Form.Get("Action")
	if r.Service == "" {
		r.Service = versions[r.Form.Get("Version")]
	}
	if r.Action == "" {
		return api.Errorf("MissingAction", "the form has no Action")
	}
	return nil
}

// readOperation finds the action in a path of RPC v2: /service/NAME/operation/ACTION.
func readOperation(r *api.Request) error {
	parts := strings.Split(strings.Trim(r.HTTP.URL.Path, "/"), "/")
	if len(parts) != 4 || parts[0] != "service" || parts[2] != "operation" {
		return api.Errorf("UnknownOperationException", "the path %s is not /service/NAME/operation/ACTION", r.HTTP.URL.Path)
	}
	r.Action = parts[3]
	if r.Service == "" {
		r.Service = targets[parts[1]]
	}
	return nil
}

// credentialScope reads access key, region and service from the Authorization header or a presigned address.
func credentialScope(authorization, presigned string) (key, region, service string, ok bool) {
	scope := presigned
	if _, rest, found := strings.Cut(authorization, "Credential="); found {
		scope, _, _ = strings.Cut(rest, ",")
	}
	parts := strings.Split(strings.TrimSpace(scope), "/")
	if len(parts) < 5 {
		return "", "", "", false
	}
	// An access key id never holds a slash; from the end: aws4_request, service, region, date.
	n := len(parts)
	return strings.Join(parts[:n-4], "/"), parts[n-3], parts[n-2], true
}

// accountOf is the account that an access key belongs to: twelve digits are an account, STS's temporary keys carry their
// role's, and all others belong to the default account.
func accountOf(accessKey string) string {
	if isAccount(accessKey) {
		return accessKey
	}
	if rest, ok := strings.CutPrefix(accessKey, "ASIA"); ok && len(rest) > 12 && isAccount(rest[:12]) {
		return rest[:12]
	}
	return api.DefaultAccount
}

func isAccount(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}

// requestID is random: no one depends on it, and it must not cost a lock.
func requestID() string { return api.UUID(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))) }
