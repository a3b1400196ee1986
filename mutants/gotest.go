package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// testLimit is how long a selection's tests may run. They take seconds, on a busy machine more.
const testLimit = 3 * time.Minute

// verdict is how a selection's tests ended.
type verdict int

const (
	passed verdict = iota
	failed         // a test failed
	broken         // they did not compile, panicked, hung, or none was run
)

// outcome is a verdict with its reason: the failed test, or what is broken.
type outcome struct {
	verdict verdict
	reason  string
}

// goTest runs a selection, with the overlay and the build cache if they are named. Each run keeps to one core: several run
// at once.
func goTest(ctx context.Context, root string, s selection, overlay, builds string) outcome {
	args := []string{"test", "-vet=off", "-ldflags=-s -w", "-failfast", "-p=1", "-timeout", testLimit.String(), "-run", s.run}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	command := exec.CommandContext(ctx, "go", append(args, "./"+s.pkg)...)
	command.Dir = root
	command.Env = append(os.Environ(), "GOMAXPROCS=1")
	if builds != "" {
		command.Env = append(command.Env, "GOCACHE="+builds)
	}
	if s.env != "" {
		command.Env = append(command.Env, s.env)
	}
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 5 * time.Second
	output, err := command.CombinedOutput()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		return outcome{broken, err.Error()}
	}
	return judge(code, string(output))
}

var (
	failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	panicked   = regexp.MustCompile(`(?m)^(panic|fatal error): .*`)
)

// judge reads what go test said.
func judge(code int, output string) outcome {
	switch crash := panicked.FindString(output); {
	case strings.Contains(output, "[build failed]"), strings.Contains(output, "[setup failed]"):
		return outcome{broken, "it does not compile:\n" + output}
	case crash != "":
		return outcome{broken, crash + "\n" + clip(output)}
	case strings.Contains(output, "[no tests to run]"), strings.Contains(output, "[no test files]"):
		return outcome{broken, "the selection runs no test"}
	case code == 0:
		return outcome{passed, ""}
	}
	if test := failedTest.FindStringSubmatch(output); code == 1 && test != nil {
		return outcome{failed, test[1]}
	}
	return outcome{broken, fmt.Sprintf("go test ended with code %d:\n%s", code, clip(output))}
}

// clip keeps the beginning of a long output, where the first failure stands.
func clip(output string) string {
	const longest = 3000
	if len(output) > longest {
		return output[:longest] + "…"
	}
	return output
}
