package guest

import (
	"fmt"
	"strings"
)

// The wrapper in PowerShell 5. It does what the one in POSIX shell does. The boot id is a value in a volatile registry
// key, which Windows forgets at every boot; the clock's idea of the boot time moves when the clock is set.
//
// The embedded endpoint follows PowerShell by rules, a line at a time. So the wrapper quits by a function of its own, and
// the script stands in it as lines of its own: what the rules see is the script.
const powerShellWords = `# Runs a script once under its token: github.com/stampmill/stampmill, internal/jobs/guest.
$ErrorActionPreference = 'Stop'
$dir = Join-Path $env:ProgramData @FOLDER@
function Say($text) { [Console]::Error.WriteLine('stampmill: ' + $text) }
function Quit($code) { [Environment]::Exit($code) }
function Give-Up($code, $text) { Say $text; Quit $code }
function Read-Text($name) { $p = Join-Path $dir $name; if (Test-Path -LiteralPath $p) { [IO.File]::ReadAllText($p) } else { '' } }
function Write-Text($name, $text) {
  $p = Join-Path $dir $name
  [IO.File]::WriteAllText("$p.new", $text)
  Move-Item -LiteralPath "$p.new" -Destination $p -Force
}
function Tell {
  $code = [int](Read-Text 'exit')
  $out = Read-Text 'stdout'; $err = Read-Text 'stderr'
  [Console]::Out.Write($out)
  if ($code -ne 0 -and ($out.Length -gt 20000 -or $err.Length -gt 6000)) {
    Say 'the end of the output:'
    [Console]::Error.WriteLine($out.Substring([Math]::Max(0, $out.Length - 1200)))
    [Console]::Error.WriteLine($err.Substring([Math]::Max(0, $err.Length - 800)))
    Say 'all errors:'
  }
  [Console]::Error.Write($err)
  Quit $code
}
function Test-Ended { Test-Path -LiteralPath (Join-Path $dir 'exit') }
`

// The boot's id.
const powerShellBoot = `New-Item -ItemType Directory -Force -Path $dir | Out-Null
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\Stampmill').CreateSubKey('Boot', $true, [Microsoft.Win32.RegistryOptions]::Volatile)
if (-not $key.GetValue('id')) { $key.SetValue('id', [Guid]::NewGuid().ToString()) }
$now = $key.GetValue('id')
`

const powerShellOnce = `$began = Read-Text 'boot'; $asked = Read-Text 'asked'
if ($began -and $began -ne $now -and $asked -ne $began) { Give-Up 198 'died: the server went down while the script ran' }
$lock = Join-Path $dir "by-$now"
try { New-Item -ItemType Directory -Path $lock -ErrorAction Stop | Out-Null; $mine = $true } catch { $mine = $false }
$blind = 0
while (-not $mine) {
  $holder = Read-Text "by-$now\pid"
  $gone = $false
  if ($holder) { $gone = -not (Get-Process -Id ([int]$holder) -ErrorAction SilentlyContinue) } else { $blind++; $gone = $blind -gt 30 }
  if (Test-Ended) { Tell }
  if ((Read-Text 'asked') -eq $now) { Quit 3010 }
  if ($gone) { Give-Up 198 'died: the script was ended from outside while it ran' }
  Start-Sleep -Seconds 1
}
Write-Text "by-$now\pid" "$PID"
`

const powerShellRun = `if (@(Get-ChildItem -LiteralPath $dir -Directory -Filter 'by-*').Count -gt 11) {
  Write-Text 'stderr' 'stampmill: the script asked for more than ten reboots'
  Write-Text 'exit' '1'
  Tell
}
$script = Join-Path $dir 'script.ps1'
$code = 196
try {
@PREPARE@
@ENVIRONMENT@
  Write-Text 'boot' $now
  $start = '$ErrorActionPreference = ''Stop''; $global:LASTEXITCODE = 0; & ''' + $script + '''; exit $LASTEXITCODE'
  $encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($start))
  $options = '-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-EncodedCommand', $encoded
  $run = Start-Process powershell.exe -PassThru -NoNewWindow -ArgumentList $options -RedirectStandardOutput "$dir\out" -RedirectStandardError "$dir\err"
  $null = $run.Handle # without it the exit code is lost
@WAIT@
  $code = $run.ExitCode
@AFTER@
} catch {
  Write-Text 'err' ('stampmill: ' + $_.Exception.Message)
}
Write-Text 'stdout' ((Read-Text 'stdout') + (Read-Text 'out'))
Write-Text 'stderr' ((Read-Text 'stderr') + (Read-Text 'err'))
if ($code -eq 3010) { Write-Text 'asked' $now; Quit 3010 }
Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath $script, "$dir\out", "$dir\err"
Write-Text 'exit' "$code"
Tell
`

