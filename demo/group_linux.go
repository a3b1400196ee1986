package main

import "syscall"

// ownGroup makes a child the leader of a group, which the demo can end as a whole and a terminal's Ctrl-C does not reach.
// The kernel ends the child also if the demo itself is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
