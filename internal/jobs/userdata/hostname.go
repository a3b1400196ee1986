package userdata

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	placeholder = regexp.MustCompile(`\{[^{}]*\}`)
	width       = regexp.MustCompile(`^ordinal:0([1-9])$`)
	label       = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
)

// Hostname is the name that a pattern such as web-{ordinal:04}.example.com gives one server. Placeholders are {fleet},
// {ordinal} and {ordinal:04}, which fills up with zeros.
func Hostname(pattern, fleet string, ordinal int) (string, error) {
	var wrong string
	name := placeholder.ReplaceAllStringFunc(pattern, func(found string) string {
		inner := found[1 : len(found)-1]
		digits := width.FindStringSubmatch(inner)
		switch {
		case inner == "fleet":
			return fleet
		case inner == "ordinal":
			return strconv.Itoa(ordinal)
		case digits != nil:
			return fmt.Sprintf("%0"+digits[1]+"d", ordinal)
		}
		wrong = found
		return ""
	})
	if wrong != "" {
		return "", fmt.Errorf("%s is no placeholder; there are {fleet}, {ordinal} and {ordinal:04}", wrong)
	}
	for part := range strings.SplitSeq(name, ".") {
		if !label.MatchString(part) {
			return "", fmt.Errorf("%q is no host name: expected letters, digits and hyphens, at most 63 between dots", name)
		}
	}
	if len(name) > 253 {
		return "", fmt.Errorf("%q is longer than a host name's 253 characters", name)
	}
	return name, nil
}

// CheckPattern says what is wrong with a pattern of host names: besides its form, it must tell servers apart.
func CheckPattern(pattern, fleet string, highest int) error {
	if _, err := Hostname(pattern, fleet, highest); err != nil {
		return err
	}
	if !strings.Contains(pattern, "{ordinal") {
		return fmt.Errorf("%q gives all servers the same name: expected {ordinal} or {ordinal:04} in it", pattern)
	}
	return nil
}
