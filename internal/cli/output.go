package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/goccy/go-yaml"
)

// print writes a value as JSON or YAML, or calls table where a person reads.
func (c *command) print(value any, table func(w io.Writer)) error {
	if v := reflect.ValueOf(value); v.Kind() == reflect.Slice && v.IsNil() {
		value = []any{} // an empty list, not null
	}
	switch c.output {
	case "json":
		out, err := document(value)
		if err != nil {
			return err
		}
		_, err = io.WriteString(c.Out, out)
		return err
	case "yaml":
		out, err := document(value) // the JSON names are the documented ones
		if err != nil {
			return err
		}
		text, err := yaml.JSONToYAML([]byte(out))
		if err != nil {
			return err
		}
		if lines(string(text)) == string(text) {
			out = string(text)
		} // else JSON, which is YAML too: blocks of YAML have no escapes for what a terminal would obey
		_, err = io.WriteString(c.Out, out)
		return err
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// document is the value as JSON that does nothing to a terminal.
func document(value any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return escaped(out.String()), err
}

// escaped writes what JSON leaves as it is, and what a terminal would obey, as JSON's escapes: the value stays the same.
func escaped(document string) string {
	var b strings.Builder
	for _, r := range document {
		switch {
		case r < 0x7f || unicode.IsPrint(r): // JSON has escaped what is below the space
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// row writes one row of a table; empty cells are a dash.
func row(w io.Writer, cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		text := oneLine(fmt.Sprint(cell))
		if text == "" {
			text = "-"
		}
		texts[i] = text
	}
	fmt.Fprintln(w, strings.Join(texts, "\t"))
}

// oneLine makes a text of others' fit for a table and for a terminal: what is not printable becomes a space, control
// characters, line breaks and marks that change the direction of text among them.
func oneLine(s string) string { return printable(s, "") }

// lines is oneLine for texts of several lines.
func lines(s string) string { return printable(s, "\n\t") }

func printable(s, keep string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || strings.ContainsRune(keep, r) {
			return r
		}
		return ' '
	}, s)
}

func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}

// ago is a moment as people say it.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return short(now.Sub(t)) + " ago"
}

func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
