package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatAMutantsBuildAddsIsDroppedAndTheUsersCacheKept(t *testing.T) {
	t.Parallel()
	users, own := t.TempDir(), filepath.Join(t.TempDir(), "cache")
	write := func(folder, name string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(users, "00/one-d")
	c, err := linkTree(users, own)
	if err != nil {
		t.Fatal(err)
	}
	write(own, "00/two-d")
	write(own, "01/three-d/program")
	if err := c.prune(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		filepath.Join(users, "00/one-d"): true,
		filepath.Join(own, "00/one-d"):   true,
		filepath.Join(own, "00/two-d"):   false,
		filepath.Join(own, "01"):         false,
	} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: there is %t, want %t", path, err == nil, want)
		}
	}
}
