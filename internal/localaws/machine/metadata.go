package machine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/cloudinit"
)

// answer is what a service on the server says.
type answer struct {
	status int
	header http.Header
	body   string
}

func text(body string) answer { return answer{status: http.StatusOK, body: body} }

var missing = answer{status: http.StatusNotFound, body: "Not Found"}

// metadata is the metadata by path, without tags and user data.
func (b *boot) metadata() map[string]string {
	i := b.server.config.Identity
	m := map[string]string{
		"ami-id": i.ImageID, "ami-launch-index": fmt.Sprint(i.LaunchIndex), "hostname": i.PrivateDNS, "local-hostname": i.PrivateDNS,
		"instance-action": "none", "instance-id": i.InstanceID, "instance-life-cycle": "on-demand", "instance-type": i.InstanceType,
		"local-ipv4": i.PrivateIP, "mac": i.MAC, "profile": "default-hvm", "reservation-id": i.ReservationID,
		"security-groups": strings.Join(i.SecurityGroups, "\n"), "placement/availability-zone": i.Zone, "placement/region": i.Region,
		"services/domain": "amazonaws.com", "services/partition": "aws",
	}
	mac := "network/interfaces/macs/" + i.MAC + "/"
	m[mac+"local-ipv4s"], m[mac+"mac"], m[mac+"subnet-id"], m[mac+"owner-id"] = i.PrivateIP, i.MAC, i.SubnetID, i.Account
	if i.KeyName != "" {
		m["public-keys/0/openssh-key"] = publicKey(i.KeyName)
	}
	if i.InstanceProfileARN != "" {
		m["iam/info"] = encodeJSON(map[string]string{"Code": "Success", "InstanceProfileArn": i.InstanceProfileARN, "LastUpdated": i.PendingTime.UTC().Format(time.RFC3339)})
		m["iam/security-credentials/"+b.role()] = encodeJSON(b.credentials())
	}
	if b.server.config.Tags != nil {
		for key, value := range b.server.config.Tags() {
			m["tags/instance/"+key] = value
		}
	}
	return m
}

func encodeJSON(v any) string {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("machine: metadata cannot be encoded: " + err.Error())
	}
	return string(data)
}

// role is the name of the instance profile's role, which is the profile's own here.
func (b *boot) role() string {
	arn := b.server.config.Identity.InstanceProfileARN
	return arn[strings.LastIndexByte(arn, '/')+1:]
}

// credentials are the role's: the endpoint reads the account out of the key.
func (b *boot) credentials() map[string]string {
	i := b.server.config.Identity
	tail := strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(i.InstanceID, "i-"), "-", ""))
	expires := time.Now().Add(6 * time.Hour).UTC().Format(time.RFC3339)
	return map[string]string{"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": time.Now().UTC().Format(time.RFC3339), "Expiration": expires,
		"AccessKeyId": "ASIA" + i.Account + tail[:min(4, len(tail))], "SecretAccessKey": uuid("secret", i.InstanceID), "Token": uuid("token", i.InstanceID)}
}

// serveMetadata answers at 169.254.169.254.
func (b *boot) serveMetadata(r *http.Request) answer {
	path := strings.Trim(r.URL.Path, "/")
	if path == "latest/api/token" {
		return b.metadataToken(r)
	}
	token := r.Header.Get("X-aws-ec2-metadata-token")
	b.mu.Lock()
	known := b.tokens[token]
	b.mu.Unlock()
	if token != "" && !known || token == "" && b.server.config.TokenRequired {
		return answer{status: http.StatusUnauthorized, body: "401 - Unauthorized"}
	}
	_, path, _ = strings.Cut(path, "/")
	i := b.server.config.Identity
	switch {
	case path == "user-data":
		if data := b.server.config.UserData(); len(data) > 0 {
			return text(string(data))
		}
		return missing
	case path == "dynamic/instance-identity/document":
		return text(encodeJSON(map[string]any{"accountId": i.Account, "architecture": i.Architecture, "availabilityZone": i.Zone, "imageId": i.ImageID,
			"instanceId": i.InstanceID, "instanceType": i.InstanceType, "pendingTime": i.PendingTime.UTC().Format(time.RFC3339), "privateIp": i.PrivateIP,
			"region": i.Region, "version": "2017-09-30"}))
	case path == "" || path == "dynamic":
		return text("dynamic\nmeta-data\nuser-data")
	}
	name, ok := strings.CutPrefix(path, "meta-data")
	if !ok {
		return missing
	}
	return lookupMetadata(b.metadata(), strings.Trim(name, "/"))
}

func lookupMetadata(all map[string]string, name string) answer {
	if value, ok := all[name]; ok {
		return text(value)
	}
	prefix := ""
	if name != "" {
		prefix = name + "/"
	}
	var entries []string
	for key := range all {
		if rest, below := strings.CutPrefix(key, prefix); below {
			entry, _, more := strings.Cut(rest, "/")
			if more {
				entry += "/"
			}
			entries = append(entries, entry)
		}
	}
	if len(entries) == 0 {
		return missing
	}
	slices.Sort(entries)
	return text(strings.Join(slices.Compact(entries), "\n"))
}

func (b *boot) metadataToken(r *http.Request) answer {
	switch {
	case r.Method != http.MethodPut:
		return answer{status: http.StatusMethodNotAllowed, body: "405 - Method Not Allowed"}
	case r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") == "":
		return answer{status: http.StatusBadRequest, body: "400 - Bad Request"}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	token := "AQAE" + uuid("metadata token", b.id, fmt.Sprint(len(b.tokens)))
	b.tokens[token] = true
	return text(token)
}

// instanceData is what Jinja templates see.
func (b *boot) instanceData() cloudinit.Data {
	i := b.server.config.Identity
	d := b.server.distribution()
	hostname, _, _ := strings.Cut(i.PrivateDNS, ".")
	return cloudinit.NewData(b.metadata(), map[string]any{
		"availability_zone": i.Zone, "cloud_name": "aws", "distro": d.id, "distro_version": d.version, "instance_id": i.InstanceID,
		"local_hostname": hostname, "machine": i.Architecture, "platform": "ec2", "region": i.Region, "subplatform": "metadata (http://169.254.169.254)",
	})
}
