package guest

import "strings"

// Quote makes a text one word of a POSIX shell, whatever is in it. Double braces are taken apart: SSM replaces
// {{ssm:name}} in what it is sent.
func Quote(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	for strings.Contains(quoted, "{{") {
		quoted = strings.ReplaceAll(quoted, "{{", "{''{")
	}
	return quoted
}

// QuotePowerShell makes a text one PowerShell string, whatever is in it. PowerShell takes typographic quotes for quotes.
// Double braces are taken apart: SSM replaces {{ssm:name}} in what it is sent.
func QuotePowerShell(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch r {
		case '\'', '\u2018', '\u2019', '\u201a', '\u201b':
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	quoted := "'" + b.String() + "'"
	if !strings.Contains(quoted, "{{") {
		return quoted
	}
	for strings.Contains(quoted, "{{") {
		quoted = strings.ReplaceAll(quoted, "{{", "{'+'{")
	}
	return "(" + quoted + ")"
}
