// Package content says what is in a version of an image: the packages that its builder's package manager named, and the
// checksums of what set it up. The list lies in the installation's bucket, under a key made of its content; the catalog
// keeps the key.
package content

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Schema is the version of Document.
const Schema = 1

// Document is what lies in the bucket.
type Document struct {
	Schema int `json:"schema"`
	// Manager is dpkg, rpm or apk.
	Manager  string    `json:"manager"`
	Packages []Package `json:"packages"`
	// Spec is the digest of the Bake; Scripts and Files are what it ran and copied, in order.
	Spec    string     `json:"spec,omitempty"`
	Scripts []Checksum `json:"scripts,omitempty"`
	Files   []Checksum `json:"files,omitempty"`
}

// Package is one installed package.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture,omitempty"`
}

// Checksum is one script or file, with the step that it belongs to.
type Checksum struct {
	Step   string `json:"step"`
	Label  string `json:"label,omitempty"`
	Digest string `json:"digest"`
}

// Prefix begins the keys of all documents.
const Prefix = "content/"

// Encode gives the document's bytes, its key and its digest.
func (d Document) Encode() (raw []byte, key, digest string, err error) {
	d.Schema = Schema
	if raw, err = json.Marshal(d); err != nil {
		return nil, "", "", err
	}
	digest = Digest(raw)
	return raw, Prefix + digest[len("sha256:"):] + ".json", digest, nil
}

// Digest is the checksum of a content: sha256:hex.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Change is one thing that differs.
type Change struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Difference is what differs between two lists of packages.
type Difference struct {
	Added   []Package `json:"added"`
	Removed []Package `json:"removed"`
	Changed []Change  `json:"changed"`
}

// Compare tells what came, went and changed from one list to the other. A package may be there in several versions, as
// kernels are: then each of them came or went by itself.
func Compare(before, after []Package) Difference {
	d := Difference{Added: []Package{}, Removed: []Package{}, Changed: []Change{}}
	several := inSeveral(before, after)
	was, is := byName(before, several), byName(after, several)
	for _, name := range names(was, is) {
		old := slices.DeleteFunc(slices.Clone(was[name]), func(p Package) bool { return slices.Contains(is[name], p) })
		fresh := slices.DeleteFunc(slices.Clone(is[name]), func(p Package) bool { return slices.Contains(was[name], p) })
		if len(old) == 1 && len(fresh) == 1 && old[0].Version != fresh[0].Version {
			d.Changed = append(d.Changed, Change{Name: name, Before: old[0].Version, After: fresh[0].Version})
			continue
		}
		d.Removed, d.Added = append(d.Removed, old...), append(d.Added, fresh...)
	}
	return d
}

// inSeveral are the names that one of the lists has in several architectures.
func inSeveral(lists ...[]Package) map[string]bool {
	several := map[string]bool{}
	for _, list := range lists {
		first := map[string]string{}
		for _, p := range list {
			if architecture, known := first[p.Name]; known && architecture != p.Architecture {
				several[p.Name] = true
			}
			first[p.Name] = p.Architecture
		}
	}
	return several
}

// byName gathers the packages of one name, and of one architecture where there are several: libc6 of two architectures are
// two packages, in both lists.
func byName(list []Package, several map[string]bool) map[string][]Package {
	all := map[string][]Package{}
	for _, p := range list {
		name := p.Name
		if several[name] {
			name += "." + p.Architecture
		}
		all[name] = append(all[name], p)
	}
	return all
}

func names(lists ...map[string][]Package) []string {
	var all []string
	for _, list := range lists {
		for name := range list {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func sortPackages(list []Package) {
	slices.SortFunc(list, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Architecture, b.Architecture), cmp.Compare(a.Version, b.Version))
	})
}
