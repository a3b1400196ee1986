package localaws

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// RoundTripper carries requests to the endpoint without a socket, whatever their host. A request whose context ends is
// given up at once; the endpoint then carries it out all the same, as AWS would.
func (s *Server) RoundTripper() http.RoundTripper { return transport{s} }

// Client is an HTTP client over RoundTripper.
func (s *Server) Client() *http.Client { return &http.Client{Transport: transport{s}} }

type transport struct{ server *Server }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	s, ctx := t.server, req.Context()
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		if err := errors.Join(err, req.Body.Close()); err != nil {
			return nil, err
		}
	}
	if int64(len(body)) > s.config.BodyLimit {
		return nil, fmt.Errorf("the body is larger than %d bytes", s.config.BodyLimit)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.begin() {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	type result struct {
		answer *answer
		err    error
	}
	done := make(chan result, 1)
	go func() {
		defer s.running.Done()
		a, err := s.handle(inbound(req), body)
		done <- result{a, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.err != nil {
			return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
		}
		return r.answer.response(req), nil
	}
}

// inbound is the request as a server would see it.
func inbound(req *http.Request) *http.Request {
	in := req.WithContext(req.Context())
	in.Header = req.Header.Clone()
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	u := *req.URL
	u.Scheme, u.Host = "", ""
	in.URL, in.Body = &u, http.NoBody
	in.RequestURI = u.RequestURI()
	return in
}

// response says when it was given, as a server does over a socket.
func (a *answer) response(req *http.Request) *http.Response {
	a.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	return &http.Response{
		Status:        strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		Body:          io.NopCloser(&a.body),
		ContentLength: int64(a.body.Len()),
		Request:       req,
	}
}

// inside is the network of the servers in the endpoint: only the endpoint itself answers, under its own address and
// under AWS's host names.
type inside struct{ server *Server }

func (n inside) RoundTrip(req *http.Request) (*http.Response, error) {
	own, err := url.Parse(n.server.config.URL)
	if err != nil {
		return nil, err
	}
	host := req.URL.Hostname()
	if req.URL.Host != own.Host && !strings.HasSuffix(host, ".amazonaws.com") {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("no route to %s: servers of the embedded endpoint reach the endpoint only", host)}
	}
	return n.server.RoundTripper().RoundTrip(req)
}
