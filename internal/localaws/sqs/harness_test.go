package sqs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// newService is a service with its state at path, or in memory only. It ends with the test.
func newService(t testing.TB, path string, options Options) *Service {
	t.Helper()
	store, err := state.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(&api.Env{Store: store, Speed: 1, Seed: 1, URL: func() string { return "http://sqs.test" }}, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// post makes a call with the JSON protocol.
func post(s *Service, action, body string) (status int, answer string) {
	recorder := httptest.NewRecorder()
	s.ServeAWS(recorder, &api.Request{
		HTTP: httptest.NewRequest(http.MethodPost, "/", http.NoBody), Body: []byte(body), Service: "sqs", Region: "us-east-1", Account: api.DefaultAccount, Action: action, ID: "request",
	})
	return recorder.Code, recorder.Body.String()
}

// call makes a call that has to succeed, and reads its answer into out.
func call(t testing.TB, s *Service, action string, in map[string]any, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	status, answer := post(s, action, string(body))
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", action, body, status, answer)
	}
	if out == nil {
		return
	}
	if err := json.NewDecoder(strings.NewReader(answer)).Decode(out); err != nil {
		t.Fatal(err)
	}
}
