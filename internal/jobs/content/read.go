package content

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// What surrounds the list in a script's output.
const (
	begin = "stampmill-content: "
	end   = "stampmill-content-end"
)

// Script names the packages on the server, for the beginning of another script: it costs no round trip of its own. It
// changes nothing and never fails; a server without a package manager says nothing. The list is compressed, since SSM keeps the
// beginning of an output only.
const Script = `(
set +e
exec 2>/dev/null
manager=
if [ -n "$(dpkg-query -W | head -n 1)" ]; then
  manager=dpkg
elif [ -n "$(rpm -qa | head -n 1)" ]; then
  manager=rpm
elif [ -n "$(apk info | head -n 1)" ]; then
  manager=apk
fi
list() {
  case "$manager" in
  dpkg) dpkg-query -W -f '${db:Status-Status} ${Package} ${Version} ${Architecture}\n' | sed -n 's/^installed //p' ;;
  rpm) rpm -qa --qf '%{NAME} %{EVR} %{ARCH}\n' ;;
  apk) apk list -I | cut -d ' ' -f 1,2 ;;
  esac
}
[ -n "$manager" ] || exit 0
packed=$(list | sort | gzip -9c | base64)
if [ "${#packed}" -gt 20000 ]; then packed=; fi
echo "stampmill-content: $manager"
[ -z "$packed" ] || echo "$packed"
echo stampmill-content-end
) </dev/null || :
`

var errTooLong = errors.New("the list of packages is longer than what SSM keeps of an output")

// Read finds the list in a script's output. Found is false where the server named no package manager.
func Read(output string) (manager string, packages []Package, found bool, err error) {
	_, rest, found := strings.Cut(output, begin)
	if !found {
		return "", nil, false, nil
	}
	block, _, whole := strings.Cut(rest, end)
	manager, packed, _ := strings.Cut(block, "\n")
	manager = strings.TrimSpace(manager)
	packed = strings.Join(strings.Fields(packed), "")
	if !whole || packed == "" {
		return manager, nil, true, errTooLong
	}
	text, err := unpack(packed)
	if err != nil {
		return manager, nil, true, fmt.Errorf("the list of packages cannot be read: %w", err)
	}
	for line := range strings.Lines(text) {
		if p, ok := parse(manager, strings.Fields(line)); ok {
			packages = append(packages, p)
		}
	}
	sortPackages(packages)
	return manager, packages, true, nil
}

// longest bounds what a compressed list may become.
const longest = 8 << 20

func unpack(packed string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		return "", err
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(r, longest))
	if err == nil && len(text) == longest {
		err = errTooLong
	}
	return string(text), err
}

func parse(manager string, words []string) (Package, bool) {
	switch {
	case manager == "apk" && len(words) == 2: // busybox-1.36.1-r5 x86_64
		at := len(words[0])
		for range 2 {
			if at = strings.LastIndexByte(words[0][:at], '-'); at < 1 {
				return Package{}, false
			}
		}
		return Package{words[0][:at], words[0][at+1:], words[1]}, true
	case len(words) != 3 || words[0] == "gpg-pubkey": // rpm counts its keys as packages
		return Package{}, false
	}
	return Package{words[0], words[1], words[2]}, true
}

// Without is the output as a person wants it: the list left out.
func Without(output string) string {
	for {
		at := strings.Index(output, begin)
		if at < 0 {
			return output
		}
		rest := output[at:]
		_, after, whole := strings.Cut(rest, end)
		if !whole {
			return output[:at]
		}
		output = output[:at] + strings.TrimPrefix(after, "\n")
	}
}
