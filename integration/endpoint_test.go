// Package integration runs the whole system against an endpoint that speaks AWS over a socket. STAMPMILL_ENDPOINT says
// which: embedded (the default, ours), localstack or independent (others wrote them; scripts/endpoints/run.sh starts them
// and says by AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SERVICE where each service is; where Docker runs, LocalStack is a
// container of the suite's own), or environment (whatever AWS_ENDPOINT_URL names).
package integration

import (
	"errors"
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

// The endpoints that the suite knows the faults of.
const (
	embedded    = "embedded"
	localstack  = "localstack"
	independent = "independent"
)

// region is where the suite works.
const region = "eu-west-1"

// endpoint is the address of what the suite started itself; empty where the environment says where the services are.
var endpoint string

func TestMain(m *testing.M) {
	stop, err := open()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		os.Exit(1)
	}
	runTogether()
	code := m.Run()
	stop()
	if err := removeBinaries(); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
	}
	if err := skips.judge(); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// endpointName is embedded, localstack, independent or environment.
func endpointName() string {
	if name := os.Getenv("STAMPMILL_ENDPOINT"); name != "" {
		return name
	}
	return embedded
}

func open() (stop func(), err error) {
	given := os.Getenv("AWS_ENDPOINT_URL") != ""
	switch name := endpointName(); {
	case name == embedded:
		return openEmbedded()
	case name == localstack && !given:
		return openLocalStack()
	case (name == localstack || name == independent) && given, name == "environment":
		return func() {}, nil
	case name == independent:
		return nil, errors.New("AWS_ENDPOINT_URL is not set; run `make integration ENDPOINT=independent`")
	default:
		return nil, fmt.Errorf("STAMPMILL_ENDPOINT is %q; expected embedded, localstack, independent or environment", name)
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

// environment gives the AWS_ variables with which a real binary reaches the endpoint, to be put behind the test's own
// environment: what is set there otherwise is emptied.
func environment() []string {
	own := map[string]string{"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true"}
	if endpoint != "" {
		own["AWS_ENDPOINT_URL"] = endpoint
	}
	for _, setting := range os.Environ() {
		name, value, _ := strings.Cut(setting, "=")
		if _, known := own[name]; known || !strings.HasPrefix(name, "AWS_") {
			continue
		}
		if endpoint != "" || !strings.HasPrefix(name, "AWS_ENDPOINT_URL") {
			value = ""
		}
		own[name] = value
	}
	var list []string
	for name, value := range own {
		list = append(list, name+"="+value)
	}
	return list
}

// options reach the endpoint for the installation of that prefix.
func options(t *testing.T, prefix string) app.Options {
	t.Helper()
	sdk, err := clients.New(clients.Config{Region: region, Endpoint: endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if err != nil {
		t.Fatal(err)
	}
	return app.Options{Common: config.Common{Prefix: prefix, Installation: prefix}, Clients: sdk, Visibility: 9 * time.Second, Pace: 60}
}
