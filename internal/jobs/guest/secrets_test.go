package guest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASecretIsLeftInNoFile(t *testing.T) {
	t.Parallel()
	const value = "correct-horse"
	s := newServer(t)
	s.write("bin/aws", "#!/bin/sh\necho "+value+"\n")
	if err := os.Chmod(s.path("bin/aws"), 0o755); err != nil {
		t.Fatal(err)
	}
	command := wrap(t, Script{Token: "one", Text: `[ "$A" = ` + value[:7] + `"-horse" ] && echo had it`, Secrets: map[string]string{"A": "/build/token"}})
	o := s.run("PATH=" + s.path("bin") + ":$PATH\n" + command)
	if o.Stdout != "had it\n" || strings.Contains(o.Stderr, value) {
		t.Errorf("%+v", o)
	}
	err := filepath.WalkDir(s.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == s.path("bin/aws") {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), value) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
