package guest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// server is a folder of this machine that stands for a server: the wrapper's folders and its boot id are moved into it.
type server struct {
	t      *testing.T
	folder string
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t, t.TempDir()}
	s.boot("boot-1")
	return s
}

func (s *server) boot(id string) {
	s.t.Helper()
	s.write("boot_id", id+"\n")
}

func (s *server) path(name string) string { return filepath.Join(s.folder, name) }

func (s *server) write(name, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(text)
}

// local moves what the command names into the folder.
func (s *server) local(command string) string {
	return strings.NewReplacer("/proc/sys/kernel/random/boot_id", s.path("boot_id"), RunFolder, s.path("run"),
		RunFolderBoot, s.path("tmp")).Replace(command)
}

func (s *server) command(command string) *exec.Cmd {
	file := s.path("command.sh")
	s.write("command.sh", s.local(command))
	cmd := exec.Command("/bin/sh", file)
	cmd.Env = append(os.Environ(), "HOME="+s.folder)
	return cmd
}

// run sends the command as SSM would and tells how it ended.
func (s *server) run(command string) Outcome {
	s.t.Helper()
	cmd := s.command(command)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	status := "Success"
	if cmd.ProcessState.ExitCode() != 0 {
		status = "Failed"
	}
	return Read(cloud.Invocation{Status: status, ExitCode: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: errs.String()})
}

func wrap(t *testing.T, s Script) string {
	t.Helper()
	command, err := Wrap(Shell, s)
	if err != nil {
		t.Fatal(err)
	}
	return command
}
