package guest

import (
	"encoding/base64"
	"fmt"
	"path"
	"strings"
)

// Copy is a file or a folder for a server.
type Copy struct {
	// To is where it goes. A file whose To ends in a slash goes into that folder under Name.
	To, Name string
	// Folder: the content is a tar archive of what goes into the folder To.
	Folder bool
	// Mode (octal) and Owner (user or user:group) of a file; of everything in a folder, the Owner only.
	Mode, Owner string
	// Content, or where to fetch it and its digest (sha256:hex).
	Content       []byte
	Fetch, Digest string
}

// Script is the script that copies, for Wrap. What is there already is replaced; a folder's other content stays.
func (c Copy) Script(shell string) (string, error) {
	if shell == PowerShell {
		return c.powerShell(), nil
	}
	to := c.To
	if !c.Folder && strings.HasSuffix(to, "/") {
		to = path.Join(to, c.Name)
	}
	folder := to
	if !c.Folder {
		folder = path.Dir(to)
	}
	get, err := c.shellGet()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "to=%s\nfolder=%s\n", Quote(to), Quote(folder))
	if !c.Folder { // mv would put the file into it under its passing name
		b.WriteString("if [ -d \"$to\" ]; then echo \"$to is a folder: end it with a slash to copy into it\" >&2; exit 1; fi\n")
	}
	fmt.Fprintf(&b, "mkdir -p \"$folder\"\nfile=\"$folder/.stampmill-copy\"\n%s\n", get)
	if c.Folder {
		b.WriteString("tar -xf \"$file\" -C \"$to\"\nrm -f \"$file\"\n")
	} else {
		mode := c.Mode
		if mode == "" {
			mode = "0644"
		}
		fmt.Fprintf(&b, "chmod %s \"$file\"\nmv -f \"$file\" \"$to\"\n", Quote(mode))
	}
	switch {
	case c.Owner != "" && c.Folder:
		fmt.Fprintf(&b, "chown -R %s \"$to\"\n", Quote(c.Owner))
	case c.Owner != "":
		fmt.Fprintf(&b, "chown %s \"$to\"\n", Quote(c.Owner))
	}
	return b.String(), nil
}

func (c Copy) shellGet() (string, error) {
	if c.Fetch != "" {
		return "say() { echo \"stampmill: $*\" >&2; }\nfetch() {\n" + shellFetch(c.Fetch, c.Digest, `"$file"`) + "\n}\nfetch", nil
	}
	return shellWrite(c.Content, `"$file"`)
}

func (c Copy) powerShell() string {
	var b strings.Builder
	to, name := strings.TrimRight(c.To, `\/`), c.Name
	intoFolder := c.Folder || to != c.To
	fmt.Fprintf(&b, "$to = %s\n", QuotePowerShell(to))
	if intoFolder && !c.Folder {
		fmt.Fprintf(&b, "$to = Join-Path $to %s\n", QuotePowerShell(name))
	}
	b.WriteString("$folder = $to\n")
	if !c.Folder {
		b.WriteString("$folder = Split-Path -Parent $to\n")
	}
	b.WriteString("New-Item -ItemType Directory -Force -Path $folder | Out-Null\n$file = Join-Path $folder '.stampmill-copy'\n")
	if c.Fetch != "" {
		b.WriteString(powerShellFetch(c.Fetch, c.Digest, "$file") + "\n")
	} else {
		fmt.Fprintf(&b, "[IO.File]::WriteAllBytes($file, [Convert]::FromBase64String('%s'))\n", base64.StdEncoding.EncodeToString(c.Content))
	}
	if c.Folder {
		b.WriteString("tar.exe -xf $file -C $to\nif ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }\nRemove-Item -LiteralPath $file\n")
	} else {
		b.WriteString("Move-Item -Force -LiteralPath $file -Destination $to\n")
	}
	return b.String()
}
