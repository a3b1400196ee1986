package launch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/guest"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Commands is SSM Run Command.
type Commands interface {
	Send(ctx context.Context, command cloud.Command) (commandID string, err error)
	Invocations(ctx context.Context, commandID string) ([]cloud.Invocation, error)
	Managed(ctx context.Context, instanceIDs ...string) (map[string]cloud.ManagedInstance, error)
}

const (
	// commandSize is how many servers a command names (aws-facts "SSM Run Command").
	commandSize = 50
	// A check that fails is repeated on the server itself, which costs no call, before it counts as failed once.
	checkTries, checkPause = 12, 5 * time.Second
	checkTimeout           = 10 * time.Minute
	checkDelivery          = time.Minute
	// Agents come online 23 to 29 s after the call (aws-facts "Times seen in the field"), and most checks end within seconds.
	agentsFrom, agentsTo, checksEnd = 20 * time.Second, 40 * time.Second, 10 * time.Second
	// quickLook is between looks then; with more than manyServers, of which fifty share a call, it is longer.
	quickLook, manyServers = 2 * time.Second, 300
)

// probe is one command that checks up to fifty servers.
type probe struct {
	Command  string       `json:"command"`
	Ordinals ordinals.Set `json:"ordinals"`
	Sent     time.Time    `json:"sent"`
}

// commands runs the spec's command and asks the spec's address on the servers themselves. Servers that fail are asked
// again until their time is over.
func (l *launch) commands(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	pending, err := l.pendingServers(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	if err := l.collect(ctx, turn, pending); err != nil {
		return jobs.Move{}, err
	}
	var waiting []ledger.Server
	for _, server := range pending {
		if !l.progress.Stage.Has(server.Ordinal) && !l.probed(server.Ordinal) {
			waiting = append(waiting, server)
		}
	}
	if len(waiting) > 0 && !l.late(turn.Now()) {
		if err := l.probe(ctx, turn, waiting); err != nil {
			return jobs.Move{}, err
		}
	}
	return l.conclude(turn, pending, l.askingPause(turn.Now(), len(pending)), "the checks on the servers", l.progress.Reasons), nil
}

// askingPause is how long until the next look at agents that come online, or at checks that run: short while most of them come
// and end, as long as few servers make few calls.
func (l *launch) askingPause(now time.Time, servers int) time.Duration {
	pause := l.pause(now)
	age := time.Duration(float64(now.Sub(l.progress.LaunchedAt)) * max(l.Pace, 1))
	asked := slices.ContainsFunc(l.progress.Probes, func(p probe) bool { return now.Sub(p.Sent) < checksEnd })
	if asked || age >= agentsFrom && age < agentsTo {
		return min(pause, max(quickLook, time.Duration(servers)*quickLook/manyServers))
	}
	return pause
}

func (l *launch) probed(ordinal int) bool {
	return slices.ContainsFunc(l.progress.Probes, func(p probe) bool { return p.Ordinals.Has(ordinal) })
}

// collect reads what the commands under way have found, and lets go of what they are done with.
func (l *launch) collect(ctx context.Context, turn *jobs.Turn, pending []ledger.Server) error {
	byID := map[string]int{}
	for _, server := range pending {
		byID[server.InstanceID] = server.Ordinal
	}
	var live []probe
	for _, p := range l.progress.Probes {
		invocations, err := l.Commands(l.job.Target).Invocations(ctx, p.Command)
		if err != nil {
			return err
		}
		var ended, passed []int
		for _, invocation := range invocations {
			ordinal, ours := byID[invocation.InstanceID]
			if !ours || !invocation.Ended() {
				continue
			}
			ended = append(ended, ordinal)
			outcome := guest.Read(invocation)
			if outcome.OK() {
				passed = append(passed, ordinal)
				continue
			}
			l.progress.explain(ordinal, strings.TrimSpace(outcome.String()+" "+outcome.Tail()))
		}
		l.progress.Stage = l.progress.Stage.Plus(ordinals.Of(passed...))
		p.Ordinals = p.Ordinals.Minus(ordinals.Of(ended...))
		if !p.Ordinals.Empty() && turn.Now().Sub(p.Sent) < checkTimeout+checkDelivery {
			live = append(live, p)
		}
	}
	l.progress.Probes = live
	return nil
}

// probe sends the check to the servers whose agent is online. Each command has a token of its own, so that one that was
// sent but not recorded is the same when it is sent again.
func (l *launch) probe(ctx context.Context, turn *jobs.Turn, waiting []ledger.Server) error {
	managed, err := l.Commands(l.job.Target).Managed(ctx, ids(waiting)...)
	if err != nil {
		return err
	}
	var online []ledger.Server
	for _, server := range waiting {
		if managed[server.InstanceID].PingStatus == "Online" {
			online = append(online, server)
		} else if l.progress.Reasons[server.Ordinal] == "" {
			l.progress.explain(server.Ordinal, "its SSM agent is not online")
		}
	}
	for len(online) > 0 {
		n := min(len(online), commandSize)
		if err := l.send(ctx, turn, online[:n]); err != nil {
			return err
		}
		online = online[n:]
	}
	return nil
}

func (l *launch) send(ctx context.Context, turn *jobs.Turn, servers []ledger.Server) error {
	p := &l.progress
	shell := guest.ShellOf(p.Image.Platform)
	script, err := l.check(ctx, shell)
	if err != nil {
		return err
	}
	script.Token = fmt.Sprintf("%s-r%d-check-%d", turn.Job.Incarnation, turn.Job.Run, p.ProbeRound)
	script.Timeout, script.Repeatable = checkTimeout, true
	text, err := guest.Wrap(shell, script)
	if err != nil {
		return jobs.Fatalf("check the servers", l.fleet(), err.Error(), "")
	}
	command, err := l.Commands(l.job.Target).Send(ctx, cloud.Command{Shell: shell, Script: text, InstanceIDs: ids(servers),
		Comment: "stampmill: is " + l.fleet() + " healthy?", Timeout: checkTimeout, DeliveryTimeout: checkDelivery})
	if err != nil {
		return err
	}
	var list []int
	for _, server := range servers {
		list = append(list, server.Ordinal)
	}
	p.Probes = append(p.Probes, probe{Command: command, Ordinals: ordinals.Of(list...), Sent: turn.Now()})
	p.ProbeRound++
	return turn.Save(ctx)
}
