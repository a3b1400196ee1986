package ec2

import (
	"slices"
	"strconv"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type describeTemplatesInput struct {
	dryable
	paging
	IDs     []string `query:"LaunchTemplateId"`
	Names   []string `query:"LaunchTemplateName"`
	Filters []filter `query:"Filter"`
}

type describeTemplatesXML struct {
	Templates list[templateXML] `xml:"launchTemplates"`
	NextToken string            `xml:"nextToken,omitempty"`
}

var templateFields = fields[*templateRecord]{
	"launch-template-name": func(t *templateRecord) []string { return one(t.Name) },
	"create-time":          func(t *templateRecord) []string { return one(stamp(t.Created)) },
}

func (s *Service) describeLaunchTemplates(c *call, in *describeTemplatesInput) (any, error) {
	ids := slices.Clone(in.IDs)
	for _, name := range in.Names {
		t, err := s.findTemplate(c.scope, "", name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, t.ID)
	}
	found, err := pick(c.templates, templateFields, ids, in.Filters, func(id string) error {
		return api.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
	})
	if err != nil {
		return nil, err
	}
	found, next, err := page(in.paging, 1, 200, found)
	if err != nil {
		return nil, err
	}
	answer := describeTemplatesXML{NextToken: next}
	for _, t := range found {
		answer.Templates.Items = append(answer.Templates.Items, showTemplate(t))
	}
	return answer, nil
}

type describeVersionsInput struct {
	dryable
	paging
	ID       string   `query:"LaunchTemplateId"`
	Name     string   `query:"LaunchTemplateName"`
	Versions []string `query:"LaunchTemplateVersion"`
	From     string   `query:"MinVersion"`
	To       string   `query:"MaxVersion"`
	Filters  []filter `query:"Filter"`
}

type describeVersionsXML struct {
	Versions  list[versionXML] `xml:"launchTemplateVersionSet"`
	NextToken string           `xml:"nextToken,omitempty"`
}

// shownVersion lets page and filters treat versions as records.
type shownVersion struct {
	base
	template *templateRecord
	version  *templateVersion
}

func (*shownVersion) keys() []string { return nil }

var versionFields = fields[*shownVersion]{
	"image-id":           func(v *shownVersion) []string { return one(v.version.Data.ImageID) },
	"instance-type":      func(v *shownVersion) []string { return one(v.version.Data.InstanceType) },
	"is-default-version": func(v *shownVersion) []string { return yesNo(v.version.Number == v.template.Default) },
	"create-time":        func(v *shownVersion) []string { return one(stamp(v.version.Created)) },
}

func (s *Service) describeLaunchTemplateVersions(c *call, in *describeVersionsInput) (any, error) {
	if err := versionFields.check(in.Filters); err != nil {
		return nil, err
	}
	found, err := s.versionsNamed(c, in)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(v *shownVersion) bool { return !versionFields.match(in.Filters, v) })
	found, next, err := page(in.paging, 1, 200, found)
	if err != nil {
		return nil, err
	}
	answer := describeVersionsXML{NextToken: next}
	for _, v := range found {
		answer.Versions.Items = append(answer.Versions.Items, showVersion(v.template, v.version))
	}
	return answer, nil
}

// versionsNamed are the versions of one template, or the latest or default ones of all.
func (s *Service) versionsNamed(c *call, in *describeVersionsInput) ([]*shownVersion, error) {
	var found []*shownVersion
	show := func(t *templateRecord, v *templateVersion) {
		found = append(found, &shownVersion{base{Sequence: uint64(len(found) + 1)}, t, v})
	}
	if in.ID == "" && in.Name == "" {
		if len(in.Versions) == 0 {
			return nil, missing("LaunchTemplateId or LaunchTemplateName")
		}
		for _, t := range c.templates.order {
			for _, text := range in.Versions {
				if text != "$Latest" && text != "$Default" {
					return nil, api.Errorf("InvalidParameterCombination", "Without a launch template, versions may be $Latest and $Default only")
				}
				v, err := t.version(text)
				if err != nil {
					return nil, err
				}
				show(t, v)
			}
		}
		return found, nil
	}
	t, err := s.findTemplate(c.scope, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	for _, text := range in.Versions {
		v, err := t.version(text)
		if err != nil {
			return nil, err
		}
		show(t, v)
	}
	if len(in.Versions) > 0 {
		return found, nil
	}
	for n := len(t.Versions) - 1; n >= 0; n-- {
		v := &t.Versions[n]
		from, fromErr := strconv.Atoi(in.From)
		to, toErr := strconv.Atoi(in.To)
		if (in.From == "" || fromErr == nil && v.Number >= from) && (in.To == "" || toErr == nil && v.Number <= to) {
			show(t, v)
		}
	}
	return found, nil
}
