package main

import (
	"context"
	"net/http"
)

// latency is how long AWS takes before and after the act of a call. A kill between an act and its answer is the one that
// matters, and on one machine there would hardly be anything between them.
var latency = []struct {
	service      string
	actions      []string
	before, then string
}{
	{"ec2", []string{"RunInstances"}, "200ms", "1s"},
	{"ec2", []string{"CreateImage", "CopyImage"}, "100ms", "700ms"},
	{"ec2", []string{"TerminateInstances", "DeregisterImage"}, "50ms", "400ms"},
	{"ssm", []string{"SendCommand", "PutParameter"}, "20ms", "300ms"},
	{"dynamodb", []string{"PutItem", "UpdateItem", "BatchExecuteStatement", "TransactWriteItems"}, "5ms", "25ms"},
	{"sqs", []string{"SendMessageBatch", "DeleteMessageBatch"}, "5ms", "25ms"},
}

// slow gives the endpoint AWS's latency, which it forgets with each restart.
func (s *storm) slow(ctx context.Context) error {
	for _, l := range latency {
		for _, action := range l.actions {
			rule := map[string]string{"service": l.service, "action": action, "delay": l.before, "delayAnswer": l.then}
			if err := s.Control(ctx, http.MethodPost, "faults", rule, nil); err != nil {
				return err
			}
		}
	}
	return nil
}
