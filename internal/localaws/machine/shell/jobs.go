package shell

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

func signalName(signal int) string {
	for name, n := range signals {
		if n == signal {
			return name
		}
	}
	return strconv.Itoa(signal)
}

func trap(s *shell, args []string) int {
	args = args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	s.signalLock.Lock()
	defer s.signalLock.Unlock()
	if len(args) == 0 || args[0] == "-p" {
		for name, action := range s.traps {
			s.printf("trap -- %s %s\n", quoted([]string{action}), name)
		}
		return 0
	}
	action := args[0]
	names := args[1:]
	if len(names) == 0 {
		action, names = "-", args
	}
	for _, name := range names {
		key := strings.TrimPrefix(strings.ToUpper(name), "SIG")
		if n, err := strconv.Atoi(name); err == nil {
			key = signalName(n)
			if n == 0 {
				key = "EXIT"
			}
		}
		if _, known := signals[key]; !known && !slices.Contains([]string{"EXIT", "ERR", "DEBUG", "RETURN"}, key) {
			s.complain("trap: %s: invalid signal specification", name)
			return 1
		}
		if action == "-" {
			delete(s.traps, key)
		} else {
			s.traps[key] = action
		}
	}
	return 0
}

func kill(s *shell, args []string) int {
	signal, targets := 15, args[1:]
	if len(targets) > 0 && strings.HasPrefix(targets[0], "-") && len(targets[0]) > 1 {
		name := targets[0][1:]
		targets = targets[1:]
		if name == "l" {
			s.printf("HUP INT QUIT KILL USR1 USR2 PIPE ALRM TERM\n")
			return 0
		}
		if name == "s" || name == "n" {
			if len(targets) == 0 {
				return 2
			}
			name, targets = targets[0], targets[1:]
		}
		var ok bool
		if signal, ok = SignalNumber(name); !ok {
			s.complain("kill: %s: invalid signal specification", name)
			return 1
		}
	}
	status := 0
	for _, target := range targets {
		pid, err := strconv.Atoi(target)
		if number, isJob := strings.CutPrefix(target, "%"); isJob {
			if n, convErr := strconv.Atoi(number); convErr == nil && n >= 1 && n <= len(s.jobs) {
				pid, err = s.jobs[n-1].pid, nil
			}
		}
		if err != nil {
			s.complain("kill: %s: arguments must be process or job IDs", target)
			status = 1
			continue
		}
		p, ok := s.system.Process(pid)
		if !ok {
			s.complain("kill: (%d) - No such process", pid)
			status = 1
			continue
		}
		p.Signal(signal)
	}
	return status
}

func jobs(s *shell, args []string) int {
	for i, j := range s.jobs {
		select {
		case <-j.done:
		default:
			if slices.Contains(args[1:], "-p") {
				s.printf("%d\n", j.pid)
			} else {
				s.printf("[%d]+  Running\n", i+1)
			}
		}
	}
	return 0
}

func wait(s *shell, args []string) int {
	targets := args[1:]
	if len(targets) > 0 && targets[0] == "-n" {
		return s.waitAny()
	}
	if len(targets) == 0 {
		for _, j := range s.jobs {
			s.waitFor(j)
		}
		s.jobs = nil
		return 0
	}
	status := 0
	for _, target := range targets {
		pid, err := strconv.Atoi(strings.TrimPrefix(target, "%"))
		i := slices.IndexFunc(s.jobs, func(j *job) bool { return err == nil && j.pid == pid })
		if strings.HasPrefix(target, "%") && err == nil && pid <= len(s.jobs) {
			i = pid - 1
		}
		if i < 0 {
			s.complain("wait: pid %s is not a child of this shell", target)
			status = 127
			continue
		}
		status = s.waitFor(s.jobs[i])
	}
	return status
}

// waitFor waits for a job; a trapped signal ends the wait.
func (s *shell) waitFor(j *job) int {
	select {
	case <-j.done:
		return j.status
	case <-s.signalled:
		return 143
	case <-s.ctx.Done():
		return 143
	}
}

// waitAny waits for the first job to end. A process has few jobs, so that looking at each in turn will do.
func (s *shell) waitAny() int {
	for len(s.jobs) > 0 {
		for i, j := range s.jobs {
			select {
			case <-j.done:
				s.jobs = slices.Delete(s.jobs, i, i+1)
				return j.status
			default:
			}
		}
		if !s.system.Sleep(s.ctx, 10*time.Millisecond) {
			return 143
		}
	}
	return 127
}
