package guest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Where the wrapper remembers: for good, or until the next boot.
const (
	RunFolder     = "/var/lib/stampmill/run"
	RunFolderBoot = "/run/stampmill/run"
)

// The wrapper in POSIX shell. Its folder holds:
//
//	boot    the boot in which the script began last; it is written before the script begins
//	by-ID   the lock of the boot ID, with the pid of who holds it: mkdir succeeds once
//	asked   the boot in which the script asked for a reboot
//	exit    the exit code; it is moved there whole, after all output
const shellWrapper = `#!/bin/sh
# Runs a script once under its token: github.com/stampmill/stampmill, internal/jobs/guest.
umask 077
STAMPMILL_SELF=$0
export STAMPMILL_SELF
token=@TOKEN@
root=@ROOT@
dir="$root/$token"
say() { echo "stampmill: $*" >&2; }
give_up() { say "$2"; exit "$1"; }
longer() { [ "$(wc -c <"$1")" -gt "$2" ] 2>/dev/null; }
tell() {
  code=$(cat "$dir/exit")
  cat "$dir/stdout"
  if [ "$code" != 0 ] && { longer "$dir/stdout" 20000 || longer "$dir/stderr" 6000; }; then
    say 'the end of the output:' && tail -c 1200 "$dir/stdout" >&2 && echo >&2 && tail -c 800 "$dir/stderr" >&2 && echo >&2
    say 'all errors:'
  fi
  cat "$dir/stderr" >&2
  exit "$code"
}
if [ -f "$dir/exit" ]; then tell; fi
mkdir -p "$dir" || give_up 196 "cannot write to $dir"
now=$(cat /proc/sys/kernel/random/boot_id) || give_up 196 'this server tells no boot id'
began=$(cat "$dir/boot" 2>/dev/null)
asked=$(cat "$dir/asked" 2>/dev/null)
if [ -n "$began" ] && [ "$began" != "$now" ] && [ "$asked" != "$began" ]; then
  give_up 198 'died: the server went down while the script ran'
fi
if ! mkdir "$dir/by-$now" 2>/dev/null; then
  blind=0
  while :; do
    pid=$(cat "$dir/by-$now/pid" 2>/dev/null)
    gone=
    if [ -n "$pid" ]; then
      kill -0 "$pid" 2>/dev/null || gone=1
    else
      blind=$((blind + 1))
      if [ "$blind" -gt 30 ]; then gone=1; fi
    fi
    if [ -f "$dir/exit" ]; then tell; fi
    if [ "$(cat "$dir/asked" 2>/dev/null)" = "$now" ]; then exit 194; fi
    if [ -n "$gone" ]; then give_up 198 'died: the script was ended from outside while it ran'; fi
    sleep 1
  done
fi
echo $$ >"$dir/by-$now/pid"
set -- "$dir"/by-*
if [ $# -gt 11 ]; then
  echo 1 >"$dir/exit.new"
  : >>"$dir/stdout"
  say 'the script asked for more than ten reboots' 2>>"$dir/stderr"
  mv "$dir/exit.new" "$dir/exit"
  tell
fi
`

// The part that runs the script, by whoever holds the lock. The run happens in a subshell: what it exports ends there.
const shellRun = `
prepare() {
@PREPARE@
}
run() {
  umask 022
  HOME=${HOME:-/root}
  export HOME
  cd "$HOME" 2>/dev/null || cd /
@ENVIRONMENT@
  read -r first <"$dir/script"
  set -f
  case "$first" in
  '#!'*) set -- ${first#'#!'} "$dir/script" ;;
  *) set -- sh -e "$dir/script" ;;
  esac
  set +f
@LIMIT@
  "$@"
}
if prepare 2>>"$dir/stderr" >>"$dir/stdout"; then
  echo "$now" >"$dir/boot.new" && mv "$dir/boot.new" "$dir/boot" || give_up 196 "cannot write to $dir"
  (run) </dev/null >>"$dir/stdout" 2>>"$dir/stderr"
  code=$?
else
  code=196
fi
if [ "$code" = 194 ]; then
  echo "$now" >"$dir/asked.new" && mv "$dir/asked.new" "$dir/asked"
  exit 194
fi
@TIMEOUT@
rm -f "$dir/script"
echo "$code" >"$dir/exit.new" && mv "$dir/exit.new" "$dir/exit" || give_up 196 "cannot write to $dir"
tell
`

