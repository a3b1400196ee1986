package dynamodb

import (
	"encoding/base64"
	"slices"
	"unicode/utf8"
)

// appendItem writes the item as a JSON object of attribute values, its names sorted so that equal items give equal text.
func appendItem(to []byte, item Item) []byte {
	var space [32]string
	names := space[:0]
	for name := range item {
		names = append(names, name)
	}
	slices.Sort(names)
	to = append(to, '{')
	for i, name := range names {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(appendString(to, name), ':')
		to = appendValue(to, item[name])
	}
	return append(to, '}')
}

func appendValue(to []byte, value Value) []byte {
	to = append(to, '{', '"')
	to = append(to, value.kind()...)
	to = append(to, '"', ':')
	switch v := value.(type) {
	case String:
		to = appendString(to, string(v))
	case Number:
		to = appendNumber(to, v)
	case Binary:
		to = appendBase64(to, string(v))
	case Bool:
		if v {
			to = append(to, "true"...)
		} else {
			to = append(to, "false"...)
		}
	case Null:
		to = append(to, "true"...)
	case StringSet:
		to = appendList(to, v, appendString)
	case NumberSet:
		to = appendList(to, v, appendNumber)
	case BinarySet:
		to = appendList(to, v, appendBase64)
	case List:
		to = appendList(to, v, appendValue)
	case Item:
		to = appendItem(to, v)
	}
	return append(to, '}')
}

func appendNumber(to []byte, n Number) []byte {
	return append(n.append(append(to, '"')), '"')
}

func appendBase64(to []byte, bytes string) []byte {
	to = append(to, '"')
	to = base64.StdEncoding.AppendEncode(to, []byte(bytes))
	return append(to, '"')
}

func appendList[T any](to []byte, elements []T, element func([]byte, T) []byte) []byte {
	to = append(to, '[')
	for i, e := range elements {
		if i > 0 {
			to = append(to, ',')
		}
		to = element(to, e)
	}
	return append(to, ']')
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string. The text came from JSON, so it is valid UTF-8.
func appendString(to []byte, s string) []byte {
	to = append(to, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf || c >= utf8.RuneSelf {
			continue
		}
		to = append(to, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			to = append(to, '\\', c)
		case '\n':
			to = append(to, '\\', 'n')
		case '\r':
			to = append(to, '\\', 'r')
		case '\t':
			to = append(to, '\\', 't')
		default:
			to = append(to, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	to = append(to, s[start:]...)
	return append(to, '"')
}
