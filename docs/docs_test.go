// Package docs_test holds the pages for users to the programs that they describe.
package docs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/config"
)

// pages are all pages for users, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	var paths []string
	for _, pattern := range []string{"*.md", "../*.md", "../examples/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	if len(paths) < 10 {
		t.Fatalf("only %d pages found", len(paths))
	}
	all := map[string]string{}
	for _, path := range paths {
		all[path] = read(t, path)
	}
	return all
}

func TestEveryVariableOfTheWorkerIsInItsTable(t *testing.T) {
	t.Parallel()
	var help bytes.Buffer
	if err := config.Help[config.Worker](&help); err != nil {
		t.Fatal(err)
	}
	page := read(t, "configuration.md")
	row := regexp.MustCompile(`(?m)^\s+(STAMPMILL_\w+)\s{2,}(\S+)\s{2,}(.+)$`)
	variables := row.FindAllStringSubmatch(help.String(), -1)
	if len(variables) < 15 {
		t.Fatalf("--help has only %d variables:\n%s", len(variables), help.String())
	}
	for _, v := range variables {
		value := ""
		if v[2] != "-" {
			value = "`" + v[2] + "`"
		}
		expected := fmt.Sprintf("| `%s` | %s | %s |", v[1], value, strings.TrimSpace(v[3]))
		if !strings.Contains(page, expected+"\n") {
			t.Errorf("configuration.md lacks the row\n%s", expected)
		}
	}
	known := regexp.MustCompile(`STAMPMILL_[A-Z_]+[A-Z]`)
	for path, text := range pages(t) {
		for _, name := range known.FindAllString(text, -1) {
			if !slices.ContainsFunc(variables, func(v []string) bool { return v[1] == name }) {
				t.Errorf("%s names %s, which no program reads", path, name)
			}
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for path, text := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, fragment, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", path, match[1], err)
			} else if fragment != "" && !slices.Contains(headings(read(t, file)), fragment) {
				t.Errorf("%s links to %s, and there is no such heading", path, match[1])
			}
		}
	}
}

func TestTheMakeTargetsThatPagesNameAreThere(t *testing.T) {
	t.Parallel()
	makefile := read(t, "../Makefile")
	use := regexp.MustCompile("(?m)(?:`|^)make ([a-z-]+)")
	for path, text := range pages(t) {
		for _, match := range use.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+match[1]+":") {
				t.Errorf("%s names make %s, which is no target", path, match[1])
			}
		}
	}
}

// headings gives the anchors of a page's headings.
func headings(page string) []string {
	var anchors []string
	code := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		if !code && strings.HasPrefix(line, "#") {
			text := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
			text = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(text, "")
			anchors = append(anchors, strings.ReplaceAll(text, " ", "-"))
		}
	}
	return anchors
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
