package localaws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// errConnection is what a caller sees as a broken connection: nobody knows whether the call was carried out.
var errConnection = errors.New("localaws: the connection was closed")

// ServeHTTP answers a request that came over a socket.
func (s *Server) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.running.Done()
	body, err := io.ReadAll(http.MaxBytesReader(w, hr.Body, s.config.BodyLimit))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			http.Error(w, fmt.Sprintf("the body is larger than %d bytes", s.config.BodyLimit), http.StatusRequestEntityTooLarge)
			return
		}
		panic(http.ErrAbortHandler)
	}
	a, err := s.handle(hr, body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	// A caller that has gone away misses its answer; what it asked for is done and in the log.
	_, _ = w.Write(a.body.Bytes())
}

// handle carries one request through routing, faults, the service and the log. Its error is errConnection.
func (s *Server) handle(hr *http.Request, body []byte) (*answer, error) {
	a := &answer{header: http.Header{}, status: http.StatusOK}
	if rest, ok := strings.CutPrefix(hr.URL.Path, controlPath); ok {
		s.control(a, hr, rest, body)
		return a, nil
	}
	r, err := s.route(hr, body)
	if err != nil {
		writeError(a, r, err)
		return a, nil
	}
	fault := s.faultFor(r)
	if fault.Refuse {
		return nil, errConnection
	}
	if fault.Late > 0 {
		s.actLate(r, fault)
		return nil, errConnection
	}
	if !s.sleep(s.closing, fault.Delay) {
		return nil, errConnection
	}
	if fault.Code != "" {
		s.calls.count(r)
		writeError(a, r, &api.Error{Code: fault.Code, Message: fault.message(), Status: fault.Status})
		s.calls.answered(r, a.code)
		return a, nil
	}
	if err := s.act(a, r); err != nil {
		return nil, err
	}
	if fault.Drop {
		return nil, errConnection
	}
	if !s.sleep(hr.Context(), fault.DelayAnswer) {
		return nil, errConnection
	}
	return a, nil
}

// act runs the service and puts what it changed into the log.
func (s *Server) act(a *answer, r *api.Request) error {
	ctx, cancel := context.WithCancel(r.HTTP.Context())
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	r.HTTP = r.HTTP.WithContext(ctx)
	s.calls.count(r)
	s.serve(a, r)
	s.calls.answered(r, a.code)
	if err := s.recorder.Keep(r.Service, r, a.status, a.header, a.body.Bytes()); err != nil {
		s.log.Error("an answer cannot be recorded for the check of its shape", "error", err)
	}
	if a.empty {
		s.calls.empty(r)
	}
	if err := s.store.Flush(); err != nil {
		s.log.Error("the state cannot be written; no call is answered any more", "error", err)
		return errConnection
	}
	return nil
}

// serve keeps a panic of a service from ending the process: it is that call's InternalFailure.
func (s *Server) serve(a *answer, r *api.Request) {
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("a service panicked", "service", r.Service, "action", r.Action, "cause", cause, "stack", string(debug.Stack()))
			*a = answer{header: http.Header{}, status: http.StatusOK}
			writeError(a, r, fmt.Errorf("%s %s panicked: %v", r.Service, r.Action, cause))
		}
	}()
	s.services[r.Service].ServeAWS(a, r)
}

// actLate carries the call out after its caller gave up.
func (s *Server) actLate(r *api.Request, fault Fault) {
	if !s.begin() {
		return
	}
	r.HTTP = r.HTTP.WithContext(context.WithoutCancel(r.HTTP.Context()))
	go func() {
		defer s.running.Done()
		if s.sleep(s.closing, fault.Late) {
			// Nobody waits for the answer, nor for the error.
			_ = s.act(&answer{header: http.Header{}, status: http.StatusOK}, r)
		}
	}()
}

// sleep waits for d; it is false if the context or the endpoint ended first.
func (s *Server) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.closing.Done():
		return false
	}
}

// answer holds a response back until the state is in the log.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	code   string
	empty  bool
}

func (a *answer) Header() http.Header            { return a.header }
func (a *answer) WriteHeader(status int)         { a.status = status }
func (a *answer) Write(data []byte) (int, error) { return a.body.Write(data) }

// NoteError keeps the error's code for the counters.
func (a *answer) NoteError(code string) { a.code = code }

// NoteEmpty keeps for the counters that a receive brought nothing.
func (a *answer) NoteEmpty() { a.empty = true }

// writeError words an error in the format that the caller reads.
func writeError(w http.ResponseWriter, r *api.Request, err error) {
	switch {
	case r.Service == "s3":
		api.WriteS3Error(w, r, err)
	case r.Service == "ec2":
		api.WriteEC2Error(w, r, err)
	case api.IsCBOR(r.HTTP):
		api.CBORProtocol{}.WriteError(w, r, err)
	case r.Form != nil:
		api.QueryProtocol{}.WriteError(w, r, err)
	default:
		api.JSONProtocol{Version: "1.1"}.WriteError(w, r, err)
	}
}
