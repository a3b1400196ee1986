package adopt

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// standing are the states in which servers are imported.
var standing = []string{"pending", "running", "stopping", "stopped"}

// sampled is how many servers' user data is read: each costs a call.
const sampled = 20

// survey is what an import of a fleet finds before anything is written.
type survey struct {
	servers  []found // in the order of their ordinals
	group    Group
	roll     roll
	values   map[string]string // what most servers have, by trait
	findings []jobs.Finding
	calls    map[string]int
	images   map[string]*cloud.Image // by AMI; nil: EC2 does not have it any more
	refs     map[string]string       // web@3, by AMI
	read     int                     // of how many servers the user data was read
}

func (s *survey) wrong(hint, format string, args ...any) {
	s.findings = append(s.findings, jobs.Finding{Field: []any{"fleet"}, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (s *survey) warn(hint, format string, args ...any) {
	s.findings = append(s.findings, jobs.Finding{Field: []any{"fleet"}, Message: fmt.Sprintf(format, args...), Hint: hint, Warning: true})
}

// surveyFleet looks everything up that an import of the fleet needs, and says what stands against it.
func (a *adoption) surveyFleet(ctx context.Context) (*survey, error) {
	s := &survey{calls: map[string]int{}, images: map[string]*cloud.Image{}, refs: map[string]string{}}
	fleet, known, err := a.Ledger.GetFleet(ctx, a.job.Name)
	if err != nil {
		return nil, err
	}
	if known && fleet.Imported != a.job.Incarnation {
		s.wrong("choose another name, or give the fleet back first", "there is a fleet %s already", a.job.Name)
	}
	if a.spec.Fleet.Group != "" {
		return s, a.surveyGroup(ctx, s)
	}
	instances, err := a.instances(ctx, s)
	if err != nil {
		return nil, err
	}
	if len(instances) == 0 {
		s.wrong("check filters, region and account", "no server that stands is found")
		return s, nil
	}
	if len(instances) > launch.MaxCount {
		s.wrong("import them as several fleets", "%d servers are found, a fleet has at most %d", len(instances), launch.MaxCount)
		return s, nil
	}
	for _, i := range numbered(instances) {
		s.servers = append(s.servers, found{Instance: i, volumes: map[string]cloud.AttachedVolume{}})
	}
	for _, look := range []func(context.Context, *survey) error{a.lookOwners, a.lookImages, a.lookVolumes, a.lookTargets, a.lookUserData} {
		if err := look(ctx, s); err != nil {
			return nil, err
		}
	}
	return s, a.fill(ctx, s)
}

func (a *adoption) instances(ctx context.Context, s *survey) ([]cloud.Instance, error) {
	f := a.spec.Fleet
	s.calls["DescribeInstances"]++
	if len(f.Instances) == 0 {
		filters := map[string][]string{}
		for _, filter := range f.Filters {
			filters[filter.Name] = append(filters[filter.Name], filter.Values...)
		}
		list, err := a.ec2().InstancesWhere(ctx, filters, standing...)
		s.calls["DescribeInstances"] += len(list) / 1000
		return list, err
	}
	ids := slices.Compact(slices.Sorted(slices.Values(f.Instances)))
	list, err := a.ec2().Instances(ctx, ids...)
	if err != nil {
		return nil, err
	}
	stands := list[:0:0]
	for _, i := range list {
		if slices.Contains(standing, i.State) {
			stands = append(stands, i)
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == i.ID && slices.Contains(standing, i.State) })
	}
	for _, id := range ids {
		s.wrong("leave it out, or check its region and account", "there is no server %s that stands", id)
	}
	return stands, nil
}

// lookOwners refuses what somebody else manages or names.
func (a *adoption) lookOwners(ctx context.Context, s *survey) error {
	fleets, err := a.Ledger.ListFleets(ctx)
	if err != nil {
		return err
	}
	holder := map[string]string{}
	for _, fleet := range fleets {
		servers, err := a.Ledger.Servers(ctx, fleet.Name)
		if err != nil {
			return err
		}
		seconds, err := a.Ledger.Seconds(ctx, fleet.Name)
		if err != nil {
			return err
		}
		for _, server := range slices.Concat(servers, seconds) {
			if server.Incarnation != a.job.Incarnation {
				holder[server.InstanceID] = fmt.Sprintf("ordinal %d of the fleet %s", server.Ordinal, fleet.Name)
			}
		}
	}
	tags := serverTags(a.Installation, a.job.Name, a.job.Incarnation)
	shown := 0
	for _, server := range s.servers {
		why, hint := foreign(server.Tags, tags)
		switch {
		case holder[server.ID] != "":
			why, hint = "it is "+holder[server.ID], "a server is in one fleet: narrow the filters"
		case server.Tags[tagGroup] != "":
			why, hint = "it is of the Auto Scaling group "+server.Tags[tagGroup], "import the group: --auto-scaling-group "+server.Tags[tagGroup]
		case why == "" && len(server.Tags)+len(tags) > 50:
			why, hint = "it has no room for 3 more tags of EC2's 50", "delete tags that nobody needs"
		}
		if why == "" {
			continue
		}
		if shown++; shown <= 10 {
			s.wrong(hint, "%s cannot be imported: %s", server.ID, why)
		}
	}
	if shown > 10 {
		s.wrong("", "and %d servers more cannot be imported", shown-10)
	}
	return nil
}

// lookImages finds which AMIs the servers run, whether they are still there, and which versions they are.
func (a *adoption) lookImages(ctx context.Context, s *survey) error {
	var ids []string
	for _, server := range s.servers {
		ids = append(ids, server.ImageID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	images, err := a.ec2().Images(ctx, ids...)
	s.calls["DescribeImages"]++
	if err != nil {
		return err
	}
	for _, image := range images {
		s.images[image.ID] = &image
	}
	s.refs, err = a.versions(ctx)
	for _, id := range ids {
		if s.images[id] == nil {
			s.warn("a launch needs another image: give one with --image, or roll the fleet to one", "the AMI %s is gone or not visible: what these servers run is unknown", id)
		}
	}
	if len(ids) > 1 {
		s.warn("`stampmill drift` shows which run another one", "the servers run %d different AMIs: %s", len(ids), strings.Join(ids, ", "))
	}
	return err
}

// versions gives the catalog's versions by their AMIs in the target's region.
func (a *adoption) versions(ctx context.Context) (map[string]string, error) {
	images, err := a.Ledger.ListImages(ctx)
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for _, image := range images {
		versions, err := a.Ledger.Versions(ctx, image.Name)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if regional, ok := v.Regions[a.region()]; ok && v.State != ledger.Abandoned {
				refs[regional.AMI] = fmt.Sprintf("%s@%d", v.Image, v.Number)
			}
		}
	}
	return refs, nil
}

func (a *adoption) lookVolumes(ctx context.Context, s *survey) error {
	var ids []string
	at := map[string]int{}
	for i, server := range s.servers {
		at[server.ID] = i
		ids = append(ids, slices.Sorted(maps.Values(server.Volumes))...)
	}
	s.calls["DescribeVolumes"] += (len(ids) + 199) / 200
	volumes, err := a.ec2().AttachedVolumes(ctx, ids...)
	if err != nil {
		return err
	}
	keeps := 0
	for _, v := range volumes {
		if i, ours := at[v.InstanceID]; ours {
			s.servers[i].volumes[v.Device] = v
			if !goes(v) {
				keeps++
			}
		}
	}
	if keeps > 0 {
		s.warn("a replacement has to move such a volume; a launch does not make it anew", "%d volumes stay when their servers are terminated, and are in no Launch spec: they hold data of one server", keeps)
	}
	return nil
}

func (a *adoption) lookTargets(ctx context.Context, s *survey) error {
	byVPC := map[string]map[string]bool{}
	at := map[string]int{}
	for i, server := range s.servers {
		if byVPC[server.VpcID] == nil {
			byVPC[server.VpcID] = map[string]bool{}
		}
		byVPC[server.VpcID][server.ID], at[server.ID] = true, i
	}
	for _, vpc := range slices.Sorted(maps.Keys(byVPC)) {
		attached, err := a.TargetGroups(a.job.Target).Attached(ctx, vpc, byVPC[vpc])
		s.calls["DescribeTargetGroups"]++
		if err != nil {
			return err
		}
		for _, arn := range slices.Sorted(maps.Keys(attached)) {
			for _, id := range attached[arn] {
				if server := &s.servers[at[id]]; !slices.Contains(server.targets, arn) {
					server.targets = append(server.targets, arn)
				}
			}
		}
	}
	return nil
}

// lookUserData reads the user data of some servers, spread over all of them. Those that share a launch template have the
// template's.
func (a *adoption) lookUserData(ctx context.Context, s *survey) error {
	if a.spec.Fleet.Launch != nil {
		return nil
	}
	step := max(1, len(s.servers)/sampled)
	for i := 0; i < len(s.servers) && s.read < sampled; i += step {
		data, err := a.ec2().UserData(ctx, s.servers[i].ID)
		s.calls["DescribeInstanceAttribute"]++
		if jobs.IsClass(err, jobs.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		s.servers[i].data, s.servers[i].read = data, true
		s.read++
	}
	if s.read < len(s.servers) {
		s.warn("`stampmill drift --user-data` reads all", "user data was read of %d of the %d servers; the others are taken to have the same", s.read, len(s.servers))
	}
	return nil
}

// fill makes the roll of what was found.
func (a *adoption) fill(ctx context.Context, s *survey) error {
	ami, _ := usual(s.servers, func(f found) (string, bool) { return f.ImageID, true })
	image, err := a.fleetImage(ctx, s, ami)
	if err != nil {
		return err
	}
	s.values, _ = models(s.servers)
	derived, err := a.launchSpec(ctx, s, image, ami)
	if err != nil {
		return err
	}
	if s.roll.Spec, err = json.Marshal(derived); err != nil {
		return jobs.Fatalf("write the Launch spec", a.job.Name, err.Error(), "")
	}
	s.roll.Image, s.roll.Count = image, max(derived.Count, len(s.servers))
	if a.spec.Fleet.Launch == nil {
		s.roll.Count = len(s.servers)
	}
	tags := serverTags(a.Installation, a.job.Name, a.job.Incarnation)
	for ordinal, server := range s.servers {
		row := ledger.Server{
			Fleet: a.job.Name, Ordinal: ordinal, State: ledger.Healthy, InstanceID: server.ID, Image: orText(s.refs[server.ImageID], server.ImageID),
			AMI: server.ImageID, Type: server.Type, Zone: server.Zone, SubnetID: server.SubnetID, PrivateIP: server.PrivateIP, Spot: server.Spot,
			Job: a.job.ID, Incarnation: a.job.Incarnation, Launched: server.Launched, TargetGroups: server.targets,
			TagsBefore: carried(server.Tags, tags),
		}
		if server.State != "running" {
			row.State = ledger.Launched
		}
		if a.spec.Fleet.Launch == nil {
			row.Differs = server.differs(s.values)
		}
		s.roll.Servers = append(s.roll.Servers, row)
	}
	a.tellDifferences(s)
	if confirmed := a.spec.Fleet.Confirmed; confirmed != "" && confirmed != s.roll.confirmable() {
		s.wrong("run the command again and look", "other servers are found than were shown before")
	}
	return nil
}

// fleetImage is what the fleet is taken to run.
func (a *adoption) fleetImage(ctx context.Context, s *survey, ami string) (string, error) {
	ref := a.spec.Fleet.Image
	if ref == "" {
		return orText(s.refs[ami], ami), nil
	}
	name, number, _ := strings.Cut(ref, "@")
	n, err := strconv.Atoi(number)
	if err != nil {
		return "", jobs.Fatalf("find the image", ref, "the version is no number", "write web@3")
	}
	version, known, err := a.Ledger.GetVersion(ctx, name, n)
	switch {
	case err != nil:
		return "", err
	case !known || version.State != ledger.Available:
		s.wrong("see `stampmill image list`", "there is no version %s that is available", ref)
	case version.Regions[a.region()].AMI == "":
		s.wrong("distribute it there first", "%s is not in %s", ref, orText(a.region(), "the worker's own region"))
	case ami != "" && version.Regions[a.region()].AMI != ami:
		s.warn("`stampmill drift` shows them as servers of another image", "most servers run %s, %s is %s", ami, ref, version.Regions[a.region()].AMI)
	}
	return ref, nil
}

// launchSpec is the given one, or what is derived of the servers.
func (a *adoption) launchSpec(ctx context.Context, s *survey, image, ami string) (launch.Spec, error) {
	if given := a.spec.Fleet.Launch; given != nil {
		return *given, nil
	}
	template := false
	value, model := usual(s.servers, func(f found) (string, bool) { return f.traits()[traitTemplate], true })
	if t := s.servers[model].template(); t.ID != "" && !slices.ContainsFunc(s.servers, func(f found) bool { return f.traits()[traitTemplate] != value }) {
		exists, _, err := a.ec2().TemplateVersion(ctx, t)
		s.calls["DescribeLaunchTemplateVersions"]++
		if err != nil && !jobs.IsClass(err, jobs.Fatal, jobs.NotFound) {
			return launch.Spec{}, err
		}
		if template = exists; !exists {
			s.warn("", "the launch template %s has no version %s any more: the Launch spec does without it", t.ID, t.Version)
		}
	}
	derived := derive(image, s.servers, s.images[ami], template)
	if raw, err := json.Marshal(derived); err != nil {
		return derived, jobs.Fatalf("write the Launch spec", a.job.Name, err.Error(), "")
	} else if _, err := spec.Decode[launch.Spec](raw); err != nil {
		s.warn("give one with --spec", "the Launch spec that the servers come to is not valid: %v", err)
	}
	return derived, nil
}

func orText(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
