package machine

import (
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// listener answers on a port of the server.
type listener func(*http.Request) answer

// daemon starts a program that serves; it needs no goroutine while nobody asks it anything.
type daemon func(b *boot, args []string) (stop func(), err error)

func daemons() map[string]daemon {
	return map[string]daemon{
		"nginx": startNginx, "httpd": startApache, "apache2": startApache, "amazon-ssm-agent": startAgentDaemon, "sshd": startNothing,
		"postgres": startNothing, "dockerd": startNothing, "amazon-cloudwatch-agent": startNothing, "crond": startNothing, "chronyd": startNothing,
	}
}

// daemonOf is the daemon that an ExecStart line runs, nil for any other program.
func daemonOf(command string) daemon {
	fields := strings.Fields(strings.TrimLeft(command, "-@+!"))
	if len(fields) == 0 {
		return nil
	}
	return daemons()[path.Base(fields[0])]
}

func startNothing(*boot, []string) (func(), error) { return func() {}, nil }

func startAgentDaemon(b *boot, _ []string) (func(), error) {
	if _, err := b.system.Files.Stat(agentPath(false)); err != nil {
		return nil, fmt.Errorf("%s: No such file or directory", agentPath(false))
	}
	b.startAgent()
	return b.stopAgent, nil
}

// listen opens ports; it fails if one is taken.
func (b *boot) listen(ports []int, l listener) (stop func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, port := range ports {
		if _, taken := b.listeners[port]; taken {
			return nil, fmt.Errorf("bind() to 0.0.0.0:%d failed (98: Address already in use)", port)
		}
	}
	for _, port := range ports {
		b.listeners[port] = l
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, port := range ports {
			delete(b.listeners, port)
		}
	}, nil
}

// serve asks the server's own service on a port; false is a refused connection.
func (b *boot) serve(port int, r *http.Request) (answer, bool) {
	b.mu.Lock()
	l, ok := b.listeners[port]
	ok = ok && !b.ending
	b.mu.Unlock()
	if !ok {
		return answer{}, false
	}
	return l(r), true
}

// serveFiles answers with the files below a directory.
func (b *boot) serveFiles(root, name string) answer {
	name = path.Clean("/" + name)
	target := path.Join(root, name)
	n, err := b.system.Files.Stat(target)
	if err == nil && n.Mode.IsDir() {
		target = path.Join(target, "index.html")
		n, err = b.system.Files.Stat(target)
	}
	if err != nil || n.Mode&0o444 == 0 {
		return answer{status: http.StatusNotFound, body: "<html><head><title>404 Not Found</title></head></html>\n"}
	}
	data, err := b.system.Files.ReadFile(target)
	if err != nil {
		return answer{status: http.StatusNotFound, body: err.Error()}
	}
	return text(string(data))
}

func startApache(b *boot, args []string) (func(), error) {
	config := "/etc/httpd/conf/httpd.conf"
	if path.Base(args[0]) == "apache2" || b.server.distribution().debian() {
		config = "/etc/apache2/apache2.conf"
	}
	ports, root := []int{}, "/var/www/html"
	for line := range strings.Lines(b.read(config)) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		switch fields[0] {
		case "Listen":
			port, err := strconv.Atoi(fields[1][strings.LastIndexByte(fields[1], ':')+1:])
			if err != nil {
				return nil, fmt.Errorf("%s: Port must be specified", config)
			}
			ports = append(ports, port)
		case "DocumentRoot":
			root = strings.Trim(fields[1], `"`)
		}
	}
	if len(ports) == 0 {
		ports = []int{80}
	}
	return b.listen(ports, func(r *http.Request) answer { return b.serveFiles(root, r.URL.Path) })
}
