// Package deploy_test holds the CloudFormation template to what the code makes and calls.
package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const (
	templateFile = "cloudformation/stampmill.yaml"
	forwardFile  = "cloudformation/forward.yaml"
	prefix       = "acme"
	account      = "111122223333"
	region       = "eu-west-1"
)

// known is what the pseudo parameters and parameters are in these tests.
var known = map[string]string{
	"AWS::AccountId": account, "AWS::Region": region, "AWS::Partition": "aws",
	"Prefix": prefix, "Installation": "acme", "ParameterNames": "images/*",
}

type (
	object = map[string]any
	list   = []any
)

// resources reads the template's resources, with its functions resolved as far as the tests need: !Sub and !Ref of what is
// known, !GetAtt and !Ref of resources as the text itself, !If as its first case.
func resources(t *testing.T) object {
	t.Helper()
	return resourcesOf(t, templateFile)
}

func resourcesOf(t *testing.T, name string) object {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Docs) != 1 {
		t.Fatalf("%d documents in the template", len(file.Docs))
	}
	whole, err := resolve(file.Docs[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	return at[object](t, whole, "Resources")
}

// resolve turns a node into plain values.
func resolve(node ast.Node) (any, error) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return resolveMapping(n.Values)
	case *ast.MappingValueNode:
		return resolveMapping([]*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		var values list
		for _, v := range n.Values {
			value, err := resolve(v)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		return values, nil
	case *ast.TagNode:
		value, err := resolve(n.Value)
		if err != nil {
			return nil, err
		}
		return function(n.Start.Value, value)
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case ast.ScalarNode:
		return n.GetValue(), nil
	}
	return nil, fmt.Errorf("unexpected %T at %s", node, node.GetPath())
}

func resolveMapping(values []*ast.MappingValueNode) (any, error) {
	m := object{}
	for _, v := range values {
		value, err := resolve(v.Value)
		if err != nil {
			return nil, err
		}
		m[strings.Trim(v.Key.String(), `"`)] = value
	}
	return m, nil
}

// function is the value of one of CloudFormation's short forms.
func function(name string, value any) (any, error) {
	switch name {
	case "!GetAtt", "!Not", "!Equals", "!Join":
		return value, nil
	case "!If":
		return value.(list)[1], nil
	case "!Ref", "!Sub":
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s of a %T", name, value)
		}
		if name == "!Ref" {
			if found, ok := known[text]; ok {
				return found, nil
			}
			return text, nil
		}
		for parameter, found := range known {
			text = strings.ReplaceAll(text, "${"+parameter+"}", found)
		}
		return text, nil
	}
	return nil, fmt.Errorf("unknown function %s", name)
}

// ofType gives the properties of the resources of a type, in a fixed order.
func ofType(t *testing.T, name string) []object {
	t.Helper()
	return typed(t, resources(t), name)
}

func typed(t *testing.T, all object, name string) []object {
	t.Helper()
	var found []object
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if at[string](t, all[id], "Type") == name {
			found = append(found, at[object](t, all[id], "Properties"))
		}
	}
	return found
}

// at walks down a path of names and indexes.
func at[T any](t *testing.T, value any, path ...string) T {
	t.Helper()
	for i, step := range path {
		switch v := value.(type) {
		case object:
			value = v[step]
		case list:
			n, err := strconv.Atoi(step)
			if err != nil || n >= len(v) {
				t.Fatalf("%s: there are %d", strings.Join(path[:i+1], "."), len(v))
			}
			value = v[n]
		}
	}
	found, ok := value.(T)
	if !ok {
		t.Fatalf("%s is %T %v, expected %T", strings.Join(path, "."), value, value, found)
	}
	return found
}

// optional is at, or the zero value where there is nothing.
func optional[T any](t *testing.T, value object, name string) (zero T) {
	t.Helper()
	if value[name] == nil {
		return zero
	}
	return at[T](t, value, name)
}
