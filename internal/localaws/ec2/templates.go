package ec2

import (
	"slices"
	"strconv"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// templateRecord is a launch template with all its versions.
type templateRecord struct {
	base
	Name     string
	Created  time.Time
	Default  int
	Latest   int
	Versions []templateVersion
}

func (t *templateRecord) keys() []string { return nil }

// templateVersion is one version of a launch template.
type templateVersion struct {
	ID, Name    string // the template's
	Number      int
	Description string `json:",omitempty"`
	Created     time.Time
	Data        launchData
}

// maxTemplateVersions is the limit of versions a template ("Images" in aws-facts.md).
const maxTemplateVersions = 10000

type templateSpec struct {
	ID      string `query:"LaunchTemplateId"`
	Name    string `query:"LaunchTemplateName"`
	Version string `query:"Version"`
}

func (s *Service) findTemplate(sc *scope, id, name string) (*templateRecord, error) {
	if id != "" && name != "" {
		return nil, api.Errorf("InvalidParameterCombination", "Give either LaunchTemplateId or LaunchTemplateName")
	}
	if id != "" {
		if t, ok := sc.templates.get(id); ok {
			return t, nil
		}
		return nil, api.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
	}
	if name == "" {
		return nil, missing("LaunchTemplateId or LaunchTemplateName")
	}
	for _, t := range sc.templates.order {
		if t.Name == name {
			return t, nil
		}
	}
	return nil, api.Errorf("InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
}

func (s *Service) findTemplateVersion(sc *scope, spec *templateSpec) (*templateVersion, error) {
	t, err := s.findTemplate(sc, spec.ID, spec.Name)
	if err != nil {
		return nil, err
	}
	return t.version(spec.Version)
}

// version finds a version by number, $Latest or $Default; empty is the default.
func (t *templateRecord) version(text string) (*templateVersion, error) {
	number := t.Default
	switch text {
	case "", "$Default":
	case "$Latest":
		number = t.Latest
	default:
		parsed, err := strconv.Atoi(text)
		if err != nil {
			return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter version is invalid. Expected a number, $Latest or $Default.", text)
		}
		number = parsed
	}
	for n := range t.Versions {
		if t.Versions[n].Number == number {
			return &t.Versions[n], nil
		}
	}
	return nil, api.Errorf("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", text, t.ID)
}

type createTemplateInput struct {
	dryable
	ClientToken       string             `query:"ClientToken"`
	Name              string             `query:"LaunchTemplateName"`
	Description       string             `query:"VersionDescription"`
	Data              *launchData        `query:"LaunchTemplateData"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

type templateXML struct {
	ID      string    `xml:"launchTemplateId"`
	Name    string    `xml:"launchTemplateName"`
	Created string    `xml:"createTime"`
	By      string    `xml:"createdBy"`
	Default int       `xml:"defaultVersionNumber"`
	Latest  int       `xml:"latestVersionNumber"`
	Tags    list[Tag] `xml:"tagSet"`
}

type oneTemplateXML struct {
	Template templateXML `xml:"launchTemplate"`
}

func showTemplate(t *templateRecord) templateXML {
	return templateXML{t.ID, t.Name, stamp(t.Created), "arn:aws:iam::" + t.Account + ":root", t.Default, t.Latest, listOf(t.Tags)}
}

func (s *Service) createLaunchTemplate(c *call, in *createTemplateInput) (any, error) {
	key, digest := "template/"+c.Account+"/"+c.Region+"/"+in.ClientToken, requestDigest(c.Request)
	if known, ok := s.token(key, c.now); ok && in.ClientToken != "" {
		if t, there := c.templates.get(known.IDs[0]); there && known.Digest == digest {
			return oneTemplateXML{showTemplate(t)}, nil
		}
		return nil, mismatch()
	}
	if len(in.Name) < 3 || len(in.Name) > 128 {
		return nil, api.Errorf("InvalidLaunchTemplateName.MalformedException", "The launch template name '%s' is invalid: expected 3 to 128 characters", in.Name)
	}
	if in.Data == nil {
		return nil, missing("LaunchTemplateData")
	}
	if _, err := s.findTemplate(c.scope, "", in.Name); err == nil {
		return nil, api.Errorf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	tags, err := tagsFor(in.TagSpecifications, "launch-template")
	if err != nil {
		return nil, err
	}
	t := &templateRecord{base: s.newBase(c.scope, s.newID("lt", c.Account, c.Region, in.Name), tags), Name: in.Name, Created: c.now, Default: 1, Latest: 1}
	t.Versions = []templateVersion{{ID: t.ID, Name: t.Name, Number: 1, Description: in.Description, Created: c.now, Data: *in.Data}}
	c.templates.put(t)
	if in.ClientToken != "" {
		s.tables.tokens.Put(key, &tokenRecord{Digest: digest, IDs: []string{t.ID}, At: c.now})
	}
	return oneTemplateXML{showTemplate(t)}, nil
}

type createVersionInput struct {
	dryable
	ClientToken string      `query:"ClientToken"`
	ID          string      `query:"LaunchTemplateId"`
	Name        string      `query:"LaunchTemplateName"`
	Source      string      `query:"SourceVersion"`
	Description string      `query:"VersionDescription"`
	Data        *launchData `query:"LaunchTemplateData"`
}

type versionXML struct {
	ID          string     `xml:"launchTemplateId"`
	Name        string     `xml:"launchTemplateName"`
	Number      int        `xml:"versionNumber"`
	Description string     `xml:"versionDescription,omitempty"`
	Created     string     `xml:"createTime"`
	By          string     `xml:"createdBy"`
	Default     bool       `xml:"defaultVersion"`
	Data        launchData `xml:"launchTemplateData"`
}

type oneVersionXML struct {
	Version versionXML `xml:"launchTemplateVersion"`
}

func showVersion(t *templateRecord, v *templateVersion) versionXML {
	return versionXML{t.ID, t.Name, v.Number, v.Description, stamp(v.Created), "arn:aws:iam::" + t.Account + ":root", v.Number == t.Default, v.Data}
}

func (s *Service) createLaunchTemplateVersion(c *call, in *createVersionInput) (any, error) {
	t, err := s.findTemplate(c.scope, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	key, digest := "version/"+c.Account+"/"+c.Region+"/"+in.ClientToken, requestDigest(c.Request)
	if known, ok := s.token(key, c.now); ok && in.ClientToken != "" {
		if known.Digest != digest {
			return nil, mismatch()
		}
		v, err := t.version(known.IDs[0])
		if err != nil {
			return nil, err
		}
		return oneVersionXML{showVersion(t, v)}, nil
	}
	if in.Data == nil {
		return nil, missing("LaunchTemplateData")
	}
	if len(t.Versions) >= maxTemplateVersions {
		return nil, api.Errorf("VersionLimitExceeded", "The launch template %s has %d versions, the most that one may have", t.ID, maxTemplateVersions)
	}
	data := *in.Data
	if in.Source != "" {
		source, err := t.version(in.Source)
		if err != nil {
			return nil, err
		}
		data = source.Data.over(data)
	}
	t.Latest++
	t.Versions = append(t.Versions, templateVersion{ID: t.ID, Name: t.Name, Number: t.Latest, Description: in.Description, Created: c.now, Data: data})
	c.templates.put(t)
	if in.ClientToken != "" {
		s.tables.tokens.Put(key, &tokenRecord{Digest: digest, IDs: []string{strconv.Itoa(t.Latest)}, At: c.now})
	}
	return oneVersionXML{showVersion(t, &t.Versions[len(t.Versions)-1])}, nil
}

type modifyTemplateInput struct {
	dryable
	ClientToken string `query:"ClientToken"`
	ID          string `query:"LaunchTemplateId"`
	Name        string `query:"LaunchTemplateName"`
	Default     string `query:"SetDefaultVersion"`
}

func (s *Service) modifyLaunchTemplate(c *call, in *modifyTemplateInput) (any, error) {
	t, err := s.findTemplate(c.scope, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	if in.Default == "" {
		return nil, missing("SetDefaultVersion")
	}
	v, err := t.version(in.Default)
	if err != nil {
		return nil, err
	}
	t.Default = v.Number
	c.templates.put(t)
	return oneTemplateXML{showTemplate(t)}, nil
}

type templateInput struct {
	dryable
	ID   string `query:"LaunchTemplateId"`
	Name string `query:"LaunchTemplateName"`
}

func (s *Service) deleteLaunchTemplate(c *call, in *templateInput) (any, error) {
	t, err := s.findTemplate(c.scope, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	c.templates.remove(t)
	return oneTemplateXML{showTemplate(t)}, nil
}

type deleteVersionsInput struct {
	templateInput
	Versions []string `query:"LaunchTemplateVersion"`
}

type deleteVersionsXML struct {
	Deleted list[deletedVersionXML] `xml:"successfullyDeletedLaunchTemplateVersionSet"`
	Kept    list[deletedVersionXML] `xml:"unsuccessfullyDeletedLaunchTemplateVersionSet"`
}

type deletedVersionXML struct {
	ID      string     `xml:"launchTemplateId"`
	Name    string     `xml:"launchTemplateName"`
	Number  int        `xml:"versionNumber"`
	Problem *reasonXML `xml:"responseError"`
}

func (s *Service) deleteLaunchTemplateVersions(c *call, in *deleteVersionsInput) (any, error) {
	t, err := s.findTemplate(c.scope, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	var answer deleteVersionsXML
	for _, text := range in.Versions {
		number, err := strconv.Atoi(text)
		if err != nil {
			return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter version is invalid. Expected a number.", text)
		}
		result := deletedVersionXML{ID: t.ID, Name: t.Name, Number: number}
		at := slices.IndexFunc(t.Versions, func(v templateVersion) bool { return v.Number == number })
		switch {
		case at < 0:
			result.Problem = &reasonXML{"launchTemplateVersionDoesNotExist", "The version does not exist"}
			answer.Kept.Items = append(answer.Kept.Items, result)
		case number == t.Default:
			result.Problem = &reasonXML{"unexpectedError", "The default version cannot be deleted"}
			answer.Kept.Items = append(answer.Kept.Items, result)
		default:
			t.Versions = slices.Delete(slices.Clone(t.Versions), at, at+1)
			answer.Deleted.Items = append(answer.Deleted.Items, result)
		}
	}
	c.templates.put(t)
	return answer, nil
}
