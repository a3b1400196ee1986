package ssm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/machine"
)

// next marks the invocations that may begin now, within MaxConcurrency and MaxErrors; the lock is held.
func (s *Service) next(c *command) []string {
	active, failed := 0, 0
	for _, i := range c.Invocations {
		if i.Begun && !i.final() {
			active++
		}
		if i.Status == "Failed" || i.Status == "TimedOut" {
			failed++
		}
	}
	if failed > limit(c.Errors, len(c.Invocations)) && !strings.HasSuffix(c.Errors, "%") || failed > 0 && c.Errors == "0" {
		c.ErrorsExceeded = true
	}
	var begin []string
	room := limit(c.Concurrency, len(c.Invocations)) - active
	for _, id := range s.sortedInstances(c) {
		i := c.Invocations[id]
		switch {
		case i.Begun || i.final():
		case c.ErrorsExceeded:
			i.Status, i.Details, i.Ended = "Cancelled", "Terminated", time.Now()
		case room > 0 && !c.Cancelled:
			room--
			i.Begun, i.Started = true, time.Now()
			if m, ok := s.servers.Machine(c.Account, c.Region, id); ok && m.Agent().Online {
				i.Status, i.Details = "InProgress", "InProgress"
			}
			begin = append(begin, id)
		}
	}
	s.commands.Put(key(c.Account, c.Region, c.ID), c)
	return begin
}

// begin hands invocations to their machines, without the lock: a machine may answer at once.
func (s *Service) begin(c *command, ids []string) {
	for _, id := range ids {
		s.emit(c, id, "InProgress")
		m, ok := s.servers.Machine(c.Account, c.Region, id)
		if !ok {
			s.ended(c, id, machine.Result{ExitCode: -1, Interrupted: true})
			continue
		}
		seconds, err := strconv.Atoi(first(c.Parameters["executionTimeout"]))
		if err != nil {
			seconds = 3600
		}
		shell := "sh"
		if c.Document == "AWS-RunPowerShellScript" {
			shell = "powershell"
		}
		m.Run(machine.Command{ID: c.ID, Shell: shell, Script: strings.Join(c.Parameters["commands"], "\n"), WorkDir: first(c.Parameters["workingDirectory"]),
			Timeout: time.Duration(seconds) * time.Second, Region: c.Region}, func(r machine.Result) { s.ended(c, id, r) })
	}
}

// ended records how an invocation ended, and begins those that waited for its place.
func (s *Service) ended(c *command, id string, r machine.Result) {
	r.Stderr += s.upload(c, id, r)
	s.mu.Lock()
	i := c.Invocations[id]
	i.Status, i.Details, i.Code = outcome(r, i)
	i.Ended = time.Now()
	i.Stdout = cutText(r.Stdout, outputKept, "\n--output truncated--")
	i.Stderr = cutText(r.Stderr, errorKept, "\n--error truncated--")
	status := i.Status
	begin := s.next(c)
	s.mu.Unlock()
	s.flush()
	s.emit(c, id, status)
	s.begin(c, begin)
}

func outcome(r machine.Result, i *invocation) (status, details string, code int) {
	switch {
	case i.DeliveryTimedOut:
		return "TimedOut", "DeliveryTimedOut", -1
	case r.Cancelled:
		return "Cancelled", "Cancelled", -1
	case r.TimedOut:
		return "TimedOut", "ExecutionTimedOut", -1
	case r.Interrupted:
		return "Failed", "Failed", -1
	case r.ExitCode != 0:
		return "Failed", "Failed", r.ExitCode
	}
	return "Success", "Success", 0
}

// expire ends what was not delivered in time.
func (s *Service) expire(c *command) {
	s.mu.Lock()
	var late []string
	for _, id := range s.sortedInstances(c) {
		if i := c.Invocations[id]; i.Status == "Pending" {
			i.DeliveryTimedOut = true
			late = append(late, id)
			if !i.Begun {
				i.Status, i.Details, i.Ended = "TimedOut", "DeliveryTimedOut", time.Now()
			}
		}
	}
	if len(late) > 0 {
		s.commands.Put(key(c.Account, c.Region, c.ID), c)
	}
	s.mu.Unlock()
	for _, id := range late {
		if m, ok := s.servers.Machine(c.Account, c.Region, id); ok {
			m.Cancel(c.ID)
		}
	}
	if len(late) > 0 {
		s.flush()
	}
}

// failInterrupted ends the commands that ran when the endpoint did.
func (s *Service) failInterrupted() {
	for name, c := range s.commands.All() {
		changed := false
		for _, i := range c.Invocations {
			if !i.final() {
				i.Status, i.Details, i.Code, i.Ended, changed = "Failed", "Failed", -1, time.Now(), true
			}
		}
		if changed {
			s.commands.Put(name, c)
		}
	}
}

// upload writes the whole output to the command's bucket, as the agent does before it reports. The agent reports the
// command's end even if an upload fails; what failed is added to the error output.
func (s *Service) upload(c *command, id string, r machine.Result) (problems string) {
	if c.Bucket == "" || s.env.Roundtrip == nil {
		return ""
	}
	for name, content := range map[string]string{"stdout": r.Stdout, "stderr": r.Stderr} {
		if content == "" {
			continue
		}
		if err := s.put(c, c.outputKey(id)+"/"+name, content); err != nil {
			problems += err.Error() + "\n"
		}
	}
	return problems
}

func (c *command) outputKey(id string) string {
	prefix := strings.Trim(c.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	return prefix + c.ID + "/" + id + "/" + outputName(c) + "/0." + outputName(c)
}

func (s *Service) put(c *command, name, content string) error {
	ctx := context.Background()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://s3."+c.Region+".amazonaws.com/"+c.Bucket+"/"+name, strings.NewReader(content))
	if err != nil {
		return fmt.Errorf("upload %s: %w", name, err)
	}
	now := time.Now().UTC()
	request.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	request.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0",
		c.Account, now.Format("20060102"), c.Region))
	response, err := s.env.Roundtrip.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("upload %s: %w", name, err)
	}
	if response.StatusCode >= 300 {
		err = fmt.Errorf("upload %s: the bucket %s answers %s", name, c.Bucket, response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

func (s *Service) emit(c *command, id, status string) {
	if s.env.Emit == nil {
		return
	}
	s.env.Emit(api.Event{Account: c.Account, Region: c.Region, Source: "aws.ssm", DetailType: "EC2 Command Invocation Status-change Notification",
		Resources: []string{fmt.Sprintf("arn:aws:ec2:%s:%s:instance/%s", c.Region, c.Account, id)},
		Detail:    map[string]any{"command-id": c.ID, "document-name": c.Document, "instance-id": id, "requested-date-time": c.Requested.UTC().Format(time.RFC3339), "status": status}})
}

// flush hands what changed outside of a call to the operating system. A failure stays in the store, which tells it with
// the next answer.
func (s *Service) flush() { _ = s.env.Store.Flush() }
