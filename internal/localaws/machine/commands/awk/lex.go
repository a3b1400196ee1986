package awk

import (
	"slices"
	"strings"
)

var operators = []string{"&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "==", "<=", ">=", "!=", "!~", ">>", "{", "}", "(", ")", "[", "]", ";", ",",
	"+", "-", "*", "/", "%", "^", "!", "<", ">", "?", ":", "~", "$", "=", "|"}

func lex(source string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(source); {
		c := source[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '\\' && i+1 < len(source) && source[i+1] == '\n':
			i += 2
		case c == '#':
			for i < len(source) && source[i] != '\n' {
				i++
			}
		case c == '\n':
			tokens = append(tokens, token{"operator", "\n"})
			i++
		case c == '"' || c == '/' && regexMayFollow(tokens):
			end := closing(source, i)
			if end < 0 {
				return nil, syntaxError("unterminated " + string(c))
			}
			kind, text := "string", unescape(source[i+1:end])
			if c == '/' {
				kind, text = "regex", strings.ReplaceAll(source[i+1:end], `\/`, "/")
			}
			tokens = append(tokens, token{kind, text})
			i = end + 1
		case c >= '0' && c <= '9' || c == '.' && i+1 < len(source) && source[i+1] >= '0' && source[i+1] <= '9':
			start := i
			for i < len(source) && (source[i] >= '0' && source[i] <= '9' || source[i] == '.') {
				i++
			}
			tokens = append(tokens, token{"number", source[start:i]})
		case letter(c):
			start := i
			for i < len(source) && (letter(source[i]) || source[i] >= '0' && source[i] <= '9') {
				i++
			}
			tokens = append(tokens, token{"name", source[start:i]})
		default:
			at := slices.IndexFunc(operators, func(op string) bool { return strings.HasPrefix(source[i:], op) })
			if at < 0 {
				return nil, syntaxError("unexpected " + string(c))
			}
			tokens = append(tokens, token{"operator", operators[at]})
			i += len(operators[at])
		}
	}
	return tokens, nil
}

func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// regexMayFollow tells a regular expression from a division: the latter follows a value.
func regexMayFollow(tokens []token) bool {
	if len(tokens) == 0 {
		return true
	}
	last := tokens[len(tokens)-1]
	return last.kind == "operator" && last.text != ")" && last.text != "]" && last.text != "$" || last.kind == "name" && (last.text == "print" || last.text == "in")
}

func closing(source string, start int) int {
	bracket := false
	for i := start + 1; i < len(source); i++ {
		switch c := source[i]; {
		case c == '\\':
			i++
		case c == '\n':
			return -1
		case source[start] == '/' && c == '[':
			bracket = true
		case source[start] == '/' && c == ']':
			bracket = false
		case c == source[start] && !bracket:
			return i
		}
	}
	return -1
}
