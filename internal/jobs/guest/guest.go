// Package guest is what Stampmill runs on servers: the scripts, and the wrapper that makes them run once.
//
// SSM SendCommand has no client token, so the server itself remembers. Each script is sent inside a wrapper under a token.
// The first command with a token runs the script and writes its output and exit code down; every other one with the same
// token waits for that and tells the same. A boot id stands beside it, so that the wrapper knows a reboot that the script
// asked for (exit 194, on Windows 3010: it is then run again, as SSM does) from one that killed it: a run that died is told
// by ExitDied and never waited for.
//
// Secrets are read on the server, straight into the environment of the one script: they are in no message, no user data,
// no command and no file.
package guest

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// The exit codes of the wrapper itself. Its first line of errors then begins with Marker.
const (
	// ExitBroken: the wrapper could not do its part: a full disk, a file that could not be fetched.
	ExitBroken = 196
	// ExitSecrets: a secret could not be read.
	ExitSecrets = 197
	// ExitDied: the run under this token ended without a result; the server went down under it, or it was killed.
	ExitDied = 198
	// ExitTimeout: the script took longer than its time limit.
	ExitTimeout = 124
)

// Marker begins every line that the wrapper says.
const Marker = "stampmill: "

// Windows is the platform of cloud.Image and cloud.Instance that speaks PowerShell.
const Windows = "windows"

// Shells, as cloud.Command names them.
const (
	Shell      = "sh"
	PowerShell = "powershell"
)

// ShellOf is the shell of a platform.
func ShellOf(platform string) string {
	if platform == Windows {
		return PowerShell
	}
	return Shell
}

// Script is one script to be run once.
type Script struct {
	// Token is what it runs once under: letters, digits and hyphens.
	Token string
	// Text is the script. Shell scripts without an interpreter line run under sh -e.
	Text string
	// Fetch is where the script is to be fetched from instead, and Digest what it must be then (sha256:hex).
	Fetch, Digest string
	// Env is put into its environment. It is readable in SSM's history.
	Env map[string]string
	// Secrets are environment variables with the names of what is read on the server: of a Parameter Store parameter if the
	// name begins with a slash or ssm:, else of a Secrets Manager secret.
	Secrets map[string]string
	// Region is where the secrets are.
	Region string
	// Timeout is the script's time limit; zero: none but SSM's.
	Timeout time.Duration
	// Repeatable scripts may run again after the server went down; what they leave must not end up in an image. They are
	// remembered until the next boot only.
	Repeatable bool
}

// Wrap gives the command to send for the shell.
func Wrap(shell string, s Script) (string, error) {
	if err := s.check(); err != nil {
		return "", err
	}
	wrap := wrapShell
	if shell == PowerShell {
		wrap = wrapPowerShell
	}
	text, err := wrap(s)
	if err == nil && len(text) > longestCommand {
		err = fmt.Errorf("the command has %d bytes, SSM takes %d: put a script of this size into a file of its own", len(text), longestCommand)
	}
	return text, err
}

// longestCommand leaves room for the document around it: SSM takes 64 KB (aws-facts "SSM Run Command").
const longestCommand = 60 << 10

