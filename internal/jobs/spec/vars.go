package spec

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	varPattern = regexp.MustCompile(`\$?\$\{var\.([^}]*)\}`)
	varName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
)

// substitute replaces ${var.name} in a text; $${var.name} stands for itself. It gives nil if a variable is not there.
func (s *shaper) substitute(n *node) *node {
	if s.vars == nil || n.kind != textNode || !strings.Contains(n.text, "${var.") {
		return n
	}
	missing, over := false, false
	replaced := varPattern.ReplaceAllStringFunc(n.text, func(use string) string {
		if strings.HasPrefix(use, "$$") {
			return use[1:]
		}
		name := use[len("${var.") : len(use)-1]
		value, ok := s.vars[name]
		if !ok {
			missing = true
			s.report(n, "there is no variable "+strconv.Quote(shorten(name, 40)), s.varHint(name))
		}
		if s.replaced += len(value); s.replaced > maxTexts {
			over = true
			return ""
		}
		return value
	})
	if over {
		s.report(n, fmt.Sprintf("variables come to more than %d MiB in this document", maxTexts>>20), "put long texts into files beside it")
	}
	if missing || over {
		return nil
	}
	copied := *n
	copied.text, copied.substituted = replaced, true
	return &copied
}

func (s *shaper) varHint(name string) string {
	if s.problems.full() {
		return ""
	}
	if len(s.vars) == 0 {
		return "set it in vars: or with --var " + shorten(name, 40) + "=…"
	}
	return suggest(name, slices.Sorted(maps.Keys(s.vars)))
}

// substituteValue replaces variables where a number or a truth value is expected.
func (s *shaper) substituteValue(n *node) *node {
	if n = s.substitute(n); n == nil || !n.substituted {
		return n
	}
	copied := *n
	if number, err := strconv.ParseFloat(n.text, 64); err == nil {
		copied.kind, copied.number = numberNode, number
	}
	if n.text == "true" || n.text == "false" {
		copied.kind, copied.truth = boolNode, n.text == "true"
	}
	return &copied
}
