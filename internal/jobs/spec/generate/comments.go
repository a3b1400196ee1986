package main

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

const module = "github.com/stampmill/stampmill/"

// readComments collects the doc comments of the types, and of their fields, from the source under root.
func readComments(root string, types []reflect.Type) (spec.Comments, error) {
	wanted := map[string]map[string]bool{} // by package, the names of the types
	for _, t := range types {
		if wanted[t.PkgPath()] == nil {
			wanted[t.PkgPath()] = map[string]bool{}
		}
		wanted[t.PkgPath()][t.Name()] = true
	}
	comments := spec.Comments{}
	for path, names := range wanted {
		folder, own := strings.CutPrefix(path, module)
		if !own {
			continue
		}
		if err := readPackage(filepath.Join(root, folder), path, names, comments); err != nil {
			return nil, err
		}
	}
	return comments, nil
}

func readPackage(folder, path string, names map[string]bool, comments spec.Comments) error {
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, file.Name()), nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, declaration := range parsed.Decls {
			if d, ok := declaration.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				readTypes(d, path, names, comments)
			}
		}
	}
	return nil
}

func readTypes(d *ast.GenDecl, path string, names map[string]bool, comments spec.Comments) {
	for _, s := range d.Specs {
		t := s.(*ast.TypeSpec)
		if !names[t.Name.Name] {
			continue
		}
		key := path + "." + t.Name.Name
		text := plainText(t.Doc)
		if text == "" {
			text = plainText(d.Doc)
		}
		if text != "" {
			comments[key] = text
		}
		structure, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range structure.Fields.List {
			text := plainText(f.Doc)
			if text == "" {
				text = plainText(f.Comment)
			}
			for _, name := range f.Names {
				if text != "" {
					comments[fmt.Sprintf("%s.%s", key, name.Name)] = text
				}
			}
		}
	}
}

// plainText is a comment as text without line breaks inside a paragraph.
func plainText(group *ast.CommentGroup) string {
	if group == nil {
		return ""
	}
	var p comment.Parser
	printer := comment.Printer{TextWidth: -1}
	return strings.TrimSpace(string(printer.Text(p.Parse(group.Text()))))
}
