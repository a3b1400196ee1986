package dynamodb

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// handler serves one Service to the SDK, as the endpoint would.
type handler struct{ *Service }

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	h.ServeAWS(w, &api.Request{HTTP: r, Body: body, Service: "dynamodb", Region: "us-east-1", Account: api.DefaultAccount, Action: action, ID: "request"})
}

// RoundTrip answers without a socket.
func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder.Result(), r.Body.Close()
}

// newService is a service whose tables are active at once.
func newService(t testing.TB, path string) *Service {
	t.Helper()
	store, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(&api.Env{Store: store, Speed: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.Delays = Delays{}
	s.Start()
	t.Cleanup(func() {
		s.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newClient is the real SDK in front of the service, without retries.
func newClient(s *Service) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:           "us-east-1",
		Credentials:      credentials.NewStaticCredentialsProvider("key", "secret", ""),
		BaseEndpoint:     aws.String("http://dynamodb.test"),
		HTTPClient:       &http.Client{Transport: handler{s}},
		RetryMaxAttempts: 1,
	})
}

// post sends a raw body, and gives the status and the answer.
func post(s *Service, action, body string) (int, string) {
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	request.Header.Set("X-Amz-Target", "DynamoDB_20120810."+action)
	recorder := httptest.NewRecorder()
	handler{s}.ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}
