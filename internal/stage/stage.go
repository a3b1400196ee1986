// Package stage is what real processes need to play on one machine: the built binaries, the embedded endpoint, an
// installation on it, and children that never outlive their parent. The demo and the storm stand on it; no binary that
// ships does.
package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stampmill/stampmill/internal/aws/clients"
)

// Region is where the installation stands.
const Region = "eu-west-1"

// accessKey is no account's id: the endpoint takes its default account.
const accessKey = "stage"

// Stage is a folder with the binaries, and the endpoint that runs there.
type Stage struct {
	// Folder has the binaries, the logs and the endpoint's state.
	Folder string
	// Source is the module's folder; Build finds it.
	Source string
	// Processes are all children.
	Processes Processes

	// URL is the endpoint's, Environment what the other children see, and AWS the SDK on it; Open sets them.
	URL         string
	Environment []string
	AWS         *clients.Clients
}

// Build compiles the three programs into the folder.
func (s *Stage) Build(ctx context.Context) error {
	file, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	s.Source = filepath.Dir(strings.TrimSpace(string(file)))
	for name, folder := range map[string]string{"localaws": "localaws", "stampmill": "producer", "stampmill-worker": "worker"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", s.Binary(name), "./cmd/"+folder)
		build.Dir = s.Source
		grouped(build)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build ./cmd/%s: %w\n%s", folder, err, out)
		}
	}
	return nil
}

// Binary is the path of one of the programs.
func (s *Stage) Binary(name string) string { return filepath.Join(s.Folder, "bin", name) }

// Open starts the endpoint with these flags besides its state file, and gives its process once it listens. It may be
// called again after that process has ended; the flags then name the address that the others know.
func (s *Stage) Open(ctx context.Context, flags ...string) (*Process, error) {
	first := make(chan string, 1)
	flags = append([]string{"--state", filepath.Join(s.Folder, "localaws.state")}, flags...)
	endpoint, err := s.Processes.Start("localaws", s.Folder, os.Environ(), func(line string) {
		select {
		case first <- line:
		default:
		}
	}, nil, s.Binary("localaws"), flags...)
	if err != nil {
		return nil, err
	}
	var url string
	select {
	case url = <-first:
	case <-endpoint.Gone():
		return nil, fmt.Errorf("localaws ended: %w", endpoint.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if url == s.URL {
		return endpoint, nil // others may be reading what is the same
	}
	s.URL, s.Environment = url, environment(url)
	s.AWS, err = clients.New(clients.Config{Region: Region, Endpoint: s.URL, Credentials: credentials.NewStaticCredentialsProvider(accessKey, accessKey, "")})
	return endpoint, err
}

// environment is what the children see: the endpoint, and nobody's own AWS settings.
func environment(url string) []string {
	var all []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "AWS_") && !strings.HasPrefix(pair, "STAMPMILL_") {
			all = append(all, pair)
		}
	}
	return append(all, "AWS_ENDPOINT_URL="+url, "AWS_REGION="+Region, "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+accessKey,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
}

// Stampmill runs the command line and gives what it printed.
func (s *Stage) Stampmill(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.Binary("stampmill"), args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.Environment, s.Source, &out, &errs
	grouped(cmd)
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("stampmill %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// Control speaks to the endpoint itself: in and out are JSON, and may be nil.
func (s *Stage) Control(ctx context.Context, method, name string, in, out any) (err error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, s.URL+"/_localaws/"+name, &body)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s /_localaws/%s: %s", method, name, answer.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(out)
}
