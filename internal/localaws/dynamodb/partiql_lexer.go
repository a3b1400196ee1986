package dynamodb

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

type wordKind byte

const (
	wordEndOfText wordKind = iota
	wordBare               // a keyword or an identifier
	wordQuoted             // "an identifier"
	wordString             // 'a string'
	wordNumber
	wordParameter // ?
	wordSymbol
)

// word is a token of a statement. Its text has no quotes left.
type word struct {
	kind wordKind
	text string
	at   int
}

// statementLexer cuts a statement into words, all at once: statements are at most 8 KB.
type statementLexer struct {
	text  string
	words []word
	next  int
}

func lexStatement(text string) (*statementLexer, error) {
	l := &statementLexer{text: text}
	for at := 0; at < len(text); {
		end, err := l.word(at)
		if err != nil {
			return nil, err
		}
		at = end
	}
	l.words = append(l.words, word{at: len(text)})
	return l, nil
}

// word takes the word or the gap that begins there, and gives its end.
func (l *statementLexer) word(at int) (end int, err error) {
	rest, c := l.text[at:], l.text[at]
	take := func(kind wordKind, length int) (int, error) {
		l.words = append(l.words, word{kind: kind, text: rest[:length], at: at})
		return at + length, nil
	}
	switch {
	case strings.IndexByte(" \t\r\n", c) >= 0:
		return at + 1, nil
	case strings.HasPrefix(rest, "--"):
		if line := strings.IndexByte(rest, '\n'); line >= 0 {
			return at + line, nil
		}
		return len(l.text), nil
	case strings.HasPrefix(rest, "/*"):
		if closed := strings.Index(rest[2:], "*/"); closed >= 0 {
			return at + 2 + closed + 2, nil
		}
		return 0, l.wrong(at, "expected the comment's end, not the statement's")
	case c == '\'' || c == '"':
		return l.quoted(at, c)
	case c == '?':
		return take(wordParameter, 1)
	case digit(c) || c == '.' && len(rest) > 1 && digit(rest[1]):
		return take(wordNumber, numberEnd(rest))
	case letter(c) || c == '_' || c == '$':
		return take(wordBare, identifierEnd(rest))
	case strings.HasPrefix(rest, "<>"), strings.HasPrefix(rest, "!="), strings.HasPrefix(rest, "<="), strings.HasPrefix(rest, ">="):
		return take(wordSymbol, 2)
	case strings.IndexByte("=<>+-*()[]{}.,:;", c) >= 0:
		return take(wordSymbol, 1)
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return 0, l.wrong(at, "the character %q has no meaning here", r)
}

// quoted takes a string or a quoted identifier; a doubled quote inside stands for one.
func (l *statementLexer) quoted(at int, quote byte) (end int, err error) {
	var text strings.Builder
	for i := at + 1; i < len(l.text); i++ {
		if l.text[i] != quote {
			text.WriteByte(l.text[i])
			continue
		}
		if i+1 < len(l.text) && l.text[i+1] == quote {
			text.WriteByte(quote)
			i++
			continue
		}
		kind := wordString
		if quote == '"' {
			kind = wordQuoted
		}
		l.words = append(l.words, word{kind: kind, text: text.String(), at: at})
		return i + 1, nil
	}
	return 0, l.wrong(at, "expected the closing %c, not the statement's end", quote)
}

func identifierEnd(text string) int {
	at := 0
	for at < len(text) && (letter(text[at]) || digit(text[at]) || text[at] == '_' || text[at] == '$') {
		at++
	}
	return at
}

func numberEnd(text string) int {
	digits := func(at int) int {
		for at < len(text) && digit(text[at]) {
			at++
		}
		return at
	}
	at := digits(0)
	if at < len(text) && text[at] == '.' {
		at = digits(at + 1)
	}
	if at < len(text) && (text[at] == 'e' || text[at] == 'E') {
		exponent := at + 1
		if exponent < len(text) && (text[exponent] == '+' || text[exponent] == '-') {
			exponent++
		}
		if end := digits(exponent); end > exponent {
			at = end
		}
	}
	return at
}

func (l *statementLexer) peek() word { return l.words[l.next] }

// take gives the word and goes on to the next one.
func (l *statementLexer) take() word {
	w := l.words[l.next]
	if w.kind != wordEndOfText {
		l.next++
	}
	return w
}

func (l *statementLexer) symbol(text string) bool {
	if w := l.peek(); w.kind != wordSymbol || w.text != text {
		return false
	}
	l.next++
	return true
}

func (l *statementLexer) atKeyword(keyword string) bool {
	w := l.peek()
	return w.kind == wordBare && strings.EqualFold(w.text, keyword)
}

func (l *statementLexer) keyword(keyword string) bool {
	if !l.atKeyword(keyword) {
		return false
	}
	l.next++
	return true
}

// expected is the error of a statement that does not go on as it must.
func (l *statementLexer) expected(what string) error {
	w := l.peek()
	found := "\"" + w.text + "\""
	switch w.kind {
	case wordEndOfText:
		found = "the end"
	case wordString:
		found = "'" + w.text + "'"
	}
	return l.wrong(w.at, "expected %s, not %s", what, found)
}

// notServed is the error of what DynamoDB knows and this endpoint does not.
func (l *statementLexer) notServed(what string) error {
	return l.wrong(l.peek().at, "this endpoint does not serve %s", what)
}

// wrong says what is not understood and where: line and column count from 1.
func (l *statementLexer) wrong(at int, format string, args ...any) error {
	before := l.text[:at]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	return expressionError(fmt.Sprintf("Statement wasn't well formed, can't be processed: %s at %d:%d", fmt.Sprintf(format, args...), line, column))
}