var (
	tokenPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,99}$`)
	namePattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
)

// IsVariable reports whether a name can be an environment variable.
func IsVariable(name string) bool { return namePattern.MatchString(name) }

func (s Script) check() error {
	if !tokenPattern.MatchString(s.Token) {
		return fmt.Errorf("%q is no token for a server", s.Token)
	}
	if (s.Text == "") == (s.Fetch == "") {
		return errors.New("a script has either a text or an address")
	}
	for _, names := range []map[string]string{s.Env, s.Secrets} {
		for name, value := range names {
			if !IsVariable(name) {
				return fmt.Errorf("%q is no name of an environment variable", name)
			}
			if strings.ContainsRune(value, 0) {
				return fmt.Errorf("the value of %s has a zero byte", name)
			}
		}
	}
	return nil
}

// secret tells the service and the name of a secret.
func secret(name string) (parameter bool, id string) {
	switch {
	case strings.HasPrefix(name, "ssm:"):
		return true, strings.TrimPrefix(name, "ssm:")
	case strings.HasPrefix(name, "secretsmanager:"):
		return false, strings.TrimPrefix(name, "secretsmanager:")
	case strings.HasPrefix(name, "/"), strings.HasPrefix(name, "arn:") && strings.Contains(name, ":ssm:"):
		return true, name
	}
	return false, name
}

// Outcome is how a wrapped script ended.
type Outcome struct {
	// Exit is its exit code; -1 where SSM tells none.
	Exit int
	// Died: it ended without a result. TimedOut: it took too long. Undelivered: it never began.
	Died, TimedOut, Undelivered bool
	Stdout, Stderr              string
}

// OK reports success.
func (o Outcome) OK() bool { return o.Exit == 0 && !o.Died && !o.TimedOut && !o.Undelivered }

// Read tells how a finished invocation of a wrapped script ended.
func Read(i cloud.Invocation) Outcome {
	o := Outcome{Exit: i.ExitCode, Stdout: i.Stdout, Stderr: i.Stderr}
	ours := strings.HasPrefix(i.Stderr, Marker)
	details := strings.ReplaceAll(i.StatusDetails, " ", "")
	switch {
	case i.Status == "Success":
	case strings.HasPrefix(details, "Delivery"), details == "Undeliverable", details == "Terminated":
		o.Undelivered, o.Exit = true, -1
	case i.Status == "TimedOut", i.ExitCode == ExitTimeout && ours:
		o.TimedOut = true
	case i.Status == "Cancelled":
		o.Died, o.Exit = true, -1
	case i.ExitCode == ExitDied && ours, i.ExitCode < 0: // without a code, the server went away under it
		o.Died = true
	case i.ExitCode == 0:
		o.Exit = -1 // failed without an exit code: the agent could not run it
	}
	return o
}

// String says in a few words how it ended.
func (o Outcome) String() string {
	switch {
	case o.Undelivered:
		return "the server's SSM agent did not take it"
	case o.TimedOut:
		return "it took longer than its time limit"
	case o.Died:
		return "the server went down or the script was killed while it ran"
	case o.Exit == ExitSecrets && strings.HasPrefix(o.Stderr, Marker), o.Exit == ExitBroken && strings.HasPrefix(o.Stderr, Marker):
		line, _, _ := strings.Cut(strings.TrimPrefix(o.Stderr, Marker), "\n")
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	case o.Exit < 0:
		return "SSM could not run it"
	}
	return fmt.Sprintf("exit code %d", o.Exit)
}

const tailBytes = 2 << 10

// Tail is the end of what it wrote, errors last, for histories. Where the output is longer than what SSM keeps, the
// wrapper repeats the end at the beginning of the errors.
func (o Outcome) Tail() string {
	errs := strings.TrimSpace(o.Stderr)
	if head, _, long := strings.Cut(errs, wholeFollows); long && strings.HasPrefix(errs, endFollows) {
		return last(strings.TrimSpace(strings.TrimPrefix(head, endFollows)), tailBytes)
	}
	errs = last(errs, tailBytes)
	out := last(strings.TrimSpace(o.Stdout), tailBytes-len(errs))
	return strings.TrimSpace(out + "\n" + errs)
}

// What the wrapper writes around the end of long output.
const (
	endFollows   = Marker + "the end of the output:"
	wholeFollows = Marker + "all errors:"
)

func last(text string, n int) string {
	if len(text) <= n {
		return text
	}
	text = text[len(text)-max(n, 0):]
	if _, rest, ok := strings.Cut(text, "\n"); ok {
		text = rest
	}
	return strings.ToValidUTF8(text, "")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
