package launchtest

import (
	"context"
	"strconv"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Agents is SSM Run Command in this world: every running server is managed, and every command succeeds after CommandTime but
// on sick servers.
type Agents struct {
	world *World
	Sent  []cloud.Command
	at    []time.Time
}

// CommandTime is how long a command takes.
const CommandTime = 3 * time.Second

// Send is SendCommand.
func (a *Agents) Send(_ context.Context, command cloud.Command) (id string, err error) {
	err = a.world.call(func() error {
		a.Sent, a.at = append(a.Sent, command), append(a.at, time.Now())
		id = strconv.Itoa(len(a.Sent) - 1)
		return nil
	})
	return id, err
}

// Invocations tells how the command does on each server.
func (a *Agents) Invocations(_ context.Context, commandID string) (list []cloud.Invocation, err error) {
	err = a.world.call(func() error {
		n, err := strconv.Atoi(commandID)
		if err != nil {
			return err
		}
		for _, id := range a.Sent[n].InstanceIDs {
			invocation := cloud.Invocation{CommandID: commandID, InstanceID: id, Status: "InProgress"}
			if time.Since(a.at[n]) >= CommandTime {
				invocation.Status = "Success"
				if a.world.sick(id) {
					invocation.Status, invocation.ExitCode, invocation.Stderr = "Failed", 1, "inactive"
				}
			}
			list = append(list, invocation)
		}
		return nil
	})
	return list, err
}

// Managed says that running servers are online.
func (a *Agents) Managed(_ context.Context, ids ...string) (map[string]cloud.ManagedInstance, error) {
	managed := map[string]cloud.ManagedInstance{}
	err := a.world.call(func() error {
		a.world.at(time.Now())
		for _, id := range ids {
			if a.world.instances[id].State == "running" {
				managed[id] = cloud.ManagedInstance{InstanceID: id, PingStatus: "Online"}
			}
		}
		return nil
	})
	return managed, err
}
