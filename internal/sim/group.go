package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/rig"
)

// group is the Auto Scaling group that a wheel of the sort refresh is: it is imported, rolled, and perhaps given back.
type group struct {
	foreign string // an instance refresh that somebody else started before the rollout
	busy    bool   // whether there is to be one
	undo    *wish  // gives the group back in the end; nil: it stays
}

// drawGroup draws the group and its rollout by instance refreshes.
func (p *plan) drawGroup(d dice) {
	r := d.at("group")
	w := &wheel{sort: refreshing, count: 2 + r.IntN(5), first: 1 + r.IntN(2), group: &group{busy: r.chance(0.25)}}
	w.launch = &wish{kind: "Import", name: wheelName, key: "wheel-import", mayFail: true, at: r.between(0, time.Minute),
		text: "kind: Import\nname: wheel\nspec: {fleet: {group: wheel}}\n"}
	w.roll = &wish{kind: "Rollout", name: wheelName, key: "wheel-roll", mayFail: true}
	gate := ""
	if fails := r.chance(0.3); fails {
		gate, w.roll.mustFail = ", gate: [{run: test -e /opt/never, within: 2m}]", true
	} else if r.chance(0.3) {
		gate = ", gate: [{approve: true}]"
	}
	w.roll.text = fmt.Sprintf("kind: Rollout\nname: wheel\nspec: {fleet: wheel, image: wheel@2, surge: %d, waves: [%d]%s, soak: %s, onFailure: %s}\n", 1+r.IntN(2), w.first, gate,
		pick(r, "0s", "1m"), pick(r, rollout.Rollback, rollout.Hold))
	for r.chance(0.4) && len(w.orders) < 3 {
		w.orders = append(w.orders, wheelOrder{r.between(10*time.Second, 15*time.Minute), pick(r, jobs.Pause, jobs.Resume, jobs.Approve, jobs.Revert)})
	}
	if r.chance(0.2) {
		w.roll.cancels = []time.Duration{r.between(10*time.Second, 15*time.Minute)}
	}
	if r.chance(0.3) {
		w.group.undo = &wish{kind: "Import", name: wheelName, key: "wheel-undo", mayFail: true, text: "kind: Import\nname: wheel\nspec: {undo: fleet}\n"}
	}
	p.wheel = w
	p.wishes = append(p.wishes, w.launch)
}

// makeGroup makes the group of instances of the first version, as its owner would.
func (w *wheel) makeGroup(ctx context.Context, s *schedule) error {
	before, _ := s.bases()
	own := s.rig.User.Clients.For(jobs.Target{})
	name := wheelName
	_, err := own.EC2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name,
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: &before.ID, InstanceType: "c7g.large",
			IamInstanceProfile: &ec2types.LaunchTemplateIamInstanceProfileSpecificationRequest{Name: aws.String("builder")}}})
	if err != nil {
		return err
	}
	size := int32(w.count)
	_, err = own.Groups.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: &name, MinSize: aws.Int32(1), MaxSize: aws.Int32(20),
		DesiredCapacity: &size, LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: aws.String("1")},
		AvailabilityZones: []string{rig.Region + "a", rig.Region + "b"}, HealthCheckGracePeriod: aws.Int32(30)})
	if err == nil {
		time.Sleep(2 * time.Minute)
	}
	return err
}

// members are the group's, and their volumes: nobody's but AWS's.
func (s *schedule) members(ctx context.Context) (g types.AutoScalingGroup, things []string, err error) {
	out, err := s.rig.User.Clients.For(jobs.Target{}).Groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{wheelName}})
	if err != nil || len(out.AutoScalingGroups) != 1 {
		return g, nil, fmt.Errorf("the group: %v, %w", out, err)
	}
	g = out.AutoScalingGroups[0]
	all := s.rig.EC2().Inspect().Instances
	for _, member := range g.Instances {
		things = append(things, *member.InstanceId)
		for _, i := range all {
			if i.ID == *member.InstanceId {
				things = append(things, i.Volumes...)
			}
		}
	}
	return g, things, nil
}

// occupy starts an instance refresh as somebody else.
func (w *wheel) occupy(ctx context.Context, s *schedule) error {
	if !w.group.busy {
		return nil
	}
	out, err := s.rig.User.Clients.For(jobs.Target{}).Groups.StartInstanceRefresh(ctx, &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: aws.String(wheelName)})
	if err != nil {
		return err
	}
	w.group.foreign = *out.InstanceRefreshId
	s.tell("somebody else starts the instance refresh %s", w.group.foreign)
	return nil
}

// giveBack submits the import's undo once the rollout has ended.
func (w *wheel) giveBack(ctx context.Context, s *schedule) error {
	if undo := w.undo(); undo != nil && undo.id == "" {
		return s.submit(ctx, undo)
	}
	return nil
}

// undo gives back what was imported; nil: it stays.
func (w *wheel) undo() *wish {
	switch {
	case w.group != nil:
		return w.group.undo
	case w.settlers != nil:
		return w.settlers.undo
	}
	return nil
}

// judgeGroup: the group serves with all its instances, of the version that it is said to run; its launch template has no versions
// but the two; and nobody ended what somebody else had started.
func (e *end) judgeGroup(ctx context.Context, explained map[string]string) error {
	w := e.plan.wheel
	if w == nil || w.group == nil {
		return nil
	}
	g, things, err := e.members(ctx)
	if err != nil {
		return err
	}
	for _, id := range things {
		explained[id] = "the group's"
	}
	before, newest := e.bases()
	images := map[string]int{}
	for _, member := range g.Instances {
		if member.LifecycleState == types.LifecycleStateInService {
			images[*member.ImageId]++
		}
	}
	if n := images[before.ID] + images[newest.ID]; n != w.count || len(g.Instances) != n {
		e.violate("the group has %d instances, %d in service, want %d", len(g.Instances), n, w.count)
	}
	if job := e.ended[w.roll.id]; job != nil {
		result, want := rollResult(job), ""
		switch {
		case job.State == jobs.Succeeded:
			want = newest.ID
		case result.RolledBack != "" && job.State == jobs.Failed:
			want = before.ID
		}
		if want != "" && images[want] != w.count {
			e.violate("%s %s, and the group's instances run %v, want all %s", job.ID, job.State, images, want)
		}
	}
	own := e.rig.User.Clients.For(jobs.Target{})
	versions, err := own.EC2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String(wheelName)})
	refreshes, failed := own.Groups.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String(wheelName)})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	if n := len(versions.LaunchTemplateVersions); n > 2 {
		e.violate("the launch template has %d versions, want 2 at most", n)
	}
	for _, f := range refreshes.InstanceRefreshes {
		over := slices.Contains([]types.InstanceRefreshStatus{"Successful", "Failed", "Cancelled", "RollbackSuccessful", "RollbackFailed"}, f.Status)
		switch {
		case !over:
			e.violate("the instance refresh %s is %s still", *f.InstanceRefreshId, f.Status)
		case *f.InstanceRefreshId == w.group.foreign && f.Status != types.InstanceRefreshStatusSuccessful:
			e.violate("the instance refresh %s of somebody else is %s", *f.InstanceRefreshId, f.Status)
		}
	}
	return nil
}
