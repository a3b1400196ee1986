package ec2

import (
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type imageMetadataInput struct {
	dryable
	paging
	IDs     []string `query:"InstanceId"`
	Filters []filter `query:"Filter"`
}

type imageMetadataXML struct {
	Instances list[instanceImageXML] `xml:"instanceImageMetadataSet"`
	NextToken string                 `xml:"nextToken,omitempty"`
}

type instanceImageXML struct {
	InstanceID string     `xml:"instanceId"`
	Type       string     `xml:"instanceType"`
	Launched   string     `xml:"launchTime"`
	Zone       string     `xml:"availabilityZone"`
	OwnerID    string     `xml:"instanceOwnerId"`
	State      stateXML   `xml:"instanceState"`
	Tags       list[Tag]  `xml:"tagSet"`
	Image      imageOfXML `xml:"imageMetadata"`
}

type imageOfXML struct {
	ImageID    string `xml:"imageId"`
	Name       string `xml:"name,omitempty"`
	OwnerID    string `xml:"imageOwnerId,omitempty"`
	OwnerAlias string `xml:"imageOwnerAlias,omitempty"`
	State      string `xml:"imageState,omitempty"`
	Created    string `xml:"creationDate,omitempty"`
	Deprecated string `xml:"deprecationTime,omitempty"`
	Public     bool   `xml:"isPublic"`
	Allowed    bool   `xml:"imageAllowed"`
}

// imageMetadataFields are fewer than DescribeInstances has.
var imageMetadataFields = fields[*instanceRecord]{
	"availability-zone":   instanceFields["availability-zone"],
	"instance-id":         instanceFields["instance-id"],
	"instance-state-name": instanceFields["instance-state-name"],
	"instance-type":       instanceFields["instance-type"],
	"launch-time":         instanceFields["launch-time"],
	"owner-id":            instanceFields["owner-id"],
}

// describeImageMetadata tells which AMI each instance was launched from, whatever has become of it since.
func (s *Service) describeImageMetadata(c *call, in *imageMetadataInput) (any, error) {
	if len(in.IDs) > 0 && in.MaxResults != nil {
		return nil, api.Errorf("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	if len(in.IDs) > maxInstanceIDs {
		return nil, api.Errorf("InvalidParameterValue", "%d instance ids are given, expected at most %d", len(in.IDs), maxInstanceIDs)
	}
	for _, f := range in.Filters {
		if f.Name == "tag-value" {
			return nil, api.Errorf("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
	}
	if err := imageMetadataFields.check(in.Filters); err != nil {
		return nil, err
	}
	found, err := selectInstances(c, in.IDs, in.Filters)
	if err != nil {
		return nil, err
	}
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := imageMetadataXML{NextToken: next}
	for _, i := range found {
		answer.Instances.Items = append(answer.Instances.Items, instanceImageXML{
			InstanceID: i.ID, Type: i.Type, Launched: stamp(i.Launched), Zone: i.Zone, OwnerID: i.Account, State: stateOf(i.State),
			Tags: listOf(slices.Clone(i.Tags)), Image: s.imageOf(c, i.ImageID),
		})
	}
	return answer, nil
}

// imageOf is what is kept of the AMI.
func (s *Service) imageOf(c *call, id string) imageOfXML {
	if image, ok := c.shared.images.get(id); ok {
		return imageOfXML{ImageID: id, Name: image.Name, OwnerID: image.Account, OwnerAlias: image.OwnerAlias, State: image.State,
			Created: stamp(image.Created), Deprecated: stamp(image.Deprecation), Public: image.public(), Allowed: true}
	}
	x := imageOfXML{ImageID: id, State: "deregistered", Allowed: true}
	if gone, ok := s.tables.gone.Get(id); ok {
		x.Name, x.OwnerID, x.Created = gone.Name, gone.Account, stamp(gone.Created)
	}
	return x
}

// keepOf remembers a deregistered AMI.
func keepOf(image *imageRecord, until time.Time) *goneRecord {
	return &goneRecord{Account: image.Account, Region: image.Region, Name: image.Name, Created: image.Created, Until: until}
}
