package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func file(content string) Node { return Node{Mode: 0o644, Data: []byte(content)} }

func content(t *testing.T, d *Disk, path string) string {
	t.Helper()
	n, err := d.Lookup(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "<none>"
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(n.Data)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func seeded(t *testing.T) *Disk {
	t.Helper()
	d := New("seed")
	must(t, d.Put("/etc", Node{Mode: fs.ModeDir | 0o755}))
	must(t, d.Put("/etc/a", file("one")))
	must(t, d.Put("/etc/b", file("two")))
	d.Freeze()
	return d
}

func TestAForkAndItsOriginDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	origin := seeded(t)
	fork := origin.Fork()
	must(t, fork.Put("/etc/a", file("fork")))
	must(t, origin.Put("/etc/c", file("origin")))
	must(t, fork.Remove("/etc/b", false))
	for path, want := range map[string][2]string{"/etc/a": {"one", "fork"}, "/etc/b": {"two", "<none>"}, "/etc/c": {"origin", "<none>"}} {
		if got := [2]string{content(t, origin, path), content(t, fork, path)}; got != want {
			t.Errorf("%s: origin and fork hold %q, want %q", path, got, want)
		}
	}
}

func TestAppendsAfterAForkStayApart(t *testing.T) {
	t.Parallel()
	origin := seeded(t)
	grow := func(d *Disk, s string) {
		must(t, d.Change("/etc/a", func(n *Node) { n.Data = append(n.Data, s...) }))
	}
	for i := range 5 {
		grow(origin, fmt.Sprint(i)) // leaves spare capacity behind the content
	}
	fork := origin.Fork()
	grow(origin, "-origin")
	grow(fork, "-fork")
	if got := content(t, origin, "/etc/a"); got != "one01234-origin" {
		t.Errorf("the origin holds %q", got)
	}
	if got := content(t, fork, "/etc/a"); got != "one01234-fork" {
		t.Errorf("the fork holds %q", got)
	}
}

func TestADecodedDiskEqualsTheEncodedOne(t *testing.T) {
	t.Parallel()
	base := seeded(t)
	d := base.Fork()
	must(t, d.Remove("/etc/b", false))
	must(t, d.Put("/etc/b", Node{Mode: fs.ModeDir | 0o700}))
	must(t, d.Put("/etc/b/deep", file("deep")))
	must(t, d.Put("/link", Node{Mode: fs.ModeSymlink | 0o777, Data: []byte("etc/a")}))
	encoded, err := d.Encode()
	must(t, err)
	back, err := Decode(encoded, func(name string) (*Disk, error) {
		if name != "seed" {
			return nil, fmt.Errorf("unknown base %q", name)
		}
		return base, nil
	})
	must(t, err)
	for path, want := range map[string]string{"/etc/a": "one", "/etc/b/deep": "deep", "/link": "etc/a"} {
		if got := content(t, back, path); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	if n, err := back.Lookup("/etc/b"); err != nil || n.Mode != fs.ModeDir|0o700 {
		t.Errorf("/etc/b is %v, %v, want a directory of mode 0700", n, err)
	}
}

func TestAFreshForkEncodesNothing(t *testing.T) {
	t.Parallel()
	var img image
	d := seeded(t).Fork()
	img.compare("/", d.root, d.base)
	if len(img.Changes) != 0 {
		t.Errorf("an unchanged disk has changes %v", img.Changes)
	}
}

func TestRenameReplacesAFileAndRefusesAFullDirectory(t *testing.T) {
	t.Parallel()
	d := seeded(t)
	must(t, d.Rename("/etc/a", "/etc/b"))
	if got := content(t, d, "/etc/b"); got != "one" {
		t.Errorf("the replaced file holds %q", got)
	}
	must(t, d.Put("/dir", Node{Mode: fs.ModeDir | 0o755}))
	if err := d.Rename("/dir", "/etc"); err == nil {
		t.Error("a directory with entries was replaced")
	}
	if err := d.Rename("/etc", "/etc/inside"); err == nil {
		t.Error("a directory was moved into itself")
	}
}
