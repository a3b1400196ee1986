package awk

import (
	"strings"
	"testing"
)

func TestProgramsDoWhatAwkDoes(t *testing.T) {
	t.Parallel()
	const table = "web 10 eu\ndb 200 us\nweb 5 us\n"
	cases := map[string]struct{ program, separator, want string }{
		"field":               {`{print $1}`, " ", "web\ndb\nweb\n"},
		"last field":          {`{print $NF, NF}`, " ", "eu 3\nus 3\nus 3\n"},
		"pattern":             {`/us$/ {print $1 "-" $2}`, " ", "db-200\nweb-5\n"},
		"pattern alone":       {`$2 > 9 && $1 != "db"`, " ", "web 10 eu\n"},
		"sum":                 {`{s += $2} END {print s, s/NR}`, " ", "215 71.6667\n"},
		"counting":            {`{n[$1]++} END {for (k in n) print k, n[k]}`, " ", "db 1\nweb 2\n"},
		"first of each":       {`!seen[$1]++ {print NR ":" $1}`, " ", "1:web\n2:db\n"},
		"begin and separator": {`BEGIN {FS=" "; OFS=","} {$1=$1; print}`, " ", "web,10,eu\ndb,200,us\nweb,5,us\n"},
		"printf":              {`{printf "%-4s|%04d\n", $1, $2}`, " ", "web |0010\ndb  |0200\nweb |0005\n"},
		"if and else":         {`{ if ($2 > 9) print "big"; else print "small" }`, " ", "big\nbig\nsmall\n"},
		"loop":                {`NR==1 { for (i = NF; i > 0; i--) printf "%s ", $i; print "" }`, " ", "eu 10 web \n"},
		"functions":           {`NR==2 {print toupper($1), substr($3, 2), length($2), index($0, "200"); gsub(/0/, "<&>"); print}`, " ", "DB s 3 4\ndb 2<0><0> us\n"},
		"split":               {`NR==1 {n = split("a:b:c", p, ":"); print n, p[3]}`, " ", "3 c\n"},
		"range":               {`/db/,/web 5/ {print $2}`, " ", "200\n5\n"},
		"ternary and match":   {`{print ($3 ~ /^e/) ? "eu" : "other"}`, " ", "eu\nother\nother\n"},
		"exit":                {`NR==2 {exit} {print}`, " ", "web 10 eu\n"},
		"other separator":     {`{print $2}`, "e", "b 10 \n\nb 5 us\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, err := Parse(c.program)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if _, err := (Run{Separator: c.separator, Out: &out}).Execute(program, table); err != nil || out.String() != c.want {
				t.Errorf("%s gives %q, %v, want %q", c.program, out.String(), err, c.want)
			}
		})
	}
}

func TestWhatThisAwkLacksIsAnError(t *testing.T) {
	t.Parallel()
	for _, program := range []string{`{print > "/tmp/x"}`, `{print | "sh"}`, `{system("ls")}`, `{getline x}`, `{print "open}`, `{`} {
		if _, err := Parse(program); err == nil {
			t.Errorf("%s is accepted", program)
		}
	}
}
