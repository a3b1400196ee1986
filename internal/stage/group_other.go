//go:build !linux

package stage

import "syscall"

// ownGroup makes a child the leader of a group, which can be ended as a whole and a terminal's Ctrl-C does not reach.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
