package disk

import (
	"bytes"
	"compress/gzip"
	"encoding/gob"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// image is a disk as it stands in the state log.
type image struct {
	Base, Label string
	Changes     []change
}

// change is one path that differs from the base. A removal takes what is below it along.
type change struct {
	Path     string
	Removed  bool
	Mode     fs.FileMode
	UID, GID int
	ModTime  time.Time
	Data     []byte
}

// Encode gives what differs from the base.
func (d *Disk) Encode() ([]byte, error) {
	d.mu.Lock()
	// A new epoch makes what is there immutable, so that the walk needs no lock.
	d.epoch = &epoch{}
	root, base, img := d.root, d.base, image{Base: d.name, Label: d.label}
	d.mu.Unlock()
	img.compare("/", root, base)
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	if err := gob.NewEncoder(zipped).Encode(img); err != nil {
		return nil, fmt.Errorf("encode disk: %w", err)
	}
	if err := zipped.Close(); err != nil {
		return nil, fmt.Errorf("encode disk: %w", err)
	}
	return out.Bytes(), nil
}

// Decode rebuilds a disk from what Encode gave. Base finds the base disk by its name.
func Decode(data []byte, base func(name string) (*Disk, error)) (*Disk, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decode disk: %w", err)
	}
	raw, err := io.ReadAll(zipped)
	if err != nil {
		return nil, fmt.Errorf("decode disk: %w", err)
	}
	var img image
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&img); err != nil {
		return nil, fmt.Errorf("decode disk: %w", err)
	}
	d := New("")
	if img.Base != "" {
		origin, err := base(img.Base)
		if err != nil {
			return nil, fmt.Errorf("decode disk: %w", err)
		}
		d = origin.Fork()
	}
	d.label = img.Label
	for _, c := range img.Changes {
		if err := d.apply(c); err != nil {
			return nil, fmt.Errorf("decode disk: %s: %w", c.Path, err)
		}
	}
	return d, nil
}

func (d *Disk) apply(c change) error {
	if c.Removed {
		return d.Remove(c.Path, true)
	}
	n := Node{Mode: c.Mode, UID: c.UID, GID: c.GID, ModTime: c.ModTime, Data: c.Data}
	if c.Path == "/" {
		return d.Change("/", func(root *Node) {
			root.Mode, root.UID, root.GID, root.ModTime = n.Mode, n.UID, n.GID, n.ModTime
		})
	}
	return d.Put(c.Path, n)
}

// compare collects what makes n out of base, parents before children. Shared nodes are equal by address.
func (img *image) compare(path string, n, base *Node) {
	if n == base {
		return
	}
	if base != nil && base.Mode.Type() != n.Mode.Type() {
		img.Changes = append(img.Changes, change{Path: path, Removed: true})
		base = nil
	}
	if base == nil || !sameNode(n, base) {
		img.Changes = append(img.Changes, change{Path: path, Mode: n.Mode, UID: n.UID, GID: n.GID, ModTime: n.ModTime, Data: n.Data})
	}
	var before map[string]*Node
	if base != nil {
		before = base.children
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, ok := n.children[name]; !ok {
			img.Changes = append(img.Changes, change{Path: join(path, name), Removed: true})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		img.compare(join(path, name), n.children[name], before[name])
	}
}

func sameNode(a, b *Node) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.ModTime.Equal(b.ModTime) && bytes.Equal(a.Data, b.Data)
}

func join(dir, name string) string { return strings.TrimSuffix(dir, "/") + "/" + name }
