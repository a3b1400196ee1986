package ssm

import (
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type invocationInput struct{ CommandId, InstanceId, PluginName string }

func (s *Service) getCommandInvocation(r *api.Request, in *invocationInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.commands.Get(key(r.Account, r.Region, in.CommandId))
	if !ok || time.Since(c.Requested) < s.env.Scale(visibleAfter) || c.Invocations[in.InstanceId] == nil {
		return nil, api.Errorf("InvocationDoesNotExist", "")
	}
	if in.PluginName != "" && in.PluginName != pluginName(c) {
		return nil, api.Errorf("InvalidPluginName", "plugin %s is not in document %s", in.PluginName, c.Document)
	}
	i := c.Invocations[in.InstanceId]
	out := map[string]any{
		"CommandId": c.ID, "InstanceId": in.InstanceId, "Comment": c.Comment, "DocumentName": c.Document, "DocumentVersion": "$DEFAULT",
		"PluginName": pluginName(c), "ResponseCode": i.Code, "Status": i.Status, "StatusDetails": i.Details,
		"StandardOutputContent": i.Stdout, "StandardErrorContent": i.Stderr, "StandardOutputUrl": s.outputURL(c, in.InstanceId, "stdout"),
		"StandardErrorUrl": s.outputURL(c, in.InstanceId, "stderr"), "CloudWatchOutputConfig": map[string]any{"CloudWatchOutputEnabled": false},
		"ExecutionStartDateTime": timestamp(i.Started), "ExecutionEndDateTime": timestamp(i.Ended), "ExecutionElapsedTime": "",
	}
	if i.final() && !i.Started.IsZero() {
		out["ExecutionElapsedTime"] = "PT" + strings.TrimSuffix(i.Ended.Sub(i.Started).Round(time.Millisecond).String(), "s") + "S"
	}
	return out, nil
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func (s *Service) outputURL(c *command, id, name string) string {
	if c.Bucket == "" {
		return ""
	}
	return "https://s3." + c.Region + ".amazonaws.com/" + c.Bucket + "/" + c.outputKey(id) + "/" + name
}

type commandFilter struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type listInput struct {
	CommandId, InstanceId string
	MaxResults            int
	NextToken             string
	Details               bool
	Filters               []commandFilter
}

// selected are the account's commands that the input asks for, the newest first; the lock is held.
func (s *Service) selected(r *api.Request, in *listInput) ([]*command, error) {
	var found []*command
	for _, c := range s.commands.All() {
		if c.Account != r.Account || c.Region != r.Region || in.CommandId != "" && c.ID != in.CommandId || in.InstanceId != "" && c.Invocations[in.InstanceId] == nil {
			continue
		}
		matches := true
		for _, f := range in.Filters {
			status, _ := c.status()
			switch f.Key {
			case "Status":
				matches = matches && status == f.Value
			case "DocumentName":
				matches = matches && c.Document == f.Value
			case "InvokedAfter", "InvokedBefore":
				at, err := time.Parse(time.RFC3339, f.Value)
				if err != nil {
					return nil, api.Errorf("InvalidFilterValue", "%s is %q: expected a time such as 2026-11-02T15:04:05Z", f.Key, f.Value)
				}
				matches = matches && c.Requested.After(at) == (f.Key == "InvokedAfter")
			default:
				return nil, api.Errorf("InvalidFilterKey", "%s is no filter of this call", f.Key)
			}
		}
		if matches {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b *command) int { return b.Requested.Compare(a.Requested) })
	if in.CommandId != "" && len(found) == 0 && in.InstanceId == "" && len(in.Filters) == 0 {
		return nil, api.Errorf("InvalidCommandId", "The specified command ID %s is not valid.", in.CommandId)
	}
	return found, nil
}

func (s *Service) listCommands(r *api.Request, in *listInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.selected(r, in)
	if err != nil {
		return nil, err
	}
	shown, next, err := page(found, in.MaxResults, in.NextToken, 50)
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, len(shown))
	for _, c := range shown {
		list = append(list, c.show())
	}
	return map[string]any{"Commands": list, "NextToken": next}, nil
}

func (s *Service) listCommandInvocations(r *api.Request, in *listInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.selected(r, in)
	if err != nil {
		return nil, err
	}
	all := []any{}
	for _, c := range found {
		for _, id := range s.sortedInstances(c) {
			if in.InstanceId == "" || id == in.InstanceId {
				all = append(all, s.showInvocation(c, id, in.Details))
			}
		}
	}
	shown, next, err := page(all, in.MaxResults, in.NextToken, 50)
	if err != nil {
		return nil, err
	}
	return map[string]any{"CommandInvocations": shown, "NextToken": next}, nil
}

const pluginOutput = 2500

func (s *Service) showInvocation(c *command, id string, details bool) map[string]any {
	i := c.Invocations[id]
	shown := map[string]any{
		"CommandId": c.ID, "InstanceId": id, "InstanceName": "", "Comment": c.Comment, "DocumentName": c.Document, "DocumentVersion": "$DEFAULT",
		"RequestedDateTime": epoch(c.Requested), "Status": i.Status, "StatusDetails": i.Details, "StandardOutputUrl": s.outputURL(c, id, "stdout"),
		"StandardErrorUrl": s.outputURL(c, id, "stderr"), "CommandPlugins": []any{},
	}
	if details {
		plugin := map[string]any{
			"Name": pluginName(c), "Status": i.Status, "StatusDetails": i.Details, "ResponseCode": i.Code, "Output": cutText(i.Stdout+i.Stderr, pluginOutput, ""),
			"StandardOutputUrl": shown["StandardOutputUrl"], "StandardErrorUrl": shown["StandardErrorUrl"], "OutputS3BucketName": c.Bucket,
			"OutputS3KeyPrefix": c.Prefix, "OutputS3Region": c.Region,
		}
		if !i.Started.IsZero() {
			plugin["ResponseStartDateTime"] = epoch(i.Started)
		}
		if !i.Ended.IsZero() {
			plugin["ResponseFinishDateTime"] = epoch(i.Ended)
		}
		shown["CommandPlugins"] = []any{plugin}
	}
	return shown
}

type cancelInput struct {
	CommandId   string
	InstanceIds []string
}

func (s *Service) cancelCommand(r *api.Request, in *cancelInput) (any, error) {
	s.mu.Lock()
	c, ok := s.commands.Get(key(r.Account, r.Region, in.CommandId))
	if !ok {
		s.mu.Unlock()
		return nil, api.Errorf("InvalidCommandId", "The specified command ID %s is not valid.", in.CommandId)
	}
	for _, id := range in.InstanceIds {
		if c.Invocations[id] == nil {
			s.mu.Unlock()
			return nil, api.Errorf("InvalidInstanceId", "command %s does not run on %s", in.CommandId, id)
		}
	}
	var running []string
	for _, id := range s.sortedInstances(c) {
		i := c.Invocations[id]
		if i.final() || len(in.InstanceIds) > 0 && !slices.Contains(in.InstanceIds, id) {
			continue
		}
		if !i.Begun {
			i.Status, i.Details, i.Ended = "Cancelled", "Cancelled", time.Now()
			continue
		}
		i.Status, i.Details = "Cancelling", "Cancelling"
		running = append(running, id)
	}
	c.Cancelled = c.Cancelled || len(in.InstanceIds) == 0
	s.commands.Put(key(r.Account, r.Region, c.ID), c)
	s.mu.Unlock()
	for _, id := range running {
		if m, ok := s.servers.Machine(r.Account, r.Region, id); ok {
			m.Cancel(c.ID)
		}
	}
	return map[string]any{}, nil
}
