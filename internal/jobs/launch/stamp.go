package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/spec"
	"github.com/stampmill/stampmill/internal/jobs/userdata"
)

// Stamp is all that a batch needs to know of its servers but their ordinals: resolved, so that every attempt asks for the
// same.
type Stamp struct {
	Image        string            `json:"image"` // web@41, or the AMI
	AMI          string            `json:"ami"`
	Platform     string            `json:"platform,omitempty"`
	Ladder       Ladder            `json:"ladder"`
	Template     *Template         `json:"template,omitempty"`
	Server       Server            `json:"server,omitzero"` // security groups by id
	Hostname     string            `json:"hostname,omitempty"`
	Settings     map[string]any    `json:"settings,omitempty"`
	Rows         map[int]spec.Row  `json:"rows,omitempty"` // by ordinal, the batch's only
	Bootstrap    *spec.Script      `json:"bootstrap,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	TargetGroups []string          `json:"targetGroups,omitempty"` // ARNs
}

// BatchSpec is what a Batch job is told. Launch writes it.
type BatchSpec struct {
	// Fleet is the fleet's name.
	Fleet string `json:"fleet,omitempty" required:"true"`
	// Ordinals are the batch's, as ranges: 0-99.
	Ordinals string `json:"ordinals,omitempty" required:"true"`
	// Number counts the launch's batches: it says which zone is asked first.
	Number int `json:"number,omitempty"`
	// First is the pool that is asked first, counted from 1; 0: as the ladder says.
	First int `json:"first,omitempty"`
	// Subnet is asked first; empty: as the ladder says.
	Subnet string `json:"subnet,omitempty"`
	// Second puts the servers into the second slots of their ordinals: they are successors.
	Second bool `json:"second,omitempty"`
	// Key is the object in the bucket that describes the servers.
	Key string `json:"key,omitempty" required:"true"`
	// Digest is that object's SHA-256.
	Digest string `json:"digest,omitempty" required:"true"`
}

// CheckSpec refuses ordinals that are none, and batches that a call would not take.
func (b *BatchSpec) CheckSpec(p *spec.Problems) {
	set, err := b.set()
	switch {
	case err != nil:
		p.At("ordinals").Add("%s", "", err)
	case set.Len() > BatchSize:
		p.At("ordinals").Add("expected at most %d ordinals, found %d", "", BatchSize, set.Len())
	}
	if b.Key != "" && !strings.HasPrefix(b.Key, stampFolder) {
		p.At("key").Add("expected an object below %s, found %q", "only a Launch writes batches", stampFolder, b.Key)
	}
}

func (b *BatchSpec) set() (ordinals.Set, error) {
	var set ordinals.Set
	err := set.UnmarshalText([]byte(b.Ordinals))
	return set, err
}

// stampFolder is where the bucket has what batches are told.
const stampFolder = "launches/"

// stampKey is where a batch's description lies.
func stampKey(job *jobs.Job, round, batch int) string {
	return fmt.Sprintf("%s%s/r%d/%d-%d.json", stampFolder, job.ID, job.Run, round, batch)
}

// loadStamp reads the description and makes sure that it is the one that was meant.
func loadStamp(ctx context.Context, files Files, b BatchSpec) (Stamp, error) {
	content, found, err := files.Get(ctx, b.Key)
	if err != nil {
		return Stamp{}, err
	}
	if !found || spec.Digest(content) != b.Digest {
		return Stamp{}, jobs.Fatalf("read the batch's description", b.Key, "it is not in the bucket as the launch wrote it",
			"submit the launch again")
	}
	var stamp Stamp
	if err := json.Unmarshal(content, &stamp); err != nil {
		return Stamp{}, jobs.Fatalf("read the batch's description", b.Key, err.Error(), "submit the launch again")
	}
	return stamp, nil
}

// request is what EC2 is asked for, but for token, user data and tags.
func (s Stamp) request(rung Rung, count int) cloud.LaunchRequest {
	request := cloud.LaunchRequest{
		ImageID: s.AMI, Type: rung.Type, SubnetID: rung.Subnet, Spot: rung.Spot, Min: 1, Max: count,
		LaunchTemplate: s.Template.cloud(), InstanceProfile: s.Server.InstanceProfile, KeyName: s.Server.KeyName,
		SecurityGroupIDs: s.Server.SecurityGroups, MetadataTags: s.Server.MetadataTags, PublicIP: s.Server.PublicIP,
		Monitoring: s.Server.Monitoring, EBSOptimized: s.Server.EBSOptimized,
		MetadataTokens: s.Server.MetadataTokens, MetadataHops: s.Server.MetadataHops,
	}
	for _, device := range slices.Sorted(maps.Keys(s.Server.Volumes)) {
		v := s.Server.Volumes[device]
		deletes := v.DeleteOnTermination
		if deletes == nil {
			yes := true
			deletes = &yes
		}
		request.Volumes = append(request.Volumes, cloud.Volume{Device: device, Size: int(v.Size), Type: v.Type, IOPS: v.IOPS,
			Throughput: v.Throughput, Encrypted: v.Encrypted, KMSKey: v.KMSKey, SnapshotID: v.SnapshotID, DeleteOnTermination: deletes})
	}
	return request
}

// batch is what the servers of the list are told, by launch index.
func (s Stamp) batch(fleet string, list []int, bootstrap string) (userdata.Batch, error) {
	batch := userdata.Batch{Fleet: fleet, Platform: s.Platform, Bootstrap: bootstrap}
	for _, ordinal := range list {
		server := userdata.Server{Ordinal: ordinal}
		var err error
		if s.Hostname != "" {
			if server.Hostname, err = userdata.Hostname(s.Hostname, fleet, ordinal); err != nil {
				return userdata.Batch{}, err
			}
		}
		if server.Settings, err = userdata.Settings(s.Settings, s.Rows[ordinal]); err != nil {
			return userdata.Batch{}, err
		}
		batch.Servers = append(batch.Servers, server)
	}
	return batch, nil
}
