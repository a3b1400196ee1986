package commands

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

func date(_ context.Context, p *shell.Process) int {
	o, ok := parse(p, "u,utc d:date I,iso-8601 R r:reference iso-8601: s:")
	if !ok {
		return 1
	}
	now := time.Now().UTC()
	if text := o.last("d", ""); text != "" {
		var known bool
		if now, known = parseDate(text, now); !known {
			p.Errorf("invalid date '%s'", text)
			return 1
		}
	}
	if reference := o.last("r", ""); reference != "" {
		n, err := p.Files().Stat(p.Path(reference))
		if err != nil {
			p.Errorf("%s: %s", reference, files.Reason(err))
			return 1
		}
		now = n.ModTime.UTC()
	}
	format := "%a %b %e %H:%M:%S UTC %Y"
	switch {
	case len(o.args) > 0 && strings.HasPrefix(o.args[0], "+"):
		format = o.args[0][1:]
	case o.has("I"):
		format = "%Y-%m-%d"
	case o.has("iso-8601"):
		format = "%Y-%m-%dT%H:%M:%S+00:00"
	case o.has("R"):
		format = "%a, %d %b %Y %H:%M:%S +0000"
	}
	return output(p, formatDate(now, format)+"\n")
}

func formatDate(t time.Time, format string) string {
	layouts := map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'a': "Mon", 'A': "Monday",
		'b': "Jan", 'B': "January", 'e': "_2", 'F': "2006-01-02", 'T': "15:04:05", 'Z': "MST", 'z': "-0700", 'I': "03", 'p': "PM",
		'R': "15:04", 'D': "01/02/06", 'j': "002", 'h': "Jan", 'c': "Mon Jan _2 15:04:05 2006"}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		if format[i] == '-' && i+1 < len(format) {
			i++
			out.WriteString(strings.TrimLeft(t.Format(layouts[format[i]]), "0"))
			continue
		}
		if strings.HasPrefix(format[i:], "3N") {
			i++
			fmt.Fprintf(&out, "%03d", t.Nanosecond()/1e6)
			continue
		}
		switch layout, ok := layouts[format[i]]; {
		case ok:
			out.WriteString(t.Format(layout))
		case format[i] == 's':
			out.WriteString(strconv.FormatInt(t.Unix(), 10))
		case format[i] == 'N':
			fmt.Fprintf(&out, "%09d", t.Nanosecond())
		case format[i] == 'u':
			out.WriteString(strconv.Itoa((int(t.Weekday())+6)%7 + 1))
		case format[i] == 'n':
			out.WriteByte('\n')
		default:
			out.WriteByte(format[i])
		}
	}
	return out.String()
}

// parseDate reads @SECONDS, now, yesterday, tomorrow, "N unit [ago]" and the usual written forms.
func parseDate(text string, now time.Time) (time.Time, bool) {
	if seconds, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(seconds, 10, 64)
		return time.Unix(n, 0).UTC(), err == nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02", time.RFC1123} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	words := strings.Fields(strings.ReplaceAll(text, "+", " "))
	if len(words) == 0 {
		return now, false
	}
	switch words[0] {
	case "now", "today":
		return now, true
	case "yesterday":
		return now.AddDate(0, 0, -1), true
	case "tomorrow":
		return now.AddDate(0, 0, 1), true
	}
	n, err := strconv.Atoi(words[0])
	if err != nil || len(words) < 2 {
		return now, false
	}
	if len(words) > 2 && words[2] == "ago" {
		n = -n
	}
	units := map[string]time.Duration{"second": time.Second, "sec": time.Second, "minute": time.Minute, "min": time.Minute, "hour": time.Hour,
		"day": 24 * time.Hour, "week": 7 * 24 * time.Hour}
	unit, ok := units[strings.TrimSuffix(words[1], "s")]
	return now.Add(time.Duration(n) * unit), ok
}
