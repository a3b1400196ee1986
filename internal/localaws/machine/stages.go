package machine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/stampmill/stampmill/internal/localaws/machine/cloudinit"
	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

const outputLog = "/var/log/cloud-init-output.log"

// cloudInit is one boot's run of cloud-init. What runs once per instance leaves a mark below /var/lib/cloud/instances,
// so that a captured disk runs it again under its new instance id, and a restarted server does not.
type cloudInit struct {
	b         *boot
	present   bool
	directory string // of this instance
	parts     []cloudinit.Part
	config    cloudinit.CloudConfig
	failures  int
}

func (b *boot) newCloudInit() *cloudInit {
	c := &cloudInit{b: b, directory: "/var/lib/cloud/instances/" + b.server.config.Identity.InstanceID}
	if _, err := b.system.Files.Stat("/usr/bin/cloud-init"); err != nil {
		return c
	}
	c.present = b.server.config.Metadata
	return c
}

// early is what runs before the services: boothooks, bootcmd, files, users, host name.
func (c *cloudInit) early() {
	if !c.present {
		return
	}
	b := c.b
	b.setCloudInitStatus("running")
	c.link()
	c.read()
	for _, part := range c.parts {
		if part.Kind == cloudinit.Boothook {
			c.run("boothooks/"+part.Name, part.Content, true)
		}
	}
	if len(c.config.BootCommands) > 0 {
		c.commands("bootcmd", c.config.BootCommands)
	}
	c.once("config_write_files", func() {
		for _, file := range c.config.WriteFiles {
			if !file.Defer {
				c.writeFile(file)
			}
		}
	})
	c.once("config_set_hostname", c.setHostname)
	c.once("config_ssh", func() {
		if c.config.SSHDeleteKeys == nil || *c.config.SSHDeleteKeys {
			for _, kind := range hostKeyTypes {
				for _, suffix := range []string{"", ".pub"} {
					c.ignoreMissing(b.system.Files.Remove("/etc/ssh/ssh_host_"+kind+"_key"+suffix, false))
				}
			}
		}
		c.authorizedKeys()
	})
	c.once("config_users_groups", c.users)
}

// final is what runs when the services are up: packages, runcmd, scripts.
func (c *cloudInit) final() {
	if !c.present {
		return
	}
	b := c.b
	c.once("config_package_update_upgrade_install", c.packages)
	c.once("config_write_files_deferred", func() {
		for _, file := range c.config.WriteFiles {
			if file.Defer {
				c.writeFile(file)
			}
		}
	})
	for _, when := range []string{"per-once", "per-boot", "per-instance"} {
		names, err := b.system.Files.ReadDir("/var/lib/cloud/scripts/" + when)
		if err != nil {
			continue
		}
		run := func() {
			for _, name := range names {
				c.execute("/var/lib/cloud/scripts/" + when + "/" + name)
			}
		}
		if when == "per-boot" {
			run()
		} else {
			c.once("config_scripts_"+when, run)
		}
	}
	c.once("config_scripts_user", c.userScripts)
	if b.ctx.Err() != nil {
		return
	}
	status := "done"
	if c.failures > 0 {
		status = "error"
	}
	b.setCloudInitStatus(status)
	b.write(c.directory+"/boot-finished", time.Now().UTC().Format(time.RFC1123)+"\n")
	b.note("Cloud-init v. 24.4 finished at %s. Datasource DataSourceEc2. Up %.2f seconds", time.Now().UTC().Format(time.RFC1123), time.Since(b.began).Seconds())
}

func (b *boot) setCloudInitStatus(status string) {
	b.mu.Lock()
	b.cloudInit = status
	b.mu.Unlock()
}

