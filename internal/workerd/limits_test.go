package workerd

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stampmill/stampmill/internal/config"
)

func TestAWorkerWithABudgetThatCannotBeDoesNotStart(t *testing.T) {
	var calls atomic.Int64
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer endpoint.Close()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": endpoint.URL, "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"} {
		t.Setenv(name, value)
	}
	for limit, want := range map[string]string{
		"RunInstances=0/2":  "a budget of zero or less would never grant a call",
		"RunInstances=5/-2": "a budget of zero or less would never grant a call",
		"RunInstance=5/2":   `there is no action "RunInstance"`,
	} {
		err := Run(t.Context(), config.Worker{Limits: []string{limit}}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), limit) {
			t.Errorf("%s: %v; want %q", limit, err, want)
		}
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("%d calls were made", n)
	}
}
