package ec2

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/batch"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// owners are the tags whose value is one job's, or one fleet's: looks by one of them share calls, since a filter takes many values.
var owners = []string{jobs.TagIncarnation, jobs.TagPrefix + "batch", jobs.TagPrefix + "fleet"}

// gathering is how long a look by tag waits for others: nobody hurries with one, and jobs that wait together come within
// a second.
const gathering = 200 * time.Millisecond

// ownersPerCall leaves room for the states: 200 values are all that a call's filters take together.
const ownersPerCall = filterValues - 10

// owner is one job's things, in the states that are asked for.
type owner struct{ tag, value, states string }

// tagged are the looks by a job's tag.
type tagged struct {
	instances *batch.Batcher[owner, []c.Instance]
	images    *batch.Batcher[owner, []c.Image]
	snapshots *batch.Batcher[owner, []c.Snapshot]
	tokens    *batch.Batcher[string, []c.Instance]
}

func (r *Region) newTagged() tagged {
	options := batch.Options{Size: ownersPerCall, Idle: gathering, Lend: jobs.Lend, Blames: awserr.IsAboutOne}
	return tagged{
		instances: batch.New(options, byOwner(r.describe, func(i c.Instance) map[string]string { return i.Tags })),
		images: batch.New(options, byOwner(func(ctx context.Context, filters []types.Filter) ([]c.Image, error) {
			return r.describeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{self}, Filters: filters})
		}, func(i c.Image) map[string]string { return i.Tags })),
		snapshots: batch.New(options, byOwner(func(ctx context.Context, filters []types.Filter) ([]c.Snapshot, error) {
			return r.describeSnapshots(ctx, filters, []string{self})
		}, func(s c.Snapshot) map[string]string { return s.Tags })),
		tokens: batch.New(options, r.fetchTokens),
	}
}

const self = "self"

// InstancesTagged gives the instances with all of the tags, in one of the states; no states: all but terminated ones. Looks
// for one job's instances that come together share requests.
func (r *Region) InstancesTagged(ctx context.Context, tags map[string]string, states ...string) ([]c.Instance, error) {
	if len(states) == 0 {
		states = Alive
	}
	if o, ok := ownerOf(tags, states...); ok {
		found, err := r.tagged.instances.Get(ctx, o)
		return having(found[o], tags, func(i c.Instance) map[string]string { return i.Tags }), err
	}
	return r.describe(ctx, append(tagFilters(tags), stateFilter(states)...))
}

// InstancesByToken gives what a launch with the client token made, terminated ones included while EC2 shows them. Calls that
// come together share requests.
func (r *Region) InstancesByToken(ctx context.Context, token string) ([]c.Instance, error) {
	found, err := r.tagged.tokens.Get(ctx, token)
	return found[token], err
}

// ImagesTagged gives the account's own AMIs with all of the tags, disabled ones included. Looks for one job's AMIs that come
// together share requests.
func (r *Region) ImagesTagged(ctx context.Context, tags map[string]string) ([]c.Image, error) {
	if o, ok := ownerOf(tags); ok {
		found, err := r.tagged.images.Get(ctx, o)
		return having(found[o], tags, func(i c.Image) map[string]string { return i.Tags }), err
	}
	return r.describeImages(ctx, &ec2.DescribeImagesInput{Owners: []string{self}, Filters: tagFilters(tags)})
}

// SnapshotsTagged gives the account's own snapshots with all of the tags. Looks for one job's snapshots that come together
// share requests.
func (r *Region) SnapshotsTagged(ctx context.Context, tags map[string]string) ([]c.Snapshot, error) {
	if o, ok := ownerOf(tags); ok {
		found, err := r.tagged.snapshots.Get(ctx, o)
		return having(found[o], tags, func(s c.Snapshot) map[string]string { return s.Tags }), err
	}
	return r.describeSnapshots(ctx, tagFilters(tags), []string{self})
}

func ownerOf(tags map[string]string, states ...string) (owner, bool) {
	for _, tag := range owners {
		if value := tags[tag]; value != "" {
			return owner{tag: tag, value: value, states: strings.Join(states, " ")}, true
		}
	}
	return owner{}, false
}

func stateFilter(states []string) []types.Filter {
	if len(states) == 0 {
		return nil
	}
	return []types.Filter{filter("instance-state-name", states...)}
}

// byOwner asks once for the owners that are named by the same tag and whose things are asked for in the same states.
func byOwner[V any](describe func(context.Context, []types.Filter) ([]V, error), tagsOf func(V) map[string]string) func(context.Context, []owner) (map[owner][]V, error) {
	return func(ctx context.Context, all []owner) (map[owner][]V, error) {
		groups := map[owner][]string{}
		for _, o := range all {
			group := owner{tag: o.tag, states: o.states}
			groups[group] = append(groups[group], o.value)
		}
		found := make(map[owner][]V, len(all))
		order := func(a, b owner) int { return strings.Compare(a.tag+a.states, b.tag+b.states) }
		for _, group := range slices.SortedFunc(maps.Keys(groups), order) {
			filters := append([]types.Filter{filter("tag:"+group.tag, groups[group]...)}, stateFilter(strings.Fields(group.states))...)
			list, err := describe(ctx, filters)
			if err != nil {
				return nil, err
			}
			for _, v := range list {
				o := owner{tag: group.tag, value: tagsOf(v)[group.tag], states: group.states}
				found[o] = append(found[o], v)
			}
		}
		return found, nil
	}
}

// having leaves those with all of the tags.
func having[V any](list []V, tags map[string]string, tagsOf func(V) map[string]string) []V {
	var kept []V
	for _, v := range list {
		has, fits := tagsOf(v), true
		for key, value := range tags {
			fits = fits && has[key] == value
		}
		if fits {
			kept = append(kept, v)
		}
	}
	return kept
}

func (r *Region) fetchTokens(ctx context.Context, tokens []string) (map[string][]c.Instance, error) {
	list, err := r.describe(ctx, []types.Filter{filter("client-token", tokens...)})
	found := make(map[string][]c.Instance, len(tokens))
	for _, i := range list {
		found[i.ClientToken] = append(found[i.ClientToken], i)
	}
	return found, err
}
