package guest_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/guest"
)

func TestAPeekIsReadInWholeCharacters(t *testing.T) {
	t.Parallel()
	line := func(stream, content string) string {
		return stream + " " + base64.StdEncoding.EncodeToString([]byte(content)) + "\n"
	}
	for name, c := range map[string]struct {
		output, stdout, stderr string
		more                   bool
	}{
		"nothing":           {"", "", "", false},
		"both":              {line("stdout", "a\nb") + line("stderr", "ä"), "a\nb", "ä", false},
		"half a character":  {line("stdout", "line \xe2\x82"), "line ", "", false},
		"not UTF-8 at all":  {line("stdout", "\xff\x80\x80\x80\x80"), "\xff\x80\x80\x80\x80", "", false},
		"a full answer":     {line("stdout", strings.Repeat("x", 8000)), strings.Repeat("x", 8000), "", true},
		"a line that's cut": {line("stdout", "a") + "stderr YW", "a", "", false},
	} {
		stdout, stderr, more := guest.ReadPeek(c.output)
		if string(stdout) != c.stdout || string(stderr) != c.stderr || more != c.more {
			t.Errorf("%s: %q, %q, %v", name, stdout, stderr, more)
		}
	}
}

func TestErrorsAreReadAsTheScriptWroteThem(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"plain\n": "plain\n",
		"stampmill: the end of the output:\nx\nstampmill: all errors:\na\nb\n": "a\nb\n",
		"stampmill: the end of the output:\nx\n":                               "stampmill: the end of the output:\nx\n",
	} {
		if got := guest.Errors(given); got != want {
			t.Errorf("%q is read as %q", given, got)
		}
	}
}
