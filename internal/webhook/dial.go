package webhook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// allowList is what may be reached though it is not public.
type allowList struct {
	prefixes []netip.Prefix
	hosts    map[string]bool
}

func parseAllow(entries []string) (allowList, error) {
	list := allowList{hosts: map[string]bool{}}
	for _, entry := range entries {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			list.prefixes = append(list.prefixes, prefix.Masked())
			continue
		}
		if address, err := netip.ParseAddr(entry); err == nil {
			address = address.Unmap()
			list.prefixes = append(list.prefixes, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		if strings.ContainsAny(entry, "/: ") {
			return list, fmt.Errorf("callback allow list: %q is no CIDR, no address and no host name", entry)
		}
		list.hosts[strings.ToLower(entry)] = true
	}
	return list, nil
}

func (a allowList) host(name string) bool { return a.hosts[strings.ToLower(name)] }

func (a allowList) address(address netip.Addr) bool {
	address = address.Unmap()
	for _, prefix := range a.prefixes {
		if prefix.Contains(address) {
			return true
		}
	}
	return public(address)
}

// Networks that netip's own questions do not cover: shared (RFC 6598), protocol and benchmark blocks, former class E,
// and the IPv6 blocks that embed IPv4 addresses, which could smuggle a private one.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

func public(address netip.Addr) bool {
	if !address.IsGlobalUnicast() || address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() {
		return false
	}
	for _, prefix := range notPublic {
		if prefix.Contains(address) {
			return false
		}
	}
	return true
}

// transport dials only what is allowed. It uses no proxy: through one, the check would see the proxy's address only.
func transport(allow allowList, timeout time.Duration) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConnsPerHost = 2
	t.MaxResponseHeaderBytes = 64 << 10
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		dialer := net.Dialer{Timeout: timeout}
		if !allow.host(host) {
			dialer.Control = func(_, resolved string, _ syscall.RawConn) error { return check(allow, host, resolved) }
		}
		return dialer.DialContext(ctx, network, address)
	}
	return t
}

// check is asked with the very address that the connection goes to, so a name that resolves anew changes nothing.
func check(allow allowList, host, resolved string) error {
	target, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return err
	}
	if address := target.Addr().WithZone(""); !allow.address(address) {
		return &RefusedError{Host: host, Address: address.String()}
	}
	return nil
}
