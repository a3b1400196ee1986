package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/commands"
	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// pkg is a package that can be installed: its programs, files and units.
type pkg struct {
	version  string
	binaries map[string]string // path → program
	files    map[string]string
	units    map[string]string // name → what ExecStart runs
	needs    []string
}

const nginxDefault = `events { worker_connections 1024; }
http {
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
    server {
        listen 80 default_server;
        root /usr/share/nginx/html;
        location / { }
    }
}
`

// catalogue is small on purpose: what it does not hold is an error, as an unknown package is.
var catalogue = map[string]pkg{
	"nginx": {version: "1.26.3", binaries: map[string]string{"/usr/sbin/nginx": "nginx"}, units: map[string]string{"nginx": "/usr/sbin/nginx"},
		files: map[string]string{nginxConfig: nginxDefault, "/usr/share/nginx/html/index.html": "<html><head><title>Welcome to nginx!</title></head><body>Welcome to nginx!</body></html>\n",
			"/etc/nginx/conf.d/.keep": "", "/etc/nginx/sites-enabled/.keep": "", "/var/log/nginx/access.log": ""}},
	"httpd": {version: "2.4.65", binaries: map[string]string{"/usr/sbin/httpd": "ok"}, units: map[string]string{"httpd": "/usr/sbin/httpd"},
		files: map[string]string{"/etc/httpd/conf/httpd.conf": "Listen 80\nDocumentRoot \"/var/www/html\"\n", "/var/www/html/.keep": ""}},
	"apache2": {version: "2.4.58", binaries: map[string]string{"/usr/sbin/apache2": "ok"}, units: map[string]string{"apache2": "/usr/sbin/apache2"},
		files: map[string]string{"/etc/apache2/apache2.conf": "Listen 80\nDocumentRoot /var/www/html\n", "/var/www/html/index.html": "Apache2 Default Page\n"}},
	"curl": {version: "8.11.1", binaries: map[string]string{"/usr/bin/curl": "curl"}},
	"wget": {version: "1.21.3", binaries: map[string]string{"/usr/bin/wget": "wget"}},
	"jq":   {version: "1.7.1", binaries: map[string]string{"/usr/bin/jq": "jq"}},
	"git":  {version: "2.50.1", binaries: map[string]string{"/usr/bin/git": "git"}},
	"postgresql16-server": {version: "16.10", binaries: map[string]string{"/usr/bin/postgres": "ok", "/usr/bin/psql": "ok", "/usr/bin/postgresql-setup": "ok"},
		units: map[string]string{"postgresql": "/usr/bin/postgres"}, files: map[string]string{"/var/lib/pgsql/data/.keep": ""}},
	"postgresql": {version: "16.10", binaries: map[string]string{"/usr/bin/postgres": "ok", "/usr/bin/psql": "ok"},
		units: map[string]string{"postgresql": "/usr/bin/postgres"}, files: map[string]string{"/var/lib/postgresql/.keep": ""}},
	"docker":    {version: "25.0.13", binaries: map[string]string{"/usr/bin/dockerd": "ok", "/usr/bin/docker": "ok"}, units: map[string]string{"docker": "/usr/bin/dockerd"}},
	"docker.io": {version: "25.0.13", binaries: map[string]string{"/usr/bin/dockerd": "ok", "/usr/bin/docker": "ok"}, units: map[string]string{"docker": "/usr/bin/dockerd"}},
	"amazon-ssm-agent": {version: agentVersion, binaries: map[string]string{"/usr/bin/amazon-ssm-agent": "ok", "/usr/bin/ssm-cli": "ok"},
		units: map[string]string{"amazon-ssm-agent": "/usr/bin/amazon-ssm-agent"}, files: map[string]string{"/etc/amazon/ssm/amazon-ssm-agent.json.template": "{}\n"}},
	"amazon-cloudwatch-agent": {version: "1.300060.1", binaries: map[string]string{"/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent": "ok"},
		units: map[string]string{"amazon-cloudwatch-agent": "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent"}},
	"awscli":         {version: "2.30.4", binaries: map[string]string{"/usr/bin/aws": "aws"}},
	"cloud-init":     {version: "24.4", binaries: map[string]string{"/usr/bin/cloud-init": "cloud-init"}},
	"openssh-server": {version: "8.7p1", binaries: map[string]string{"/usr/sbin/sshd": "ok"}, units: map[string]string{"sshd": "/usr/sbin/sshd -D"}, files: map[string]string{"/etc/ssh/sshd_config": "PasswordAuthentication no\n"}},
	"python3":        {version: "3.9.23", binaries: map[string]string{"/usr/bin/python3": "python3"}},
	"chrony":         {version: "4.3", units: map[string]string{"chronyd": "/usr/sbin/chronyd"}, binaries: map[string]string{"/usr/sbin/chronyd": "ok"}},
	"cronie":         {version: "1.5.7", units: map[string]string{"crond": "/usr/sbin/crond"}, binaries: map[string]string{"/usr/sbin/crond": "ok"}},
	"tar":            {version: "1.34"}, "gzip": {version: "1.12"}, "unzip": {version: "6.0"}, "rsync": {version: "3.4.0"}, "htop": {version: "3.2.1"},
	"ca-certificates": {version: "2025.2"}, "util-linux": {version: "2.37.4"}, "e2fsprogs": {version: "1.46.5"}, "xfsprogs": {version: "5.18.0"},
	"python3-pip": {version: "21.3.1", needs: []string{"python3"}}, "openssl": {version: "3.2.2"}, "gnupg": {version: "2.4"}, "apt-transport-https": {version: "2.7"},
}