// link points /var/lib/cloud/instance to this instance's directory.
func (c *cloudInit) link() {
	tree := c.b.system.Files
	for _, dir := range []string{c.directory + "/sem", c.directory + "/scripts", "/var/lib/cloud/data"} {
		c.b.complain(tree.MkdirAll(dir, 0o755))
	}
	c.ignoreMissing(tree.Remove("/var/lib/cloud/instance", true))
	c.b.complain(tree.Symlink(c.directory, "/var/lib/cloud/instance"))
	c.b.write("/var/lib/cloud/data/instance-id", c.b.server.config.Identity.InstanceID+"\n")
}

func (c *cloudInit) ignoreMissing(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.b.complain(err)
	}
}

// read takes the user data apart. Of several cloud-configs the later one's keys win, as in cloud-init's default merge.
func (c *cloudInit) read() {
	b := c.b
	userData := b.server.config.UserData()
	b.complain(b.system.Files.Write(c.directory+"/user-data.txt", userData, 0o600))
	c.parts = cloudinit.Parts(userData, b.instanceData())
	configs := 0
	for _, part := range c.parts {
		if part.Err != nil {
			c.fail("%s: %v", part.Name, part.Err)
			continue
		}
		if part.Kind != cloudinit.Config {
			continue
		}
		config, err := cloudinit.ParseConfig(part.Content)
		if err != nil {
			c.fail("%s: %v", part.Name, err)
			continue
		}
		configs++
		c.config = *config
	}
	if configs > 1 {
		c.merge()
	}
}

// merge reads all cloud-configs into one.
func (c *cloudInit) merge() {
	var all cloudinit.CloudConfig
	for _, part := range c.parts {
		if part.Err == nil && part.Kind == cloudinit.Config {
			// Errors were told when the parts were read one by one.
			_ = yaml.Unmarshal([]byte(part.Content), &all)
		}
	}
	c.config = all
}

func (c *cloudInit) fail(format string, args ...any) {
	c.failures++
	line := fmt.Sprintf(format, args...)
	c.b.note("cloud-init[600]: WARNING: %s", line)
	c.b.complain(c.b.system.Files.Append(outputLog, []byte(line+"\n"), 0o640))
}

// once runs f unless it ran for this instance before.
func (c *cloudInit) once(name string, f func()) {
	mark := c.directory + "/sem/" + name
	if _, err := c.b.system.Files.Stat(mark); err == nil || c.b.ctx.Err() != nil {
		return
	}
	c.b.write(mark, time.Now().UTC().Format(time.RFC3339)+"\n")
	f()
}

func (c *cloudInit) writeFile(file cloudinit.WriteFile) {
	content, err := file.Decoded()
	if err == nil && !strings.HasPrefix(file.Path, "/") {
		err = fmt.Errorf("write_files: path %q is not absolute", file.Path)
	}
	tree := c.b.system.Files
	if err == nil {
		err = tree.MkdirAll(path.Dir(file.Path), 0o755)
	}
	if err == nil && file.Append {
		err = tree.Append(file.Path, content, 0o644)
	} else if err == nil {
		err = tree.Write(file.Path, content, 0o644)
	}
	if err != nil {
		c.fail("%v", err)
		return
	}
	if file.Permissions != "" {
		mode, err := strconv.ParseUint(strings.Trim(file.Permissions, "'\""), 8, 12)
		if err != nil {
			c.fail("write_files: %s: permissions %q are not octal", file.Path, file.Permissions)
			return
		}
		c.b.complain(tree.Change(file.Path, true, func(n *files.Node) { n.Mode = n.Mode.Type() | fs.FileMode(mode) }))
	}
	if file.Owner != "" {
		c.shell("chown", "chown '"+file.Owner+"' '"+file.Path+"'")
	}
}

func (c *cloudInit) setHostname() {
	preserve := strings.Contains(c.b.read("/etc/cloud/cloud.cfg"), "preserve_hostname: true")
	if c.config.PreserveHostname != nil {
		preserve = *c.config.PreserveHostname
	}
	if preserve {
		return
	}
	name := c.config.Hostname
	if name == "" {
		name, _, _ = strings.Cut(c.config.FQDN, ".")
	}
	if name == "" {
		name = c.b.server.config.Identity.PrivateDNS
	}
	if name == "" {
		return
	}
	c.b.write("/etc/hostname", name+"\n")
	c.b.setHostname(name)
	c.b.write("/var/lib/cloud/data/previous-hostname", name+"\n")
}

