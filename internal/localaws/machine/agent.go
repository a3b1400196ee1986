package machine

import "time"

const agentVersion = "3.3.3050.0"

func agentPath(windows bool) string {
	if windows {
		return "/Program Files/Amazon/SSM"
	}
	return "/usr/bin/amazon-ssm-agent"
}

// startAgent lets the agent connect after its start, if the server may use Systems Manager.
func (b *boot) startAgent() {
	if b.server.config.Identity.InstanceProfileARN == "" && !b.server.host.agentWithoutProfile {
		return
	}
	b.mu.Lock()
	b.agentRun++
	run := b.agentRun
	b.mu.Unlock()
	b.after(agentTime, func() {
		b.mu.Lock()
		current := b.agentRun == run
		if current {
			b.agentFrom = time.Now()
		}
		b.mu.Unlock()
		if !current {
			return
		}
		if !b.server.windows() {
			b.complain(b.system.Files.MkdirAll("/var/lib/amazon/ssm/"+b.server.config.Identity.InstanceID, 0o700))
		}
		b.runWaiting()
	})
}

func (b *boot) stopAgent() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.agentRun++
	b.agentFrom = time.Time{}
}

func (b *boot) agentState() (online bool, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ending && !b.agentFrom.IsZero(), b.agentFrom
}
