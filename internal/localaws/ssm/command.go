package ssm

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/ec2"
)

// Limits of Run Command.
const (
	maxInstances      = 50
	maxComment        = 100
	maxDocument       = 64 << 10
	outputKept        = 24_000
	errorKept         = 8_000
	defaultConcurrent = "50"
	visibleAfter      = 500 * time.Millisecond // until GetCommandInvocation knows a new command
	defaultDelivery   = 3600
)

// command is a Run Command with its invocations by instance id.
type command struct {
	ID, Account, Region       string
	Document, Comment         string
	Parameters                map[string][]string
	InstanceIDs               []string
	Targets                   []target
	Requested, Expires        time.Time
	Bucket, Prefix            string
	Concurrency, Errors       string
	Timeout                   int
	Invocations               map[string]*invocation
	Cancelled, ErrorsExceeded bool
}

// invocation is a command on one server.
type invocation struct {
	Status, Details  string
	Code             int
	Stdout, Stderr   string
	Started, Ended   time.Time
	Begun            bool // handed to the machine
	DeliveryTimedOut bool
}

type target struct{ Key, Values any }

func (i *invocation) final() bool {
	switch i.Status {
	case "Pending", "InProgress", "Delayed", "Cancelling":
		return false
	}
	return true
}

// status sums the invocations up.
func (c *command) status() (status, details string) {
	counts := map[string]int{}
	for _, i := range c.Invocations {
		if !i.final() {
			if c.Cancelled {
				return "Cancelling", "Cancelling"
			}
			if i.Status == "Pending" {
				counts["Pending"]++
				continue
			}
			counts["InProgress"]++
			continue
		}
		counts[i.Status]++
	}
	switch {
	case counts["InProgress"] > 0 || counts["Pending"] > 0 && counts["Pending"] < len(c.Invocations):
		return "InProgress", "InProgress"
	case counts["Pending"] > 0:
		return "Pending", "Pending"
	case c.Cancelled:
		return "Cancelled", "Cancelled"
	case counts["Failed"] > 0:
		return "Failed", "Failed"
	case counts["TimedOut"] > 0:
		return "TimedOut", "ExecutionTimedOut"
	case len(c.Invocations) == 0:
		return "Success", "NoInstancesInTag"
	}
	return "Success", "Success"
}

type sendInput struct {
	InstanceIds []string
	Targets     []struct {
		Key    string
		Values []string
	}
	DocumentName                   string
	DocumentVersion                string
	DocumentHash, DocumentHashType string
	Parameters                     map[string][]string
	TimeoutSeconds                 *int
	OutputS3BucketName             string
	OutputS3KeyPrefix              string
	OutputS3Region                 string
	Comment                        string
	MaxConcurrency, MaxErrors      string
}

func (s *Service) sendCommand(r *api.Request, in *sendInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	ids, err := s.targets(r, in)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	timeout := defaultDelivery
	if in.TimeoutSeconds != nil {
		timeout = *in.TimeoutSeconds
	}
	c := &command{
		ID: api.UUID(s.env.Rand("ssm", "SendCommand", r.Account, r.Region, strings.Join(ids, ","), in.Comment)), Account: r.Account, Region: r.Region, Document: in.DocumentName, Comment: in.Comment,
		Parameters: in.Parameters, InstanceIDs: in.InstanceIds, Requested: now, Expires: now.Add(time.Duration(timeout) * time.Second), Timeout: timeout,
		Bucket: in.OutputS3BucketName, Prefix: in.OutputS3KeyPrefix, Concurrency: in.MaxConcurrency, Errors: in.MaxErrors, Invocations: map[string]*invocation{},
	}
	for _, t := range in.Targets {
		c.Targets = append(c.Targets, target{t.Key, t.Values})
	}
	if c.Concurrency == "" {
		c.Concurrency = defaultConcurrent
	}
	if c.Errors == "" {
		c.Errors = "0"
	}
	for _, id := range ids {
		c.Invocations[id] = &invocation{Status: "Pending", Details: "Pending", Code: -1}
	}
	s.mu.Lock()
	s.commands.Put(key(r.Account, r.Region, c.ID), c)
	s.after(s.env.Scale(time.Duration(timeout)*time.Second), func() { s.expire(c) })
	shown := c.show()
	begin := s.next(c)
	s.mu.Unlock()
	s.begin(c, begin)
	return map[string]any{"Command": shown}, nil
}

