package userdata

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// Where servers find what they were told.
const (
	SettingsPath  = "/run/stampmill/settings.json"
	PersistedPath = "/var/lib/stampmill/settings.json"
	BootstrapPath = "/var/lib/stampmill/bootstrap"
	manifestPath  = "/var/lib/stampmill/manifest"
)

// cloudConfig is a cloud-config behind the Jinja header. Settings and scripts stand in it as base64, so that no quote,
// brace or line break of theirs means anything to Jinja, YAML or the shell. With an address, both are fetched instead.
func (b Batch) cloudConfig(url string) string {
	var out strings.Builder
	out.WriteString("## template: jinja\n#cloud-config\n")
	out.WriteString("{% set index = ds.meta_data.ami_launch_index | int %}\n")
	if b.hasHostnames() {
		// A base may come with preserve_hostname, which would keep its own; YAML takes a bare 0042 for a number.
		fmt.Fprintf(&out, "{%% set hostnames = %s %%}\npreserve_hostname: false\nhostname: \"{{ hostnames[index] }}\"\n", quoted(b.hostnames()))
	}
	inline := url == ""
	if inline && b.hasSettings() {
		rows := make([]string, len(b.Servers))
		for i, server := range b.Servers {
			rows[i] = base64.StdEncoding.EncodeToString(server.Settings)
		}
		fmt.Fprintf(&out, "{%% set settings = %s %%}\n", quoted(rows))
	}
	if boot := b.bootCommands(url); len(boot) > 0 {
		out.WriteString("bootcmd:\n")
		for _, command := range boot {
			out.WriteString("  - " + quote(command) + "\n")
		}
	}
	if b.Bootstrap == "" {
		return out.String()
	}
	if inline {
		fmt.Fprintf(&out, "write_files:\n  - path: %s\n    permissions: '0700'\n    encoding: b64\n    content: %s\n",
			BootstrapPath, base64.StdEncoding.EncodeToString([]byte(b.script())))
	}
	fmt.Fprintf(&out, "{%% set ordinals = [%s] %%}\nruncmd:\n  - %s\n", strings.Join(b.ordinals(), ","),
		quote("STAMPMILL_FLEET='"+b.Fleet+"' STAMPMILL_ORDINAL='{{ ordinals[index] }}' "+BootstrapPath))
	return out.String()
}

// bootCommands run early at every boot: /run is empty then.
func (b Batch) bootCommands(url string) []string {
	if url == "" && !b.hasSettings() {
		return nil
	}
	commands := []string{"mkdir -p /run/stampmill /var/lib/stampmill"}
	if url == "" {
		commands = append(commands, "echo '{{ settings[index] }}' | base64 -d > "+PersistedPath)
	} else {
		commands = append(commands, b.fetch(url))
	}
	if b.hasSettings() {
		commands = append(commands, "cp "+PersistedPath+" "+SettingsPath)
	}
	return commands
}

// fetch gets the manifest once in the server's life: the mark names batch and index, so that an image of one server does
// not keep another from fetching.
func (b Batch) fetch(url string) string {
	mark := "/var/lib/stampmill/fetched-" + b.Digest() + "-{{ index }}"
	var out strings.Builder
	fmt.Fprintf(&out, "if [ ! -e %s ]; then tries=0; ", mark)
	fmt.Fprintf(&out, "until curl -sSf -o %[1]s '%[2]s' || wget -q -O %[1]s '%[2]s'; do ", manifestPath, url)
	out.WriteString("tries=$((tries+1)); [ $tries -lt 60 ] || break; sleep 2; done; ")
	if b.hasSettings() {
		fmt.Fprintf(&out, "head -n {{ index + 1 }} %s | tail -n 1 | base64 -d > %s; ", manifestPath, PersistedPath)
	}
	if b.Bootstrap != "" {
		fmt.Fprintf(&out, "tail -n 1 %s | base64 -d > %s; chmod 0700 %s; ", manifestPath, BootstrapPath, BootstrapPath)
	}
	fmt.Fprintf(&out, "[ -s %[1]s ] && touch %[2]s; rm -f %[1]s; fi", manifestPath, mark)
	return out.String()
}

// quoted is a list that Jinja reads; the texts are host names or base64.
func quoted(texts []string) string { return `["` + strings.Join(texts, `","`) + `"]` }

// quote is a YAML double-quoted scalar that leaves the characters of shell and Jinja as they are.
func quote(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(err) // a string always encodes
	}
	return strings.TrimSuffix(out.String(), "\n")
}
