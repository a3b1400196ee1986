package shell

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/disk"
	"github.com/stampmill/stampmill/internal/localaws/machine/files"
)

// newSystem is a server with sh, bash, cat, sleep and yes.
func newSystem(t *testing.T) *System {
	t.Helper()
	tree := files.New(files.Mount{Disk: disk.New("")})
	programs := map[string]Program{
		"sh": Main,
		"cat": func(_ context.Context, p *Process) int {
			if len(p.Args) == 1 {
				p.Args = append(p.Args, "-")
			}
			for _, name := range p.Args[1:] {
				if name == "-" {
					if _, err := io.Copy(p.Out, p.In); err != nil {
						return 1
					}
					continue
				}
				data, err := p.ReadFile(name)
				if err != nil {
					p.Errorf("%s: %s", name, files.Reason(err))
					return 1
				}
				if _, err := p.Out.Write(data); err != nil {
					return 1
				}
			}
			return 0
		},
		"sleep": func(ctx context.Context, p *Process) int {
			d, err := time.ParseDuration(p.Args[1] + "s")
			if err != nil || !p.System.Sleep(ctx, d) {
				return 1
			}
			return 0
		},
		"yes": func(_ context.Context, p *Process) int {
			for {
				if _, err := io.WriteString(p.Out, "y\n"); err != nil {
					return 1
				}
			}
		},
	}
	for _, dir := range []string{"/bin", "/tmp", "/dev"} {
		if err := tree.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, program := range map[string]string{"sh": "sh", "bash": "sh", "cat": "cat", "sleep": "sleep", "yes": "yes"} {
		if err := tree.Write("/bin/"+file, Binary(program), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.Place("/dev/null", files.Node{Mode: 0o666 | 0x4200000, Data: []byte("null")}); err != nil {
		t.Fatal(err)
	}
	return &System{Files: tree, Programs: programs}
}

func run(t *testing.T, s *System, script string, options Options) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = s.Run(t.Context(), &Process{Args: []string{"sh"}, Dir: "/tmp", Env: map[string]string{"PATH": "/bin", "HOME": "/root"},
		Descriptors: Standard(strings.NewReader(""), &lockedWriter{w: &out}, &lockedWriter{w: &errs})}, script, options)
	s.Wait()
	return out.String(), errs.String(), code
}

func TestScriptsDoWhatAShellDoes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		script, out string
		code        int
	}{
		"variables and defaults":          {`a=1; b=${a}2; echo "$b" ${c:-none} ${#b}`, "12 none 2\n", 0},
		"pipeline":                        {`printf '%s\n' b a | { read x; echo got $x; cat; }`, "got b\na\n", 0},
		"pipeline of three keeps order":   {`echo hi | cat | cat`, "hi\n", 0},
		"pipefail":                        {`set -o pipefail; false | true; echo $?`, "1\n", 0},
		"PIPESTATUS":                      {`true | false | true; echo "${PIPESTATUS[@]}"`, "0 1 0\n", 0},
		"endless writer ends":             {`yes | { read x; echo $x; }`, "y\n", 0},
		"errexit":                         {`set -e; echo a; false; echo b`, "a\n", 1},
		"errexit spares conditions":       {`set -e; if false; then :; fi; false || echo ok; ! true; false && true; echo end`, "ok\nend\n", 0},
		"errexit by substitution":         {`set -e; x=$(false); echo no`, "", 1},
		"errexit spares local":            {`set -e; f() { local x=$(false); echo on; }; f`, "on\n", 0},
		"functions and locals":            {`x=1; f() { local x=2; y=3; return 4; }; f; echo $? $x $y`, "4 1 3\n", 0},
		"here document":                   {"n=1\ncat <<EOF\na $n\nEOF\ncat <<'EOF'\na $n\nEOF\n", "a 1\na $n\n", 0},
		"here document without tabs":      {"cat <<-EOF\n\ta\n\t\tb\n\tEOF\n", "a\nb\n", 0},
		"here string":                     {`cat <<< "x y"`, "x y\n", 0},
		"files and appends":               {`echo a > f; echo b >> f; cat < f; cat /tmp/f`, "a\nb\na\nb\n", 0},
		"descriptors above two":           {`exec 3>log; echo x >&3; exec 3>&-; cat log; echo y >&3`, "x\n", 1},
		"both outputs":                    {`{ echo a; echo b >&2; } > f 2>&1; cat f`, "a\nb\n", 0},
		"arrays":                          {`a=(x "y z"); a+=(w); echo ${#a[@]} "${a[1]}" ${!a[@]}; a[7]=q; echo ${!a[@]}`, "3 y z 0 1 2\n0 1 2 7\n", 0},
		"associative arrays":              {`declare -A m; m[k]=v; m[j]=w; echo ${m[k]} ${!m[@]}`, "v j k\n", 0},
		"arithmetic":                      {`i=3; (( i += 4 )); echo $((i*2)); (( 0 )) || echo zero`, "14\nzero\n", 0},
		"loops":                           {`for i in 1 2 3 4; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done`, "1\n3\n", 0},
		"C loop":                          {`for ((i=0;i<3;i++)); do echo $i; done`, "0\n1\n2\n", 0},
		"while read":                      {"printf 'a 1\\nb 2\\n' > f; while read -r k v; do echo $v$k; done < f", "1a\n2b\n", 0},
		"last line without newline":       {`printf 'a\nb' | while read -r x || [ -n "$x" ]; do echo "<$x>"; done`, "<a>\n<b>\n", 0},
		"case":                            {`case foo.tar in *.zip) echo zip;; *.tar|*.tgz) echo tar;; esac`, "tar\n", 0},
		"test":                            {`[ -f f ]; echo $?; echo >f; test -f f -a ! -d f && [ 1 -lt 2 ] && echo ok`, "1\nok\n", 0},
		"double brackets":                 {`[[ abc == a* && abc =~ ^a(.)c$ ]] && echo ${BASH_REMATCH[1]}`, "b\n", 0},
		"globs":                           {`echo 1 >a.x; echo 2 >b.x; echo *.x /tmp/a.*; echo *.y`, "a.x b.x /tmp/a.x\n*.y\n", 0},
		"exit trap":                       {`trap 'echo bye $?' EXIT; echo hi; exit 3`, "hi\nbye 3\n", 3},
		"error trap":                      {`trap 'echo err' ERR; false; echo on`, "err\non\n", 0},
		"subshell keeps its variables":    {`x=1; (x=2; cd /; exit 5); echo $? $x $PWD`, "5 1 /tmp\n", 0},
		"unset under nounset":             {`set -u; echo a; echo $nope; echo b`, "a\n", 1},
		"required parameter":              {`: ${nope:?is needed}; echo b`, "", 127},
		"unknown command":                 {`nosuch; echo $?`, "127\n", 0},
		"not executable":                  {`echo x > f; ./f; echo $?`, "126\n", 0},
		"inline with arguments":           {`sh -c 'echo $0 $1 $#' name x y`, "name x 2\n", 0},
		"script on standard input":        {`echo 'echo $((1+1))' | bash -s`, "2\n", 0},
		"set -x goes to standard error":   {`set -x; echo a; set +x`, "a\n", 0},
		"process substitution in":         {`cat <(echo a) <(echo b)`, "a\nb\n", 0},
		"process substitution out":        {`exec > >(cat > log; echo done >> log); echo x; exec >/dev/null; sleep 0; while ! [ -s log ]; do sleep 1; done; exec 1>&2`, "", 0},
		"loop from process substitution":  {`n=0; while read x; do n=$((n+x)); done < <(printf '1\n2\n'); echo $n`, "3\n", 0},
		"background and wait":             {`(exit 3) & wait $!; echo $?`, "3\n", 0},
		"kill":                            {`sleep 100 & kill $!; wait $!; echo $?`, "143\n", 0},
		"traps run between commands":      {`trap 'echo caught' TERM; kill -TERM $$; echo on`, "caught\non\n", 0},
		"getopts":                         {`f() { while getopts "ab:" o; do echo $o $OPTARG; done; shift $((OPTIND-1)); echo $1; }; f -a -b v rest`, "a\nb v\nrest\n", 0},
		"eval and indirect":               {`v=name; name=x; eval "y=\$$v"; echo $y ${!v}`, "x x\n", 0},
		"printf formats":                  {`printf '%03d|%-3s|%s\n' 7 a b`, "007|a  |b\n", 0},
		"printf repeats":                  {`printf '%s-' a b c; printf -v x %02d 5; echo $x`, "a-b-c-05\n", 0},
		"mapfile":                         {`mapfile -t l < <(printf 'a\nb\n'); echo ${#l[@]} ${l[1]}`, "2 b\n", 0},
		"command -v":                      {`command -v cat nosuch; echo $?; command -v echo`, "/bin/cat\n1\necho\n", 0},
		"source":                          {`echo 'x=5; return 3' > lib; . ./lib; echo $? $x`, "3 5\n", 0},
		"syntax error after good lines":   {"echo a\nif then\n", "a\n", 2},
		"tilde does not leave the server": {`echo ~ ~nobodyhere`, "/root ~nobodyhere\n", 0},
		"substitution of a file":          {`echo content > f; echo "$(<f)"`, "content\n", 0},
		"status in an assignment":         {`(exit 3) </dev/null; a=$?; f() { local b=$?; echo $a $b; }; (exit 4); f`, "3 4\n", 0},
		"readonly":                        {`readonly x=1; x=2; echo $x`, "1\n", 0},
		"environment of one command":      {`x=1 sh -c 'echo $x'; echo "<$x>"; export y=2; sh -c 'echo $y'`, "1\n<>\n2\n", 0},
		"endless recursion ends":          {`f() { f; }; f 2>/dev/null; echo no`, "", 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				out, errs, code := run(t, newSystem(t), c.script, Options{})
				if out != c.out || code != c.code {
					t.Errorf("%s\n gives %q, exit %d, want %q, exit %d; standard error: %s", c.script, out, code, c.out, c.code, errs)
				}
			})
		})
	}
}

func TestTimePassesInAPipeline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if out, errs, code := run(t, newSystem(t), `{ sleep 5; echo late; } | cat`, Options{}); out != "late\n" || code != 0 {
			t.Errorf("the pipeline gives %q %q, exit %d", out, errs, code)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("it took %v, want 5s", took)
		}
	})
}

func TestACancelledScriptEndsItsPipelinesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		code := s.Run(ctx, &Process{Args: []string{"sh"}, Descriptors: Standard(strings.NewReader(""), io.Discard, io.Discard)},
			`PATH=/bin; sleep 50 & cat | sleep 100 | cat; echo no`, Options{})
		s.Wait()
		if took := time.Since(start); took != time.Second || code != 137 {
			t.Errorf("the script ended after %v with %d, want 1s and 137", took, code)
		}
	})
}
