// Package integration runs the whole system against an endpoint that speaks AWS over a socket. STAMPMILL_ENDPOINT says
// which: embedded (the default), localstack (in a container, where Docker runs; with -tags localstack), the address of one that runs already, or
// environment (AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICE say where each service is).
package integration

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/localaws"
)

// region is where the suite works.
const region = "eu-west-1"

// endpoint is what the suite runs against; missing says why there is none.
var endpoint, missing string

func TestMain(m *testing.M) {
	stop, err := open()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		os.Exit(1)
	}
	code := m.Run()
	stop()
	os.Exit(code)
}

func open() (stop func(), err error) {
	switch choice := os.Getenv("STAMPMILL_ENDPOINT"); {
	case choice == "" || choice == "embedded":
		return openEmbedded()
	case choice == "localstack":
		return openLocalStack()
	case strings.HasPrefix(choice, "http://"):
		endpoint = choice
		return func() {}, nil
	case choice == "environment":
		return func() {}, nil
	default:
		return nil, fmt.Errorf("STAMPMILL_ENDPOINT is %q; expected embedded, localstack, environment or an http:// address", choice)
	}
}

func openEmbedded() (func(), error) {
	var server *localaws.Server
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { server.ServeHTTP(w, r) }))
	endpoint = listener.URL
	server, err := localaws.New(localaws.Config{URL: endpoint, Speed: 60, Unlimited: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return func() {
		listener.CloseClientConnections()
		if err := server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "integration:", err)
		}
		listener.Close()
	}, nil
}

// need skips the test where the chosen endpoint cannot be had.
func need(t *testing.T) {
	t.Helper()
	if missing != "" {
		t.Skip(missing)
	}
}

// options are an installation's of its own on the endpoint.
func options(t *testing.T, prefix string) app.Options {
	t.Helper()
	sdk, err := clients.New(clients.Config{Region: region, Endpoint: endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if err != nil {
		t.Fatal(err)
	}
	return app.Options{Common: config.Common{Prefix: prefix, Installation: prefix}, Clients: sdk, Visibility: 9 * time.Second, Pace: 60}
}
