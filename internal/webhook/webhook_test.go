package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/notify"
)

type received struct {
	header http.Header
	body   string
}

// receiver answers with the statuses in turn, the last one from then on.
func receiver(t *testing.T, statuses ...int) (*httptest.Server, chan received) {
	t.Helper()
	got := make(chan received, 10)
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- received{r.Header, string(body)}
		at := int(calls.Add(1)) - 1
		w.WriteHeader(statuses[min(at, len(statuses)-1)])
	}))
	t.Cleanup(server.Close)
	return server, got
}

func sender(t *testing.T, allow ...string) *Sender {
	t.Helper()
	s, err := New(Config{Secret: "key", Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestADeliveryIsSignedAndCarriesItsID(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, 204)
	if err := sender(t, "127.0.0.0/8").Post(t.Context(), server.URL, "job-r1-succeeded", []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	r := <-got
	if r.body != `{"a":1}` || r.header.Get(DeliveryHeader) != "job-r1-succeeded" {
		t.Errorf("received %q with id %q", r.body, r.header.Get(DeliveryHeader))
	}
	stamp, _, _ := strings.Cut(strings.TrimPrefix(r.header.Get(SignatureHeader), "t="), ",")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if want := Sign([]byte("key"), time.Unix(seconds, 0), []byte(`{"a":1}`)); r.header.Get(SignatureHeader) != want {
		t.Errorf("signature %q, want %q", r.header.Get(SignatureHeader), want)
	}
}

func TestOneFailureIsRetriedWithinTheCall(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, 503, 200)
	if err := sender(t, "127.0.0.1").Post(t.Context(), server.URL, "id", []byte("x")); err != nil {
		t.Fatal(err)
	}
	first, second := <-got, <-got
	if first.header.Get(DeliveryHeader) != second.header.Get(DeliveryHeader) || first.body != second.body {
		t.Errorf("the repetition differs: %v, %v", first, second)
	}
}

func TestWhatMayChangeIsRetriedAndWhatWillNotIsFatal(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]jobs.Class{500: jobs.Retry, 404: jobs.Retry, 302: jobs.Retry, 410: jobs.Fatal} {
		server, _ := receiver(t, status)
		err := sender(t, "127.0.0.1").Post(t.Context(), server.URL, "id", nil)
		if jobs.ClassOf(err) != class {
			t.Errorf("%d gives %v (%q), want class %q", status, err, jobs.ClassOf(err), class)
		}
	}
}

func TestARedirectToAnotherHostIsNotFollowed(t *testing.T) {
	t.Parallel()
	other, reached := receiver(t, 200)
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(first.Close)
	if err := sender(t, "127.0.0.1").Post(t.Context(), first.URL, "id", []byte("x")); !jobs.IsClass(err, jobs.Retry) {
		t.Errorf("the redirect counts as %v, want a failed delivery", err)
	}
	if len(reached) > 0 {
		t.Error("the other host was asked")
	}
}

func TestPrivateAddressesAreRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, 200)
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, address := range []string{server.URL, "http://localhost" + port, "http://[::ffff:127.0.0.1]" + port} {
		if err := sender(t).Post(t.Context(), address, "id", nil); !jobs.IsClass(err, jobs.Fatal) {
			t.Errorf("%s: %v, want a refusal", address, err)
		}
	}
	if len(got) > 0 {
		t.Error("a refused address was reached")
	}
	if err := sender(t, "localhost").Post(t.Context(), "http://localhost"+port, "id", nil); err != nil {
		t.Errorf("an allowed host: %v", err)
	}
}

func TestOnlyPublicAddressesPass(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "::1": false, "fe80::1": false,
		"fd00:ec2::254": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false, "2002:a00:1::1": false,
	} {
		if got := (allowList{}).address(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s passes: %v, want %v", address, got, want)
		}
	}
}

func TestAnAllowListThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Allow: []string{"10.0.0.0/64"}}); err == nil {
		t.Error("no error")
	}
}

func TestAddressesThatNoOneShouldCallAreTold(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"ftp://x/", "https://", "https://user:pass@example.com/", "::"} {
		if notify.CheckURL(address) == nil {
			t.Errorf("%q passes", address)
		}
	}
}
