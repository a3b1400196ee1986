package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one deliberate bug.
type mutant struct {
	name string
	// breaks says what goes wrong with it; a number is that of the invariant in "What must always hold" of the design.
	breaks string
	edits  []edit
	// tests are tried in order until one of them catches it.
	tests []selection
}

// edit replaces a text that stands in the file exactly once.
type edit struct {
	file, old, new string
}

// selection is some tests of one package.
type selection struct {
	pkg string // from the module's root: internal/jobs
	run string // as go test's -run takes it
	env string // NAME=value, or empty
}

func (s selection) String() string { return strings.TrimSpace(s.env + " " + s.pkg + " -run " + s.run) }

// mutated gives the files' contents after the edits.
func (m mutant) mutated(root string) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range m.edits {
		content, ok := files[e.file]
		if !ok {
			raw, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
			content = string(raw)
		}
		if n := strings.Count(content, e.old); n != 1 {
			return nil, fmt.Errorf("%s: the text stands in %s %d times, expected once; fit the mutant to the code:\n%s", m.name, e.file, n, e.old)
		}
		files[e.file] = strings.Replace(content, e.old, e.new, 1)
	}
	return files, nil
}

// overlay writes the mutated copies and the file for go's -overlay into the folder.
func (m mutant) overlay(root, folder string) (string, error) {
	files, err := m.mutated(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, content := range files {
		replaced := filepath.Join(folder, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(replaced, []byte(content), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = replaced
	}
	encoded, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, encoded, 0o600)
}
