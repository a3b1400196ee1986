package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
)

const (
	// MaxInline is how large a script, a copied file or settings may be to travel inside the message.
	MaxInline = 16 << 10
	// MaxUpload is how large one of them may be at all.
	MaxUpload = 256 << 20
)

// Upload is content that is too large for a message. The CLI puts it into the bucket before it sends the message.
type Upload struct {
	// Key is the object's key in the installation's bucket, derived from the content.
	Key string
	// Digest is the content's SHA-256, as sha256:hex.
	Digest string
	// Path is the file or folder it was read from.
	Path    string
	Content []byte
}

// Stored names content in the installation's bucket. The loader writes it; people do not.
type Stored struct {
	// Key is the object's key in the installation's bucket.
	Key string `json:"key,omitempty"`
	// Digest is the content's SHA-256, as sha256:hex.
	Digest string `json:"digest,omitempty"`
	// Size is the content's length in bytes.
	Size int `json:"size,omitempty"`
}

// IsStored reports whether the content is in the bucket.
func (s Stored) IsStored() bool { return s.Key != "" }

// Matches reports whether the content is what the digest says. Whoever fetches the object asks this before using it.
func (s Stored) Matches(content []byte) bool { return Digest(content) == s.Digest }

// check refuses a key that does not follow from the digest: a message must not name any other object of the bucket.
func (s Stored) check(p *Problems) {
	if !s.IsStored() && s.Digest == "" {
		return
	}
	if !digestPattern.MatchString(s.Digest) {
		p.At("digest").Add("expected sha256: and 64 hexadecimal digits", "leave key, digest and size to stampmill submit")
		return
	}
	if s.IsStored() && s.Key != UploadKey(s.Digest) {
		p.At("key").Add("expected %s, which follows from the digest", "leave key, digest and size to stampmill submit", UploadKey(s.Digest))
	}
}

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Digest is the content's SHA-256, as sha256:hex.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// UploadKey is the key of the object with that digest in the installation's bucket.
func UploadKey(digest string) string { return "files/" + digest[len("sha256:"):] }