func (d distribution) debian() bool { return d.id == "ubuntu" || d.id == "debian" }

// databasePath is where the installed packages are written down: one line each with name, version and architecture.
func databasePath(d distribution) string {
	if d.debian() {
		return "/var/lib/dpkg/localaws-status"
	}
	return "/var/lib/rpm/localaws-packages"
}

// installer puts packages on a disk.
type installer struct {
	tree         *files.Tree
	distribution distribution
	architecture string
	when         time.Time
}

var errNoPackage = errors.New("no such package")

type installed struct{ name, version string }

func (i *installer) list() []installed {
	data, err := i.tree.ReadFile(databasePath(i.distribution))
	if err != nil {
		return nil
	}
	var all []installed
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 {
			all = append(all, installed{fields[0], fields[1]})
		}
	}
	return all
}

func (i *installer) store(all []installed) error {
	slices.SortFunc(all, func(a, b installed) int { return strings.Compare(a.name, b.name) })
	var out strings.Builder
	for _, p := range all {
		fmt.Fprintf(&out, "%s %s %s\n", p.name, p.version, i.architecture)
	}
	if err := i.tree.MkdirAll(path.Dir(databasePath(i.distribution)), 0o755); err != nil {
		return err
	}
	return i.tree.Write(databasePath(i.distribution), []byte(out.String()), 0o644)
}

func (i *installer) has(name string) (string, bool) {
	for _, p := range i.list() {
		if p.name == name {
			return p.version, true
		}
	}
	return "", false
}

