package dynamodb

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

type tokenKind byte

const (
	tokenEnd     tokenKind = iota
	tokenWord              // attribute and function names, keywords
	tokenName              // #placeholder
	tokenValue             // :placeholder
	tokenIndex             // digits
	tokenSymbol            // operators and punctuation
	tokenIllegal           // a character that no expression has
)

type token struct {
	kind       tokenKind
	text       string
	start, end int
}

// lexer cuts an expression into tokens, all at once: expressions are at most 4 KB.
type lexer struct {
	text   string
	tokens []token
	at     int
}

func lex(text string) *lexer {
	l := &lexer{text: text}
	for at := 0; at < len(text); {
		c := text[at]
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			at++
			continue
		case letter(c):
			at = l.take(tokenWord, at, wordEnd(text, at))
		case (c == '#' || c == ':') && wordEnd(text, at+1) > at+1:
			kind := tokenName
			if c == ':' {
				kind = tokenValue
			}
			at = l.take(kind, at, wordEnd(text, at+1))
		case c == '0':
			at = l.take(tokenIndex, at, at+1)
		case digit(c):
			end := at
			for end < len(text) && digit(text[end]) {
				end++
			}
			at = l.take(tokenIndex, at, end)
		case strings.HasPrefix(text[at:], "<>"), strings.HasPrefix(text[at:], "<="), strings.HasPrefix(text[at:], ">="):
			at = l.take(tokenSymbol, at, at+2)
		case strings.IndexByte("<>=+-()[],.", c) >= 0:
			at = l.take(tokenSymbol, at, at+1)
		default:
			_, size := utf8.DecodeRuneInString(text[at:])
			at = l.take(tokenIllegal, at, at+size)
		}
	}
	l.tokens = append(l.tokens, token{kind: tokenEnd, text: "<EOF>", start: len(text), end: len(text)})
	return l
}

func (l *lexer) take(kind tokenKind, start, end int) int {
	l.tokens = append(l.tokens, token{kind: kind, text: l.text[start:end], start: start, end: end})
	return end
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

func wordEnd(text string, at int) int {
	for at < len(text) && (letter(text[at]) || digit(text[at]) || text[at] == '_') {
		at++
	}
	return at
}

func (l *lexer) peek() token { return l.tokens[l.at] }

func (l *lexer) advance() {
	if l.peek().kind != tokenEnd {
		l.at++
	}
}

func (l *lexer) symbol(text string) bool {
	if t := l.peek(); t.kind != tokenSymbol || t.text != text {
		return false
	}
	l.at++
	return true
}

// keyword consumes the word, in any case.
func (l *lexer) keyword(word string) bool {
	if !l.atKeyword(word) {
		return false
	}
	l.at++
	return true
}

func (l *lexer) atKeyword(word string) bool {
	t := l.peek()
	return t.kind == tokenWord && len(t.text) == len(word) && strings.EqualFold(t.text, word)
}

// syntax is the error at the present token: AWS shows it with its neighbours.
func (l *lexer) syntax() error {
	t := l.peek()
	from, to := t.start, t.end
	if l.at > 0 {
		from = l.tokens[l.at-1].start
	} else if t.kind == tokenEnd {
		from = 0
	}
	if t.kind == tokenEnd && l.at > 0 {
		to = l.tokens[l.at-1].end
	} else if l.at+1 < len(l.tokens) && l.tokens[l.at+1].kind != tokenEnd {
		to = l.tokens[l.at+1].end
	}
	return expressionError(fmt.Sprintf("Syntax error; token: \"%s\", near: \"%s\"", t.text, l.text[from:to]))
}

// expressionError is what is wrong with an expression, before it is known which one of the request it is.
type expressionError string

func (e expressionError) Error() string { return string(e) }
