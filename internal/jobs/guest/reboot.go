package guest

import (
	"fmt"
	"strings"
)

// Reboot gives the command that reboots a server once under the token: the first run asks SSM for the reboot, and the run
// after it sees another boot id and succeeds.
func Reboot(shell, token string) (string, error) {
	if !tokenPattern.MatchString(token) {
		return "", fmt.Errorf("%q is no token for a server", token)
	}
	if shell == PowerShell {
		return powerShellReboot(token), nil
	}
	return strings.NewReplacer("@DIR@", Quote(RunFolder+"/"+token)).Replace(shellReboot), nil
}

const shellReboot = `#!/bin/sh
# Reboots once under its token: github.com/stampmill/stampmill, internal/jobs/guest.
umask 077
dir=@DIR@
give_up() { echo "stampmill: $2" >&2; exit "$1"; }
if [ -f "$dir/exit" ]; then exit 0; fi
mkdir -p "$dir" || give_up 196 "cannot write to $dir"
now=$(cat /proc/sys/kernel/random/boot_id) || give_up 196 'this server tells no boot id'
began=$(cat "$dir/boot" 2>/dev/null)
if [ -n "$began" ] && [ "$began" != "$now" ]; then
  echo 0 >"$dir/exit"
  echo 'rebooted'
  exit 0
fi
echo "$now" >"$dir/boot.new" && mv "$dir/boot.new" "$dir/boot" || give_up 196 "cannot write to $dir"
exit 194
`

func powerShellReboot(token string) string {
	return powerShellStart(token) + "if (Test-Ended) { exit 0 }\n" + powerShellBoot + `$began = Read-Text 'boot'
if ($began -and $began -ne $now) { Write-Text 'exit' '0'; 'rebooted'; exit 0 }
Write-Text 'boot' $now
exit 3010
`
}
