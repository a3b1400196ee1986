package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

const (
	region     = "eu-west-1"
	speed      = "60"
	workers    = 3
	lease      = "6s"
	visibility = "9s"
)

// stage is what the story needs: the binaries, the endpoint, the workers, and the SDK for the checks.
type stage struct {
	folder    string
	source    string // the module's folder
	say       *speaker
	processes *processes

	url         string
	environment []string
	workers     []*worker
	aws         *clients.Regional
	kills       []kill
}

// build compiles the three programs into the folder.
func (s *stage) build(ctx context.Context) error {
	begun := time.Now()
	s.say.line(plain, "building stampmill, stampmill-worker and localaws into %s", s.folder)
	file, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	s.source = filepath.Dir(strings.TrimSpace(string(file)))
	for name, folder := range map[string]string{"localaws": "localaws", "stampmill": "producer", "stampmill-worker": "worker"} {
		build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(s.folder, "bin", name), "./cmd/"+folder)
		build.Dir = s.source
		grouped(build)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build ./cmd/%s: %w\n%s", folder, err, out)
		}
	}
	s.say.line(plain, "built in %.1f s; the clock starts now", time.Since(begun).Seconds())
	s.say.restart()
	return nil
}

// open starts the endpoint, makes the installation and starts the workers.
func (s *stage) open(ctx context.Context) error {
	s.say.act("An endpoint, an installation, three workers")
	first := make(chan string, 1)
	endpoint, err := s.processes.start("localaws", s.folder, os.Environ(), func(line string) {
		select {
		case first <- line:
		default:
		}
	}, nil, s.binary("localaws"), "--listen", "127.0.0.1:0", "--speed", speed, "--state", filepath.Join(s.folder, "localaws.state"))
	if err != nil {
		return err
	}
	select {
	case s.url = <-first:
	case <-endpoint.gone:
		return fmt.Errorf("localaws ended: %w", endpoint.err)
	case <-ctx.Done():
		return ctx.Err()
	}
	s.say.line(plain, "localaws speaks AWS at %s; what takes AWS minutes takes it seconds (--speed %s)", s.url, speed)
	s.environment = environment(s.url)
	sdk, err := clients.New(clients.Config{Region: region, Endpoint: s.url, Credentials: credentials.NewStaticCredentialsProvider("demo", "demo", "")})
	if err != nil {
		return err
	}
	s.aws = sdk.For(jobs.Target{})
	if _, err := s.stampmill(ctx, "setup"); err != nil {
		return err
	}
	s.say.line(plain, "stampmill setup: queues, tables and a bucket are made")
	for i := range workers {
		if err := s.work(i + 1); err != nil {
			return err
		}
	}
	s.say.line(plain, "%d workers (lease %s, visibility %s); each is worth no more than the others", workers, lease, visibility)
	return nil
}

// environment is what the children see: the endpoint, and nobody's own AWS settings.
func environment(url string) []string {
	var all []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "AWS_") && !strings.HasPrefix(pair, "STAMPMILL_") {
			all = append(all, pair)
		}
	}
	return append(all, "AWS_ENDPOINT_URL="+url, "AWS_REGION="+region, "AWS_ACCESS_KEY_ID=demo", "AWS_SECRET_ACCESS_KEY=demo",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
}

func (s *stage) binary(name string) string { return filepath.Join(s.folder, "bin", name) }

// stampmill runs the command line and gives what it printed.
func (s *stage) stampmill(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.binary("stampmill"), args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = s.environment, s.source, &out, &errs
	grouped(cmd)
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("stampmill %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}
