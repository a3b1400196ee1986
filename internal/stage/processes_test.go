package stage

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestTheEndReachesWhatAChildStarted(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ps := &Processes{}
	told := make(chan string, 1)
	p, err := ps.Start("child", folder, os.Environ(), func(line string) { told <- line }, nil, "sh", "-c", "sleep 600 & echo $!; wait")
	if err != nil {
		t.Fatal(err)
	}
	grandchild, err := strconv.Atoi(<-told)
	if err != nil {
		t.Fatal(err)
	}
	ps.End()
	if p.Running() {
		t.Error("the child still runs")
	}
	// Its standard output, which it shared with the child, is closed: end waited for that. What is left of it is at most a
	// zombie that nobody has reaped yet.
	if err := syscall.Kill(grandchild, 0); !errors.Is(err, syscall.ESRCH) {
		state, readErr := os.ReadFile(filepath.Join("/proc", strconv.Itoa(grandchild), "stat"))
		if readErr == nil && !strings.Contains(string(state), ") Z ") {
			t.Errorf("what the child started still runs: %s", state)
		}
	}
}
