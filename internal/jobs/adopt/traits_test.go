package adopt

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// mixed is a fleet of servers that somebody launched by hand over the years: most of them are alike.
func mixed() []found {
	instance := func(change func(*found)) found {
		f := found{Instance: cloud.Instance{State: "running", Type: "m7g.large", SubnetID: "subnet-a", InstanceProfile: "web", KeyName: "ops", Architecture: "arm64",
			SecurityGroupIDs: []string{"sg-2", "sg-1"}, MetadataTokens: "required", MetadataHops: 1,
			Tags: map[string]string{"App": "web", "Owner": "edge", "aws:cloudformation:stack-name": "s", "stampmill:fleet": "x"}},
			volumes: map[string]cloud.AttachedVolume{"/dev/xvda": {Volume: cloud.Volume{Device: "/dev/xvda", Size: 8, Type: "gp3", IOPS: 3000, Throughput: 125}}},
			targets: []string{"arn:web"}, data: []byte("#!/bin/sh"), read: true}
		if change != nil {
			change(&f)
		}
		return f
	}
	return []found{
		instance(func(f *found) { f.KeyName, f.SubnetID = "old", "subnet-b" }),
		instance(nil),
		instance(func(f *found) { f.Type, f.Tags = "m6g.large", map[string]string{"App": "web", "Owner": "ops"} }),
		instance(func(f *found) { f.Spot, f.Type, f.data, f.read = true, "c7g.large", nil, false }),
		instance(func(f *found) { f.SecurityGroupIDs, f.targets = []string{"sg-1", "sg-2"}, nil }),
	}
}

func TestAnImportedFleetsSpecIsWhatMostOfItsServersHave(t *testing.T) {
	t.Parallel()
	s := derive("web@1", mixed(), nil, false)
	raw, err := json.Marshal(s.Pools)
	if err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]string{
		"count":           {fmt.Sprint(s.Count), "5"},
		"pools":           {string(raw), `[{"types":["m7g.large","m6g.large"],"subnets":{"ids":["subnet-a","subnet-b"]}},{"types":["c7g.large"],"subnets":{"ids":["subnet-a"]},"market":"spot"}]`},
		"tags":            {fmt.Sprint(s.Tags), "map[App:web]"},
		"key pair":        {s.Server.KeyName, "ops"},
		"profile":         {s.Server.InstanceProfile, "web"},
		"security groups": {strings.Join(s.Server.SecurityGroups, " "), "sg-1 sg-2"},
		"target groups":   {strings.Join(s.Attach.TargetGroups, " "), "arn:web"},
		"user data":       {s.Server.UserData, "#!/bin/sh"},
		"root volume":     {fmt.Sprint(s.Server.Volumes["/dev/xvda"].Size), "8GiB"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, want %s", what, pair[0], pair[1])
		}
	}
	if !s.Healthy.TargetGroup || !s.Healthy.StatusChecks || s.LaunchTemplate != nil {
		t.Errorf("healthy %+v, template %+v", s.Healthy, s.LaunchTemplate)
	}
}

func TestAVolumeIsInTheSpecOnlyIfItGoesWithItsServerAndIsNotTheImagesOwn(t *testing.T) {
	t.Parallel()
	no, yes := false, true
	root := cloud.Volume{Device: "/dev/xvda", Size: 8, Type: "gp3", IOPS: 3000, Throughput: 125}
	for name, c := range map[string]struct {
		has, imaged cloud.Volume
		want        bool
	}{
		"as the image has it":             {root, cloud.Volume{Device: "/dev/xvda", Size: 8, Type: "gp3"}, false},
		"larger than the image's":         {cloud.Volume{Device: "/dev/xvda", Size: 20, Type: "gp3"}, root, true},
		"of another type":                 {cloud.Volume{Device: "/dev/xvda", Size: 8, Type: "io2", IOPS: 500}, root, true},
		"encrypted, the image's is not":   {cloud.Volume{Device: "/dev/xvda", Size: 8, Type: "gp3", IOPS: 3000, Throughput: 125, Encrypted: &yes}, root, true},
		"at another device":               {cloud.Volume{Device: "/dev/sdf", Size: 8, Type: "gp3"}, root, true},
		"one that outlives its server":    {cloud.Volume{Device: "/dev/sdf", Size: 8, Type: "gp3", DeleteOnTermination: &no}, root, false},
		"one that is said to go with it":  {cloud.Volume{Device: "/dev/sdf", Size: 8, Type: "gp3", DeleteOnTermination: &yes}, root, true},
		"slower than what the image asks": {cloud.Volume{Device: "/dev/xvda", Size: 8, Type: "gp3", IOPS: 3000, Throughput: 125}, cloud.Volume{Device: "/dev/xvda", Size: 8, Type: "gp3", IOPS: 6000}, true},
	} {
		f := found{volumes: map[string]cloud.AttachedVolume{c.has.Device: {Volume: c.has}}}
		if _, got := volumes(f, &cloud.Image{Volumes: []cloud.Volume{c.imaged}})[c.has.Device]; got != c.want {
			t.Errorf("%s: in the spec: %t, want %t", name, got, c.want)
		}
	}
}

func TestAServerIsToldInWhatItDiffersFromMost(t *testing.T) {
	t.Parallel()
	servers := mixed()
	values, _ := models(servers)
	for ordinal, want := range map[int]string{0: traitKey, 1: "", 2: "", 3: "", 4: traitTargets} { // the groups' order is none
		if got := strings.Join(servers[ordinal].differs(values), ", "); got != want {
			t.Errorf("ordinal %d differs in %q, want %q", ordinal, got, want)
		}
	}
	servers[3].data, servers[3].read = []byte("another"), true
	if got := servers[3].differs(values); !slices.Contains(got, traitUserData) {
		t.Errorf("a server with user data of its own differs in %q", got)
	}
}

func TestWhatIsUsualIsWhatMostHaveAndElseWhatTheLowestOrdinalHas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keys  []string // "?" is unknown
		want  string
		model int
	}{
		{[]string{"a", "b", "b"}, "b", 1},
		{[]string{"b", "a", "a", "b"}, "b", 0},
		{[]string{"?", "a"}, "a", 1},
		{[]string{"?"}, "", -1},
	} {
		var servers []found
		for _, key := range c.keys {
			servers = append(servers, found{Instance: cloud.Instance{KeyName: key}})
		}
		got, model := usual(servers, func(f found) (string, bool) { return f.KeyName, f.KeyName != "?" })
		if got != c.want || model != c.model {
			t.Errorf("%q: %q of ordinal %d, want %q of %d", c.keys, got, model, c.want, c.model)
		}
	}
}
