// The command generate writes what follows from the spec types: the comments that binaries carry, the JSON Schemas in
// docs/schema, and docs/spec-reference.md. With -check it writes nothing and fails if something is stale.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

func main() {
	root := flag.String("root", ".", "the repository's folder")
	check := flag.Bool("check", false, "write nothing, and fail if a file is stale")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	files, err := generate(root, kinds())
	if err != nil {
		return err
	}
	var stale []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(root, name)
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, files[name]) {
			continue
		}
		stale = append(stale, name)
		if check {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	if check && len(stale) > 0 {
		return fmt.Errorf("%s no longer follow from the spec types; run make generate", strings.Join(stale, ", "))
	}
	return nil
}

// generate gives every generated file's content by its path in the repository.
func generate(root string, kinds spec.Registry) (map[string][]byte, error) {
	comments, err := readComments(root, kinds.Types())
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	raw, err := json.MarshalIndent(comments, "", "  ")
	if err != nil {
		return nil, err
	}
	files["internal/jobs/spec/comments.json"] = append(raw, '\n')
	var reference bytes.Buffer
	if err := kinds.WriteReference(&reference, comments); err != nil {
		return nil, err
	}
	files["docs/spec-reference.md"] = reference.Bytes()
	schemas, err := kinds.Schemas(comments)
	if err != nil {
		return nil, err
	}
	for name, schema := range schemas {
		files["docs/schema/"+name+".json"] = schema
	}
	return files, nil
}
