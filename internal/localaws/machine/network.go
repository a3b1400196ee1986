package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

var errRefused = errors.New("connection refused")

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// reach makes a request from this server: to the metadata service, to the server itself, or to the endpoint.
func (b *boot) reach(r *http.Request) (answer, error) {
	if !b.networkUp() {
		return answer{}, errRefused
	}
	host := r.URL.Hostname()
	switch host {
	case "169.254.169.254", "instance-data", "fd00:ec2::254":
		if !b.server.config.Metadata {
			return answer{}, errRefused
		}
		return b.serveMetadata(r), nil
	case "localhost", "127.0.0.1", "::1", "0.0.0.0", b.Hostname(), b.server.config.Identity.PrivateIP:
		port, err := strconv.Atoi(portOf(r.URL))
		if err != nil {
			return answer{}, err
		}
		if a, ok := b.serve(port, r); ok {
			return a, nil
		}
		if host != "127.0.0.1" && host != "localhost" {
			return answer{}, errRefused
		}
		// On a laptop the endpoint listens on the loopback address: its own addresses, such as presigned ones, work on
		// the servers too.
	}
	return b.leave(r)
}

// leave carries a request to the endpoint.
func (b *boot) leave(r *http.Request) (answer, error) {
	if b.server.config.Network == nil {
		return answer{}, errRefused
	}
	response, err := b.server.config.Network.RoundTrip(r.WithContext(api.WithServer(r.Context(), b.server.config.Identity.InstanceID)))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errRefused, err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return answer{}, err
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}, nil
}

func wget(ctx context.Context, p *shell.Process) int {
	t := &transfer{p: p, header: http.Header{}, fail: true, follow: true, remoteName: true, silent: true, showErrors: true}
	args := p.Args[1:]
	for i := 0; i < len(args); i++ {
		arg := args[i]
		value, inline := strings.CutPrefix(arg, "--header=")
		switch {
		case inline:
			t.set("header", value)
		case (arg == "-O" || arg == "-qO" || arg == "--header" || arg == "-T" || arg == "-t") && i+1 < len(args):
			i++
			switch arg {
			case "--header":
				t.set("header", args[i])
			case "-O", "-qO":
				t.output, t.remoteName = args[i], false
			}
		case arg == "-qO-" || arg == "-O-":
			t.output, t.remoteName = "-", false
		case strings.HasPrefix(arg, "--method="):
			t.method = strings.TrimPrefix(arg, "--method=")
		case strings.HasPrefix(arg, "-"):
		default:
			t.url = arg
		}
	}
	if t.url == "" {
		p.Errorf("missing URL")
		return 1
	}
	switch code := t.run(ctx); code {
	case 0:
		return 0
	case curlHTTP:
		return 8
	default:
		return 4
	}
}

// netcat tells with -z whether a port of this server answers.
func netcat(_ context.Context, p *shell.Process) int {
	args := words(p.Args[1:])
	if len(args) < 2 {
		return 1
	}
	port, err := strconv.Atoi(args[len(args)-1])
	if err != nil {
		return 1
	}
	b := bootOf(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.listeners[port]; !ok {
		return 1
	}
	return 0
}
