//go:build !linux

package integration

import "syscall"

// ownGroup makes a child the leader of a group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
