package ec2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type referencesInput struct {
	dryable
	paging
	IDs     []string        `query:"ImageId"`
	All     bool            `query:"IncludeAllResourceTypes"`
	Sources []referenceKind `query:"ResourceType"`

	parameters map[string]string
}

type referenceKind struct {
	Kind    string            `query:"ResourceType"`
	Options []referenceOption `query:"ResourceTypeOption"`
}

type referenceOption struct {
	Name   string   `query:"OptionName"`
	Values []string `query:"OptionValue"`
}

type referencesXML struct {
	References list[referenceXML] `xml:"imageReferenceSet"`
	NextToken  string             `xml:"nextToken,omitempty"`
}

type referenceXML struct {
	ImageID string `xml:"imageId"`
	Kind    string `xml:"resourceType"`
	ARN     string `xml:"arn"`
}

// What can reference an image, as DescribeImageReferences names it.
const (
	usedByInstance  = "ec2:Instance"
	usedByTemplate  = "ec2:LaunchTemplate"
	usedByParameter = "ssm:Parameter"
)

// referencing are all sorts, with the option that each takes. Image Builder's are here for their names: nothing makes such recipes.
var referencing = map[string]string{
	usedByInstance: "state-name", usedByTemplate: "version-depth", usedByParameter: "",
	"imagebuilder:ImageRecipe": "", "imagebuilder:ContainerRecipe": "",
}

const (
	// maxReferencedImages is DescribeImageReferences' limit ("Images" in aws-facts.md).
	maxReferencedImages = 10
	// templateDepth is how many of a template's newest versions are looked at where the request does not say.
	templateDepth = 10
	// reportedDepth is the same of usage reports.
	reportedDepth = 20
)

// prepare asks Parameter Store, whose parameters can name images.
func (in *referencesInput) prepare(s *Service, r *api.Request) error { //nolint:unparam // others fail
	if s.options.ImageParameters != nil {
		in.parameters = s.options.ImageParameters(r.Account, r.Region)
	}
	return nil
}

// wanted is what the request asks of one sort of resource.
type wanted struct {
	asked  bool
	states []string
	depth  int
}

func (w wanted) state(name string) bool { return len(w.states) == 0 || slices.Contains(w.states, name) }

func (in *referencesInput) wants(kind string) (wanted, error) {
	w := wanted{asked: in.All, depth: templateDepth}
	for _, source := range in.Sources {
		if source.Kind != kind {
			continue
		}
		w.asked = true
		for _, option := range source.Options {
			if err := w.set(kind, option); err != nil {
				return w, err
			}
		}
	}
	return w, nil
}

func (w *wanted) set(kind string, option referenceOption) error {
	if option.Name == "" || option.Name != referencing[kind] {
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter optionName is invalid for the resource type %s.", option.Name, kind)
	}
	if len(option.Values) == 0 {
		return api.Errorf("InvalidParameterValue", "The option %s has no values", option.Name)
	}
	if kind == usedByTemplate {
		depth, err := strconv.Atoi(option.Values[0])
		if err != nil || len(option.Values) > 1 || depth < 1 || depth > maxTemplateVersions {
			return api.Errorf("InvalidParameterValue", "Value (%s) for parameter version-depth is invalid. Expected one integer from 1 to %d.", strings.Join(option.Values, ", "), maxTemplateVersions)
		}
		w.depth = depth
		return nil
	}
	for _, state := range option.Values {
		if !slices.Contains([]string{"pending", "running", stateShuttingDown, stateTerminated, "stopping", "stopped"}, state) {
			return api.Errorf("InvalidParameterValue", "Value (%s) for parameter state-name is invalid.", state)
		}
	}
	w.states = option.Values
	return nil
}

func (in *referencesInput) check() error {
	if len(in.IDs) == 0 || len(in.IDs) > maxReferencedImages {
		return api.Errorf("InvalidParameterValue", "%d image ids are given, expected 1 to %d", len(in.IDs), maxReferencedImages)
	}
	for _, id := range in.IDs {
		if !strings.HasPrefix(id, "ami-") {
			return api.Errorf("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
		}
	}
	if !in.All && len(in.Sources) == 0 {
		return api.Errorf("MissingParameter", "Either IncludeAllResourceTypes or ResourceTypes must be specified")
	}
	for _, source := range in.Sources {
		if _, known := referencing[source.Kind]; !known {
			return api.Errorf("InvalidParameterValue", "Value (%s) for parameter resourceType is invalid.", source.Kind)
		}
	}
	return nil
}

// describeImageReferences tells which instances, launch templates and parameters of the account use the images; by default
// terminated instances too, for as long as they can be described. All answers are one page.
func (s *Service) describeImageReferences(c *call, in *referencesInput) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	var answer referencesXML
	add := func(id, kind, arn string) {
		answer.References.Items = append(answer.References.Items, referenceXML{id, kind, arn})
	}
	w, err := in.wants(usedByInstance)
	if err != nil {
		return nil, err
	}
	arn := "arn:aws:ec2:" + c.Region + ":" + c.Account + ":"
	for _, i := range c.instances.order {
		if w.asked && w.state(i.State) && slices.Contains(in.IDs, i.ImageID) {
			add(i.ImageID, usedByInstance, arn+"instance/"+i.ID)
		}
	}
	if w, err = in.wants(usedByTemplate); err != nil {
		return nil, err
	}
	for _, t := range c.templates.order {
		for _, id := range in.IDs {
			if w.asked && t.names(id, w.depth) {
				add(id, usedByTemplate, arn+"launch-template/"+t.ID)
			}
		}
	}
	if w, err = in.wants(usedByParameter); err != nil {
		return nil, err
	}
	for _, name := range sortedNames(in.parameters) {
		if id := in.parameters[name]; w.asked && slices.Contains(in.IDs, id) {
			add(id, usedByParameter, "arn:aws:ssm:"+c.Region+":"+c.Account+":parameter/"+strings.TrimPrefix(name, "/"))
		}
	}
	return answer, nil
}

// names reports whether one of the template's newest versions has the image.
func (t *templateRecord) names(imageID string, depth int) bool {
	versions := t.Versions
	if len(versions) > depth {
		versions = versions[len(versions)-depth:]
	}
	return slices.ContainsFunc(versions, func(v templateVersion) bool { return strings.TrimSpace(v.Data.ImageID) == imageID })
}

type ancestryXML struct {
	Entries list[ancestorXML] `xml:"imageAncestryEntrySet"`
}

type ancestorXML struct {
	Created      string `xml:"creationDate,omitempty"`
	ImageID      string `xml:"imageId"`
	OwnerAlias   string `xml:"imageOwnerAlias,omitempty"`
	SourceID     string `xml:"sourceImageId,omitempty"`
	SourceRegion string `xml:"sourceImageRegion,omitempty"`
}

// getImageAncestry follows an image's sources to the root. The chain ends at an image that is gone, or not the account's to see.
func (s *Service) getImageAncestry(c *call, in *imageInput) (any, error) {
	if in.ImageID == "" {
		return nil, missing("ImageId")
	}
	image, err := s.usableImage(c, in.ImageID)
	if err != nil {
		return nil, err
	}
	var answer ancestryXML
	for {
		region := image.SourceRegion
		if region == "" && image.SourceImageID != "" {
			region = image.Region
		}
		answer.Entries.Items = append(answer.Entries.Items, ancestorXML{stamp(image.Created), image.ID, image.OwnerAlias, image.SourceImageID, region})
		source, ok := s.region(region).images.get(image.SourceImageID)
		if !ok || !source.launchableBy(c.Account) {
			return answer, nil
		}
		image = source
	}
}
