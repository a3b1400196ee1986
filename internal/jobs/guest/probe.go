package guest

import (
	"fmt"
	"strings"
	"time"
)

// Probe is an HTTP request to the server's own service.
type Probe struct {
	Port int
	Path string // "/" if empty
	TLS  bool   // the certificate is not verified: it is not for localhost
	// Status that is expected; 200 if zero.
	Status int
	// Contains must be in the body.
	Contains string
	// Within is for how long the service may take to answer as expected; zero: one try.
	Within time.Duration
}

// URL is what is asked for.
func (p Probe) URL() string {
	scheme, path := "http", p.Path
	if p.TLS {
		scheme = "https"
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return fmt.Sprintf("%s://localhost:%d%s", scheme, p.Port, path)
}

const betweenTries = 2 * time.Second

// Script is the script that asks, for Wrap: it succeeds once the answer is as expected.
func (p Probe) Script(shell string) string {
	status, tries := p.Status, int(p.Within/betweenTries)+1
	if status == 0 {
		status = 200
	}
	if shell == PowerShell {
		return p.powerShell(status, tries)
	}
	insecure := ""
	if p.TLS {
		insecure = " -k"
	}
	check := ":"
	if p.Contains != "" {
		check = "grep -qF -e " + Quote(p.Contains) + " \"$body\""
	}
	return fmt.Sprintf(`command -v curl >/dev/null 2>&1 || { echo 'curl, which asks the service, is not on this server' >&2; exit 127; }
url=%s
body=/tmp/stampmill-body.$$
tries=0
while :; do
  status=$(curl -s%s --max-time 5 -o "$body" -w '%%{http_code}' "$url") || :
  if [ "$status" = %d ] && %s; then
    rm -f "$body"
    exit 0
  fi
  tries=$((tries + 1))
  if [ "$tries" -ge %d ]; then break; fi
  sleep 2
done
echo "$url answered ${status:-nothing}, expected %[3]d"%[6]s >&2
cat "$body" 2>/dev/null || :
rm -f "$body"
exit 1
`, Quote(p.URL()), insecure, status, check, tries, p.expected(Quote))
}

func (p Probe) expected(quote func(string) string) string {
	if p.Contains == "" {
		return ""
	}
	return quote(" and " + p.Contains + " in the body")
}

func (p Probe) powerShell(status, tries int) string {
	insecure := ""
	if p.TLS {
		insecure = "[Net.ServicePointManager]::ServerCertificateValidationCallback = { $true }\n"
	}
	return fmt.Sprintf(`%s$url = %s
$text = %s
$tries = 0
while ($true) {
  $status = 0; $body = ''
  try {
    $answer = Invoke-WebRequest -UseBasicParsing -Uri $url -TimeoutSec 5 -MaximumRedirection 0 -ErrorAction Stop
    $status = [int]$answer.StatusCode; $body = [string]$answer.Content
  } catch {
    if ($_.Exception.Response) { $status = [int]$_.Exception.Response.StatusCode }
  }
  if ($status -eq %d -and $body.Contains($text)) { exit 0 }
  $tries++
  if ($tries -ge %d) { break }
  Start-Sleep -Seconds 2
}
[Console]::Error.WriteLine("$url answered $status, expected %[4]d " + $text)
exit 1
`, insecure, QuotePowerShell(p.URL()), QuotePowerShell(p.Contains), status, tries)
}
