package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func networkPrograms() map[string]shell.Program {
	return map[string]shell.Program{"curl": curl, "wget": wget, "aws": awsCLI, "ping": succeed, "nc": netcat}
}

// curl's exit codes.
const (
	curlBadURL  = 3
	curlNoHost  = 6
	curlRefused = 7
	curlHTTP    = 22
	curlWrite   = 23
	curlTime    = 28
	curlUsage   = 2
)

// transfer is one request of curl or wget.
type transfer struct {
	p                                   *shell.Process
	method, url, output, format, upload string
	header                              http.Header
	body                                []byte
	fail, silent, showErrors, include   bool
	headOnly, follow, remoteName        bool
	retries                             int
	retryDelay, limit                   time.Duration
}

// curlValues are the options that take a value.
var curlValues = map[string]string{"-o": "output", "--output": "output", "-X": "method", "--request": "method", "-H": "header", "--header": "header",
	"-d": "data", "--data": "data", "--data-raw": "data", "--data-binary": "data", "-w": "format", "--write-out": "format", "--retry": "retry",
	"--retry-delay": "delay", "--max-time": "limit", "-m": "limit", "--connect-timeout": "ignored", "-T": "upload", "--upload-file": "upload", "-A": "ignored",
	"--user-agent": "ignored", "--url": "url", "--retry-max-time": "ignored", "--noproxy": "ignored", "-u": "ignored", "--cacert": "ignored"}

func curl(ctx context.Context, p *shell.Process) int {
	t := &transfer{p: p, header: http.Header{}, retryDelay: time.Second}
	args := p.Args[1:]
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if long, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(arg, "--") && curlValues[long] != "" {
			if !t.set(curlValues[long], value) {
				return curlUsage
			}
			continue
		}
		if kind, takes := curlValues[arg]; takes {
			if i++; i >= len(args) {
				p.Errorf("option %s: requires parameter", arg)
				return curlUsage
			}
			if !t.set(kind, args[i]) {
				return curlUsage
			}
			continue
		}
		switch {
		case strings.HasPrefix(arg, "--"):
			if !t.flag(arg) {
				return curlUsage
			}
		case len(arg) > 1 && arg[0] == '-':
			used, ok := t.cluster(arg[1:], args[i+1:])
			if !ok {
				return curlUsage
			}
			i += used
		default:
			t.url = arg
		}
	}
	if t.url == "" {
		p.Errorf("no URL specified")
		return curlUsage
	}
	return t.run(ctx)
}

// cluster reads letters after one dash; the last may take a value.
func (t *transfer) cluster(letters string, rest []string) (used int, ok bool) {
	for i, letter := range letters {
		name := "-" + string(letter)
		if kind, takes := curlValues[name]; takes {
			if value := letters[i+1:]; value != "" {
				return 0, t.set(kind, value)
			}
			if len(rest) == 0 {
				t.p.Errorf("option %s: requires parameter", name)
				return 0, false
			}
			return 1, t.set(kind, rest[0])
		}
		if !t.flag(name) {
			return 0, false
		}
	}
	return 0, true
}

func (t *transfer) flag(name string) bool {
	switch name {
	case "-f", "--fail", "--fail-with-body":
		t.fail = true
	case "-s", "--silent":
		t.silent = true
	case "-S", "--show-error":
		t.showErrors = true
	case "-L", "--location":
		t.follow = true
	case "-I", "--head":
		t.headOnly, t.method = true, http.MethodHead
	case "-i", "--include":
		t.include = true
	case "-O", "--remote-name":
		t.remoteName = true
	case "-G", "--get":
		t.method = http.MethodGet
	case "-k", "--insecure", "-v", "--verbose", "--compressed", "-#", "--progress-bar", "--retry-connrefused", "--retry-all-errors", "-4", "-6", "-N", "--create-dirs", "-g":
	default:
		t.p.Errorf("option %s: is unknown", name)
		return false
	}
	return true
}

