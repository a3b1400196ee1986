package machine

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
)

// bootWindows runs user data once per instance and lets the agent connect. PowerShell is not interpreted: what a script
// does is decided by these rules, a line at a time, and everything else succeeds silently.
//
//	exit N                                   ends the script with this code; exit 3010 reboots and runs it again, and
//	                                         is exit 0 then, since what the script looks at before is not evaluated
//	throw "text"                             ends it with code 1, the text on standard error
//	Write-Output, Write-Host, echo "text"    print the text; Write-Error prints it on standard error
//	Set-Content, Add-Content -Path P -Value V   write a file
//	Get-Content, Test-Path -Path P           print a file, print True or False
//	Remove-Item -Path P                      removes a file or directory
//	Rename-Computer -NewName N               renames the server
//	Restart-Computer, Stop-Computer          reboot it, switch it off
//	…EC2Launch.exe… sysprep --shutdown=true  generalizes it and switches it off; with reset, generalizes it
//	if (Test-Path P) { rule }                and if (-not (Test-Path P)) { rule }, on one line
//
// Variables ($name = "text", $env:NAME) are replaced in text between double quotes; a line $env:NAME = 'text' counts from
// the script's beginning. A path that is no plain one, such as (Join-Path …), is passed over.
func (b *boot) bootWindows() {
	tree := b.system.Files
	b.setHostname(strings.TrimSpace(b.read("/ProgramData/hostname")))
	done := "/ProgramData/Amazon/EC2Launch/state/" + b.server.config.Identity.InstanceID + ".run-once"
	if _, err := tree.Stat("/ProgramData/Amazon/SSM"); err != nil {
		b.complain(tree.MkdirAll("/ProgramData/Amazon/SSM", 0o755))
	}
	b.startAgent()
	if _, err := tree.Stat(done); err == nil {
		return
	}
	b.complain(tree.MkdirAll(path.Dir(done), 0o755))
	b.write(done, "")
	script, ok := windowsUserData(string(b.server.config.UserData()))
	if !ok {
		return
	}
	var out, errs capture
	code := b.runPowerShell(b.ctx, script, false, &out, &errs)
	fmt.Fprintf(&b.server.console, "%s%sUserData: exit code %d\nWindows is Ready to use\n", out.String(), errs.String(), code)
	b.complain(tree.MkdirAll("/ProgramData/Amazon/EC2Launch/log", 0o755))
	b.write("/ProgramData/Amazon/EC2Launch/log/agent.log", out.String()+errs.String())
}

func windowsUserData(text string) (string, bool) {
	_, rest, ok := strings.Cut(text, "<powershell>")
	script, _, closed := strings.Cut(rest, "</powershell>")
	return script, ok && closed
}

// powerShell is a script at work.
type powerShell struct {
	b         *boot
	ctx       context.Context
	out, errs *capture
	variables map[string]string
	exit      *int
	again     bool // after a reboot that it asked for
}

func (b *boot) runPowerShell(ctx context.Context, script string, again bool, out, errs *capture) int {
	s := &powerShell{b: b, ctx: ctx, out: out, errs: errs, again: again, variables: map[string]string{}}
	for _, m := range environment.FindAllStringSubmatch(script, -1) {
		s.variables[m[1]] = m[2]
	}
	for line := range strings.Lines(script) {
		if s.exit != nil || ctx.Err() != nil {
			break
		}
		for _, part := range splitStatements(line) {
			if s.line(part); s.exit != nil {
				break
			}
		}
	}
	if s.exit != nil {
		return *s.exit
	}
	return 0
}

