package stage

import "syscall"

// ownGroup makes a child the leader of a group, which can be ended as a whole and a terminal's Ctrl-C does not reach.
// The kernel ends the child also if its parent is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
