package machine

import (
	"errors"
	"fmt"
	"strings"
)

// authorizedKeys lets the key pair in, for the default user and, with a notice, for root.
func (c *cloudInit) authorizedKeys() {
	keys := append([]string{}, c.config.SSHAuthorizedKeys...)
	if name := c.b.server.config.Identity.KeyName; name != "" {
		keys = append(keys, publicKey(name))
	}
	if len(keys) == 0 {
		return
	}
	c.addKeys("/home/"+c.b.server.distribution().user, keys)
	c.addKeys("/root", keys)
}

func publicKey(name string) string { return "ssh-ed25519 " + uuid("key pair", name) + " " + name }

func (c *cloudInit) addKeys(home string, keys []string) {
	tree := c.b.system.Files
	name := home + "/.ssh/authorized_keys"
	have := c.b.read(name)
	for _, key := range keys {
		if !strings.Contains(have, key) {
			have += key + "\n"
		}
	}
	c.b.complain(errors.Join(tree.MkdirAll(home+"/.ssh", 0o700), tree.Write(name, []byte(have), 0o600)))
}

func (c *cloudInit) users() {
	for _, user := range c.config.Users {
		settings, ok := user.(map[string]any)
		if !ok {
			continue
		}
		name := fmt.Sprint(settings["name"])
		if _, err := c.b.system.Files.Stat("/home/" + name); err != nil {
			c.shell("useradd", "id -u '"+name+"' >/dev/null 2>&1 || useradd -m '"+name+"'")
		}
		var keys []string
		if list, ok := settings["ssh_authorized_keys"].([]any); ok {
			for _, key := range list {
				keys = append(keys, fmt.Sprint(key))
			}
		}
		if len(keys) > 0 {
			c.addKeys("/home/"+name, keys)
		}
		if sudo, ok := settings["sudo"]; ok && sudo != nil {
			c.b.write("/etc/sudoers.d/90-cloud-init-users", fmt.Sprintf("%s %v\n", name, sudo))
		}
	}
}