func (c *cloudInit) packages() {
	if c.config.PackageUpdate && c.b.server.distribution().debian() {
		c.shell("package_update", "apt-get update -q")
	}
	var names []string
	for _, entry := range c.config.Packages {
		switch e := entry.(type) {
		case []any:
			words := make([]string, len(e))
			for i, word := range e {
				words[i] = fmt.Sprint(word)
			}
			names = append(names, strings.Join(words, "-"))
		default:
			names = append(names, fmt.Sprint(e))
		}
	}
	if len(names) == 0 {
		return
	}
	command := "dnf -y install "
	if c.b.server.distribution().debian() {
		command = "apt-get -y install "
	}
	c.shell("packages", command+"'"+strings.Join(names, "' '")+"'")
}

// userScripts runs the shell parts and runcmd, in the order of their names, as run-parts does.
func (c *cloudInit) userScripts() {
	scripts := map[string]string{}
	for _, part := range c.parts {
		if part.Err == nil && part.Kind == cloudinit.Script {
			scripts[part.Name] = part.Content
		}
	}
	if len(c.config.RunCommands) > 0 {
		script, err := cloudinit.Shell(c.config.RunCommands)
		if err != nil {
			c.fail("runcmd: %v", err)
		}
		scripts["runcmd"] = script
	}
	for _, name := range sortedKeys(scripts) {
		c.run("scripts/"+name, scripts[name], false)
	}
}

func (c *cloudInit) commands(name string, list []any) {
	script, err := cloudinit.Shell(list)
	if err != nil {
		c.fail("%s: %v", name, err)
		return
	}
	c.shell(name, script)
}

// run stores a part and executes it.
func (c *cloudInit) run(name, content string, hook bool) {
	file := c.directory + "/" + name
	if hook {
		_, content, _ = strings.Cut(content, "\n")
		if !strings.HasPrefix(content, "#!") {
			content = "#!/bin/sh\n" + content
		}
	}
	tree := c.b.system.Files
	if err := errors.Join(tree.MkdirAll(path.Dir(file), 0o700), tree.Write(file, []byte(content), 0o700)); err != nil {
		c.fail("%v", err)
		return
	}
	c.b.complain(tree.Change(file, true, func(n *files.Node) { n.Mode = 0o700 }))
	c.execute(file)
}

func (c *cloudInit) execute(file string) {
	if c.b.ctx.Err() != nil {
		return
	}
	if code := c.b.system.Exec(c.b.ctx, c.process(file)); code != 0 && c.b.ctx.Err() == nil {
		c.fail("Failed running %s [%d]", file, code)
	}
}

func (c *cloudInit) shell(name, script string) {
	if c.b.ctx.Err() != nil {
		return
	}
	if code := c.b.system.Run(c.b.ctx, c.process(name), script, shell.Options{POSIX: true}); code != 0 && c.b.ctx.Err() == nil {
		c.fail("Failed running %s [%d]", name, code)
	}
}

// process has its output on the console and in cloud-init's log.
func (c *cloudInit) process(name string) *shell.Process {
	out := io.MultiWriter(&c.b.server.console, logFile{c.b.system.Files})
	return &shell.Process{Args: []string{name}, Dir: "/", Descriptors: shell.Standard(strings.NewReader(""), out, out),
		Env: map[string]string{"PATH": shell.DefaultPath, "HOME": "/root", "INSTANCE_ID": c.b.server.config.Identity.InstanceID}}
}

type logFile struct{ tree *files.Tree }

func (l logFile) Write(b []byte) (int, error) {
	if err := l.tree.Append(outputLog, b, 0o640); err != nil {
		return 0, err
	}
	return len(b), nil
}