func wrapShell(s Script) (string, error) {
	prepare, err := shellPrepare(s)
	if err != nil {
		return "", err
	}
	limit, timeout := "  :", ""
	if s.Timeout > 0 {
		seconds := int(s.Timeout.Round(time.Second) / time.Second)
		limit = fmt.Sprintf("  if command -v timeout >/dev/null 2>&1; then set -- timeout -k 10 %d \"$@\"; fi", max(seconds, 1))
		timeout = fmt.Sprintf(`if [ "$code" = 124 ]; then
  { say 'the script took longer than %s'; cat "$dir/stderr"; } >"$dir/stderr.new" 2>&1 && mv "$dir/stderr.new" "$dir/stderr"
fi`, s.Timeout)
	}
	return shellHead(s) + strings.NewReplacer("@PREPARE@", prepare, "@ENVIRONMENT@", shellEnvironment(s), "@LIMIT@", limit,
		"@TIMEOUT@", timeout).Replace(shellRun), nil
}

func shellHead(s Script) string {
	root := RunFolder
	if s.Repeatable {
		root = RunFolderBoot
	}
	return strings.NewReplacer("@TOKEN@", Quote(s.Token), "@ROOT@", Quote(root)).Replace(shellWrapper)
}

// shellPrepare puts the script on the server. Base64 keeps SSM from replacing {{…}} in it.
func shellPrepare(s Script) (string, error) {
	if s.Fetch != "" { // after a reboot the address may have ended, and the script is there
		present := fmt.Sprintf("  [ -f \"$dir/script\" ] && sum=$(sha256sum \"$dir/script\") && [ \"${sum%%%% *}\" = %s ] && return 0\n",
			Quote(strings.TrimPrefix(s.Digest, "sha256:")))
		return present + shellFetch(s.Fetch, s.Digest, `"$dir/script"`), nil
	}
	return shellWrite([]byte(s.Text), `"$dir/script"`)
}

// shellFetch gets an object by its presigned URL into the file, a word of shell, and checks its digest.
func shellFetch(url, digest, file string) string {
	return fmt.Sprintf(`  curl -fsS --retry 3 -o %[1]s %[2]s || wget -q -O %[1]s %[2]s || { say 'a file could not be fetched from the bucket'; return 1; }
  sum=$(sha256sum %[1]s) || return 1
  [ "${sum%%%% *}" = %[3]s ] || { say 'a file from the bucket is not what was submitted'; return 1; }`,
		file, Quote(url), Quote(strings.TrimPrefix(digest, "sha256:")))
}

// worthPacking is the size from which compressing is worth the worker's time.
const worthPacking = 4 << 10

// shellWrite writes content into the file, a word of shell; compressed where that is shorter.
func shellWrite(content []byte, file string) (string, error) {
	encoded, unpack := base64.StdEncoding.EncodeToString(content), ""
	if len(content) < worthPacking {
		return fmt.Sprintf("  base64 -d >%s <<'STAMPMILL-END'\n%s\nSTAMPMILL-END", file, encoded), nil
	}
	packed, err := compress(content)
	if err != nil {
		return "", err
	}
	if short := base64.StdEncoding.EncodeToString(packed); len(short)+64 < len(encoded) {
		encoded, unpack = short, " | gzip -dc"
	}
	return fmt.Sprintf("  base64 -d <<'STAMPMILL-END'%s >%s\n%s\nSTAMPMILL-END", unpack, file, encoded), nil
}

func compress(content []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func shellEnvironment(s Script) string {
	var b strings.Builder
	for _, name := range sorted(s.Env) {
		fmt.Fprintf(&b, "  %s=%s\n  export %[1]s\n", name, Quote(s.Env[name]))
	}
	if len(s.Secrets) > 0 {
		b.WriteString("  command -v aws >/dev/null 2>&1 || give_up 197 'the AWS CLI, which reads secrets, is not on this server'\n")
	}
	for _, name := range sorted(s.Secrets) {
		fmt.Fprintf(&b, "  %s=$(%s) || give_up 197 %s\n  export %[1]s\n", name, shellSecret(s, s.Secrets[name]),
			Quote("the secret "+s.Secrets[name]+" could not be read on this server; its instance profile must allow that"))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func shellSecret(s Script, name string) string {
	parameter, id := secret(name)
	region := ""
	if s.Region != "" {
		region = " --region " + Quote(s.Region)
	}
	if parameter {
		return "aws ssm get-parameter" + region + " --with-decryption --query Parameter.Value --output text --name " + Quote(id)
	}
	return "aws secretsmanager get-secret-value" + region + " --query SecretString --output text --secret-id " + Quote(id)
}
