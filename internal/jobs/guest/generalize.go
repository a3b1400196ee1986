package guest

import _ "embed"

//go:embed generalize.sh
var generalizeShell string

// Generalize is the script that removes what must not be the same on every server of an image: for Wrap, Repeatable. On
// Windows sysprep stops the server itself, some time after the script has ended.
func Generalize(shell string) string {
	if shell == PowerShell {
		return generalizePowerShell
	}
	return generalizeShell
}

// StopsItself reports whether generalizing stops the server.
func StopsItself(shell string) bool { return shell == PowerShell }

// EC2Launch v2 is on Windows Server 2022 and later; before it, v1 brought two scripts. Either is started beside the SSM
// agent, which it stops.
const generalizePowerShell = `$ErrorActionPreference = 'Stop'
$v2 = Join-Path $env:ProgramFiles 'Amazon\EC2Launch\EC2Launch.exe'
$v1 = Join-Path $env:ProgramData 'Amazon\EC2-Windows\Launch\Scripts'
Remove-Item -Recurse -Force -ErrorAction SilentlyContinue -Path (Join-Path $env:ProgramData 'Stampmill'), (Join-Path $env:ProgramData 'Amazon\SSM\InstanceData')
if (Test-Path -LiteralPath $v2) {
  Start-Process -FilePath "$env:ProgramFiles\Amazon\EC2Launch\EC2Launch.exe" -ArgumentList 'sysprep', '--shutdown=true' -WindowStyle Hidden
} elseif (Test-Path -LiteralPath $v1) {
  & (Join-Path $v1 'InitializeInstance.ps1') -Schedule
  Start-Process -FilePath powershell.exe -ArgumentList '-NoProfile', '-ExecutionPolicy', 'Bypass', '-File', (Join-Path $v1 'SysprepInstance.ps1') -WindowStyle Hidden
} else {
  [Console]::Error.WriteLine('this server has no EC2Launch, which runs sysprep')
  [Environment]::Exit(1)
}
`
