package cli_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/cli"
	"github.com/stampmill/stampmill/internal/jobs"
)

// words takes a command line apart, up to a pipe or a comment.
func words(line string) []string {
	var all []string
	for _, match := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		if match[2] == "|" || match[2] == "#" {
			break
		}
		all = append(all, match[1]+match[2])
	}
	return all
}

// Every command of these pages is understood, and does not fail on what the page speaks of.
func TestTheCommandsOfThePagesRun(t *testing.T) {
	for _, page := range []string{"dead-letters.md", "orphans.md", "doctor.md"} {
		t.Run(page, func(t *testing.T) {
			text := readFile(t, filepath.Join("..", "..", "docs", page))
			installed(t, 1, func(t *testing.T, s *shell) {
				time.Sleep(5 * time.Minute) // the worker sweeps
				ran := 0
				for line := range strings.Lines(text) {
					args := words(line)
					if len(args) < 2 || args[0] != "stampmill" {
						continue
					}
					s.run("dead", "drop", "--all", "--yes") // what the line before left
					s.bury(jobs.LaneNormal, "5fea7756-0ea4-451a-a703-a558b933e274", submission("page", "a"), "same key, another spec")
					s.bury(jobs.LaneNormal, "c0ffee00-0ea4-451a-a703-a558b933e274", submission("page", "b"), `"kind" is "X"; expected one of [Bake]`)
					if strings.Contains(line, "--older") {
						time.Sleep(2 * time.Hour)
					}
					s.must(cli.ExitOK, args[1:]...)
					ran++
				}
				if ran == 0 {
					t.Error("the page has no command")
				}
			})
		})
	}
}
