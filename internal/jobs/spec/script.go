package spec

import (
	"path"
	"strings"
	"unicode/utf8"
)

// Script is what a server runs. The short form is a line or a block of shell, or the path of a file, relative to the spec:
// one that begins with ./ or ../, or that ends in .sh, .ps1 or .py and is there. Variables are never replaced in a script:
// it finds them in its environment.
type Script struct {
	// Text is the script itself.
	Text string `json:"text,omitempty"`
	// Path is the file that the script is read from, relative to the spec file.
	Path string `json:"path,omitempty" example:"./install.sh"`
	Stored
}

// IsZero reports whether there is no script.
func (s Script) IsZero() bool { return s.Text == "" && s.Path == "" && s.Key == "" }

// Label names the script in lists and histories: its file, or its first line.
func (s Script) Label() string {
	if s.Path != "" {
		return path.Base(s.Path)
	}
	for line := range strings.Lines(s.Text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return shorten(line, 60)
		}
	}
	return "script"
}

// Shorthand takes a script's text or a file's path.
func (*Script) Shorthand(value any) (map[string]any, error) {
	text, ok := value.(string)
	if !ok {
		return nil, &wrong{"a script: a line of shell or a file such as ./install.sh", ""}
	}
	if isRelativePath(text) {
		return map[string]any{"path": text}, nil
	}
	return map[string]any{"text": text}, nil
}

// ShorthandSchemas describes the short form.
func (*Script) ShorthandSchemas() []map[string]any {
	return []map[string]any{{"type": "string"}}
}

// CheckSpec refuses what a worker cannot run: a script without text, or one that nobody read from its file.
func (s *Script) CheckSpec(p *Problems) {
	s.Stored.check(p)
	switch {
	case s.Text != "" && s.IsStored():
		p.Add("expected text or key, found both", "remove one of them")
	case s.Text == "" && s.Path != "" && !s.IsStored():
		p.Add("the file %s was not read: only stampmill submit reads files", "write the script itself here", s.Path)
	case !utf8.ValidString(s.Text):
		p.Add("expected a script, found binary content", "copy the program to the server and run it there")
	case s.Path == "" && strings.Contains(s.Text, "${var."):
		name, _, _ := strings.Cut(s.Text[strings.Index(s.Text, "${var.")+len("${var."):], "}")
		p.Add("variables are not replaced inside scripts", "the script finds it in its environment: write ${"+shorten(name, 40)+"}")
	}
}

// isRelativePath reports whether a short form can only mean a file: it begins with ./ or ../ and is one word.
func isRelativePath(text string) bool {
	return (strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../")) && !strings.ContainsAny(text, " \t\r\n")
}

// maybePath reports whether a short form means a file if that file is there.
func maybePath(text string) bool {
	if strings.ContainsAny(text, " \t\r\n") {
		return false
	}
	switch path.Ext(text) {
	case ".sh", ".ps1", ".py":
		return true
	}
	return false
}

func shorten(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	runes := []rune(text)
	return string(runes[:limit-1]) + "…"
}
