package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/aws/smithy-go"
	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// exit is an error with its exit code. An empty message prints nothing.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}
func (e *exit) Unwrap() error { return e.err }

func exitf(code int, format string, args ...any) error {
	return &exit{code: code, err: fmt.Errorf(format, args...)}
}

// codeOf is the exit code of a command that ended with the error.
func codeOf(err error) int {
	var coded *exit
	var invalid *spec.Errors
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &invalid):
		return ExitInvalid
	case strings.HasPrefix(err.Error(), "unknown command"): // cobra has no type for it
		return ExitUsage
	}
	return ExitFailure
}

// explain is the error for people: the SDK's chain of words becomes what happened and what to do. Where it does not know
// the error, its own text is it.
func (c *command) explain(err error) string {
	text := err.Error()
	op, called := errors.AsType[*smithy.OperationError](err)
	if called {
		text = strings.Replace(text, op.Error(), awserr.From(op, "").Error(), 1)
	}
	text = strings.ReplaceAll(text, "the IAM policy of the worker's role must allow", "your IAM policy must allow")
	network, isNetwork := errors.AsType[*net.OpError](err)
	_, isName := errors.AsType[*net.DNSError](err)
	switch {
	case called && strings.Contains(op.Error(), "get credentials"):
		return "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`"
	case errors.Is(err, context.Canceled):
		return "stopped"
	case isName || isNetwork && network.Op == "dial", errors.Is(err, syscall.ECONNREFUSED):
		return endpointDown(err)
	case strings.Contains(text, "NonExistentQueue"), strings.Contains(text, "QueueDoesNotExist"), strings.Contains(text, "ResourceNotFoundException"),
		strings.Contains(text, "NoSuchBucket"):
		return fmt.Sprintf("there is no complete installation %s in %s of this account: run `stampmill setup` or deploy the CloudFormation template;\n"+
			"if it is elsewhere, set AWS_REGION, AWS_PROFILE or STAMPMILL_PREFIX (%s)", c.config.Prefix, c.region(), missing(op, text))
	}
	return text
}

// missing is what AWS says is not there, in its own words.
func missing(op *smithy.OperationError, text string) string {
	if op == nil {
		return text
	}
	if known, ok := errors.AsType[*jobs.Error](awserr.From(op, "")); ok && known.Message != "" {
		return strings.TrimSuffix(known.Message, ".")
	}
	return text
}

func endpointDown(err error) string {
	cause := err
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		cause = inner
	}
	if endpoint := os.Getenv("AWS_ENDPOINT_URL"); endpoint != "" {
		return fmt.Sprintf("%s does not answer (%v): is it up? AWS_ENDPOINT_URL names it; unset it to speak to AWS", endpoint, cause)
	}
	return fmt.Sprintf("AWS does not answer (%v): is there a network, and is AWS_REGION a region?", cause)
}

// region is the configured one, for people.
func (c *command) region() string {
	if c.opened != nil {
		return c.opened.Clients.Region()
	}
	if options, err := c.options(); err == nil {
		return options.Clients.Region()
	}
	return "the configured region"
}

// usageErrors gives wrong arguments their exit code, and groups of commands an error where they are called with none.
func usageErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return exitf(ExitUsage, "%w\nusage: %s", err, cmd.UseLine())
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && cmd.RunE == nil && cmd.HasParent() {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			var names []string
			for _, sub := range cmd.Commands() {
				names = append(names, sub.Name())
			}
			if len(args) == 0 {
				return exitf(ExitUsage, "%s needs one of: %s", cmd.CommandPath(), strings.Join(names, ", "))
			}
			return exitf(ExitUsage, "%s has no command %q; expected one of: %s", cmd.CommandPath(), args[0], strings.Join(names, ", "))
		}
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}
