package guest

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// Whatever a server answers, it is read as an end of the script with a bounded account of it: a server is hostile.
func FuzzOutput(f *testing.F) {
	for _, seed := range []struct{ status, details, stdout, stderr string }{
		{"Success", "Success", "hello\n", ""}, {"Failed", "Failed", "", Marker + "fetch: no such object\n"}, {"TimedOut", "Delivery Timed Out", "", ""},
		{"Failed", "NonZeroExitCode", strings.Repeat("line\n", 6000), endFollows + "\nthe end\n" + wholeFollows + "\nall\n"}, {"Cancelled", "", "", endFollows},
		{"", "\x00", "stdout aGVsbG8=\nstderr !\n", "\xff\xfe\x1b[2J\u202e"}, {"Failed", "Terminated", wholeFollows, wholeFollows + endFollows},
		{"Success", "", "stdout " + strings.Repeat("4pyT", 2666) + "4pw=\nstderr 4g==\n", strings.Repeat("ä", 5000)},
	} {
		f.Add(seed.status, seed.details, seed.stdout, seed.stderr, 1)
	}
	f.Add("Failed", "", "", Marker, ExitDied)
	f.Add("Failed", "", "", Marker, -9223372036854775808)
	f.Fuzz(func(t *testing.T, status, details, stdout, stderr string, exit int) {
		o := Read(cloud.Invocation{Status: status, StatusDetails: details, Stdout: stdout, Stderr: stderr, ExitCode: exit})
		if o.OK() && (exit != 0 || status != "Success") {
			t.Fatalf("%q with exit code %d counts as success", status, exit)
		}
		if tail := o.Tail(); len(tail) > tailBytes+1 {
			t.Fatalf("the tail has %d bytes", len(tail))
		} else if utf8.ValidString(stdout) && utf8.ValidString(stderr) && !utf8.ValidString(tail) {
			t.Fatalf("the tail %q cuts a character", tail)
		}
		if o.String() == "" {
			t.Fatal("an end without words")
		}
		if whole := Errors(stderr); !strings.HasSuffix(stderr, whole) {
			t.Fatalf("%q is told as %q", stderr, whole)
		}
		out, errs, more := ReadPeek(stdout)
		if more && len(out)+len(errs) == 0 {
			t.Fatal("there is more after nothing: a reader would go on for ever")
		}
		if len(out) > len(stdout) || len(errs) > len(stdout) {
			t.Fatalf("%d bytes become %d and %d", len(stdout), len(out), len(errs))
		}
	})
}
