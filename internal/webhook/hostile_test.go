package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/notify"
)

func TestAnInnerAddressIsRefusedHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"169.254.169.254", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]",
		"[fd00:ec2::254]", "[fe80::1%25lo]", "[::1]", "[::]", "0.0.0.0", "127.0.0.1", "127.1.2.3", "10.0.0.1", "192.168.0.1", "172.31.255.255",
		"100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.0.170", "[ff02::1]", "[fec0::1]",
		"localhost", "LOCALHOST",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			err := sender(t).Post(t.Context(), "http://"+host+":9/", "id", nil)
			if !jobs.IsClass(err, jobs.Fatal) || !strings.Contains(err.Error(), "loopback, link-local or private") {
				t.Errorf("%v, want a refusal", err)
			}
		})
	}
}

// No resolver takes these for addresses everywhere: they never pass, as an address or as a name.
func TestANumberThatSomeReadAsAnAddressDoesNotPass(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "169.254.43518", "127.1", "0", "0x7f000001", "017700000001"} {
		if err := notify.CheckURL("http://" + host + "/latest/meta-data/"); err == nil {
			t.Errorf("%s passes", host)
		}
		if err := sender(t).Post(t.Context(), "http://"+host+":9/", "id", nil); !jobs.IsClass(err, jobs.Fatal) {
			t.Errorf("%s gives %v", host, err)
		}
	}
}

func TestAnAddressThatIsNoneIsToldHarmlessly(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "http://", "//x", "http:x", "javascript:alert(1)", "file:///etc/passwd", "gopher://x/", "http://a b/", "http://a\x00b/", "http://a\r\nHost: b/",
		"http://user@x/", "http://x:0x50/", "http://x:99999/", "http://x:0/", "http://[::1/", "http://\u202ex/", "http://x/\x1b[2J", "https://" + strings.Repeat("a", 5000) + "/",
		"http://" + strings.Repeat("a.", 200) + "b/",
	} {
		err := notify.CheckURL(address)
		if err == nil {
			t.Errorf("%.60q passes", address)
			continue
		}
		if strings.ContainsAny(err.Error(), "\x00\x1b\r\n\u202e") || len(err.Error()) > 600 {
			t.Errorf("%.60q is told as %.200q", address, err)
		}
	}
}

func TestARedirectInsideIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"http://169.254.169.254/latest/meta-data/", "http://[::1]:1/", "http://2852039166/", "file:///etc/passwd", "//169.254.169.254/", "gopher://127.0.0.1/", "\x00"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))
		err := sender(t, "127.0.0.1").Post(t.Context(), server.URL, "id", nil)
		server.Close()
		if err == nil {
			t.Errorf("the redirect to %q counts as a delivery", target)
		}
	}
}

func TestAnAnswerWithoutEndIsReadInPart(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat("\x1b[2J\u202e", 100))); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	err := sender(t, "127.0.0.1").Post(t.Context(), server.URL, "id", nil)
	if !jobs.IsClass(err, jobs.Retry) || len(err.Error()) > 2000 {
		t.Errorf("%.100q", err)
	}
}
