package spec

import "strings"

// File is a file or a folder beside the spec that is copied to a server. The short form is its path, relative to the
// spec file. A folder travels as a tar archive of what is in it, with modes and links.
type File struct {
	// Path is the file or folder, relative to the spec file.
	Path string `json:"path,omitempty" example:"./nginx/"`
	// Folder says that the content is a tar archive of a folder's content.
	Folder bool `json:"folder,omitempty"`
	// Mode is the file's permissions, in octal.
	Mode string `json:"mode,omitempty" pattern:"^0?[0-7]{3}$" example:"0755"`
	// Content is what is in the file, or the archive.
	Content []byte `json:"content,omitempty"`
	Stored
}

// IsZero reports whether there is no file.
func (f File) IsZero() bool { return f.Path == "" && len(f.Content) == 0 && f.Key == "" }

// Shorthand takes a path.
func (*File) Shorthand(value any) (map[string]any, error) {
	text, ok := value.(string)
	if !ok || strings.TrimSpace(text) == "" {
		return nil, &wrong{"the path of a file or folder, such as ./nginx/", ""}
	}
	return map[string]any{"path": text}, nil
}

// ShorthandSchemas describes the short form.
func (*File) ShorthandSchemas() []map[string]any {
	return []map[string]any{{"type": "string"}}
}

// CheckSpec refuses a file that nobody read.
func (f *File) CheckSpec(p *Problems) {
	f.Stored.check(p)
	switch {
	case len(f.Content) > 0 && f.IsStored():
		p.Add("expected content or key, found both", "remove one of them")
	case f.Path != "" && len(f.Content) == 0 && f.Digest == "":
		p.Add("the file %s was not read: only stampmill submit reads files", "write {content: …} in base64 instead", f.Path)
	}
}
