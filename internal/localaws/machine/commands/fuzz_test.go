package commands

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/commands/awk"
	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// paper takes what is printed and counts it.
type paper struct {
	mu   sync.Mutex
	size int
	text bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size += len(b); p.size < 64<<10 {
		p.text.Write(b)
	}
	return len(b), nil
}

// installed is a disk with every program.
func installed(t testing.TB) *disk.Disk {
	t.Helper()
	root := disk.New("")
	tree := files.New(files.Mount{Disk: root})
	for _, folder := range []string{"/bin", "/tmp", "/dev", "/etc", "/root"} {
		if err := tree.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name := range All() {
		if err := tree.Write("/bin/"+name, shell.Binary(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.Write("/tmp/table", []byte("web 10 eu\ndb 200 us\nweb 5 us\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	root.Freeze()
	return root
}

// Whatever a script says, it ends: by itself, when its boot has used up its steps, or soon after its context does; and no
// program crashes.
func FuzzScripts(f *testing.F) {
	for _, seed := range []string{
		"for i in 1 2 3; do echo $i | sed 's/[0-9]/<&>/g'; done", "a=${b:-${c:=d}}; echo \"${a%%[a-z]*}\" ${#a} ${a/x/y}", "f() { local x=$1; f $x$x; }; f a", "while :; do :; done",
		"awk '{n[$1]++} END {for (k in n) print k, n[k]}' /tmp/table", "awk 'BEGIN {while (1) s = s \"x\"}'", "awk '{gsub(/e/, \"&&\"); printf \"%*d|%s\\n\", 3, $2, $0}' /tmp/table", "awk -F: '$1 ~ /(/'",
		"cat <<'E' | base64 | base64 -d > /tmp/x\nabc\nE\n", "trap 'echo bye' EXIT; exit 3", "set -euo pipefail; false | true", "echo {a,b}{1..3} $((1<<2)) $((10%3))", "case $x in a*|?b) echo y;; *) echo n;; esac",
		"sort -k2 -n /tmp/table | uniq -c | head -n 1 | cut -d' ' -f2-", "find / -name '*a*' -exec echo {} \\;", "grep -E '(a|b)+' /tmp/table | tr a-z A-Z", "sed -n '/db/,$p;2q;s/\\(.\\)/\\1\\1/' /tmp/table",
		"printf '%s %5d %x\\n' a 1 255", "exec 3>/tmp/f; echo x >&3; cat < /tmp/f", "( sleep 1 & wait ) | cat", "tar -cf /tmp/a.tar /tmp/table; tar -tf /tmp/a.tar", "date -d @0 +%s; seq 1 3 | xargs -n1 echo", "read -r a b < /tmp/table; echo $b",
		"test -f /tmp/table -a 1 -lt 2 && [[ a =~ ^[a-z]$ ]]", "eval 'eval \"eval :\"'", "mapfile -t l < /tmp/table; echo ${l[@]:1:1}", "echo '{\"a\":[1]}' | jq -r '.a[0]'", "ln -s /tmp/a /tmp/b; ln -s /tmp/b /tmp/a; cat /tmp/a", "head -c 10 /tmp/table | od", "kill -9 $$",
	} {
		f.Add(seed, false)
	}
	f.Add("{print $1 > 1}", true)
	f.Add(strings.Repeat("(", 2000), true)
	f.Add("BEGIN { $1000 = 1; NF = 999; print substr(\"a\", -1, 1e300), -1 % 0.1, 2^1024 }", true)
	root := installed(f)
	f.Fuzz(func(t *testing.T, text string, isAwk bool) {
		if isAwk {
			checkAwk(t, text)
			return
		}
		s := &shell.System{Files: files.New(files.Mount{Disk: root.Fork()}), Programs: All(), Speed: 1e9, MaxSteps: 300}
		var out, errs paper
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Run(ctx, &shell.Process{Args: []string{"sh"}, Dir: "/tmp", Env: map[string]string{"PATH": "/bin", "HOME": "/root"},
				Descriptors: shell.Standard(strings.NewReader("input\n"), &out, &errs)}, text, shell.Options{})
			cancel()
			s.Wait()
		}()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatal("the script goes on after its context has ended")
		}
		if said := errs.text.String(); strings.Contains(said, ": crashed: ") {
			t.Fatal(said)
		}
		if out.size > 16<<20 {
			t.Fatalf("%d bytes are printed", out.size)
		}
	})
}

func checkAwk(t *testing.T, text string) {
	t.Helper()
	program, err := awk.Parse(text)
	if err != nil {
		return
	}
	var out paper
	_, err = awk.Run{Separator: " ", Out: io.Writer(&out), MaxSteps: 2000}.Execute(program, "web 10 eu\ndb 200 us\n")
	if err != nil && err.Error() == "" {
		t.Fatal("an error without words")
	}
}
