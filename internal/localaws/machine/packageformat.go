package machine

import (
	"fmt"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// formatOption takes -f FORMAT, or --showformat=FORMAT, out of the arguments.
func formatOption(args []string, short, long string) (format string, rest []string, ok bool) {
	for i := 0; i < len(args); i++ {
		switch value, joined := strings.CutPrefix(args[i], long+"="); {
		case joined:
			format, ok = value, true
		case (args[i] == short || args[i] == long) && i+1 < len(args):
			format, ok = args[i+1], true
			i++
		default:
			rest = append(rest, args[i])
		}
	}
	return format, rest, ok
}

// release is what rpm packages here have behind their version.
const release = "1.amzn2023"

// showPackages prints the installed packages by a format: of dpkg-query ${Field}, of rpm %{TAG}. A field that this server
// does not know is refused.
func showPackages(p *shell.Process, i *installer, format, sign string, args []string) int {
	names := words(args)
	shown := map[string]bool{}
	for _, one := range i.list() {
		if len(names) > 0 && !contains(names, one.name) {
			continue
		}
		shown[one.name] = true
		fields := map[string]string{"Package": one.name, "Version": one.version, "Architecture": debianArchitecture(i.architecture), "db:Status-Status": "installed"}
		if sign == "%" {
			fields = map[string]string{"NAME": one.name, "VERSION": one.version, "RELEASE": release, "EVR": one.version + "-" + release, "ARCH": i.architecture}
		}
		line, unknown := fill(format, sign, fields)
		if unknown != "" {
			p.Errorf("this server knows no field %s", unknown)
			return 1
		}
		fmt.Fprint(p.Out, line)
	}
	for _, name := range names {
		if !shown[name] {
			fmt.Fprintf(p.Err, "no packages found matching %s\n", name)
			return 1
		}
	}
	return 0
}

func debianArchitecture(architecture string) string {
	if architecture == "x86_64" {
		return "amd64"
	}
	return architecture
}

// fill replaces the fields, and the escapes that both tools know.
func fill(format, sign string, fields map[string]string) (line, unknown string) {
	var out strings.Builder
	for rest := strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(format); rest != ""; {
		before, after, found := strings.Cut(rest, sign+"{")
		out.WriteString(before)
		if !found {
			break
		}
		name, behind, closed := strings.Cut(after, "}")
		value, known := fields[name]
		if !closed || !known {
			return "", name
		}
		out.WriteString(value)
		rest = behind
	}
	return out.String(), ""
}
