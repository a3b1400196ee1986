package machine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

const nginxConfig = "/etc/nginx/nginx.conf"

// directive is one statement of nginx's configuration.
type directive struct {
	words []string
	block []directive
	file  string
	line  int
}

func startNginx(b *boot, _ []string) (func(), error) {
	config, err := b.nginxConfiguration(nginxConfig, 0)
	if err != nil {
		return nil, err
	}
	servers := findDirectives(config, "server")
	var ports []int
	byPort := map[int][]directive{}
	for _, server := range servers {
		listens := findDirectives(server.block, "listen")
		if len(listens) == 0 {
			listens = []directive{{words: []string{"listen", "80"}}}
		}
		for _, l := range listens {
			address := l.words[1]
			port, err := strconv.Atoi(address[strings.LastIndexByte(address, ':')+1:])
			if err != nil {
				port = 80
			}
			if !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
			byPort[port] = append(byPort[port], server)
		}
	}
	var stops []func()
	stopAll := func() {
		for _, stop := range stops {
			stop()
		}
	}
	for _, port := range ports {
		stop, err := b.listen([]int{port}, func(r *http.Request) answer { return b.nginxAnswer(byPort[port], r) })
		if err != nil {
			stopAll()
			return nil, err
		}
		stops = append(stops, stop)
	}
	return stopAll, nil
}

// findDirectives are those of the name at any depth, outer ones first.
func findDirectives(list []directive, name string) []directive {
	var found []directive
	for _, d := range list {
		if d.words[0] == name {
			found = append(found, d)
		}
	}
	for _, d := range list {
		if d.words[0] == "http" {
			found = append(found, findDirectives(d.block, name)...)
		}
	}
	return found
}

func (b *boot) nginxAnswer(servers []directive, r *http.Request) answer {
	server := servers[0]
	host, _, _ := strings.Cut(r.Host, ":")
	for _, candidate := range servers {
		for _, names := range findDirectives(candidate.block, "server_name") {
			if slices.Contains(names.words[1:], host) {
				server = candidate
			}
		}
	}
	return b.nginxLocation(server.block, "/usr/share/nginx/html", r.URL.Path)
}

func (b *boot) nginxLocation(block []directive, root, uri string) answer {
	var best *directive
	length := -1
	for i, d := range block {
		switch d.words[0] {
		case "root":
			root = d.words[1]
		case "return":
			return nginxReturn(d)
		case "location":
			if n := locationMatch(d.words[1:], uri); n > length {
				best, length = &block[i], n
			}
		}
	}
	if best == nil {
		return b.serveFiles(root, uri)
	}
	for _, d := range best.block {
		if d.words[0] == "alias" {
			prefix := best.words[len(best.words)-1]
			return b.serveFiles(d.words[1], strings.TrimPrefix(uri, strings.TrimSuffix(prefix, "/")))
		}
		if d.words[0] == "proxy_pass" {
			return b.nginxProxy(d.words[1], uri)
		}
	}
	return b.nginxLocation(best.block, root, uri)
}

func (b *boot) nginxProxy(target, uri string) answer {
	r, err := http.NewRequestWithContext(b.ctx, http.MethodGet, strings.TrimSuffix(target, "/")+uri, nil)
	if err == nil {
		port, convErr := strconv.Atoi(r.URL.Port())
		if convErr != nil {
			port = 80
		}
		if a, ok := b.serve(port, r); ok {
			return a
		}
	}
	return answer{status: http.StatusBadGateway, body: "502 Bad Gateway\n"}
}

// locationMatch is how well a location fits: exact before regular expression before the longest prefix; -1 is not at all.
func locationMatch(words []string, uri string) int {
	const regular, exact = 1 << 20, 1 << 21
	switch {
	case len(words) == 2 && words[0] == "=":
		if uri == words[1] {
			return exact
		}
		return -1
	case len(words) == 2 && strings.HasPrefix(words[0], "~"):
		re, err := regexp.Compile(words[1])
		if err == nil && re.MatchString(uri) {
			return regular
		}
		return -1
	}
	if prefix := words[len(words)-1]; strings.HasPrefix(uri, prefix) {
		return len(prefix)
	}
	return -1
}

func nginxReturn(d directive) answer {
	code, err := strconv.Atoi(d.words[1])
	if err != nil {
		return answer{status: http.StatusFound, header: http.Header{"Location": {d.words[1]}}}
	}
	a := answer{status: code}
	if len(d.words) > 2 {
		a.body = strings.NewReplacer(`\n`, "\n").Replace(d.words[2])
	}
	return a
}

// nginxConfiguration reads a configuration file with what it includes.
func (b *boot) nginxConfiguration(file string, depth int) ([]directive, error) {
	if depth > 10 {
		return nil, fmt.Errorf("%s: too many levels of include", file)
	}
	data, err := b.system.Files.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("open() %q failed (2: No such file or directory)", file)
	}
	parser := &nginxParser{b: b, file: file, text: string(data), line: 1, depth: depth}
	return parser.block(false)
}

type nginxParser struct {
	b     *boot
	file  string
	text  string
	at    int
	line  int
	depth int
}

