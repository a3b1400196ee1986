package sqs

import (
	"maps"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type attributesResult struct {
	Attributes map[string]string `json:"Attributes,omitempty"`
}

func (a attributesResult) xmlShape() any {
	var shape struct {
		Attributes []nameValue `xml:"Attribute"`
	}
	for _, name := range slices.Sorted(maps.Keys(a.Attributes)) {
		shape.Attributes = append(shape.Attributes, nameValue{name, a.Attributes[name]})
	}
	return shape
}

func getQueueAttributes(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		AttributeNames []string `query:"AttributeName"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(r, in.QueueURL)
	if err != nil {
		return nil, err
	}
	attributes, err := q.describe(in.AttributeNames, time.Now())
	return attributesResult{attributes}, err
}

func setQueueAttributes(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		Attributes    map[string]string
		AttributeList []nameValue `json:"-" query:"Attribute"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	given := in.Attributes
	if given == nil {
		given = attributeMap(in.AttributeList)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(r, in.QueueURL)
	if err != nil {
		return nil, err
	}
	if len(given) == 0 {
		return nil, missing("Attributes")
	}
	if err := s.checkAttributes(given); err != nil {
		return nil, err
	}
	q.Attributes, q.Modified = merge(q.Attributes, given), time.Now()
	q.limits = readLimits(q.Attributes)
	s.settings.Put(q.key(), q.settings)
	return nil, nil
}

func tagQueue(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		Tags    map[string]string
		TagList []keyValue `json:"-" query:"Tag"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return nil, s.changeTags(r, in.QueueURL, func(tags map[string]string) {
		maps.Copy(tags, in.Tags)
		maps.Copy(tags, tagMap(in.TagList))
	})
}

func untagQueue(s *Service, r *api.Request) (any, error) {
	var in struct {
		queueInput
		TagKeys []string `query:"TagKey"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	return nil, s.changeTags(r, in.QueueURL, func(tags map[string]string) {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
	})
}

func (s *Service) changeTags(r *api.Request, queueURL string, change func(map[string]string)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.find(r, queueURL)
	if err != nil {
		return err
	}
	tags := merge(q.Tags, nil)
	change(tags)
	if len(tags) > 50 {
		return invalid("Too many tags added for queue %s: expected at most 50.", q.Name)
	}
	q.Tags = tags
	s.settings.Put(q.key(), q.settings)
	return nil
}

type tagsResult struct {
	Tags map[string]string `json:"Tags,omitempty"`
}

func (t tagsResult) xmlShape() any {
	var shape struct {
		Tags []keyValue `xml:"Tag"`
	}
	for _, key := range slices.Sorted(maps.Keys(t.Tags)) {
		shape.Tags = append(shape.Tags, keyValue{key, t.Tags[key]})
	}
	return shape
}

func listQueueTags(s *Service, r *api.Request) (any, error) {
	q, err := s.decodeQueue(r)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return tagsResult{maps.Clone(q.Tags)}, nil
}
