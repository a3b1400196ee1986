//go:build !linux

package main

import "syscall"

// ownGroup makes a child the leader of a group, which the demo can end as a whole and a terminal's Ctrl-C does not reach.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
