package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// mended are the settings by which workers reach an EC2 that would refuse what every bake asks for: moto's CreateImage, and
// with it LocalStack's, answers 500 to tags for snapshots. They are left out on the way; that an endpoint without them
// proves nothing about snapshots is unserved's to say.
func mended(t *testing.T) []string {
	t.Helper()
	if endpointName() == embedded {
		return nil
	}
	address, err := withoutSnapshotTags()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"AWS_ENDPOINT_URL_EC2=" + address}
}

// withoutSnapshotTags is the address of an EC2 that ignores the snapshots' tags of CreateImage. It serves to the suite's end.
var withoutSnapshotTags = sync.OnceValues(func() (string, error) {
	at, err := addressOf("EC2")
	if err != nil {
		return "", err
	}
	target, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := takeBody(r)
		if err != nil {
			return
		}
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") == "CreateImage" {
			body = []byte(dropSnapshotTags(form).Encode())
		}
		putBody(r, body)
		proxy.ServeHTTP(w, r)
	})).URL, nil
})

func dropSnapshotTags(form url.Values) url.Values {
	for i := 1; ; i++ {
		one := fmt.Sprintf("TagSpecification.%d.", i)
		switch form.Get(one + "ResourceType") {
		case "":
			return form
		case "snapshot": // the last of them, as the SDK sends them
			for name := range form {
				if strings.HasPrefix(name, one) {
					form.Del(name)
				}
			}
		}
	}
}

// addressOf is where the endpoint has a service, as environment says.
func addressOf(service string) (string, error) {
	settings := map[string]string{}
	for _, setting := range environment() {
		name, value, _ := strings.Cut(setting, "=")
		settings[name] = value
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_" + service, "AWS_ENDPOINT_URL"} {
		if settings[name] != "" {
			return settings[name], nil
		}
	}
	return "", fmt.Errorf("neither AWS_ENDPOINT_URL_%s nor AWS_ENDPOINT_URL is set", service)
}
