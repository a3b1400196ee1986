package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// JQ is a very small jq: paths such as .a.b[0], .["a b"] and .[], with -r, -c and -e. Any other filter is an error.
func JQ(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "r,raw-output c,compact-output e,exit-status M S j")
	if !ok || len(o.args) == 0 {
		return 2
	}
	steps, err := jqPath(o.args[0])
	if err != nil {
		fmt.Fprintf(p.Err, "jq: error: %v\njq: 1 compile error\n", err)
		return 3
	}
	failed := 0
	last := any(nil)
	code := inputs(p, o.args[1:], func(_ string, data []byte) {
		var root any
		if err := json.Unmarshal(data, &root); err != nil {
			fmt.Fprintf(p.Err, "jq: parse error: %v\n", err)
			failed = 2
			return
		}
		values := []any{root}
		for _, step := range steps {
			if values, err = jqStep(values, step); err != nil {
				fmt.Fprintf(p.Err, "jq: error: %v\n", err)
				failed = 5
				return
			}
		}
		for _, value := range values {
			last = value
			output(p, jqText(value, o)+"\n")
		}
	})
	if o.has("e") && (last == nil || last == false) && failed == 0 {
		failed = 1
	}
	return max(code, failed)
}

func jqText(value any, o options) string {
	if s, ok := value.(string); ok && (o.has("r") || o.has("j")) {
		return s
	}
	encoded, err := json.MarshalIndent(value, "", "  ")
	if o.has("c") {
		encoded, err = json.Marshal(value)
	}
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

// jqPath takes a path apart; "[]" is all elements.
func jqPath(filter string) ([]string, error) {
	rest := strings.TrimSpace(filter)
	unsupported := fmt.Errorf("this server's jq knows paths only, such as .a.b[0]; it does not know %q", filter)
	if !strings.HasPrefix(rest, ".") {
		return nil, unsupported
	}
	var steps []string
	for rest != "" && rest != "." {
		switch {
		case strings.HasPrefix(rest, ".["), strings.HasPrefix(rest, "["):
			rest = strings.TrimPrefix(rest, ".")
			inside, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				return nil, unsupported
			}
			steps, rest = append(steps, "["+inside), after
		case strings.HasPrefix(rest, "."):
			end := 1 + strings.IndexAny(rest[1:]+".", ".[")
			name := strings.TrimSuffix(rest[1:end], "?")
			if name == "" || strings.ContainsAny(name, " |,(){}") {
				return nil, unsupported
			}
			steps, rest = append(steps, strings.Trim(name, `"`)), rest[min(end, len(rest)):]
		default:
			return nil, unsupported
		}
	}
	return steps, nil
}

func jqStep(values []any, step string) ([]any, error) {
	var out []any
	for _, value := range values {
		index, isIndex := strings.CutPrefix(step, "[")
		if quoted, err := strconv.Unquote(index); isIndex && err == nil {
			step, isIndex = quoted, false
		}
		switch v := value.(type) {
		case nil:
			out = append(out, nil)
		case map[string]any:
			if !isIndex {
				out = append(out, v[step])
				continue
			}
			for _, name := range sortedNames(v) {
				out = append(out, v[name])
			}
		case []any:
			if index == "" && isIndex {
				out = append(out, v...)
				continue
			}
			n, err := strconv.Atoi(index)
			if err != nil {
				return nil, fmt.Errorf("Cannot index array with %q", step)
			}
			if n < 0 {
				n += len(v)
			}
			if n < 0 || n >= len(v) {
				out = append(out, nil)
			} else {
				out = append(out, v[n])
			}
		default:
			return nil, fmt.Errorf("Cannot index %T with %q", value, step)
		}
	}
	return out, nil
}
