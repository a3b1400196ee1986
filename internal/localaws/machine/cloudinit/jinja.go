package cloudinit

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
)

// Data is what a template may use: v1, ds, and v1's keys at the top. As in cloud-init's instance-data, what the metadata
// service tells is text (ami_launch_index is "3", so that arithmetic, "%04d" and list indexes need | int), and a key with
// a dash can also be written with an underscore.
type Data map[string]any

// NewData builds the data of an instance from its metadata by path, such as placement/region.
func NewData(metadata map[string]string, v1 map[string]any) Data {
	meta := map[string]any{}
	for path, value := range metadata {
		at := meta
		names := strings.Split(path, "/")
		for _, name := range names[:len(names)-1] {
			next, ok := at[name].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[name] = next
				at[underscored(name)] = next
			}
			at = next
		}
		at[names[len(names)-1]] = value
		at[underscored(names[len(names)-1])] = value
	}
	data := Data{}
	maps.Copy(data, v1)
	data["v1"], data["ds"] = v1, map[string]any{"meta_data": meta}
	return data
}

func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// render gives the part that a template makes: its first line is the template's own header.
func render(part Part, data Data) Part {
	_, body, _ := strings.Cut(part.Content, "\n")
	text, err := Render(body, data)
	if err != nil {
		part.Err = fmt.Errorf("the Jinja template cannot be rendered: %w", err)
		return part
	}
	kind, ok := kindOf(text)
	if !ok || kind == Jinja {
		first, _, _ := strings.Cut(text, "\n")
		part.Err = fmt.Errorf("the rendered template begins with %q: expected #cloud-config, #cloud-boothook or #!", first)
		return part
	}
	part.Kind, part.Content = kind, text
	return part
}

// Render renders a Jinja template. It reaches no file: there is nothing to include.
func Render(source string, data Data) (text string, err error) {
	defer func() {
		// The library is not ours: what it cannot take must not end the program.
		if cause := recover(); cause != nil {
			text, err = "", fmt.Errorf("the template cannot be read: %v", cause)
		}
	}()
	template, err := parse(source)
	if err != nil {
		return "", err
	}
	// The library's templates are not documented as safe for concurrent use.
	template.mu.Lock()
	defer template.mu.Unlock()
	return template.ExecuteToString(exec.NewContext(map[string]any(data)))
}

type parsedTemplate struct {
	mu sync.Mutex
	*exec.Template
}

// All servers of a batch have the same template.
var templates = struct {
	sync.Mutex
	bySource map[string]*parsedTemplate
}{bySource: map[string]*parsedTemplate{}}

const maxTemplates = 64

func parse(source string) (*parsedTemplate, error) {
	templates.Lock()
	defer templates.Unlock()
	if t, ok := templates.bySource[source]; ok {
		return t, nil
	}
	// cloud-init trims the line end after a block tag, and keeps the last one.
	settings := config.New()
	settings.TrimBlocks, settings.KeepTrailingNewline = true, true
	t, err := exec.NewTemplate("user-data", settings, sourceLoader(source), environment())
	if err != nil {
		return nil, err
	}
	if len(templates.bySource) >= maxTemplates {
		clear(templates.bySource)
	}
	parsed := &parsedTemplate{Template: t}
	templates.bySource[source] = parsed
	return parsed, nil
}

// environment is Jinja's own, with the format filter as Python has it.
func environment() *exec.Environment {
	filters := exec.NewFilterSet(map[string]exec.FilterFunction{}).Update(builtins.Filters)
	if err := filters.Replace("format", format); err != nil {
		panic("cloudinit: " + err.Error())
	}
	return &exec.Environment{
		Context: exec.EmptyContext().Update(builtins.GlobalFunctions).Update(builtins.GlobalVariables),
		Filters: filters, Tests: builtins.Tests, ControlStructures: builtins.ControlStructures, Methods: builtins.Methods,
	}
}

// format is "%04d" | format(x): a value of the wrong type is an error, as in Python, not text in the result.
func format(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	var values []any
	for _, value := range params.Args {
		values = append(values, value.Interface())
	}
	text := fmt.Sprintf(in.String(), values...)
	if strings.Contains(text, "%!") {
		return exec.AsValue(fmt.Errorf("format %q does not fit its values %v: a number is required, so use | int", in.String(), values))
	}
	return exec.AsValue(text)
}

type sourceLoader string

func (l sourceLoader) Read(name string) (io.Reader, error) {
	if name != "user-data" {
		return nil, errors.New("templates of user data cannot include files")
	}
	return strings.NewReader(string(l)), nil
}

func (l sourceLoader) Resolve(name string) (string, error) { return name, nil }

func (l sourceLoader) Inherit(string) (loaders.Loader, error) { return l, nil }
