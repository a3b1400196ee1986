package integration

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// runTogether lets more tests run at once than there are cores, unless -parallel says how many: they wait most of the time.
func runTogether() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return
	}
	together := "12"
	if endpointName() != embedded { // one process of Python answers most of what is asked
		together = "8"
	}
	_ = flag.Set("test.parallel", together) // package testing's own flag
}

// binaries builds stampmill and stampmill-worker, once for the whole suite, and gives their folder.
var binaries = sync.OnceValues(func() (folder string, err error) {
	if folder, err = os.MkdirTemp("", "stampmill-integration-"); err != nil {
		return "", err
	}
	built = folder
	for name, pkg := range map[string]string{"stampmill": "producer", "stampmill-worker": "worker"} {
		out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(folder, name), "../cmd/"+pkg).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return folder, nil
})

// built is the folder of the binaries once they are there.
var built string

func removeBinaries() error {
	if built == "" {
		return nil
	}
	return os.RemoveAll(built)
}

func binary(t *testing.T, name string) string {
	t.Helper()
	folder, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, name)
}

// answer is how a command ended.
type answer struct {
	code      int
	out, errs string
}

func (a answer) String() string {
	return fmt.Sprintf("exit code %d\n%s%s", a.code, a.out, a.errs)
}

// command carries out one command line of the CLI.
func command(t *testing.T, environment []string, arguments ...string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t, "stampmill"), arguments...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = environment, &out, &errs, ownGroup()
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatalf("stampmill %s: %v", strings.Join(arguments, " "), err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// worker is a worker's process, which logs into a file.
type worker struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	log  string
	gone chan struct{} // closed when it has ended
}

// startWorker starts a worker, which is killed when the test ends. If the test fails, the log's end is printed.
func startWorker(t *testing.T, name, folder string, environment []string) *worker {
	t.Helper()
	w := &worker{t: t, name: name, cmd: exec.Command(binary(t, "stampmill-worker")), log: filepath.Join(folder, name+".log"), gone: make(chan struct{})}
	file, err := os.Create(w.log)
	if err != nil {
		t.Fatal(err)
	}
	w.cmd.Env, w.cmd.Dir, w.cmd.Stdout, w.cmd.Stderr, w.cmd.SysProcAttr = environment, folder, file, file, ownGroup()
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the kernel counts the thread that started it as its parent (prctl(2), PR_SET_PDEATHSIG)
		defer runtime.UnlockOSThread()
		err := w.cmd.Start()
		started <- err
		if err == nil {
			_ = w.cmd.Wait() // ended reads its state
		}
		close(w.gone)
	}()
	if err := errors.Join(<-started, file.Close()); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		w.kill()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", w.name, lastLines(w.read(), 40))
		}
	})
	return w
}

// kill ends the worker by SIGKILL.
func (w *worker) kill() {
	w.signal(syscall.SIGKILL)
	<-w.gone
}

// signal does nothing to a worker that has ended: its id may be another's by now.
func (w *worker) signal(s syscall.Signal) {
	if w.running() {
		_ = syscall.Kill(-w.cmd.Process.Pid, s) // it may end at this moment
	}
}

// terminate asks the worker to drain.
func (w *worker) terminate() { w.signal(syscall.SIGTERM) }

// freeze stops the worker, thaw lets it go on.
func (w *worker) freeze() { w.signal(syscall.SIGSTOP) }
func (w *worker) thaw()   { w.signal(syscall.SIGCONT) }

// drain lets the worker finish what it has in hand, and end.
func (w *worker) drain() {
	w.t.Helper()
	w.terminate()
	if code := w.ended(); code != 0 {
		w.t.Errorf("%s ended with exit code %d", w.name, code)
	}
}

func (w *worker) running() bool {
	select {
	case <-w.gone:
		return false
	default:
		return true
	}
}

// ended waits until the worker has ended by itself, and gives its exit code.
func (w *worker) ended() int {
	w.t.Helper()
	select {
	case <-w.gone:
	case <-time.After(time.Minute):
		w.t.Fatalf("%s did not end within a minute", w.name)
	}
	return w.cmd.ProcessState.ExitCode()
}

func (w *worker) read() string {
	text, err := os.ReadFile(w.log)
	if err != nil {
		w.t.Error(err)
	}
	return string(text)
}

// says waits for a text in the log.
func (w *worker) says(text string) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("%q in the log of %s", text, w.name), func() bool { return strings.Contains(w.read(), text) })
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

// until waits until something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("%s did not come within a minute", what)
		case <-ticker.C:
		}
	}
}
