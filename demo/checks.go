package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// estate is what AWS and the ledger say at the end.
type estate struct {
	instances []types.Instance
	images    []types.Image
	snapshots []types.Snapshot
	truth     map[string]map[string]int // the endpoint's own counts
	ledger    []ledger.Server
	others    map[string]bool // ids of the other fleets' servers and of the Auto Scaling group's
	newest    string          // AMI of web@2
	current   string          // AMI, as `stampmill image show web --ami` prints it
	parameter string          // AMI, as /images/web names it
	told      []answer
}

// amis is how many AMIs there are in the end: two versions of each of the two images.
const amis = 4

// verdict is one line of the summary: what must hold, and what is wrong; empty if it holds.
type verdict struct{ promise, wrong string }

// check compares everything with what must hold, and prints the summary.
func (s *show) check(ctx context.Context) error {
	s.say.act("Check it: EC2's own state, the ledger, and every server")
	e, err := s.survey(ctx)
	if err != nil {
		return err
	}
	rows, err := settings(s.Source)
	if err != nil {
		return err
	}
	a, err := s.after(ctx, e)
	if err != nil {
		return err
	}
	return s.judge([]verdict{
		{"a worker was killed while it held a claim; its job succeeded", unequal("kills", len(s.kills), 1)},
		{fmt.Sprintf("EC2 runs exactly %d servers of %s, those of the other fleets, and nothing else", servers, fleet), e.servers()},
		{"each ordinal has one holder, and EC2 runs it", e.holders()},
		{fmt.Sprintf("there are exactly %d AMIs, with their snapshots and no others", amis), e.image()},
		{"web@2 is current, its parameter names its AMI, and all servers run it", e.versions()},
		{"the endpoint's own books say the same, volumes included", e.books()},
		{fmt.Sprintf("%d servers know their own names, all different (read on them)", servers), e.names()},
		{fmt.Sprintf("%d servers know their own settings, all different, as servers.csv has them (read on them)", servers), e.settings(rows)},
		{fmt.Sprintf("%d servers serve a page with their own name on it (asked on them)", servers), e.pages()},
		{fmt.Sprintf("each of the %d servers was replaced, and its successor has its name", servers), a.on(fleet, "web@2") + a.replaced(fleet)},
		{fmt.Sprintf("the Auto Scaling group %s runs web@2: its own instance refresh did it", group), a.groupOn("web@2")},
		{fmt.Sprintf("%s runs web@2 in place: its servers kept their ids", cache), a.on(cache, "web@2") + a.kept(cache)},
		{fmt.Sprintf("%s runs web@1 as before: its canary failed the gate and was rolled back", legacy), a.on(legacy, "web@1")},
		{"stampmill drift finds none", a.drift},
	})
}

// judge prints the summary; a promise that does not hold is an error.
func (s *show) judge(verdicts []verdict) error {
	bad := 0
	for _, v := range verdicts {
		if v.wrong == "" {
			s.say.print("  " + s.say.paint(green, "✓") + " " + v.promise + "\n")
			continue
		}
		bad++
		s.say.print("  " + s.say.paint(red, "✗ "+v.promise+"\n      "+v.wrong) + "\n")
	}
	s.say.print(fmt.Sprintf("\n%d of %d checks hold, %.1f s in all\n", len(verdicts)-bad, len(verdicts), s.say.elapsed().Seconds()))
	if bad > 0 {
		return fmt.Errorf("%d of %d checks failed", bad, len(verdicts))
	}
	return nil
}

// survey asks AWS through the SDK, the endpoint, the command line and the servers.
func (s *show) survey(ctx context.Context) (*estate, error) {
	e := &estate{}
	for pages := ec2.NewDescribeInstancesPaginator(s.aws.EC2, &ec2.DescribeInstancesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			e.instances = append(e.instances, r.Instances...)
		}
	}
	images, err := s.aws.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		return nil, err
	}
	snapshots, err := s.aws.EC2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil {
		return nil, err
	}
	e.images, e.snapshots = images.Images, snapshots.Snapshots
	if e.truth, err = s.counts(ctx); err != nil {
		return nil, err
	}
	list, err := s.Stampmill(ctx, "fleet", "servers", fleet, "-o", "json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(list), &e.ledger); err != nil {
		return nil, fmt.Errorf("stampmill fleet servers -o json: %w", err)
	}
	for ref, ami := range map[string]*string{image: &e.current, image + "@2": &e.newest} {
		out, err := s.Stampmill(ctx, "image", "show", ref, "--ami")
		if err != nil {
			return nil, err
		}
		*ami = strings.TrimSpace(out)
	}
	parameter, err := s.aws.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/images/" + image)})
	if err != nil {
		return nil, err
	}
	e.parameter = aws.ToString(parameter.Parameter.Value)
	if e.others, err = s.ofOthers(ctx, e.instances); err != nil {
		return nil, err
	}
	e.told, err = s.ask(ctx, e.running())
	return e, err
}

