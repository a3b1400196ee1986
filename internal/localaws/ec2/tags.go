package ec2

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// maxTags is how many tags a resource may have.
const maxTags = 50

func checkTags(tags []Tag) error {
	own := 0
	for _, tag := range tags {
		switch {
		case tag.Key == "":
			return api.Errorf("InvalidParameterValue", "Tag keys must not be empty")
		case strings.HasPrefix(strings.ToLower(tag.Key), "aws:"):
			return api.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case len([]rune(tag.Key)) > 127:
			return api.Errorf("InvalidParameterValue", "Tag key exceeds the maximum length of 127 characters")
		case len([]rune(tag.Value)) > 255:
			return api.Errorf("InvalidParameterValue", "Tag value exceeds the maximum length of 255 characters")
		}
		own++
	}
	if own > maxTags {
		return api.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached: %d", maxTags)
	}
	return nil
}

// Tags of a record are never changed in place: answers that are being written share them.

func sortedTags(tags []Tag) []Tag {
	slices.SortFunc(tags, func(a, b Tag) int { return cmp.Compare(a.Key, b.Key) })
	return tags
}

func withTags(tags []Tag, more ...Tag) []Tag {
	for _, tag := range more {
		tags = withTag(tags, tag)
	}
	return sortedTags(tags)
}

func withTag(tags []Tag, tag Tag) []Tag {
	tags = slices.Clone(tags)
	for n := range tags {
		if tags[n].Key == tag.Key {
			tags[n].Value = tag.Value
			return tags
		}
	}
	return append(tags, tag)
}

type createTagsInput struct {
	dryable
	IDs  []string `query:"ResourceId"`
	Tags []Tag    `query:"Tag"`
}

// taggable is a record that CreateTags reaches, with how to store it again.
type taggable struct {
	*base
	kind  string
	store func()
}

func (s *Service) createTags(c *call, in *createTagsInput) (any, error) {
	if len(in.IDs) == 0 {
		return nil, missing("ResourceId")
	}
	if len(in.IDs) > maxInstanceIDs {
		return nil, api.Errorf("InvalidParameterValue", "%d resource ids are given, expected at most %d", len(in.IDs), maxInstanceIDs)
	}
	if len(in.Tags) == 0 {
		return nil, missing("Tag")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	found, err := s.taggables(c, in.IDs)
	if err != nil {
		return nil, err
	}
	for _, t := range found {
		merged := withTags(t.Tags, in.Tags...)
		own := slices.DeleteFunc(slices.Clone(merged), func(tag Tag) bool { return strings.HasPrefix(tag.Key, "aws:") })
		if len(own) > maxTags {
			return nil, api.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached: %d", maxTags)
		}
		if i, ok := c.instances.get(t.ID); ok {
			if err := checkMetadataTags(i.Metadata, in.Tags); err != nil {
				return nil, err
			}
		}
	}
	for _, t := range found {
		t.Tags = withTags(t.Tags, in.Tags...)
		t.store()
	}
	return done{true}, nil
}

type deleteTagsInput struct {
	dryable
	IDs  []string    `query:"ResourceId"`
	Tags []deleteTag `query:"Tag"`
}

// deleteTag names a tag; with a value it is deleted only if it has that value.
type deleteTag struct {
	Key   string  `query:"Key"`
	Value *string `query:"Value"`
}

func (s *Service) deleteTags(c *call, in *deleteTagsInput) (any, error) {
	found, err := s.taggables(c, in.IDs)
	if err != nil {
		return nil, err
	}
	for _, t := range found {
		t.Tags = slices.DeleteFunc(slices.Clone(t.Tags), func(tag Tag) bool {
			if len(in.Tags) == 0 {
				return !strings.HasPrefix(tag.Key, "aws:")
			}
			return slices.ContainsFunc(in.Tags, func(d deleteTag) bool {
				return d.Key == tag.Key && (d.Value == nil || *d.Value == tag.Value)
			})
		})
		t.store()
	}
	return done{true}, nil
}

// taggables finds the account's resources by id; one that is not there fails all.
func (s *Service) taggables(c *call, ids []string) ([]taggable, error) {
	var found []taggable
	for _, id := range ids {
		t, err := s.taggable(c, id)
		if err != nil {
			return nil, err
		}
		found = append(found, t)
	}
	return found, nil
}

func (s *Service) taggable(c *call, id string) (taggable, error) {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "i":
		i, err := c.instance(id, c.now)
		if err != nil {
			return taggable{}, err
		}
		return taggable{&i.base, "instance", func() { s.saveInstance(i) }}, nil
	case "ami":
		image, err := s.ownImage(c, id)
		if err != nil {
			return taggable{}, err
		}
		return taggable{&image.base, "image", func() { c.shared.images.put(image) }}, nil
	case "snap":
		snapshot, err := s.ownSnapshot(c, id)
		if err != nil {
			return taggable{}, err
		}
		return taggable{&snapshot.base, "snapshot", func() { c.shared.snapshots.put(snapshot) }}, nil
	case "vol":
		volume, err := c.volume(id, c.now)
		if err != nil {
			return taggable{}, err
		}
		return taggable{&volume.base, "volume", func() { c.volumes.put(volume) }}, nil
	}
	for _, look := range []func() (taggable, bool){
		func() (taggable, bool) { return tagIn(c.vpcs, "vpc", id) },
		func() (taggable, bool) { return tagIn(c.subnets, "subnet", id) },
		func() (taggable, bool) { return tagIn(c.groups, "security-group", id) },
		func() (taggable, bool) { return tagIn(c.keyPairs, "key-pair", id) },
		func() (taggable, bool) { return tagIn(c.templates, "launch-template", id) },
		func() (taggable, bool) { return tagIn(c.rootTasks, "replace-root-volume-task", id) },
		func() (taggable, bool) { return tagIn(c.interfaces, "network-interface", id) },
		func() (taggable, bool) { return tagIn(c.elastic, "elastic-ip", id) },
		func() (taggable, bool) { return tagIn(c.spots, "spot-instances-request", id) },
	} {
		if t, ok := look(); ok {
			return t, nil
		}
	}
	return taggable{}, api.Errorf("InvalidID", "The ID '%s' is not valid", id)
}

