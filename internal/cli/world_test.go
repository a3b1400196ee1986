package cli_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/rig"
)

// shell is a person's: it runs command lines against an installation in virtual time.
type shell struct {
	*rig.Rig
	t      *testing.T
	folder string
	// transport carries the command line's calls; nil: the endpoint's own.
	transport http.RoundTripper
}

// answer is how a command ended.
type answer struct {
	code     int
	out, err string
}

// installed gives a test a shell, with a worker unless it wants none.
func installed(t *testing.T, workers int, test func(t *testing.T, s *shell)) {
	t.Parallel()
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, err := rig.New(rig.Config{Worker: func(c *config.Worker) { c.ReapInterval = 0 }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		for range workers {
			if _, err := r.Start(nil); err != nil {
				t.Fatal(err)
			}
		}
		test(t, &shell{Rig: r, t: t, folder: folder})
	})
}

// run runs a command line.
func (s *shell) run(args ...string) answer {
	s.t.Helper()
	transport := s.transport
	if transport == nil {
		transport = s.Endpoint.RoundTripper()
	}
	var out, errs bytes.Buffer
	code := cli.RunWith(s.t.Context(), args, cli.IO{In: strings.NewReader(""), Out: &out, Err: &errs}, clients.Config{
		Region: rig.Region, Endpoint: s.Endpoint.URL(), Transport: transport, Version: "test",
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
	})
	for _, text := range []string{out.String(), errs.String()} {
		if at := strings.IndexFunc(text, func(r rune) bool {
			return r == 0x1b || r == 0x7f || r >= 0x80 && r < 0xa0 || r < ' ' && r != '\n' && r != '\t'
		}); at >= 0 {
			s.t.Errorf("%v prints a character that a terminal obeys: %q", args, text[max(0, at-20):min(len(text), at+20)])
		}
	}
	return answer{code, out.String(), errs.String()}
}

// must runs a command line that has to end with the code, and gives its output.
func (s *shell) must(code int, args ...string) string {
	s.t.Helper()
	a := s.run(args...)
	if a.code != code {
		s.t.Fatalf("%v ended with %d, expected %d\n%s%s", args, a.code, code, a.out, a.err)
	}
	return a.out
}

// file writes a file and gives its path.
func (s *shell) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(strings.TrimLeft(text, "\n")), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// calls is how often an action was called so far.
func (s *shell) calls(action string) int { return int(s.Endpoint.Calls()[action].Calls) }

func wants(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("expected %q in\n%s", want, text)
		}
	}
}

func quoted(text string) string { return `"` + text + `"` }

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// denied is IAM's refusal in place of a response.
func denied(response *http.Response) *http.Response {
	const body = `{"__type":"AccessDeniedException","message":"User: arn:aws:iam::000000000000:user/me is not authorized to perform: ssm:SendCommand on resource: *"}`
	response.StatusCode, response.Status = http.StatusBadRequest, "400 Bad Request"
	response.Header.Set("X-Amzn-Errortype", "AccessDeniedException")
	response.ContentLength = int64(len(body))
	response.Body = io.NopCloser(strings.NewReader(body))
	return response
}