func wrapPowerShell(s Script) (string, error) {
	prepare := "  $text = " + hereString(s.Text) + "\n  [IO.File]::WriteAllText($script, $text, (New-Object Text.UTF8Encoding $true))"
	if s.Fetch != "" {
		prepare = powerShellFetch(s.Fetch, s.Digest, "$script")
	}
	wait, after := "  $run.WaitForExit()", ""
	if s.Timeout > 0 {
		wait = fmt.Sprintf("  $ended = $run.WaitForExit(%d)\n  if (-not $ended) { taskkill.exe /T /F /PID $run.Id | Out-Null; $run.WaitForExit() }",
			s.Timeout.Milliseconds())
		after = fmt.Sprintf("  if (-not $ended) { $code = 124; Write-Text 'stderr' 'stampmill: the script took longer than %s' }", s.Timeout)
	}
	run := strings.NewReplacer("@PREPARE@", prepare, "@ENVIRONMENT@", powerShellEnvironment(s), "@WAIT@", wait, "@AFTER@", after).Replace(powerShellRun)
	return powerShellStart(s.Token) + "if (Test-Ended) { Tell }\n" + powerShellBoot + powerShellOnce + run, nil
}

// hereString keeps the script's lines as they are, where PowerShell and SSM let it.
func hereString(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.Contains("\n"+text, "\n'@") || strings.Contains(text, "{{") {
		return QuotePowerShell(text)
	}
	return "@'\n" + text + "\n'@"
}

func powerShellStart(token string) string {
	return strings.ReplaceAll(powerShellWords, "@FOLDER@", QuotePowerShell(`Stampmill\run\`+token))
}

// powerShellFetch gets an object by its presigned URL into a file, a PowerShell expression, and checks its digest.
func powerShellFetch(url, digest, file string) string {
	return fmt.Sprintf(`  [Net.ServicePointManager]::SecurityProtocol = 'Tls12'
  $ProgressPreference = 'SilentlyContinue'
  Invoke-WebRequest -UseBasicParsing -Uri %s -OutFile %[2]s
  if ((Get-FileHash -Algorithm SHA256 -LiteralPath %[2]s).Hash -ne %s) { throw 'a file from the bucket is not what was submitted' }`,
		QuotePowerShell(url), file, QuotePowerShell(strings.TrimPrefix(digest, "sha256:")))
}

func powerShellEnvironment(s Script) string {
	var b strings.Builder
	for _, name := range sorted(s.Env) {
		fmt.Fprintf(&b, "  $env:%s = %s\n", name, QuotePowerShell(s.Env[name]))
	}
	region := ""
	if s.Region != "" {
		region = " -Region " + QuotePowerShell(s.Region)
	}
	for _, name := range sorted(s.Secrets) {
		parameter, id := secret(s.Secrets[name])
		read := fmt.Sprintf("(Get-SECSecretValue%s -SecretId %s).SecretString", region, QuotePowerShell(id))
		if parameter {
			read = fmt.Sprintf("(Get-SSMParameter%s -WithDecryption $true -Name %s).Value", region, QuotePowerShell(id))
		}
		failure := QuotePowerShell("the secret " + s.Secrets[name] + " could not be read on this server; its instance profile must allow that: ")
		fmt.Fprintf(&b, "  try { $env:%s = %s } catch { $code = 197; throw (%s + $_.Exception.Message) }\n", name, read, failure)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
