package integration

import "syscall"

// ownGroup makes a child the leader of a group of its own. The kernel ends it also if the suite itself is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
