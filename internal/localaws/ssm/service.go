// Package ssm is the embedded endpoint's Systems Manager: Run Command on the servers of its EC2, and Parameter Store.
//
// A command is a record with one invocation a server. The server's machine runs the script and tells how it ended; what
// the endpoint knew of a command that ran when it was killed is lost with the server's processes, so that command comes
// back as failed. Nothing here throttles.
package ssm

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// Servers is what SSM asks EC2.
type Servers interface {
	Instances(account, region string) []ec2.Instance
	Instance(account, region, id string) (ec2.Instance, bool)
	Machine(account, region, id string) (machine.Machine, bool)
	ImageExists(account, region, id string) bool
	PublicParameters(region string) map[string]ec2.PublicParameter
}

// Service is SSM.
type Service struct {
	env     *api.Env
	servers Servers

	mu         sync.Mutex
	commands   *state.Table[*command]
	parameters *state.Table[*parameter]
	timers     map[*time.Timer]struct{}
	closed     bool
	running    sync.WaitGroup
}

var protocol = api.JSONProtocol{Version: "1.1"}

// New reads the parameters and commands. Commands that had not ended are failed.
func New(env *api.Env, servers Servers) (*Service, error) {
	s := &Service{env: env, servers: servers, timers: map[*time.Timer]struct{}{}}
	var err error
	if s.commands, err = state.NewTable[*command](env.Store, "ssm.commands"); err != nil {
		return nil, fmt.Errorf("ssm: %w", err)
	}
	if s.parameters, err = state.NewTable[*parameter](env.Store, "ssm.parameters"); err != nil {
		return nil, fmt.Errorf("ssm: %w", err)
	}
	s.failInterrupted()
	return s, nil
}

// Name is the signing name.
func (s *Service) Name() string { return "ssm" }

// Start has nothing to arm: what was under way is over.
func (s *Service) Start() {}

// Close waits for what is under way.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	for timer := range s.timers {
		if timer.Stop() {
			s.running.Done()
		}
	}
	clear(s.timers)
	s.mu.Unlock()
	s.running.Wait()
}

// action answers one call; its input is decoded strictly.
type action func(s *Service, r *api.Request) (any, error)

func call[In any](f func(*Service, *api.Request, *In) (any, error)) action {
	return func(s *Service, r *api.Request) (any, error) {
		var in In
		if err := api.DecodeJSON(r.Body, &in); err != nil {
			return nil, err
		}
		return f(s, r, &in)
	}
}

var actions = map[string]action{
	"SendCommand": call((*Service).sendCommand), "GetCommandInvocation": call((*Service).getCommandInvocation),
	"ListCommandInvocations": call((*Service).listCommandInvocations), "ListCommands": call((*Service).listCommands),
	"CancelCommand": call((*Service).cancelCommand), "DescribeInstanceInformation": call((*Service).describeInstanceInformation),
	"PutParameter": call((*Service).putParameter), "GetParameter": call((*Service).getParameter), "GetParameters": call((*Service).getParameters),
	"GetParametersByPath": call((*Service).getParametersByPath), "DescribeParameters": call((*Service).describeParameters),
	"DeleteParameter": call((*Service).deleteParameter), "DeleteParameters": call((*Service).deleteParameters),
	"GetParameterHistory": call((*Service).getParameterHistory), "AddTagsToResource": call((*Service).addTags),
	"ListTagsForResource": call((*Service).listTags), "RemoveTagsFromResource": call((*Service).removeTags),
}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	do, ok := actions[r.Action]
	if !ok {
		protocol.WriteError(w, r, api.Errorf("UnknownOperationException", "SSM of this endpoint has no action %q", r.Action))
		return
	}
	out, err := do(s, r)
	if err != nil {
		protocol.WriteError(w, r, err)
		return
	}
	protocol.Write(w, r, out)
}

// after runs f once the time has passed, unless the service is closed before. The lock is held when it is called.
func (s *Service) after(d time.Duration, f func()) {
	if s.closed {
		return
	}
	s.running.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		defer s.running.Done()
		s.mu.Lock()
		delete(s.timers, timer)
		s.mu.Unlock()
		f()
	})
	s.timers[timer] = struct{}{}
}

func key(account, region, id string) string { return account + "/" + region + "/" + id }

// epoch is a time as the protocol writes it.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// page cuts a list at the page size; the token is the number of what was shown.
func page[T any](all []T, size int, token string, limit int) ([]T, string, error) {
	if size < 0 || size > limit {
		return nil, "", api.Errorf("ValidationException", "MaxResults is %d: expected 1 to %d", size, limit)
	}
	if size == 0 {
		size = limit
	}
	start := 0
	if token != "" {
		if _, err := fmt.Sscanf(token, "from-%d", &start); err != nil || start > len(all) {
			return nil, "", api.Errorf("InvalidNextToken", "The specified token is not valid.")
		}
	}
	end := min(start+size, len(all))
	next := ""
	if end < len(all) {
		next = fmt.Sprintf("from-%d", end)
	}
	return all[start:end], next, nil
}
