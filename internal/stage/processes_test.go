package stage

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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
	// Its standard output, which it shared with the child, is closed: end waited for that. The kernel may still be at work
	// on its end; what is left of it then is at most a zombie that nobody has reaped yet.
	deadline := time.Now().Add(10 * time.Second)
	for syscall.Kill(grandchild, 0) == nil {
		state, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(grandchild), "stat"))
		if err != nil || strings.Contains(string(state), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("what the child started still runs: %s", state)
		}
		runtime.Gosched()
	}
}
