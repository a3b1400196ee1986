package integration

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// call is what an intermediary looks for: the first call of that action whose body contains all of the words.
type call struct {
	service string // as in AWS_ENDPOINT_URL_SERVICE
	action  string
	words   []string
	// before: the service never sees the call. Else it has done what it was asked, and only its answer is held.
	before bool
}

// intermediary stands between one worker and a service, and holds one call until it is let go or its caller is dead.
type intermediary struct {
	call
	server *httptest.Server
	held   chan struct{} // closed when the call is held
	letGo  chan struct{}
	mu     sync.Mutex
	taken  bool
	seen   map[string]int // calls by action
}

// between puts an intermediary in front of the endpoint's service. It ends with the test, after the test's workers.
func between(t *testing.T, c call) *intermediary {
	t.Helper()
	at, err := addressOf(c.service)
	if c.service == "EC2" && len(mended(t)) > 0 {
		at, err = withoutSnapshotTags()
	}
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	i := &intermediary{call: c, held: make(chan struct{}), letGo: make(chan struct{}), seen: map[string]int{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		// A killed worker breaks its calls off.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := takeBody(r)
		if err != nil {
			return
		}
		hit := i.take(r, body)
		putBody(r, body)
		if hit && i.before {
			i.hold(r)
		}
		recorder := httptest.NewRecorder()
		proxy.ServeHTTP(recorder, r)
		if hit && !i.before {
			i.hold(r)
		}
		maps.Copy(w.Header(), recorder.Header())
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes()) // a worker that is dead by now reads no answer
	}))
	t.Cleanup(func() {
		i.server.CloseClientConnections()
		i.server.Close()
	})
	return i
}

// setting sends a worker's calls here.
func (i *intermediary) setting() string { return "AWS_ENDPOINT_URL_" + i.service + "=" + i.server.URL }

// take counts the call, and tells whether it is the one to hold.
func (i *intermediary) take(r *http.Request, body []byte) bool {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if action == "" {
		if form, err := url.ParseQuery(string(body)); err == nil {
			action = form.Get("Action")
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen[action]++
	if action != i.action {
		return false
	}
	for _, word := range i.words {
		if !bytes.Contains(body, []byte(word)) {
			return false
		}
	}
	first := !i.taken
	i.taken = true
	return first
}

// hold holds the call until it is let go or its caller has broken it off.
func (i *intermediary) hold(r *http.Request) {
	close(i.held)
	select {
	case <-i.letGo:
	case <-r.Context().Done():
	}
}

// count is how often an action was called.
func (i *intermediary) count(action string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.seen[action]
}

func takeBody(r *http.Request) ([]byte, error) { return io.ReadAll(r.Body) }

func putBody(r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}