func (n *nginxParser) block(inside bool) ([]directive, error) {
	var list []directive
	for {
		words, end, err := n.statement()
		if err != nil {
			return nil, err
		}
		switch {
		case end == 0 && len(words) > 0:
			return nil, fmt.Errorf("unexpected end of file, expecting \";\" or \"}\" in %s:%d", n.file, n.line)
		case end == 0 && inside:
			return nil, fmt.Errorf("unexpected end of file, expecting \"}\" in %s:%d", n.file, n.line)
		case end == 0:
			return list, nil
		case end == '}' && (len(words) > 0 || !inside):
			return nil, fmt.Errorf("unexpected \"}\" in %s:%d", n.file, n.line)
		case end == '}':
			return list, nil
		case len(words) == 0:
			return nil, fmt.Errorf("unexpected %q in %s:%d", string(end), n.file, n.line)
		}
		d := directive{words: words, file: n.file, line: n.line}
		if end == '{' {
			if d.block, err = n.block(true); err != nil {
				return nil, err
			}
		}
		if end == ';' && len(words) == 1 && words[0] != "ip_hash" && words[0] != "internal" {
			return nil, fmt.Errorf("invalid number of arguments in %q directive in %s:%d", words[0], n.file, n.line)
		}
		if words[0] == "include" && end == ';' {
			included, err := n.include(words[1])
			if err != nil {
				return nil, err
			}
			list = append(list, included...)
			continue
		}
		list = append(list, d)
	}
}

func (n *nginxParser) include(pattern string) ([]directive, error) {
	if !strings.HasPrefix(pattern, "/") {
		pattern = "/etc/nginx/" + pattern
	}
	if !strings.Contains(path.Base(pattern), "*") {
		return n.b.nginxConfiguration(pattern, n.depth+1)
	}
	names, err := n.b.system.Files.ReadDir(path.Dir(pattern))
	if err != nil {
		return nil, nil //nolint:nilerr // as for glob(3), a folder that cannot be read holds nothing that matches
	}
	var all []directive
	for _, name := range names {
		if ok, err := path.Match(path.Base(pattern), name); err == nil && ok {
			list, err := n.b.nginxConfiguration(path.Join(path.Dir(pattern), name), n.depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
	}
	return all, nil
}

// statement reads words up to ";", "{" or "}".
func (n *nginxParser) statement() (words []string, end byte, err error) {
	var word strings.Builder
	started := false
	flush := func() {
		if started {
			words = append(words, word.String())
			word.Reset()
			started = false
		}
	}
	for n.at < len(n.text) {
		c := n.text[n.at]
		n.at++
		switch {
		case c == '\n' || c == ' ' || c == '\t' || c == '\r':
			flush()
			if c == '\n' {
				n.line++
			}
		case c == '#' && !started:
			for n.at < len(n.text) && n.text[n.at] != '\n' {
				n.at++
			}
		case (c == '"' || c == '\'') && !started:
			started = true
			closing := strings.IndexByte(n.text[n.at:], c)
			if closing < 0 {
				return nil, 0, fmt.Errorf("unexpected end of file, expecting %q in %s:%d", string(c), n.file, n.line)
			}
			word.WriteString(n.text[n.at : n.at+closing])
			n.at += closing + 1
		case c == '{' && started && strings.HasSuffix(word.String(), "$"):
			word.WriteByte(c)
			closing := max(0, strings.IndexByte(n.text[n.at:], '}')+1)
			word.WriteString(n.text[n.at : n.at+closing])
			n.at += closing
		case c == ';' || c == '{' || c == '}':
			flush()
			return words, c, nil
		default:
			word.WriteByte(c)
			started = true
		}
	}
	flush()
	return words, 0, nil
}

// nginxProgram is the nginx command: -t checks the configuration, -s signals the running one, -v tells the version.
func nginxProgram(_ context.Context, p *shell.Process) int {
	b := bootOf(p)
	for _, arg := range p.Args[1:] {
		switch arg {
		case "-v", "-V":
			fmt.Fprintf(p.Err, "nginx version: nginx/%s\n", catalogue["nginx"].version)
			return 0
		case "-t", "-tq":
			_, err := b.nginxConfiguration(nginxConfig, 0)
			if err != nil {
				fmt.Fprintf(p.Err, "nginx: [emerg] %v\nnginx: configuration file %s test failed\n", err, nginxConfig)
				return 1
			}
			fmt.Fprintf(p.Err, "nginx: the configuration file %s syntax is ok\nnginx: configuration file %s test is successful\n", nginxConfig, nginxConfig)
			return 0
		case "-s":
			return signalNginx(b, p)
		}
	}
	if message := b.startUnit("nginx"); message != "" {
		fmt.Fprintf(p.Err, "nginx: [emerg] %s\n", message)
		return 1
	}
	return 0
}

func signalNginx(b *boot, p *shell.Process) int {
	if b.unitState("nginx") != "active" {
		fmt.Fprintln(p.Err, "nginx: [error] open() \"/run/nginx.pid\" failed (2: No such file or directory)")
		return 1
	}
	switch p.Args[len(p.Args)-1] {
	case "reload", "reopen":
		// A configuration that is not valid leaves the old one in place.
		if _, err := b.nginxConfiguration(nginxConfig, 0); err != nil {
			fmt.Fprintf(p.Err, "nginx: [emerg] %v\n", err)
			return 1
		}
		b.stopUnit("nginx")
		if message := b.startUnit("nginx"); message != "" {
			p.Errorf("%v", errors.New(message))
			return 1
		}
	default:
		b.stopUnit("nginx")
	}
	return 0
}
