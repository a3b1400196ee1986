package files

import (
	"io"
	"os"
	"testing"

	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tree(t *testing.T) *Tree {
	t.Helper()
	tr := New(Mount{Disk: disk.New("")})
	must(t, tr.MkdirAll("/a/b", 0o755))
	must(t, tr.Write("/a/b/file", []byte("content"), 0o640))
	return tr
}

func TestLinksAreFollowedAcrossMounts(t *testing.T) {
	t.Parallel()
	tr := tree(t)
	must(t, tr.Mkdir("/data", 0o755))
	tr.Mount(Mount{Point: "/data", Disk: disk.New("")})
	must(t, tr.Write("/data/x", []byte("on the volume"), 0o644))
	must(t, tr.Symlink("../../data", "/a/b/link"))
	must(t, tr.Symlink("link/x", "/a/b/x"))
	got, err := tr.ReadFile("/a/b/x")
	must(t, err)
	if string(got) != "on the volume" {
		t.Errorf("the link leads to %q", got)
	}
	if real, err := tr.Real("/a/b/../b/x"); err != nil || real != "/data/x" {
		t.Errorf("the real path is %q, %v", real, err)
	}
	if !tr.Unmount("/data") {
		t.Fatal("the volume was not mounted")
	}
	if _, err := tr.ReadFile("/a/b/x"); Reason(err) != "No such file or directory" {
		t.Errorf("reading through a link to an unmounted volume gives %v", err)
	}
}

func TestALoopOfLinksIsAnError(t *testing.T) {
	t.Parallel()
	tr := tree(t)
	must(t, tr.Symlink("two", "/one"))
	must(t, tr.Symlink("one", "/two"))
	if _, err := tr.Stat("/one"); err == nil || Reason(err) != "Too many levels of symbolic links" {
		t.Errorf("a loop gives %v", err)
	}
}

func TestWritesKeepTheModeAndAppendGoesToTheEnd(t *testing.T) {
	t.Parallel()
	tr := tree(t)
	must(t, tr.Write("/a/b/file", []byte("new"), 0o600))
	f, err := tr.Open("/a/b/file", os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	must(t, tr.Append("/a/b/file", []byte("er"), 0))
	_, err = io.WriteString(f, "!")
	must(t, err)
	got, err := tr.ReadFile("/a/b/file")
	must(t, err)
	n, err := tr.Stat("/a/b/file")
	must(t, err)
	if string(got) != "newer!" || n.Mode != 0o640 {
		t.Errorf("the file holds %q with mode %v", got, n.Mode)
	}
}

func TestAFileRemovedWhileOpenTakesItsWritesAlong(t *testing.T) {
	t.Parallel()
	tr := tree(t)
	f, err := tr.Open("/a/log", os.O_WRONLY|os.O_CREATE, 0o644)
	must(t, err)
	must(t, tr.Remove("/a/log", false))
	if _, err := io.WriteString(f, "lost"); err != nil {
		t.Errorf("a write to a removed file gives %v", err)
	}
	if _, err := tr.Stat("/a/log"); err == nil {
		t.Error("a write to a removed file made it again")
	}
}
