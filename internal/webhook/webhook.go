// Package webhook delivers completion callbacks: signed HTTP POSTs to addresses that specs name.
//
// A delivery is at least once. Each carries one id a job run and end, so that a receiver can drop doubles, and a
// signature over time and body, so that it can trust them. One call makes one quick retry; the step that calls waits and
// comes again. A spec is written by whoever may enqueue, so an address must not lead to where only the worker can reach:
// loopback, link-local and private addresses are refused at the moment of dialling, whatever the name resolved to before.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/notify"
)

// The headers of a delivery.
const (
	// SignatureHeader is t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">; it is left out where no secret is configured.
	SignatureHeader = "Stampmill-Signature"
	// DeliveryHeader is the delivery's id: the same for every repetition.
	DeliveryHeader = "Stampmill-Delivery"
)

// Config is what a Sender needs.
type Config struct {
	// Secret signs the deliveries. Without one they go unsigned.
	Secret string
	// Allow names what may be reached though it is loopback, link-local or private: CIDRs, addresses or host names.
	Allow []string
	// Timeout bounds one try; 10 s if zero.
	Timeout time.Duration
	// UserAgent of the requests; "stampmill" if empty.
	UserAgent string
	// Transport replaces the dialling one, and with it the check of addresses. For tests.
	Transport http.RoundTripper
}

// Sender posts deliveries.
type Sender struct {
	client    *retryablehttp.Client
	secret    []byte
	userAgent string
}

// New makes a Sender; an entry of Allow that nobody can read is an error.
func New(config Config) (*Sender, error) {
	allow, err := parseAllow(config.Allow)
	if err != nil {
		return nil, err
	}
	if config.Timeout == 0 {
		config.Timeout = 10 * time.Second
	}
	if config.UserAgent == "" {
		config.UserAgent = "stampmill"
	}
	if config.Transport == nil {
		config.Transport = transport(allow, config.Timeout)
	}
	client := retryablehttp.NewClient()
	client.HTTPClient = &http.Client{Transport: config.Transport, Timeout: config.Timeout, CheckRedirect: sameHost}
	client.Logger = nil
	client.RetryMax = 1
	client.RetryWaitMin, client.RetryWaitMax = 500*time.Millisecond, time.Second
	client.CheckRetry = retryOnce
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return &Sender{client: client, secret: []byte(config.Secret), userAgent: config.UserAgent}, nil
}

// Post delivers the body to the address under the id. An error of class Retry may succeed later; a Fatal one will not.
func (s *Sender) Post(ctx context.Context, address, id string, body []byte) error {
	if err := notify.CheckURL(address); err != nil {
		return jobs.Fatalf("callback", address, err.Error(), "")
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		return jobs.Fatalf("callback", address, err.Error(), "")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.userAgent)
	request.Header.Set(DeliveryHeader, id)
	if len(s.secret) > 0 {
		request.Header.Set(SignatureHeader, Sign(s.secret, time.Now(), body))
	}
	response, err := s.client.Do(request)
	if err != nil {
		return failure(address, err)
	}
	defer func() {
		if err := response.Body.Close(); err != nil {
			slog.DebugContext(ctx, "close a callback's answer", "error", err)
		}
	}()
	return judge(address, response)
}

// Sign is the value of the signature header for a body sent at the time.
func Sign(secret []byte, at time.Time, body []byte) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

const longestAnswer = 512

// judge reads an answer: 2xx is delivered; 410 asks never to come again; anything else may change.
func judge(address string, response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return failure(address, err)
	}
	if response.StatusCode/100 == 2 {
		return nil
	}
	class := jobs.Retry
	if response.StatusCode == http.StatusGone {
		class = jobs.Fatal
	}
	// The status line's own words are the receiver's, as the body is: neither may do anything to a log or a terminal.
	status := strings.TrimSpace(strconv.Itoa(response.StatusCode) + " " + http.StatusText(response.StatusCode))
	return &jobs.Error{Class: class, Op: "callback", Thing: address, Code: status, Message: printable(string(text)), Ambiguous: true}
}

func failure(address string, err error) error {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return &jobs.Error{Class: jobs.Fatal, Op: "callback", Thing: address, Message: refused.Error(),
			Hint: "allow it with STAMPMILL_CALLBACK_ALLOW", Err: err}
	}
	return &jobs.Error{Class: jobs.Retry, Op: "callback", Thing: address, Ambiguous: true, Err: err}
}

// printable makes a text of others' fit for a log and a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "\ufffd"))
}

// retryOnce retries network faults, throttles and server errors, but nothing that was refused.
func retryOnce(ctx context.Context, response *http.Response, err error) (bool, error) {
	if _, refused := errors.AsType[*RefusedError](err); refused {
		return false, err
	}
	return retryablehttp.DefaultRetryPolicy(ctx, response, err)
}

const longestRedirect = 3

// sameHost follows a redirect only where it keeps host and method: another host was not named by the spec.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > longestRedirect:
		return errors.New("too many redirects")
	case next.URL.Host != first.URL.Host || next.URL.Scheme != first.URL.Scheme || next.Method != first.Method:
		return http.ErrUseLastResponse
	}
	return nil
}

// RefusedError is an address that may not be reached.
type RefusedError struct {
	Host, Address string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s is %s, a loopback, link-local or private address", e.Host, e.Address)
}
