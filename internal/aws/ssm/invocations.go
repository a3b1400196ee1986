package ssm

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

const (
	// worthAList is how many commands must be asked for together so that a list of what runs is asked for first.
	worthAList = 3
	// listPages bounds that list: other people's commands are in it too.
	listPages = 2
)

// invocation is a command on one server.
type invocation struct{ command, instance string }

// Invocation is what the command did on the server; found is false while SSM does not show it. Calls that come together
// learn by one request which commands still run; the others' output is asked for one by one, since no call gives more of it
// than its beginning for several.
func (r *Region) Invocation(ctx context.Context, commandID, instanceID string) (c.Invocation, bool, error) {
	this := invocation{commandID, instanceID}
	running, err := r.running.Get(ctx, this)
	if err != nil {
		return c.Invocation{}, false, awserr.From(err, commandID+" on "+instanceID)
	}
	if status := running[this]; status != "" {
		return c.Invocation{CommandID: commandID, InstanceID: instanceID, Status: status, StatusDetails: status, ExitCode: -1}, true, nil
	}
	return r.invocation(ctx, commandID, instanceID)
}

func (r *Region) invocation(ctx context.Context, commandID, instanceID string) (c.Invocation, bool, error) {
	out, err := r.client.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{
		CommandId: aws.String(commandID), InstanceId: aws.String(instanceID),
	})
	if awserr.IsCode(err, "InvocationDoesNotExist") {
		return c.Invocation{}, false, nil
	}
	if err != nil {
		return c.Invocation{}, false, awserr.From(err, commandID+" on "+instanceID)
	}
	return c.Invocation{
		CommandID:     commandID,
		InstanceID:    instanceID,
		Status:        string(out.Status),
		StatusDetails: aws.ToString(out.StatusDetails),
		ExitCode:      int(out.ResponseCode),
		Stdout:        aws.ToString(out.StandardOutputContent),
		Stderr:        aws.ToString(out.StandardErrorContent),
	}, true, nil
}

// Invocations is what the command did on all its servers, with the first 2,500 characters of each output.
func (r *Region) Invocations(ctx context.Context, commandID string) ([]c.Invocation, error) {
	pages := ssm.NewListCommandInvocationsPaginator(r.client, &ssm.ListCommandInvocationsInput{
		CommandId: aws.String(commandID), Details: true, MaxResults: aws.Int32(50),
	})
	var list []c.Invocation
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awserr.From(err, commandID)
		}
		for _, i := range page.CommandInvocations {
			list = append(list, listed(i))
		}
	}
	return list, nil
}

func listed(i types.CommandInvocation) c.Invocation {
	out := c.Invocation{
		CommandID:     aws.ToString(i.CommandId),
		InstanceID:    aws.ToString(i.InstanceId),
		Status:        string(i.Status),
		StatusDetails: aws.ToString(i.StatusDetails),
		ExitCode:      -1,
	}
	// The document's other plugin, for the other platform, is skipped and has no output.
	for _, plugin := range i.CommandPlugins {
		if plugin.Output != nil && out.Stdout == "" {
			out.Stdout = *plugin.Output
		}
		if out.ExitCode <= 0 {
			out.ExitCode = int(plugin.ResponseCode)
		}
	}
	return out
}

// fetchRunning tells of the commands that run. Those that it does not tell of have ended, are hidden by others' or were too
// few to ask for; a list that this worker may not have is none.
func (r *Region) fetchRunning(ctx context.Context, asked []invocation) (map[invocation]string, error) {
	if len(asked) < worthAList {
		return nil, nil //nolint:nilnil // nothing is known of any
	}
	pages := ssm.NewListCommandInvocationsPaginator(r.client, &ssm.ListCommandInvocationsInput{
		Filters:    []types.CommandFilter{{Key: types.CommandFilterKeyStatus, Value: aws.String(string(types.CommandInvocationStatusInProgress))}},
		MaxResults: aws.Int32(50),
	})
	running := map[invocation]string{}
	for n := 0; n < listPages && pages.HasMorePages(); n++ {
		page, err := pages.NextPage(ctx)
		if err = awserr.From(err, "commands in progress"); jobs.IsClass(err, jobs.Fatal) {
			return nil, nil //nolint:nilnil // each is asked for by itself, and says what is not allowed
		}
		if err != nil {
			return nil, err
		}
		for _, i := range page.CommandInvocations {
			if i.Status == types.CommandInvocationStatusInProgress {
				running[invocation{aws.ToString(i.CommandId), aws.ToString(i.InstanceId)}] = string(i.Status)
			}
		}
	}
	return running, nil
}
