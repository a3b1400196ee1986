package drift

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// compare compares with the Launch spec what it says. In what an imported server differed from the beginning is no drift.
func compare(out *Fleet, spec launch.Spec, row ledger.Server, i cloud.Instance) {
	want := spec.Server
	if len(want.SecurityGroups) > 0 && !slices.Contains(row.Differs, "security groups") && !sameGroups(want.SecurityGroups, i) {
		out.add(Security, row, strings.Join(want.SecurityGroups, " "), strings.Join(i.SecurityGroupIDs, " "))
	}
	setting := func(trait, wanted, found string) {
		if wanted != "" && wanted != found && !slices.Contains(row.Differs, trait) {
			out.add(Setting, row, trait+" "+wanted, orText(found, "none"))
		}
	}
	setting("instance profile", named(want.InstanceProfile), named(i.InstanceProfile))
	setting("key pair", want.KeyName, i.KeyName)
	tokens := want.MetadataTokens
	if tokens == "" && spec.LaunchTemplate == nil {
		tokens = "required"
	}
	if i.MetadataTokens != "" {
		setting("metadata options", tokens, i.MetadataTokens)
	}
}

// sameGroups: each of the groups is the server's, by id or by name, and it has no other.
func sameGroups(want []string, i cloud.Instance) bool {
	for at, id := range i.SecurityGroupIDs {
		if !slices.Contains(want, id) && (at >= len(i.SecurityGroupNames) || !slices.Contains(want, i.SecurityGroupNames[at])) {
			return false
		}
	}
	return len(want) == len(i.SecurityGroupIDs)
}

// named is the name in an instance profile's ARN.
func named(profile string) string { return profile[strings.LastIndexByte(profile, '/')+1:] }

// userData reads every server's user data. Where the Launch spec does not hold it as it stands, the servers of one batch were all
// given the same: what most of them have is taken for it.
func (l *look) userData(ctx context.Context, h here, f ledger.Fleet, spec launch.Spec, m members, out *Fleet) error {
	batches := map[string]map[string][]ledger.Server{}
	want := []byte(nil)
	if spec.Server.UserData != "" {
		data, err := spec.Server.UserDataBytes()
		if err != nil {
			return err
		}
		want = data
	}
	for _, row := range m.servers {
		i, stands := h.instances[row.InstanceID]
		if !stands || slices.Contains(row.Differs, "user data") {
			continue
		}
		data, err := l.EC2(f.Target).UserData(ctx, row.InstanceID)
		l.count("DescribeInstanceAttribute", 1)
		if jobs.IsClass(err, jobs.NotFound) {
			continue // it has gone since
		}
		if err != nil {
			return err
		}
		if want != nil {
			if !bytes.Equal(data, want) {
				out.add(UserData, row, "the Launch spec's", fmt.Sprintf("%d other bytes", len(data)))
			}
			continue
		}
		batch := i.Tags[launch.TagBatch]
		if batches[batch] == nil {
			batches[batch] = map[string][]ledger.Server{}
		}
		batches[batch][string(data)] = append(batches[batch][string(data)], row)
	}
	for _, variants := range batches {
		most := 0
		for _, rows := range variants {
			most = max(most, len(rows))
		}
		usual := false
		for data, rows := range variants {
			if len(rows) == most && !usual {
				usual = true
				continue
			}
			for _, row := range rows {
				out.add(UserData, row, "what the other servers of its batch have", fmt.Sprintf("%d other bytes", len(data)))
			}
		}
	}
	return nil
}
