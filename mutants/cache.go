package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// cache is a build cache for one mutant after the other. It begins with what the user's own holds, as hard links, and drops
// after each mutant what that one's build added: a bug in a package that all import costs some hundred megabytes, and
// nobody asks for them again.
type cache struct {
	folder string
	kept   map[string]bool // by path within the folder
}

// linkedCache makes a cache in the folder from what `go env GOCACHE` names.
func linkedCache(ctx context.Context, folder string) (*cache, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("find the build cache: %w", err)
	}
	return linkTree(strings.TrimSpace(string(out)), folder)
}

// linkTree links the files of one folder into a new one. A file that another build removes meanwhile is passed over, and
// so is one that cannot be linked: the build makes it again.
func linkTree(from, folder string) (*cache, error) {
	c := &cache{folder: folder, kept: map[string]bool{}}
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			c.kept[name] = true
			return os.MkdirAll(filepath.Join(folder, name), 0o700)
		}
		if os.Link(path, filepath.Join(folder, name)) == nil {
			c.kept[name] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("copy the build cache: %w", err)
	}
	return c, nil
}

// prune removes what was added since the cache was made.
func (c *cache) prune() error {
	return filepath.WalkDir(c.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(c.folder, path)
		if err != nil || c.kept[name] {
			return err
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if entry.IsDir() {
			return filepath.SkipDir
		}
		return nil
	})
}
