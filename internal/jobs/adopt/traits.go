package adopt

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Traits of a server that its fleet's Launch spec says for all of them.
const (
	traitArchitecture = "architecture"
	traitGroups       = "security groups"
	traitProfile      = "instance profile"
	traitKey          = "key pair"
	traitMetadata     = "metadata options"
	traitMonitoring   = "monitoring"
	traitVolumes      = "volumes"
	traitTargets      = "target groups"
	traitUserData     = "user data"
	traitTemplate     = "launch template"
)

// found is a server as it stands, with what DescribeInstances does not tell.
type found struct {
	cloud.Instance
	volumes map[string]cloud.AttachedVolume // by device
	targets []string                        // ARNs of target groups
	data    []byte                          // user data
	read    bool                            // whether the user data was read
}

// traits are the server's, in a form that can be compared.
func (f found) traits() map[string]string {
	t := map[string]string{
		traitArchitecture: f.Architecture,
		traitGroups:       strings.Join(slices.Sorted(slices.Values(f.SecurityGroupIDs)), " "),
		traitProfile:      f.InstanceProfile,
		traitKey:          f.KeyName,
		traitMetadata:     fmt.Sprintf("tokens %s, hops %d, tags %t", f.MetadataTokens, f.MetadataHops, f.MetadataTags),
		traitMonitoring:   fmt.Sprint(f.Monitoring),
		traitTargets:      strings.Join(slices.Sorted(slices.Values(f.targets)), " "),
		traitVolumes:      f.volumesText(),
		traitTemplate:     f.template().ID + " " + f.template().Version,
	}
	if f.read {
		t[traitUserData] = spec.Digest(f.data)
	}
	return t
}

// volumesText describes those volumes that go with the server: one that stays holds data of the server's own.
func (f found) volumesText() string {
	var text strings.Builder
	for _, device := range slices.Sorted(maps.Keys(f.volumes)) {
		if v := f.volumes[device]; goes(v) {
			fmt.Fprintf(&text, "%s %d GiB %s %d %d %t; ", device, v.Size, v.Type, v.IOPS, v.Throughput, v.Encrypted != nil && *v.Encrypted)
		}
	}
	return text.String()
}

// goes: the volume is deleted with its server.
func goes(v cloud.AttachedVolume) bool { return v.DeleteOnTermination == nil || *v.DeleteOnTermination }

// Tags that EC2 puts on what was launched from a template.
const (
	tagTemplate        = "aws:ec2launchtemplate:id"
	tagTemplateVersion = "aws:ec2launchtemplate:version"
	tagGroup           = "aws:autoscaling:groupName"
)

func (f found) template() cloud.LaunchTemplate {
	return cloud.LaunchTemplate{ID: f.Tags[tagTemplate], Version: f.Tags[tagTemplateVersion]}
}

// usual is what most of the servers have; where two are as many, what the lower ordinal has.
func usual(servers []found, of func(found) (string, bool)) (value string, model int) {
	counts := map[string]int{}
	first := map[string]int{}
	for i, server := range servers {
		v, known := of(server)
		if !known {
			continue
		}
		if counts[v]++; counts[v] == 1 {
			first[v] = i
		}
	}
	var values []string
	for v := range counts {
		values = append(values, v)
	}
	if len(values) == 0 {
		return "", -1
	}
	value = slices.MinFunc(values, func(a, b string) int { return cmp.Or(counts[b]-counts[a], first[a]-first[b]) })
	return value, first[value]
}

// models gives, by trait, the first server that has what most have; -1: nobody's is known.
func models(servers []found) (values map[string]string, model map[string]int) {
	values, model = map[string]string{}, map[string]int{}
	for _, trait := range []string{
		traitArchitecture, traitGroups, traitProfile, traitKey, traitMetadata, traitMonitoring, traitVolumes, traitTargets, traitUserData, traitTemplate,
	} {
		values[trait], model[trait] = usual(servers, func(f found) (string, bool) { v, known := f.traits()[trait]; return v, known })
	}
	return values, model
}

// differs says in which traits the server is not as most are. A launch template that most do not share is none of the spec's.
func (f found) differs(values map[string]string) []string {
	var list []string
	for trait, value := range f.traits() {
		if trait != traitTemplate && value != values[trait] {
			list = append(list, trait)
		}
	}
	slices.Sort(list)
	return list
}
