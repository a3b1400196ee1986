package rig_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/rig"
	"github.com/stampmill/stampmill/internal/webhook"
)

const secret = "a secret that both sides know"

// receiver takes callbacks, and refuses the first ones.
type receiver struct {
	refuse int

	mu       sync.Mutex
	received []receipt
}

type receipt struct {
	id, signature, body string
	status              int
}

// RoundTrip implements http.RoundTripper.
func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	got := receipt{id: request.Header.Get(webhook.DeliveryHeader), signature: request.Header.Get(webhook.SignatureHeader), body: string(body), status: http.StatusOK}
	if len(r.received) < r.refuse {
		got.status = http.StatusServiceUnavailable
	}
	r.received = append(r.received, got)
	return &http.Response{StatusCode: got.status, Status: http.StatusText(got.status), Body: http.NoBody, Header: http.Header{}, Request: request}, nil
}

// judge wants signed deliveries, all of one id and one body, the last of them taken.
func (r *receiver) judge(state jobs.State) error {
	if len(r.received) <= r.refuse {
		return fmt.Errorf("%d deliveries came, of which the first %d were refused", len(r.received), r.refuse)
	}
	first := r.received[0]
	for _, got := range r.received {
		if got.id == "" || got.id != first.id || got.body != first.body {
			return fmt.Errorf("a delivery %q %s differs from the first, %q %s", got.id, got.body, first.id, first.body)
		}
		stamp, signature, _ := strings.Cut(got.signature, ",v1=")
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%s.%s", strings.TrimPrefix(stamp, "t="), got.body)
		if signature != hex.EncodeToString(mac.Sum(nil)) {
			return fmt.Errorf("the signature %q does not fit", got.signature)
		}
	}
	var message notify.Message
	if err := json.Unmarshal([]byte(first.body), &message); err != nil {
		return err
	}
	if message.State != state || message.ID != first.id {
		return fmt.Errorf("the callback says %s under %s, want %s", message.State, message.ID, state)
	}
	return nil
}

// notifyingBake gives each run of the story a receiver of its own that refuses the first deliveries.
func notifyingBake(story rig.Story, state jobs.State, refuse int) rig.Story {
	var r *receiver
	inner, prepare := story.Check, story.Prepare
	story.Spec += "  notify: {url: 'https://ci.example.com/hook'}\n"
	story.Prepare = func(in *rig.Rig) error {
		r = &receiver{refuse: refuse}
		sender, err := webhook.New(webhook.Config{Secret: secret, Transport: r})
		in.Callback = sender
		if err == nil && prepare != nil {
			err = prepare(in)
		}
		return err
	}
	story.Check = func(in *rig.Rig, ended map[string]*jobs.Job) error {
		if err := inner(in, ended); err != nil {
			return err
		}
		return r.judge(state)
	}
	return story
}

func TestTheCallbackArrivesSignedAndUnderOneIDThoughItsReceiverFailedTwice(t *testing.T) {
	t.Parallel()
	everyCall(t, notifyingBake(plainBake(), jobs.Succeeded, 2), 3, deaths...)
	everyCallTo(t, notifyingBake(plainBake(), jobs.Succeeded, 3), deaths[1], 8, "dynamodb:UpdateItem")
}

func TestAFailureIsToldUnderOneIDToo(t *testing.T) {
	t.Parallel()
	everyCall(t, notifyingBake(failingBake(), jobs.Failed, 2), 2, deaths...)
}
