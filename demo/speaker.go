package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// speaker narrates: a line each, with the time since the start, in colour on a terminal.
type speaker struct {
	out    io.Writer
	colour bool

	mu    sync.Mutex
	begun time.Time
}

// The colours, as terminals number them.
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func newSpeaker(out *os.File) *speaker {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &speaker{out: out, colour: terminal && os.Getenv("NO_COLOR") == "", begun: time.Now()}
}

// restart sets the clock back to zero.
func (s *speaker) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = time.Now()
}

func (s *speaker) elapsed() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.begun)
}

// act begins a part of the story.
func (s *speaker) act(format string, args ...any) {
	s.print("\n" + s.paint(bold, fmt.Sprintf(format, args...)) + "\n")
}

// line tells what happens now.
func (s *speaker) line(colour, format string, args ...any) {
	s.print(s.paint(dim, fmt.Sprintf("%6.1fs  ", s.elapsed().Seconds())) + s.paint(colour, fmt.Sprintf(format, args...)) + "\n")
}

// quote shows a command and what it printed, at most so many lines of it.
func (s *speaker) quote(command, output string, most int) {
	var text strings.Builder
	text.WriteString(s.paint(bold, "  $ "+command) + "\n")
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	for i, line := range lines {
		if output == "" {
			break
		}
		if i == most {
			text.WriteString(s.paint(dim, fmt.Sprintf("    … %d more", len(lines)-most)) + "\n")
			break
		}
		text.WriteString("    " + line + "\n")
	}
	s.print(text.String())
}

func (s *speaker) paint(colour, text string) string {
	if !s.colour || colour == plain {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (s *speaker) print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.WriteString(s.out, text); err != nil {
		s.out = io.Discard // nobody reads any more; the checks still count
	}
}
