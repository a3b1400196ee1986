// Package cloudinit reads user data as cloud-init does: it takes it apart, renders Jinja, and decodes cloud-config. What
// the parts then do to a server is the machine's business.
package cloudinit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// Kind is what a part of user data is.
type Kind string

// The kinds of parts.
const (
	Script   Kind = "text/x-shellscript"
	Config   Kind = "text/cloud-config"
	Boothook Kind = "text/cloud-boothook"
	Jinja    Kind = "text/jinja2"
)

// Part is one piece of user data.
type Part struct {
	Kind    Kind
	Name    string
	Content string
	// Err is why the part cannot be used; the others are.
	Err error
}

const (
	// maxUnpacked bounds what one part is unpacked to, maxParts how many there are and maxTogether all of them, in bytes.
	maxUnpacked = 4 << 20
	maxParts    = 200
	maxTogether = 16 << 20
)

// Parts takes user data apart. Jinja parts are rendered with the data.
func Parts(userData []byte, data Data) []Part {
	var parts []Part
	for _, part := range split(userData, "part-001", 0) {
		if part.Err == nil && part.Kind == Jinja {
			part = render(part, data)
		}
		parts = append(parts, part)
	}
	return parts
}

func split(content []byte, name string, depth int) []Part {
	if bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
		plain, err := gunzip(content)
		if err != nil {
			return []Part{{Name: name, Err: fmt.Errorf("gzip user data cannot be unpacked: %w", err)}}
		}
		content = plain
	}
	text := string(content)
	switch {
	case strings.TrimSpace(text) == "":
		return nil
	case strings.HasPrefix(text, "Content-Type:") || strings.HasPrefix(text, "MIME-Version:") || strings.HasPrefix(text, "From "):
		if depth > 3 {
			return []Part{{Name: name, Err: errors.New("MIME parts are nested too deep")}}
		}
		parts, err := splitMIME(text, depth)
		if err != nil {
			return []Part{{Name: name, Err: fmt.Errorf("MIME user data cannot be read: %w", err)}}
		}
		return parts
	}
	kind, ok := kindOf(text)
	if !ok {
		first, _, _ := strings.Cut(text, "\n")
		return []Part{{Name: name, Err: fmt.Errorf("unhandled non-multipart (text/x-not-multipart) user data beginning with %q", first)}}
	}
	return []Part{{Kind: kind, Name: name, Content: text}}
}

// kindOf tells a part's kind by its first line.
func kindOf(text string) (Kind, bool) {
	first, _, _ := strings.Cut(text, "\n")
	first = strings.TrimRight(first, " \t\r")
	switch {
	case strings.HasPrefix(first, "## template: jinja") || strings.HasPrefix(first, "##template:jinja") || strings.HasPrefix(first, "## template:jinja"):
		return Jinja, true
	case strings.HasPrefix(first, "#cloud-config"):
		return Config, true
	case strings.HasPrefix(first, "#cloud-boothook"):
		return Boothook, true
	case strings.HasPrefix(first, "#!"):
		return Script, true
	}
	return "", false
}

func splitMIME(text string, depth int) ([]Part, error) {
	message, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(kind, "multipart/") {
		part, err := mimePart(kind, "part-001", message.Header.Get("Content-Transfer-Encoding"), message.Body, depth)
		return part, err
	}
	reader := multipart.NewReader(message.Body, parameters["boundary"])
	var parts []Part
	for {
		entry, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		kind, _, err := mime.ParseMediaType(entry.Header.Get("Content-Type"))
		if err != nil {
			kind = "text/plain"
		}
		name := entry.FileName()
		if name == "" {
			name = fmt.Sprintf("part-%03d", len(parts)+1)
		}
		more, err := mimePart(kind, name, entry.Header.Get("Content-Transfer-Encoding"), entry, depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, more...)
		size := 0
		for _, part := range parts {
			size += len(part.Content)
		}
		if len(parts) > maxParts || size > maxTogether {
			return nil, fmt.Errorf("expected at most %d parts of together %d MiB", maxParts, maxTogether>>20)
		}
	}
}

func mimePart(kind, name, encoding string, body io.Reader, depth int) ([]Part, error) {
	switch strings.ToLower(encoding) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	text := string(content)
	switch Kind(kind) {
	case Script, Config, Boothook, Jinja:
		// A part that says it is a template is one, whatever its type.
		if found, ok := kindOf(text); ok && found == Jinja {
			kind = string(Jinja)
		}
		return []Part{{Kind: Kind(kind), Name: name, Content: text}}, nil
	}
	return split(content, name, depth+1), nil
}

func gunzip(content []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(reader, maxUnpacked+1))
	if err == nil && len(plain) > maxUnpacked {
		err = fmt.Errorf("it grows over %d MiB", maxUnpacked>>20)
	}
	return plain, err
}