// ofOthers are the ids that the ledger names for the other fleets, and those that carry the Auto Scaling group's tag.
func (s *show) ofOthers(ctx context.Context, instances []types.Instance) (map[string]bool, error) {
	fleets, err := s.holders(ctx)
	if err != nil {
		return nil, err
	}
	others := map[string]bool{}
	for _, name := range []string{legacy, cache} {
		for _, server := range fleets[name] {
			others[server.InstanceID] = true
		}
	}
	for _, i := range instances {
		if inGroup(i) && i.State.Name == types.InstanceStateNameRunning {
			others[*i.InstanceId] = true
		}
	}
	return others, nil
}

// running are the ids of the servers that run and are no other fleet's.
func (e *estate) running() []string {
	var ids []string
	for _, i := range e.instances {
		if i.State.Name == types.InstanceStateNameRunning && !e.others[*i.InstanceId] {
			ids = append(ids, *i.InstanceId)
		}
	}
	return ids
}

func (e *estate) servers() string {
	states := map[types.InstanceStateName]int{}
	for _, i := range e.instances {
		if !e.others[*i.InstanceId] {
			states[i.State.Name]++
		}
	}
	running := states[types.InstanceStateNameRunning]
	delete(states, types.InstanceStateNameRunning)
	delete(states, types.InstanceStateNameTerminated)
	if len(states) > 0 {
		return fmt.Sprintf("besides %d running ones there are %v", running, states)
	}
	return unequal("running servers", running, servers)
}

func (e *estate) holders() string {
	if len(e.ledger) != servers {
		return unequal("servers in the ledger", len(e.ledger), servers)
	}
	left := map[string]bool{}
	for _, id := range e.running() {
		left[id] = true
	}
	for n, server := range e.ledger {
		if server.Ordinal != n {
			return fmt.Sprintf("the ledger's server %d has ordinal %d", n, server.Ordinal)
		}
		if !left[server.InstanceID] {
			return fmt.Sprintf("ordinal %d is held by %q, which does not run or holds another ordinal", n, server.InstanceID)
		}
		delete(left, server.InstanceID)
	}
	if len(left) > 0 {
		return fmt.Sprintf("these run and hold no ordinal: %v", slices.Sorted(maps.Keys(left)))
	}
	return ""
}

func (e *estate) image() string {
	if len(e.images) != amis {
		return unequal("AMIs", len(e.images), amis)
	}
	var named, there []string
	for _, image := range e.images {
		if image.State != types.ImageStateAvailable {
			return fmt.Sprintf("the AMI %s is %s", *image.ImageId, image.State)
		}
		for _, device := range image.BlockDeviceMappings {
			if device.Ebs != nil {
				named = append(named, aws.ToString(device.Ebs.SnapshotId))
			}
		}
	}
	for _, snapshot := range e.snapshots {
		there = append(there, aws.ToString(snapshot.SnapshotId))
	}
	slices.Sort(named)
	slices.Sort(there)
	if len(named) == 0 || !slices.Equal(named, there) {
		return fmt.Sprintf("the AMIs are made of the snapshots %v, EC2 has %v", named, there)
	}
	return ""
}

func (e *estate) versions() string {
	ami := e.newest
	if e.current != ami || e.parameter != ami {
		return fmt.Sprintf("web@2 is %s, current is %s, the parameter says %s", ami, e.current, e.parameter)
	}
	for _, i := range e.instances {
		if i.State.Name == types.InstanceStateNameRunning && !e.others[*i.InstanceId] && aws.ToString(i.ImageId) != ami {
			return fmt.Sprintf("%s runs %s, want %s", *i.InstanceId, aws.ToString(i.ImageId), ami)
		}
	}
	return ""
}

func (e *estate) books() string {
	delete(e.truth["instances"], "terminated")
	all := servers + len(e.others)
	want := map[string]map[string]int{"instances": {"running": all}, "images": {"available": amis},
		"snapshots": {"completed": len(e.snapshots)}, "volumes": {"in-use": all}}
	for thing, states := range want {
		if !maps.Equal(e.truth[thing], states) {
			return fmt.Sprintf("%s: %v, want %v", thing, e.truth[thing], states)
		}
	}
	return ""
}

func unequal(what string, got, want int) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%d %s, want %d", got, what, want)
}
