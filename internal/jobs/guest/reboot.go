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

// powerShellReboot ends in lines that the embedded endpoint's rules can follow too: on a real server the file asked is
// never there when they are reached.
func powerShellReboot(token string) string {
	asked := QuotePowerShell(`C:\ProgramData\Stampmill\run\` + token + `\asked`)
	return powerShellStart(token) + "if (Test-Ended) { Quit 0 }\n" + powerShellBoot + `$began = Read-Text 'boot'
if ($began -and $began -ne $now) { Write-Text 'exit' '0'; 'rebooted'; Quit 0 }
if ($began) { Quit 3010 }
if (Test-Path -Path ` + asked + `) { exit 0 }
Set-Content -Path ` + asked + ` -Value asked
Write-Text 'boot' $now
exit 3010
`
}