func (t *transfer) set(kind, value string) bool {
	var err error
	seconds := func() time.Duration {
		var n float64
		n, err = strconv.ParseFloat(value, 64)
		return time.Duration(n * float64(time.Second))
	}
	switch kind {
	case "output":
		t.output = value
	case "method":
		t.method = value
	case "header":
		name, content, _ := strings.Cut(value, ":")
		t.header.Add(strings.TrimSpace(name), strings.TrimSpace(content))
	case "data":
		data := []byte(value)
		if file, ok := strings.CutPrefix(value, "@"); ok {
			data, err = t.p.ReadFile(file)
		}
		if t.body != nil {
			t.body = append(t.body, '&')
		}
		t.body = append(t.body, data...)
		if t.method == "" {
			t.method = http.MethodPost
		}
	case "format":
		t.format = value
	case "retry":
		t.retries, err = strconv.Atoi(value)
	case "delay":
		t.retryDelay = seconds()
	case "limit":
		t.limit = seconds()
	case "upload":
		t.upload = value
		if t.body, err = t.p.ReadFile(value); err == nil && t.method == "" {
			t.method = http.MethodPut
		}
	case "url":
		t.url = value
	}
	if err != nil {
		t.p.Errorf("%s: %s", value, files.Reason(err))
		return false
	}
	return true
}

// run makes the request, again after failures that may pass.
func (t *transfer) run(ctx context.Context) int {
	if t.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(time.Duration(float64(t.limit)/max(1, t.p.System.Speed)), shortestTimeout))
		defer cancel()
	}
	for attempt := 0; ; attempt++ {
		a, code, message := t.request(ctx)
		passing := code == curlRefused || code == curlTime || code == 0 && (a.status >= 500 || a.status == 429 || a.status == 408)
		if passing && attempt < t.retries && t.p.System.Sleep(ctx, t.retryDelay) {
			continue
		}
		if code == 0 && t.fail && a.status >= 400 {
			code, message = curlHTTP, fmt.Sprintf("The requested URL returned error: %d", a.status)
		}
		if code != 0 && (!t.silent || t.showErrors) {
			t.p.Errorf("(%d) %s", code, message)
		}
		if code == 0 {
			code = t.deliver(a)
		}
		if t.format != "" {
			fmt.Fprint(t.p.Out, strings.NewReplacer("%{http_code}", fmt.Sprintf("%03d", a.status), "%{response_code}", fmt.Sprintf("%03d", a.status),
				`\n`, "\n", "%{size_download}", strconv.Itoa(len(a.body)), "%{time_total}", "0.001").Replace(t.format))
		}
		return code
	}
}

func (t *transfer) request(ctx context.Context) (a answer, code int, message string) {
	target := t.url
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	for range 10 {
		method := t.method
		if method == "" {
			method = http.MethodGet
		}
		r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(t.body))
		if err != nil || r.URL.Host == "" {
			return a, curlBadURL, "URL using bad/illegal format or missing URL"
		}
		r.Header = t.header.Clone()
		if host := r.Header.Get("Host"); host != "" {
			r.Host = host
		}
		a, err = bootOf(t.p).reach(r)
		switch {
		case errors.Is(err, errRefused):
			return a, curlRefused, fmt.Sprintf("Failed to connect to %s port %s: Connection refused", r.URL.Hostname(), portOf(r.URL))
		case err != nil && ctx.Err() != nil:
			return a, curlTime, "Operation timed out"
		case err != nil:
			return a, curlNoHost, "Could not resolve host: " + r.URL.Hostname()
		}
		location := a.header.Get("Location")
		if !t.follow || location == "" || a.status < 300 || a.status > 399 {
			return a, 0, ""
		}
		next, err := r.URL.Parse(location)
		if err != nil {
			return a, curlBadURL, "URL using bad/illegal format"
		}
		target = next.String()
	}
	return a, 47, "Maximum (50) redirects followed"
}

func (t *transfer) deliver(a answer) int {
	var out strings.Builder
	if t.headOnly || t.include {
		fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
		for _, name := range sortedKeys(a.header) {
			fmt.Fprintf(&out, "%s: %s\r\n", name, a.header.Get(name))
		}
		out.WriteString("\r\n")
	}
	if !t.headOnly {
		out.WriteString(a.body)
	}
	target := t.output
	if t.remoteName {
		if u, err := url.Parse(t.url); err == nil {
			target = path.Base(u.Path)
		}
	}
	if target == "" || target == "-" {
		if _, err := io.WriteString(t.p.Out, out.String()); err != nil {
			return curlWrite
		}
		return 0
	}
	if err := t.p.Files().Write(t.p.Path(target), []byte(out.String()), 0o644); err != nil {
		t.p.Errorf("(23) Failure writing output to destination: %s", files.Reason(err))
		return curlWrite
	}
	return 0
}