// splitStatements splits a line at the semicolons that stand neither in quotes nor in braces or parentheses.
func splitStatements(line string) []string {
	var parts []string
	quote, depth, start := rune(0), 0, 0
	for i, r := range line {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '"' || r == '\'':
			quote = r
		case r == '{' || r == '(':
			depth++
		case r == '}' || r == ')':
			depth--
		case r == ';' && depth <= 0:
			parts = append(parts, strings.TrimSpace(line[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(line[start:]))
}

var (
	conditional = regexp.MustCompile(`(?i)^if\s*\(\s*(-not\s*\(?\s*|!\s*\(?\s*)?\(?Test-Path\s+(?:-Path\s+)?([^)]+)\)+\s*\{(.*)\}$`)
	assignment  = regexp.MustCompile(`^\$(\w+)\s*=\s*(.+)$`)
	environment = regexp.MustCompile(`(?m)^\s*\$env:(\w+) = '([^'\n]*)'\s*$`)
	variable    = regexp.MustCompile(`\$(?:env:)?\{?(\w+)\}?`)
	plainPath   = regexp.MustCompile(`^([A-Za-z]:)?[\\/][^(,|]+$`)
	parameter   = regexp.MustCompile(`(?i)-(\w+)\s+("[^"]*"|'[^']*'|[^\s"'-]\S*)`)
)

func (s *powerShell) line(line string) {
	if m := conditional.FindStringSubmatch(line); m != nil {
		if s.exists(s.value(m[2])) == (m[1] == "") {
			s.line(strings.TrimSpace(m[3]))
		}
		return
	}
	if m := assignment.FindStringSubmatch(line); m != nil {
		s.variables[m[1]] = s.value(m[2])
		return
	}
	word, rest, _ := strings.Cut(line, " ")
	lower := strings.ToLower(line)
	switch command := strings.ToLower(word); {
	case command == "exit":
		code, err := strconv.Atoi(s.value(rest))
		if err != nil || code == rebootWindows && s.again {
			code = 0
		}
		s.exit = &code
	case command == "throw":
		s.errs.WriteString(s.value(rest) + "\n")
		code := 1
		s.exit = &code
	case command == "write-output" || command == "write-host" || command == "echo":
		s.out.WriteString(s.value(rest) + "\n")
	case command == "write-error":
		s.errs.WriteString(s.value(rest) + "\n")
	case strings.Contains(lower, "ec2launch.exe") && (strings.Contains(lower, "sysprep") || strings.Contains(lower, "reset")):
		s.sysprep(lower)
	case command == "restart-computer":
		s.b.restart()
	case command == "stop-computer":
		s.b.halt()
	default:
		s.fileRule(command, rest)
	}
}

// fileRule are the rules that name files, and the server's name.
func (s *powerShell) fileRule(command, rest string) {
	given := s.parameters(rest)
	if command != "rename-computer" && !plainPath.MatchString(given["path"]) {
		return
	}
	name := windowsPath(given["path"])
	tree := s.b.system.Files
	var err error
	switch command {
	case "set-content":
		if err = tree.MkdirAll(path.Dir(name), 0o755); err == nil {
			err = tree.Write(name, []byte(given["value"]+"\r\n"), 0o644)
		}
	case "add-content":
		if err = tree.MkdirAll(path.Dir(name), 0o755); err == nil {
			err = tree.Append(name, []byte(given["value"]+"\r\n"), 0o644)
		}
	case "get-content":
		var data []byte
		if data, err = tree.ReadFile(name); err == nil {
			s.out.WriteString(strings.ReplaceAll(string(data), "\r\n", "\n"))
		}
	case "test-path":
		s.out.WriteString(map[bool]string{true: "True\n", false: "False\n"}[s.exists(given["path"])])
	case "remove-item":
		err = tree.Remove(name, true)
	case "new-item":
		err = tree.MkdirAll(name, 0o755)
	case "rename-computer":
		s.b.write("/ProgramData/hostname", given["newname"]+"\n")
		s.b.setHostname(given["newname"])
	}
	if err != nil && !strings.EqualFold(given["erroraction"], "SilentlyContinue") {
		s.errs.WriteString(fmt.Sprintf("%s : Cannot find path '%s': %s\n", command, given["path"], files.Reason(err)))
	}
}

// sysprepTime is how long sysprep works before it switches the server off.
const sysprepTime = 30 * time.Second

// sysprep forgets who this server is, and switches it off if asked, when the script that started it has long ended.
func (s *powerShell) sysprep(line string) {
	for _, name := range []string{"/ProgramData/Amazon/EC2Launch/state", "/ProgramData/Amazon/SSM"} {
		if _, err := s.b.system.Files.Stat(name); err == nil {
			s.b.complain(s.b.system.Files.Remove(name, true))
		}
	}
	if strings.Contains(line, "--shutdown") && !strings.Contains(line, "--shutdown=false") && strings.Contains(line, "sysprep") {
		s.b.after(sysprepTime, s.b.halt)
	}
}

func (s *powerShell) exists(name string) bool {
	_, err := s.b.system.Files.Stat(windowsPath(name))
	return err == nil
}

// parameters are -Name value pairs; a first value without a name is the path, a second one the value.
func (s *powerShell) parameters(rest string) map[string]string {
	given := map[string]string{}
	for _, m := range parameter.FindAllStringSubmatch(rest, -1) {
		given[strings.ToLower(m[1])] = s.value(m[2])
	}
	if literal, ok := given["literalpath"]; ok {
		given["path"] = literal
	}
	if _, ok := given["path"]; !ok {
		bare := strings.TrimSpace(parameter.ReplaceAllString(rest, ""))
		if words := splitQuoted(bare); len(words) > 0 {
			given["path"] = s.value(`"` + words[0] + `"`)
			if _, ok := given["value"]; !ok && len(words) > 1 {
				given["value"] = s.value(`"` + words[1] + `"`)
			}
		}
	}
	return given
}

// value is a word's text: quotes are dropped, and variables replaced but between single quotes.
func (s *powerShell) value(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 1 && text[0] == '\'' && text[len(text)-1] == '\'' {
		return text[1 : len(text)-1]
	}
	text = strings.Trim(text, `"`)
	return variable.ReplaceAllStringFunc(text, func(name string) string {
		key := variable.FindStringSubmatch(name)[1]
		if value, ok := s.variables[key]; ok {
			return value
		}
		switch strings.ToLower(key) {
		case "computername":
			return s.b.Hostname()
		case "true", "false":
			return key
		}
		return ""
	})
}

// windowsPath is a path on the disk: C:\Temp\a is /Temp/a.
func windowsPath(name string) string {
	name = strings.ReplaceAll(name, `\`, "/")
	if len(name) > 1 && name[1] == ':' {
		name = name[2:]
	}
	return path.Clean("/" + name)
}
