package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	image   = "web"
	fleet   = "web-prod"
	servers = 200
)

// bake submits the example bake.
func (s *show) bake(ctx context.Context) error {
	s.say.act("Bake an image: set a server up once, verify it, take its AMI, test a server from that AMI")
	return s.submit(ctx, "bake.yaml", nil)
}

// launch submits the example fleet, and kills a worker while EC2 launches the servers. Meanwhile the others take in what
// the patch day is about.
func (s *show) launch(ctx context.Context) error {
	s.say.act("Stamp %d servers from it, each with its own name and settings; and a second image, three more fleets", servers)
	both, inner := errgroup.WithContext(ctx)
	struck := make(chan struct{})
	both.Go(func() error {
		return s.submit(inner, "launch.yaml", &strike{call: "RunInstances", times: 2, struck: struck, applied: func(ec2 map[string]map[string]int) bool {
			return ec2["instances"]["pending"]+ec2["instances"]["running"] >= servers
		}})
	})
	both.Go(func() error {
		select {
		case <-struck:
			return s.settle(inner)
		case <-inner.Done():
			return inner.Err()
		}
	})
	if err := both.Wait(); err != nil {
		return err
	}
	return s.remember(ctx)
}

// submit enqueues an example's spec with the command line, tells what the command line tells, and strikes a worker down
// meanwhile, if it is told to.
func (s *show) submit(ctx context.Context, file string, k *strike) error {
	path := filepath.Join("examples", "demo", file)
	s.say.quote("stampmill submit --wait "+path, "", 0)
	both, ctx := errgroup.WithContext(ctx)
	ready := make(chan struct{})
	both.Go(func() error {
		close(ready)
		if k == nil {
			return nil
		}
		if err := s.strikeDown(ctx, *k); err != nil {
			return err
		}
		if k.struck != nil {
			close(k.struck)
		}
		return s.takenOver(ctx)
	})
	both.Go(func() error {
		<-ready
		p := &progress{say: s.say}
		cli, err := s.Processes.Start("submit-"+file, s.Folder, s.Environment, p.job, p.line,
			s.Binary("stampmill"), "submit", "--wait", filepath.Join(s.Source, path))
		if err != nil {
			return err
		}
		if err := cli.Wait(ctx); err != nil {
			if ctx.Err() != nil {
				return err
			}
			return fmt.Errorf("stampmill submit --wait %s: %w; see stampmill's own words above", path, err)
		}
		return nil
	})
	return both.Wait()
}

// progress turns the command line's progress into the story's lines: the job's id is told once.
type progress struct {
	say *speaker
	mu  sync.Mutex
	id  string
}

func (p *progress) job(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id = strings.TrimSpace(line)
	p.say.line(plain, "enqueued: %s", p.id)
}

func (p *progress) line(line string) {
	p.mu.Lock()
	id := p.id
	p.mu.Unlock()
	words := strings.Fields(line)
	if len(words) < 2 || words[1] != id {
		p.say.line(plain, "%s", line)
		return
	}
	state, rest := words[0], strings.Join(words[2:], " ")
	switch state {
	case "open":
		if rest != "" {
			p.say.line(plain, "%s", rest)
		}
	case "succeeded":
		p.say.line(green, "%s %s", state, rest)
	case "queued":
	default:
		p.say.line(yellow, "%s %s", state, rest)
	}
}

// tell shows what is there now, with the command line.
func (s *show) tell(ctx context.Context) error {
	s.say.act("What is there now")
	for _, command := range []struct {
		text string
		most int
	}{
		{"image list", 10}, {"fleet list", 10}, {"fleet servers " + fleet, 6},
	} {
		out, err := s.Stampmill(ctx, strings.Fields(command.text)...)
		if err != nil {
			return err
		}
		s.say.quote("stampmill "+command.text, out, command.most)
	}
	return nil
}
