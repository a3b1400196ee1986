// Package record keeps one answer of each shape that a call to the embedded endpoint was answered with, as a file in a folder,
// so that they can be checked against AWS's own models (integration/shapes). The environment variable STAMPMILL_RECORD
// names the folder; without it nothing is kept.
package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// mostRecorded is how many answers of one action are kept.
const mostRecorded = 100

// Recorder keeps answers. A nil one keeps none.
type Recorder struct {
	folder string
	mu     sync.Mutex
	seen   map[string]bool
	counts map[string]int
}

// Recording is a file of the recorder.
type Recording struct {
	Service string              `json:"service"`
	Action  string              `json:"action"`
	Query   bool                `json:"query"`
	Status  int                 `json:"status"`
	Header  map[string][]string `json:"header"`
	Body    []byte              `json:"body"`
}

// New is the recorder that the environment asks for, or nil.
func New() *Recorder {
	folder := os.Getenv("STAMPMILL_RECORD")
	if folder == "" {
		return nil
	}
	return &Recorder{folder: folder, seen: map[string]bool{}, counts: map[string]int{}}
}

// Keep keeps a service's answer if none of its shape has been kept.
func (rec *Recorder) Keep(service string, r *api.Request, status int, header http.Header, body []byte) error {
	if rec == nil {
		return nil
	}
	action := service + "." + r.Action
	name := fmt.Sprintf("%s.%d.%s.json", action, status, digest(body))
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.seen[name] || rec.counts[action] >= mostRecorded {
		return nil
	}
	rec.seen[name] = true
	rec.counts[action]++
	text, err := json.Marshal(Recording{service, r.Action, r.Form != nil, status, header, body})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(rec.folder, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(rec.folder, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process has kept one
	}
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// digest is a function of the paths of an answer's members.
func digest(body []byte) string {
	var paths []string
	var value any
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		paths = xmlPaths(body)
	} else if json.Unmarshal(body, &value) == nil {
		paths = jsonPaths("", value, nil)
	} else if value, err := cbor.Decode(body); err == nil {
		paths = cborPaths("", value, nil)
	}
	slices.Sort(paths)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(paths), "\n")))
	return hex.EncodeToString(sum[:6])
}

func xmlPaths(body []byte) []string {
	var paths, at []string
	decoder := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := decoder.Token()
		if err != nil {
			return paths
		}
		switch token := token.(type) {
		case xml.StartElement:
			at = append(at, token.Name.Local)
			paths = append(paths, strings.Join(at, "/"))
		case xml.EndElement:
			at = at[:len(at)-1]
		}
	}
}

// jsonPaths stops at the fourth level: below are items of tables, whose names say nothing about the answer's shape.
func jsonPaths(at string, value any, paths []string) []string {
	paths = append(paths, fmt.Sprintf("%s:%T", at, value))
	if strings.Count(at, "/") >= 4 {
		return paths
	}
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			paths = jsonPaths(at+"/"+name, inner, paths)
		}
	case []any:
		for _, inner := range value {
			paths = jsonPaths(at+"/", inner, paths)
		}
	}
	return paths
}

func cborPaths(at string, value cbor.Value, paths []string) []string {
	paths = append(paths, fmt.Sprintf("%s:%T", at, value))
	switch value := value.(type) {
	case cbor.Map:
		for name, inner := range value {
			paths = cborPaths(at+"/"+name, inner, paths)
		}
	case cbor.List:
		for _, inner := range value {
			paths = cborPaths(at+"/", inner, paths)
		}
	}
	return paths
}