func (in *sendInput) check() error {
	switch {
	case in.DocumentName != "AWS-RunShellScript" && in.DocumentName != "AWS-RunPowerShellScript":
		return api.Errorf("InvalidDocument", "Document %s does not exist; this endpoint has AWS-RunShellScript and AWS-RunPowerShellScript", in.DocumentName)
	case len(in.InstanceIds) == 0 && len(in.Targets) == 0:
		return api.Errorf("ValidationException", "either InstanceIds or Targets must be given")
	case len(in.InstanceIds) > 0 && len(in.Targets) > 0:
		return api.Errorf("ValidationException", "InstanceIds and Targets cannot be given together")
	case len(in.InstanceIds) > maxInstances:
		return api.Errorf("ValidationException", "1 validation error detected: Value at 'instanceIds' failed to satisfy constraint: Member must have length less than or equal to %d", maxInstances)
	case len(in.Comment) > maxComment:
		return api.Errorf("ValidationException", "1 validation error detected: Value at 'comment' failed to satisfy constraint: Member must have length less than or equal to %d", maxComment)
	case in.TimeoutSeconds != nil && (*in.TimeoutSeconds < 30 || *in.TimeoutSeconds > 2592000):
		return api.Errorf("ValidationException", "1 validation error detected: Value at 'timeoutSeconds' failed to satisfy constraint: Member must have value between 30 and 2592000")
	}
	size := 0
	for name, values := range in.Parameters {
		if name != "commands" && name != "workingDirectory" && name != "executionTimeout" {
			return api.Errorf("InvalidParameters", "%s is not a parameter of document %s", name, in.DocumentName)
		}
		for _, value := range values {
			size += len(value)
		}
	}
	if len(in.Parameters["commands"]) == 0 {
		return api.Errorf("InvalidParameters", "parameter commands of document %s is missing", in.DocumentName)
	}
	if size > maxDocument {
		return api.Errorf("MaxDocumentSizeExceeded", "the command's parameters have %d bytes: at most %d fit a document", size, maxDocument)
	}
	if text := first(in.Parameters["executionTimeout"]); text != "" {
		if n, err := strconv.Atoi(text); err != nil || n < 1 || n > 172800 {
			return api.Errorf("InvalidParameters", "executionTimeout is %q: expected seconds from 1 to 172800", text)
		}
	}
	return nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// targets finds the servers. A named one must be online; by tag or group, those that are managed count.
func (s *Service) targets(r *api.Request, in *sendInput) ([]string, error) {
	for _, id := range in.InstanceIds {
		m, ok := s.servers.Machine(r.Account, r.Region, id)
		if !ok || !m.Agent().Online {
			return nil, api.Errorf("InvalidInstanceId", "Instances [[%s]] not in a valid state for account %s", id, r.Account)
		}
	}
	if len(in.InstanceIds) > 0 {
		ids := slices.Clone(in.InstanceIds)
		slices.Sort(ids)
		return slices.Compact(ids), nil
	}
	var ids []string
	for _, i := range s.servers.Instances(r.Account, r.Region) {
		matches := true
		for _, t := range in.Targets {
			matched, err := targeted(i, t.Key, t.Values)
			if err != nil {
				return nil, err
			}
			matches = matches && matched
		}
		if m, ok := s.servers.Machine(r.Account, r.Region, i.ID); matches && ok && !m.Agent().LastPing.IsZero() {
			ids = append(ids, i.ID)
		}
	}
	return ids, nil
}

func targeted(i ec2.Instance, name string, values []string) (bool, error) {
	tag, isTag := strings.CutPrefix(name, "tag:")
	switch {
	case isTag:
		value, ok := i.Tags[tag]
		return ok && slices.Contains(values, value), nil
	case name == "tag-key":
		return slices.ContainsFunc(values, func(v string) bool { _, ok := i.Tags[v]; return ok }), nil
	case strings.EqualFold(name, "InstanceIds"):
		return slices.Contains(values, "*") || slices.Contains(values, i.ID), nil
	}
	return false, api.Errorf("InvalidTarget", "target key %q is not known: expected InstanceIds, tag:NAME or tag-key", name)
}

// show is the command as the calls give it; the lock is held.
func (c *command) show() map[string]any {
	status, details := c.status()
	done, failed, late := 0, 0, 0
	for _, i := range c.Invocations {
		if i.final() {
			done++
		}
		if i.Status == "Failed" || i.Status == "TimedOut" {
			failed++
		}
		if i.DeliveryTimedOut {
			late++
		}
	}
	ids, targets := c.InstanceIDs, c.Targets
	if ids == nil {
		ids = []string{}
	}
	if targets == nil {
		targets = []target{}
	}
	shown := map[string]any{
		"CommandId": c.ID, "DocumentName": c.Document, "DocumentVersion": "$DEFAULT", "Comment": c.Comment, "ExpiresAfter": epoch(c.Expires), "Parameters": c.Parameters,
		"InstanceIds": ids, "Targets": targets, "RequestedDateTime": epoch(c.Requested), "Status": status, "StatusDetails": details,
		"OutputS3BucketName": c.Bucket, "OutputS3KeyPrefix": c.Prefix, "MaxConcurrency": c.Concurrency, "MaxErrors": c.Errors, "TimeoutSeconds": c.Timeout,
		"TargetCount": len(c.Invocations), "CompletedCount": done, "ErrorCount": failed, "DeliveryTimedOutCount": late,
	}
	return shown
}

// limit reads a number or a share of the targets.
func limit(text string, count int) int {
	if share, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.Atoi(share)
		if err != nil {
			return 1
		}
		return max(1, count*n/100)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 1
	}
	return n
}

func (s *Service) sortedInstances(c *command) []string {
	return slices.Sorted(maps.Keys(c.Invocations))
}

func outputName(c *command) string {
	if c.Document == "AWS-RunPowerShellScript" {
		return "awsrunPowerShellScript"
	}
	return "awsrunShellScript"
}

func pluginName(c *command) string {
	return strings.Replace(outputName(c), "awsrun", "aws:run", 1)
}

func cutText(text string, size int, mark string) string {
	if len(text) <= size {
		return text
	}
	return text[:size-len(mark)] + mark
}
