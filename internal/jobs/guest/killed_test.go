package guest

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A wait for ever would otherwise only end with the test binary's own time.
func TestNobodyWaitsForARunThatWasKilled(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	command := wrap(t, Script{Token: "one", Text: "kill -9 $(cat run/one/by-boot-1/pid) $$"})
	s.run(command)
	second := s.command(command)
	second.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- second.Wait() }()
	select {
	case err := <-ended:
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != ExitDied {
			t.Errorf("the second command ended with %v, want exit code %d", err, ExitDied)
		}
	case <-time.After(30 * time.Second):
		if err := syscall.Kill(-second.Process.Pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		<-ended
		t.Error("the second command still waits for the first, which was killed")
	}
}
