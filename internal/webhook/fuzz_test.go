package webhook

import (
	"net"
	"net/netip"
	"net/url"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/notify"
)

// No address makes the check panic, and none that passes leads to where only the worker can reach.
func FuzzAddresses(f *testing.F) {
	for _, seed := range []string{"https://ci.example.com/hooks", "http://[::ffff:7f00:1]/", "http://2852039166/", "http://169.254.169.254", "http://[fe80::1%25eth0]:80/", "http://a%00b/", "HTTP://X:80", "10.0.0.0/8"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if list, err := parseAllow([]string{address}); err == nil {
			list.host(address)
		}
		err := notify.CheckURL(address)
		if err != nil {
			if len(err.Error()) > 600 {
				t.Fatalf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" {
			t.Fatalf("%q passes, and is read as %v, %v", address, u, err)
		}
		target, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			return // a name: what it resolves to is checked when it is dialled
		}
		resolved := netip.AddrPortFrom(target, 80).String()
		if err := check(allowList{}, u.Hostname(), resolved); err == nil && inner(target) {
			t.Fatalf("%q leads to %s", address, target)
		}
	})
}

// inner is asked of another library than the one that check uses.
func inner(address netip.Addr) bool {
	ip := net.IP(address.AsSlice())
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast()
}
