package guest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxUserData is what EC2 takes, before base64.
const MaxUserData = 16 << 10

// Part is one script of a provision in user data, with what is expected of it.
type Part struct {
	Name, Text   string
	Env, Secrets map[string]string
	Timeout      time.Duration
	Exit         int
	Output       string // must be in what it writes
	Matches      string // an extended regular expression that what it writes must match
}

// Provision is everything that a server does at its first boot where no SSM reaches it. It stops itself once all has
// succeeded; else it says so on its console and stays. Secrets are read on the server here too.
type Provision struct {
	Parts      []Part
	Generalize bool
	Region     string
}

// UserData is the user data, compressed if it must be.
func (p Provision) UserData(shell string) ([]byte, error) {
	build := p.shell
	if shell == PowerShell {
		build = p.powerShell
	}
	text, err := build()
	if err != nil {
		return nil, err
	}
	data := []byte(text)
	if len(data) > MaxUserData && shell != PowerShell {
		if data, err = compress(data); err != nil {
			return nil, err
		}
	}
	if len(data) > MaxUserData {
		return nil, fmt.Errorf("the steps are %d bytes, EC2 takes %d of user data", len(data), MaxUserData)
	}
	return data, nil
}

func (p Provision) shell() (string, error) {
	var b strings.Builder
	b.WriteString(`#!/bin/sh
umask 077
dir=/run/stampmill/provision
mkdir -p "$dir"
say() { echo "stampmill: $*"; }
failed() {
  cat "$dir/out" 2>/dev/null
  say "provision failed: $1"
  echo "stampmill: provision failed: $1" 2>/dev/null >/dev/console
  exit 1
}
give_up() { say "$2"; exit "$1"; }
`)
	for _, part := range p.Parts {
		if err := part.shell(&b, p.Region); err != nil {
			return "", err
		}
	}
	if p.Generalize {
		write, err := shellWrite([]byte(Generalize(Shell)), `"$dir/script"`)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s\nsh -e \"$dir/script\" >\"$dir/out\" 2>&1 || failed generalize\n", write)
	}
	b.WriteString("rm -rf \"$dir\"\nsay 'provision succeeded'\nshutdown -h now\n")
	return b.String(), nil
}

func (part Part) shell(b *strings.Builder, region string) error {
	for name := range part.Env {
		if !IsVariable(name) {
			return fmt.Errorf("%q is no name of an environment variable", name)
		}
	}
	write, err := shellWrite([]byte(part.Text), `"$dir/script"`)
	if err != nil {
		return err
	}
	limit := ":"
	if part.Timeout > 0 {
		limit = fmt.Sprintf("if command -v timeout >/dev/null 2>&1; then set -- timeout -k 10 %d \"$@\"; fi", int(part.Timeout.Seconds()))
	}
	fmt.Fprintf(b, `%s
(
  umask 022
  HOME=${HOME:-/root}
  export HOME
  cd "$HOME" 2>/dev/null || cd /
%s
  read -r first <"$dir/script"
  set -f
  case "$first" in
  '#!'*) set -- ${first#'#!'} "$dir/script" ;;
  *) set -- sh -e "$dir/script" ;;
  esac
  set +f
  %s
  "$@"
) </dev/null >"$dir/out" 2>&1
code=$?
[ "$code" = %d ] || failed "%s: exit code $code"
`, write, shellEnvironment(Script{Env: part.Env, Secrets: part.Secrets, Region: region}), limit, part.Exit, part.Name)
	if part.Output != "" {
		fmt.Fprintf(b, "grep -qF -e %s \"$dir/out\" || failed '%s: its output is not as expected'\n", Quote(part.Output), part.Name)
	}
	if part.Matches != "" {
		fmt.Fprintf(b, "grep -qE -e %s \"$dir/out\" || failed '%s: its output is not as expected'\n", Quote(part.Matches), part.Name)
	}
	fmt.Fprintf(b, "cat \"$dir/out\"\nsay '%s: done'\n", part.Name)
	return nil
}

func (p Provision) powerShell() (string, error) {
	var b bytes.Buffer
	b.WriteString(`<powershell>
$ErrorActionPreference = 'Stop'
function Stop-Failed($text) {
  $port = New-Object IO.Ports.SerialPort 'COM1', 115200
  $port.Open(); $port.WriteLine("stampmill: provision failed: $text"); $port.Close()
  exit 1
}
$script = Join-Path $env:TEMP 'stampmill.ps1'
`)
	for _, part := range p.Parts {
		if part.Matches != "" || part.Output != "" {
			return "", errors.New("output and matches need SSM on Windows")
		}
		fmt.Fprintf(&b, "[IO.File]::WriteAllText($script, %s, (New-Object Text.UTF8Encoding $true))\n%s\n", QuotePowerShell(part.Text),
			powerShellEnvironment(Script{Env: part.Env, Secrets: part.Secrets, Region: p.Region}))
		fmt.Fprintf(&b, "powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $script\n")
		fmt.Fprintf(&b, "if ($LASTEXITCODE -ne %d) { Stop-Failed \"%s: exit code $LASTEXITCODE\" }\n", part.Exit, part.Name)
	}
	b.WriteString("Remove-Item -LiteralPath $script\n")
	if p.Generalize {
		b.WriteString(generalizePowerShell)
	} else {
		b.WriteString("Stop-Computer -Force\n")
	}
	b.WriteString("</powershell>\n")
	return b.String(), nil
}