func (i *installer) install(name, version string) error {
	p, ok := catalogue[name]
	if !ok {
		return errNoPackage
	}
	if version == "" {
		version = p.version
	}
	for _, need := range p.needs {
		if _, ok := i.has(need); !ok {
			if err := i.install(need, ""); err != nil {
				return err
			}
		}
	}
	for file, program := range p.binaries {
		if err := i.place(file, shell.Binary(program), 0o755); err != nil {
			return err
		}
	}
	for file, content := range p.files {
		// Configuration that is there already is kept.
		if _, err := i.tree.Stat(file); err == nil {
			continue
		}
		if err := i.place(file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	for unit, command := range p.units {
		content := "[Unit]\nDescription=" + unit + "\n\n[Service]\nExecStart=" + command + "\n\n[Install]\nWantedBy=multi-user.target\n"
		if err := i.place("/usr/lib/systemd/system/"+unit+".service", []byte(content), 0o644); err != nil {
			return err
		}
	}
	all := slices.DeleteFunc(i.list(), func(p installed) bool { return p.name == name })
	return i.store(append(all, installed{name, version}))
}

func (i *installer) place(file string, content []byte, mode fs.FileMode) error {
	if err := i.tree.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	return i.tree.Place(file, files.Node{Mode: mode, ModTime: i.when, Data: content})
}

func (i *installer) remove(name string) error {
	p := catalogue[name]
	var names []string
	for file := range p.binaries {
		names = append(names, file)
	}
	for unit := range p.units {
		names = append(names, "/usr/lib/systemd/system/"+unit+".service", wants+unit+".service")
	}
	for _, file := range names {
		if err := i.tree.Remove(file, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return i.store(slices.DeleteFunc(i.list(), func(p installed) bool { return p.name == name }))
}

// tree is a base disk's own files, for installing on it.
func (b builder) tree() *files.Tree { return files.New(files.Mount{Disk: b.Disk}) }

func (b *boot) installer() *installer {
	return &installer{tree: b.system.Files, distribution: b.server.distribution(), architecture: b.server.config.Identity.Architecture, when: time.Now()}
}

// packageName takes name-1.2 and name=1.2 apart.
func packageName(word string) (name, version string) {
	if name, version, ok := strings.Cut(word, "="); ok {
		return name, strings.TrimSuffix(version, "*")
	}
	if _, ok := catalogue[word]; ok {
		return word, ""
	}
	for at := len(word) - 1; at > 0; at-- {
		if word[at] == '-' && at+1 < len(word) && word[at+1] >= '0' && word[at+1] <= '9' {
			if _, ok := catalogue[word[:at]]; ok {
				return word[:at], strings.TrimSuffix(word[at+1:], "*")
			}
		}
	}
	return word, ""
}

func packagePrograms() map[string]shell.Program {
	return map[string]shell.Program{
		"dnf": dnf, "yum": dnf, "apt-get": apt, "apt": apt, "rpm": rpm, "dpkg": dpkg, "dpkg-query": dpkg, "amazon-linux-extras": succeed, "ok": succeed,
		"git": git, "python3": python, "nginx": nginxProgram, "cloud-init": cloudInitProgram, "debconf-set-selections": succeed, "apt-mark": succeed,
		"update-ca-certificates": succeed, "snap": snap, "jq": commands.JQ,
	}
}

func succeed(context.Context, *shell.Process) int { return 0 }

func git(_ context.Context, p *shell.Process) int {
	if len(p.Args) == 2 && p.Args[1] == "--version" {
		fmt.Fprintln(p.Out, "git version "+catalogue["git"].version)
		return 0
	}
	fmt.Fprintln(p.Err, "fatal: this server reaches no git repositories")
	return 128
}

func python(_ context.Context, p *shell.Process) int {
	if len(p.Args) == 2 && (p.Args[1] == "--version" || p.Args[1] == "-V") {
		fmt.Fprintln(p.Out, "Python "+catalogue["python3"].version)
		return 0
	}
	fmt.Fprintln(p.Err, "python3: this server's Python runs no programs")
	return 1
}

// snap knows the one snap that scripts ask for: Ubuntu's agent, which is the package here.
func snap(ctx context.Context, p *shell.Process) int {
	if len(p.Args) > 2 && p.Args[1] == "install" && strings.Contains(strings.Join(p.Args, " "), "amazon-ssm-agent") {
		p.Args = []string{"apt-get", "-y", "install", "amazon-ssm-agent"}
		return apt(ctx, p)
	}
	return 0
}
