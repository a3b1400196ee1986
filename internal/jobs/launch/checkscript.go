package launch

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/guest"
)

// check is the script that asks a server whether it is healthy: the spec's command and address, each repeated on the server
// until it succeeds or has used up the tries of one look.
func (l *launch) check(ctx context.Context, shell string) (guest.Script, error) {
	command, fetch, err := l.checkCommand(ctx)
	if err != nil {
		return guest.Script{}, err
	}
	if fetch != "" && l.spec.Healthy.HTTP == nil {
		return guest.Script{Fetch: fetch, Digest: l.spec.Healthy.Run.Digest}, nil
	}
	if fetch != "" {
		return guest.Script{}, jobs.Fatalf("check the servers", l.spec.Healthy.Run.Label(), "the script is too long to stand beside an HTTP check",
			"bake it into the image and call it")
	}
	if shell == guest.PowerShell {
		return guest.Script{Text: powerShellCheck(command, l.spec.Healthy.HTTP)}, nil
	}
	if strings.HasPrefix(command, "#!") && l.spec.Healthy.HTTP == nil {
		return guest.Script{Text: command}, nil
	}
	return guest.Script{Text: shellCheck(command, l.spec.Healthy.HTTP)}, nil
}

// checkCommand is the command's text, or where the server fetches it.
func (l *launch) checkCommand(ctx context.Context) (text, fetch string, err error) {
	run := l.spec.Healthy.Run
	if run == nil {
		return "", "", nil
	}
	if !run.IsStored() {
		return run.Text, "", nil
	}
	fetch, err = l.Files.PresignGet(ctx, run.Key, time.Hour)
	return "", fetch, err
}

func shellCheck(command string, ask *HTTP) string {
	var out strings.Builder
	if command != "" {
		out.WriteString(repeatShell("sh -c " + guest.Quote("set -e\n"+command)))
	}
	if ask != nil {
		request := fmt.Sprintf(`[ "$(curl -s -o /dev/null -w '%%{http_code}' --max-time 10 %s)" = %d ]`, guest.Quote(ask.url()), ask.status())
		out.WriteString(repeatShell(request))
	}
	return out.String()
}

func repeatShell(command string) string {
	return fmt.Sprintf("tries=0\nuntil %s; do\n  tries=$((tries+1))\n  if [ $tries -ge %d ]; then exit 1; fi\n  sleep %d\ndone\n",
		command, checkTries, int(checkPause.Seconds()))
}

func powerShellCheck(command string, ask *HTTP) string {
	var out strings.Builder
	out.WriteString(command + "\n")
	if command != "" {
		out.WriteString("if ($LASTEXITCODE) { exit $LASTEXITCODE }\n")
	}
	if ask != nil {
		fmt.Fprintf(&out, "$status = 0\ntry { $status = [int](Invoke-WebRequest -UseBasicParsing -TimeoutSec 10 -Uri %s).StatusCode } catch { $status = [int]$_.Exception.Response.StatusCode }\nif ($status -ne %d) { Write-Error \"status $status\"; exit 1 }\n",
			guest.QuotePowerShell(ask.url()), ask.status())
	}
	return out.String()
}

func (h *HTTP) url() string {
	path := h.Path
	if path == "" {
		path = "/"
	}
	return fmt.Sprintf("http://127.0.0.1:%d%s", h.Port, path)
}

func (h *HTTP) status() int {
	if h.Status == 0 {
		return http.StatusOK
	}
	return h.Status
}
