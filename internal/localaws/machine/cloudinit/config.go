package cloudinit

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// CloudConfig is the part of cloud-config that the servers understand. Other keys are ignored, as unknown ones are by
// cloud-init.
type CloudConfig struct {
	Hostname          string      `yaml:"hostname"`
	FQDN              string      `yaml:"fqdn"`
	PreserveHostname  *bool       `yaml:"preserve_hostname"`
	WriteFiles        []WriteFile `yaml:"write_files"`
	Packages          []any       `yaml:"packages"`
	PackageUpdate     bool        `yaml:"package_update"`
	BootCommands      []any       `yaml:"bootcmd"`
	RunCommands       []any       `yaml:"runcmd"`
	Users             []any       `yaml:"users"`
	SSHAuthorizedKeys []string    `yaml:"ssh_authorized_keys"`
	SSHDeleteKeys     *bool       `yaml:"ssh_deletekeys"`
}

// WriteFile is an entry of write_files.
type WriteFile struct {
	Path        string `yaml:"path"`
	Content     string `yaml:"content"`
	Encoding    string `yaml:"encoding"`
	Permissions string `yaml:"permissions"`
	Owner       string `yaml:"owner"`
	Append      bool   `yaml:"append"`
	Defer       bool   `yaml:"defer"`
}

var configs = struct {
	sync.Mutex
	byText map[string]*CloudConfig
}{byText: map[string]*CloudConfig{}}

// ParseConfig reads cloud-config. The result is shared and must not be changed.
func ParseConfig(text string) (*CloudConfig, error) {
	configs.Lock()
	defer configs.Unlock()
	if known, ok := configs.byText[text]; ok {
		return known, nil
	}
	if err := bounded(text); err != nil {
		return nil, err
	}
	var c CloudConfig
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("the cloud-config is not valid YAML: %s", yaml.FormatError(err, false, false))
	}
	if len(configs.byText) >= maxTemplates {
		clear(configs.byText)
	}
	configs.byText[text] = &c
	return &c, nil
}

// maxNesting is how deep a cloud-config may be nested, maxAliases how many aliases it may use: each of them repeats what
// it names, which may hold aliases again.
const (
	maxNesting = 64
	maxAliases = 8
)

// bounded refuses what would take the decoder, which is recursive, too deep or too long.
func bounded(text string) error {
	flow, blocks, aliases := 0, 0, 0
	line := -1
	for _, t := range lexer.Tokenize(text) {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow = max(flow-1, 0)
		case token.AliasType:
			aliases++
		}
		if t.Position.Line != line {
			line, blocks = t.Position.Line, 0
		}
		if t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType || t.Type == token.MappingValueType || t.Type == token.TagType {
			blocks++
		}
		if flow > maxNesting || flow == 0 && blocks > maxNesting || t.Position.Column > 16*maxNesting && flow == 0 && blocks > 0 && t.Type == token.MappingValueType {
			return fmt.Errorf("the cloud-config is nested deeper than %d", maxNesting)
		}
		if aliases > maxAliases {
			return fmt.Errorf("the cloud-config has more than %d aliases", maxAliases)
		}
	}
	return nil
}

// Decoded is the file's content without its encoding.
func (f WriteFile) Decoded() ([]byte, error) {
	content := []byte(f.Content)
	encoding := strings.ToLower(f.Encoding)
	switch encoding {
	case "", "text/plain":
		return content, nil
	case "b64", "base64", "gz+b64", "gz+base64", "gzip+b64", "gzip+base64":
		plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(f.Content), ""))
		if err != nil {
			return nil, fmt.Errorf("write_files: %s: %w", f.Path, err)
		}
		content = plain
	case "gz", "gzip":
	default:
		return content, nil
	}
	if strings.HasPrefix(encoding, "gz") {
		return gunzip(content)
	}
	return content, nil
}

// Shell is the shell script that runs the commands of bootcmd or runcmd: a string is a line of shell, a list one
// command with its arguments.
func Shell(commands []any) (string, error) {
	var out strings.Builder
	out.WriteString("#!/bin/sh\n")
	for _, command := range commands {
		switch c := command.(type) {
		case []any:
			for i, word := range c {
				if i > 0 {
					out.WriteByte(' ')
				}
				out.WriteString("'" + strings.ReplaceAll(fmt.Sprint(word), "'", `'\''`) + "'")
			}
			out.WriteByte('\n')
		case nil:
		case string:
			out.WriteString(c + "\n")
		default:
			return "", fmt.Errorf("a command is %v: expected a string or a list of strings", command)
		}
	}
	return out.String(), nil
}