func tagIn[T record](from *collection[T], kind, id string) (taggable, bool) {
	r, ok := from.get(id)
	if !ok {
		return taggable{}, false
	}
	return taggable{r.common(), kind, func() { from.put(r) }}, true
}

type describeTagsInput struct {
	dryable
	paging
	Filters []filter `query:"Filter"`
}

type describeTagsXML struct {
	Tags      list[resourceTagXML] `xml:"tagSet"`
	NextToken string               `xml:"nextToken,omitempty"`
}

type resourceTagXML struct {
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Key          string `xml:"key"`
	Value        string `xml:"value"`
}

// describeTags lists tags of the account's resources. Its pages are of resources, so one may hold more tags than asked.
func (s *Service) describeTags(c *call, in *describeTagsInput) (any, error) {
	for _, f := range in.Filters {
		if !slices.Contains([]string{"key", "value", "resource-id", "resource-type"}, f.Name) && !strings.HasPrefix(f.Name, "tag:") {
			return nil, api.Errorf("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
	}
	owners := map[uint64]resourceOwner{}
	var all []*taggedRecord
	for owner := range s.tagOwners(c) {
		if len(owner.Tags) > 0 && in.matchesOwner(owner) {
			owners[owner.Sequence] = owner
			all = append(all, &taggedRecord{*owner.base})
		}
	}
	slices.SortFunc(all, bySequence)
	all, next, err := page(in.paging, 5, 1000, all)
	if err != nil {
		return nil, err
	}
	answer := describeTagsXML{NextToken: next}
	for _, r := range all {
		for _, tag := range r.Tags {
			if in.matchesTag(tag) {
				answer.Tags.Items = append(answer.Tags.Items, resourceTagXML{r.ID, owners[r.Sequence].kind, tag.Key, tag.Value})
			}
		}
	}
	return answer, nil
}

type resourceOwner struct {
	*base
	kind string
}

// taggedRecord lets page cut a list of resources of any sort.
type taggedRecord struct{ base }

func (*taggedRecord) keys() []string { return nil }

func (s *Service) tagOwners(c *call) func(func(resourceOwner) bool) {
	return func(yield func(resourceOwner) bool) {
		_ = owners(c.instances, c, "instance", yield) && owners(c.volumes, c, "volume", yield) &&
			owners(c.shared.images, c, "image", yield) && owners(c.shared.snapshots, c, "snapshot", yield) &&
			owners(c.vpcs, c, "vpc", yield) && owners(c.subnets, c, "subnet", yield) &&
			owners(c.groups, c, "security-group", yield) && owners(c.keyPairs, c, "key-pair", yield) &&
			owners(c.templates, c, "launch-template", yield) && owners(c.spots, c, "spot-instances-request", yield) &&
			owners(c.rootTasks, c, "replace-root-volume-task", yield) && owners(c.interfaces, c, "network-interface", yield) &&
			owners(c.elastic, c, "elastic-ip", yield)
	}
}

func owners[T record](from *collection[T], c *call, kind string, yield func(resourceOwner) bool) bool {
	for _, r := range from.order {
		if b := r.common(); b.Account == c.Account && !yield(resourceOwner{b, kind}) {
			return false
		}
	}
	return true
}

func (in *describeTagsInput) matchesOwner(owner resourceOwner) bool {
	for _, f := range in.Filters {
		if f.Name == "resource-id" && !matchAny(f.Values, owner.ID) || f.Name == "resource-type" && !matchAny(f.Values, owner.kind) {
			return false
		}
	}
	return true
}

func (in *describeTagsInput) matchesTag(tag Tag) bool {
	for _, f := range in.Filters {
		key, isTag := strings.CutPrefix(f.Name, "tag:")
		if isTag && (key != tag.Key || !matchAny(f.Values, tag.Value)) ||
			f.Name == "key" && !matchAny(f.Values, tag.Key) || f.Name == "value" && !matchAny(f.Values, tag.Value) {
			return false
		}
	}
	return true
}
