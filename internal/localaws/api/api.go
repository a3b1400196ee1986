// Package api is what the services of the embedded endpoint share: a request that is already routed, errors as AWS
// words them, and the environment that a service is built in.
//
// The endpoint finds the service of a request by the credential scope of its signature (SigV4 is parsed, not verified),
// the account by the access key and the region by the scope, and hands it to the service as a Request. A service answers
// in its own wire format. Time is the time package's: in a testing/synctest bubble it is virtual.
package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/state"
)

// DefaultAccount is the account of every access key that does not say another one.
const DefaultAccount = "000000000000"

// Request is one call to one service.
type Request struct {
	HTTP *http.Request
	// Body is the whole body, already read and, if it was chunk-signed, decoded.
	Body []byte
	// Service is the signing name: sqs, dynamodb, ec2, ssm, s3, sts, elasticloadbalancing, autoscaling, monitoring, …
	Service string
	Region  string
	Account string
	// AccessKey is the id, not the secret.
	AccessKey string
	// Action is X-Amz-Target's last part or the query protocol's Action; for S3 the operation's name.
	Action string
	// Form holds the query protocol's parameters (URL and body); nil for JSON and REST.
	Form url.Values
	// ID is the request id that the answer must carry.
	ID string
	// FromServer is the id of the instance inside the endpoint that made the call (see WithServer); empty for all others.
	FromServer string
}

// Service is one AWS service of the endpoint. ServeAWS is called concurrently. What it changed in the state store is
// flushed to the log by the endpoint before the answer goes out.
type Service interface {
	// Name is the signing name.
	Name() string
	ServeAWS(w http.ResponseWriter, r *Request)
	// Start is called once, after all services have loaded their tables, to arm timers for what the state says is due.
	Start()
	// Close stops every goroutine and timer of the service and waits for them.
	Close()
}

// Env is what every service is built with.
type Env struct {
	Store *state.Store
	// Speed divides the durations that take AWS minutes (boots, AMIs, copies), never buckets, leases or queue delays. At least 1.
	Speed float64
	// Seed makes ids and durations repeatable: they are a function of the seed and of the call's identity.
	Seed int64
	// Unlimited switches throttling buckets off.
	Unlimited bool
	// URL is the endpoint's own address, as servers inside it reach it. It is known when the listener is.
	URL func() string
	// Roundtrip lets a server inside the endpoint call the endpoint (presigned S3 addresses, Parameter Store).
	Roundtrip http.RoundTripper
	// Emit sends an event as EventBridge would. It may be nil.
	Emit func(Event)
	// Epoch counts the starts on one state file, so that what Rand gives after a restart differs from what it gave before.
	Epoch int64

	randomness counters
}

// Scale is d at the endpoint's speed.
func (e *Env) Scale(d time.Duration) time.Duration {
	if e.Speed <= 1 {
		return d
	}
	return time.Duration(float64(d) / e.Speed)
}

// Controls is what a service may offer on the endpoint's control path: POST /_localaws/NAME hands the body to the
// function of that name and answers with what it returns, as JSON. An *Error becomes its status, any other error a 400.
type Controls interface {
	Controls() map[string]func(json.RawMessage) (any, error)
}

// Summarizer is what a service may offer for GET /_localaws/state: what it holds, in a few numbers or lists.
type Summarizer interface{ Summary() any }

// Inspector is what a service may offer for GET /_localaws/inspect: everything that it holds, as it truly is.
type Inspector interface{ Inspection() any }

// ActionNamer is a service whose calls are named by method and path. The endpoint asks it before the call for Action.
type ActionNamer interface {
	ActionOf(r *Request) string
}

// Event is an EventBridge event's envelope, without the parts that the bus adds.
type Event struct {
	Account, Region string
	Source          string // aws.ec2
	DetailType      string // EC2 Instance State-change Notification
	Resources       []string
	Detail          map[string]any
}

// Error is an answer that AWS would give for a bad or impossible request.
type Error struct {
	// Code is AWS's error code, such as InvalidAMIID.NotFound.
	Code    string
	Message string
	// Status is the HTTP status; 0 is 400.
	Status int
	// Fields are further members of a JSON error (DynamoDB's Item and CancellationReasons).
	Fields map[string]any
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes an Error with status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}
