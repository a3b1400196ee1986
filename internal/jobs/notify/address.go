package notify

import (
	"errors"
	"fmt"
	"github.com/stampmill/stampmill/internal/jobs"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// longestAddress is how long an address may be, in bytes.
const longestAddress = 2048

var (
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?$`)
	// Some resolvers take 2852039166, 0xa9fea9fe and 127.1 for addresses. No public name ends in a number.
	numberPattern = regexp.MustCompile(`(?i)^([^.]*\.)*(\d+|0x[0-9a-f]*)\.?$`)
)

// CheckURL says what is wrong with a callback's address before anything is sent.
func CheckURL(address string) error {
	if len(address) > longestAddress {
		return fmt.Errorf("expected an address of at most %d bytes, found %d", longestAddress, len(address))
	}
	if strings.ContainsFunc(address, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return fmt.Errorf("expected an address of printable characters, found %s", strconv.QuoteToASCII(clip(address)))
	}
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("expected an http or https address, found %s", strconv.QuoteToASCII(clip(address)))
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("expected an http or https address")
	case u.Hostname() == "":
		return errors.New("expected an address with a host")
	case u.User != nil:
		return errors.New("expected an address without user and password, which would end up in logs; receivers check the signature instead")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
		return fmt.Errorf("expected a port from 1 to 65535, found %q", clip(u.Port()))
	}
	return checkHost(u.Hostname())
}

func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil // whether it may be reached is found out when it is dialled
	}
	if !hostPattern.MatchString(host) || numberPattern.MatchString(host) {
		return fmt.Errorf("expected a host's name or an address such as 203.0.113.7, found %s; names of other scripts are written xn--…",
			strconv.QuoteToASCII(clip(host)))
	}
	return nil
}

// clip keeps quotations short.
func clip(text string) string { return jobs.Clip(text, 80) }
