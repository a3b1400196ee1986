package autoscaling

import (
	"maps"
	"slices"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type tagShape struct {
	ResourceID   string `query:"ResourceId"`
	ResourceType string `query:"ResourceType"`
	Key          string `query:"Key"`
	Value        string `query:"Value"`
	Propagate    bool   `query:"PropagateAtLaunch"`
}

func (t tagShape) check(group string) error {
	switch {
	case t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256:
		return invalid("1 validation error detected: a tag's key has 1 to 128 characters, its value at most 256")
	case t.ResourceType != "" && t.ResourceType != "auto-scaling-group":
		return invalid("Invalid resource type '%s': expected auto-scaling-group", t.ResourceType)
	case group != "" && t.ResourceID != "" && t.ResourceID != group:
		return invalid("The resource id '%s' of a tag is not the group's name, %s", t.ResourceID, group)
	}
	return nil
}

type tagDescription struct {
	ResourceID        string `xml:"ResourceId"`
	ResourceType      string
	Key, Value        string
	PropagateAtLaunch bool
}

func (g *group) tags() []tagDescription {
	var list []tagDescription
	for _, key := range slices.Sorted(maps.Keys(g.Tags)) {
		list = append(list, tagDescription{g.Name, "auto-scaling-group", key, g.Tags[key].Value, g.Tags[key].Propagate})
	}
	return list
}

type tagsInput struct {
	Tags []tagShape `query:"Tags.member"`
}

func (s *Service) putTags(r *api.Request, in *tagsInput) (any, error) {
	return s.changeTags(r, in, func(g *group, t tagShape) { g.Tags[t.Key] = groupTag{t.Value, t.Propagate} })
}

func (s *Service) deleteTags(r *api.Request, in *tagsInput) (any, error) {
	return s.changeTags(r, in, func(g *group, t tagShape) { delete(g.Tags, t.Key) })
}

// changeTags changes all or, where one is refused, none.
func (s *Service) changeTags(r *api.Request, in *tagsInput, change func(*group, tagShape)) (any, error) {
	for _, t := range in.Tags {
		if err := t.check(""); err != nil {
			return nil, err
		}
		if _, err := s.find(r, t.ResourceID); err != nil {
			return nil, err
		}
	}
	for _, t := range in.Tags {
		g, err := s.find(r, t.ResourceID)
		if err != nil {
			return nil, err
		}
		change(g, t)
		s.groups.Put(g.key(), g)
	}
	return nil, nil
}

type describeTagsInput struct {
	pageInput
	Filters []filterShape `query:"Filters.member"`
}

func (s *Service) describeTags(r *api.Request, in *describeTagsInput) (any, error) {
	all := map[string]tagDescription{}
	for _, g := range s.groups.All() {
		if g.Account != r.Account || g.Region != r.Region {
			continue
		}
		for _, tag := range g.tags() {
			fits, err := tag.fits(in.Filters)
			if err != nil {
				return nil, err
			}
			if fits {
				all[g.Name+"/"+tag.Key] = tag
			}
		}
	}
	keys, next, err := in.page(slices.Sorted(maps.Keys(all)), 50, 100)
	if err != nil {
		return nil, err
	}
	var out struct {
		Tags      []tagDescription `xml:"Tags>member"`
		NextToken string           `xml:",omitempty"`
	}
	out.NextToken = next
	for _, key := range keys {
		out.Tags = append(out.Tags, all[key])
	}
	return out, nil
}

func (t tagDescription) fits(filters []filterShape) (bool, error) {
	for _, f := range filters {
		var value string
		switch f.Name {
		case "auto-scaling-group":
			value = t.ResourceID
		case "key":
			value = t.Key
		case "value":
			value = t.Value
		case "propagate-at-launch":
			value = "false"
			if t.PropagateAtLaunch {
				value = "true"
			}
		default:
			return false, invalid("Filter type %s is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch", f.Name)
		}
		if !slices.Contains(f.Values, value) {
			return false, nil
		}
	}
	return true, nil
}
