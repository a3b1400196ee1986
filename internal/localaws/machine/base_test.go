package machine

import (
	"strings"
	"testing"
)

func TestAnAmazonLinuxServerKnowsTheReleaseOfItsAMI(t *testing.T) {
	t.Parallel()
	for ami, want := range map[string]string{"al2023-ami-2023.9.20261103.0-kernel-6.1-arm64": "20261103", "al2023-ami-2023.9.20261201.0-kernel-6.1-arm64": "20261201"} {
		node, err := BaseDisk("amazon", "arm64", ami).(volume).Lookup("/etc/image-id")
		if err != nil || !strings.Contains(string(node.Data), want) {
			t.Errorf("%s: /etc/image-id says %q, %v; want %s in it", ami, node.Data, err, want)
		}
	}
	if _, err := BaseDisk("amazon", "arm64", "").(volume).Lookup("/etc/image-id"); err == nil {
		t.Error("a disk of no AMI names a release")
	}
}
