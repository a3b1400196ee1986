package workerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// health answers /live while the process runs and /ready while it receives, with how many deliveries are under way; a
// worker that drains is not ready.
type health struct {
	server  *http.Server
	address string
}

func listen(ctx context.Context, address string, p *Process, log *slog.Logger) (*health, error) {
	if address == "" {
		return &health{}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("health endpoint: %w (another worker on this machine? set STAMPMILL_HEALTH to another address, or to nothing)", err)
	}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, _ *http.Request) {
		if _, err := fmt.Fprintf(w, "ok, %d deliveries under way\n", p.Worker.Busy()); err != nil {
			log.Debug("health answer", "error", err)
		}
	}
	mux.HandleFunc("GET /live", answer)
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		answer(w, r)
	})
	h := &health{address: listener.Addr().String(), server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}
	go func() {
		if err := h.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Warn("the health endpoint ended", "error", err)
		}
	}()
	return h, nil
}

func (h *health) close() {
	if h.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		slog.Debug("health endpoint", "error", err)
	}
}
