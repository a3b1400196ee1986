package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type describeImagesInput struct {
	dryable
	paging
	IDs               []string `query:"ImageId"`
	Owners            []string `query:"Owner"`
	ExecutableBy      []string `query:"ExecutableBy"`
	Filters           []filter `query:"Filter"`
	IncludeDeprecated bool     `query:"IncludeDeprecated"`
	IncludeDisabled   bool     `query:"IncludeDisabled"`
}

type describeImagesXML struct {
	Images    list[imageXML] `xml:"imagesSet"`
	NextToken string         `xml:"nextToken,omitempty"`
}

type imageXML struct {
	ImageID          string               `xml:"imageId"`
	Location         string               `xml:"imageLocation"`
	State            string               `xml:"imageState"`
	OwnerID          string               `xml:"imageOwnerId"`
	OwnerAlias       string               `xml:"imageOwnerAlias,omitempty"`
	CreationDate     string               `xml:"creationDate"`
	Public           bool                 `xml:"isPublic"`
	Architecture     string               `xml:"architecture"`
	ImageType        string               `xml:"imageType"`
	Platform         string               `xml:"platform,omitempty"`
	Details          string               `xml:"platformDetails"`
	UsageOperation   string               `xml:"usageOperation"`
	Name             string               `xml:"name"`
	Description      string               `xml:"description,omitempty"`
	RootDeviceType   string               `xml:"rootDeviceType"`
	RootDeviceName   string               `xml:"rootDeviceName"`
	Devices          list[imageDeviceXML] `xml:"blockDeviceMapping"`
	Virtualization   string               `xml:"virtualizationType"`
	Hypervisor       string               `xml:"hypervisor"`
	ENASupport       bool                 `xml:"enaSupport"`
	SRIOV            string               `xml:"sriovNetSupport"`
	BootMode         string               `xml:"bootMode,omitempty"`
	IMDSSupport      string               `xml:"imdsSupport,omitempty"`
	ProductCodes     *list[productCode]   `xml:"productCodes"`
	Tags             list[Tag]            `xml:"tagSet"`
	StateReason      *reasonXML           `xml:"stateReason"`
	Deprecation      string               `xml:"deprecationTime,omitempty"`
	SourceInstanceID string               `xml:"sourceInstanceId,omitempty"`
	SourceImageID    string               `xml:"sourceImageId,omitempty"`
	SourceRegion     string               `xml:"sourceImageRegion,omitempty"`
	Protection       string               `xml:"deregistrationProtection,omitempty"`
	LastLaunched     string               `xml:"lastLaunchedTime,omitempty"`
	Allowed          bool                 `xml:"imageAllowed"`
}

type imageDeviceXML struct {
	Device string      `xml:"deviceName"`
	EBS    imageEBSXML `xml:"ebs"`
}

type imageEBSXML struct {
	SnapshotID          string `xml:"snapshotId,omitempty"`
	VolumeSize          int32  `xml:"volumeSize"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
	VolumeType          string `xml:"volumeType"`
	IOPS                int32  `xml:"iops,omitempty"`
	Throughput          int32  `xml:"throughput,omitempty"`
	Encrypted           bool   `xml:"encrypted"`
	KMSKeyID            string `xml:"kmsKeyId,omitempty"`
}

var imageFields = fields[*imageRecord]{
	"image-id":            func(i *imageRecord) []string { return one(i.ID) },
	"name":                func(i *imageRecord) []string { return one(i.Name) },
	"state":               func(i *imageRecord) []string { return one(i.State) },
	"owner-id":            func(i *imageRecord) []string { return one(i.Account) },
	"owner-alias":         func(i *imageRecord) []string { return one(i.OwnerAlias) },
	"architecture":        func(i *imageRecord) []string { return one(i.Architecture) },
	"platform":            func(i *imageRecord) []string { return one(i.Platform) },
	"description":         func(i *imageRecord) []string { return one(i.Description) },
	"root-device-name":    func(i *imageRecord) []string { return one(i.RootDevice) },
	"root-device-type":    func(*imageRecord) []string { return one("ebs") },
	"virtualization-type": func(*imageRecord) []string { return one("hvm") },
	"hypervisor":          func(*imageRecord) []string { return one("xen") },
	"image-type":          func(*imageRecord) []string { return one("machine") },
	"ena-support":         func(*imageRecord) []string { return one("true") },
	"is-public":           func(i *imageRecord) []string { return yesNo(i.public()) },
	"creation-date":       func(i *imageRecord) []string { return one(stamp(i.Created)) },
	"source-image-id":     func(i *imageRecord) []string { return one(i.SourceImageID) },
	"source-image-region": func(i *imageRecord) []string { return one(i.SourceRegion) },
	"source-instance-id":  func(i *imageRecord) []string { return one(i.SourceInstanceID) },
	"state-reason-code":   func(i *imageRecord) []string { return one(i.StateReasonCode) },
	"block-device-mapping.snapshot-id": func(i *imageRecord) []string {
		var ids []string
		for _, d := range i.Devices {
			ids = append(ids, d.SnapshotID)
		}
		return ids
	},
	"block-device-mapping.encrypted": func(i *imageRecord) []string {
		var values []string
		for _, d := range i.Devices {
			values = append(values, yesNo(d.Encrypted)...)
		}
		return values
	},
}

func (s *Service) describeImages(c *call, in *describeImagesInput) (any, error) {
	if err := imageFields.check(in.Filters); err != nil {
		return nil, err
	}
	var candidates []*imageRecord
	if len(in.IDs) > 0 {
		for _, id := range in.IDs {
			image, err := s.seenImage(c, id)
			if err != nil {
				return nil, err
			}
			candidates = append(candidates, image)
		}
		slices.SortFunc(candidates, bySequence)
		candidates = slices.Compact(candidates)
	} else {
		filters := in.Filters
		if owners := ownerIDs(c, in.Owners); owners != nil {
			filters = append([]filter{{Name: "owner-id", Values: owners}}, filters...)
		}
		candidates = c.shared.images.candidates(filters)
	}
	var found []*imageRecord
	for _, image := range candidates {
		if s.showsImage(c, in, image) && imageFields.match(in.Filters, image) {
			found = append(found, image)
		}
	}
	found, next, err := page(in.paging, 1, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeImagesXML{NextToken: next}
	for _, image := range found {
		answer.Images.Items = append(answer.Images.Items, showImage(c, image))
	}
	return answer, nil
}

// ownerIDs are the account ids among the owners; nil if an alias needs every image to be looked at.
func ownerIDs(c *call, owners []string) []string {
	var ids []string
	for _, owner := range owners {
		switch owner {
		case "self":
			ids = append(ids, c.Account)
		case "amazon", "aws-marketplace":
			return nil
		default:
			ids = append(ids, owner)
		}
	}
	return ids
}

func (s *Service) showsImage(c *call, in *describeImagesInput, image *imageRecord) bool {
	if c.now.Before(image.Visible) || !image.launchableBy(c.Account) {
		return false
	}
	if image.State == "disabled" && (!in.IncludeDisabled || image.Account != c.Account) {
		return false
	}
	deprecated := !image.Deprecation.IsZero() && c.now.After(image.Deprecation)
	if deprecated && !in.IncludeDeprecated && image.Account != c.Account && len(in.IDs) == 0 {
		return false
	}
	if len(in.Owners) > 0 && !slices.ContainsFunc(in.Owners, func(owner string) bool {
		return owner == image.Account || owner == "self" && image.Account == c.Account || owner == image.OwnerAlias && owner != ""
	}) {
		return false
	}
	return len(in.ExecutableBy) == 0 || slices.ContainsFunc(in.ExecutableBy, func(user string) bool {
		return slices.ContainsFunc(image.Permissions, func(p launchPermission) bool {
			return user == "all" && p.Group == "all" || user == "self" && p.UserID == c.Account || user == p.UserID && user != ""
		})
	})
}

func showImage(c *call, i *imageRecord) imageXML {
	x := imageXML{
		ImageID: i.ID, Location: i.Account + "/" + i.Name, State: i.State, OwnerID: i.Account, OwnerAlias: i.OwnerAlias,
		CreationDate: stamp(i.Created), Public: i.public(), Architecture: i.Architecture, ImageType: "machine",
		Platform: i.Platform, Details: i.Details, UsageOperation: i.UsageOperation, Name: i.Name, Description: i.Description,
		RootDeviceType: "ebs", RootDeviceName: i.RootDevice, Virtualization: "hvm", Hypervisor: "xen", ENASupport: true,
		SRIOV: "simple", BootMode: i.BootMode, IMDSSupport: i.IMDSSupport, Deprecation: stamp(i.Deprecation), Allowed: true,
		SourceInstanceID: i.SourceInstanceID, SourceImageID: i.SourceImageID, SourceRegion: i.SourceRegion,
	}
	if i.OwnerAlias != "" {
		x.Location = i.OwnerAlias + "/" + i.Name
	}
	if i.StateReasonCode != "" {
		x.StateReason = &reasonXML{i.StateReasonCode, i.StateReason}
	}
	if i.ProductCode != "" {
		x.ProductCodes = &list[productCode]{[]productCode{{i.ProductCode, "marketplace"}}}
	}
	for _, d := range i.Devices {
		x.Devices.Items = append(x.Devices.Items, imageDeviceXML{d.Device, imageEBSXML{
			d.SnapshotID, d.SizeGiB, d.DeleteOnTermination, d.Type, d.IOPS, d.Throughput, d.Encrypted, d.KMSKeyID,
		}})
	}
	if i.Account != c.Account {
		return x
	}
	x.Tags, x.LastLaunched, x.Protection = listOf(i.Tags), stamp(i.LastLaunched), i.protection(c.now)
	return x
}

// protection is the deregistration protection as DescribeImages words it.
func (i *imageRecord) protection(now time.Time) string {
	switch {
	case i.Protected && i.Cooldown:
		return "enabled-with-cooldown"
	case i.Protected:
		return "enabled-without-cooldown"
	case now.Before(i.ProtectedUntil):
		return "disabled-pending-cooldown"
	}
	return "disabled"
}

// seenImage is an image as describes find it by id.
func (s *Service) seenImage(c *call, id string) (*imageRecord, error) {
	if !strings.HasPrefix(id, "ami-") || len(id) < 12 {
		return nil, api.Errorf("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
	}
	image, ok := c.shared.images.get(id)
	if !ok || c.now.Before(image.Visible) || !image.launchableBy(c.Account) {
		return nil, api.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
	}
	return image, nil
}

// usableImage is an image as calls that work with it find it: a deregistered one is unavailable, not unknown.
func (s *Service) usableImage(c *call, id string) (*imageRecord, error) {
	if gone, ok := s.tables.gone.Get(id); ok && gone.Account == c.Account {
		return nil, api.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is no longer available", id)
	}
	return s.seenImage(c, id)
}

// ownImage is an image that the account may change.
func (s *Service) ownImage(c *call, id string) (*imageRecord, error) {
	if id == "" {
		return nil, missing("ImageId")
	}
	image, err := s.usableImage(c, id)
	if err != nil {
		return nil, err
	}
	if image.Account != c.Account {
		return nil, api.Errorf("AuthFailure", "Not authorized for image:%s", id)
	}
	return image, nil
}

// nameFree refuses a name that an image of the account has, or had a short while ago.
func (s *Service) nameFree(c *call, name string) error {
	if name == "" {
		return missing("Name")
	}
	if len(name) < 3 || len(name) > 128 || strings.ContainsFunc(name, badInName) {
		return api.Errorf("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_'")
	}
	for _, image := range c.shared.images.candidates([]filter{{Name: "name", Values: []string{name}}}) {
		if image.Account == c.Account && image.Name == name {
			return duplicateName(name, image.ID)
		}
	}
	for id, gone := range s.tables.gone.All() {
		if gone.Name == name && gone.Account == c.Account && gone.Region == c.Region && c.now.Before(gone.Until) {
			return duplicateName(name, id)
		}
	}
	return nil
}

func duplicateName(name, id string) error {
	return api.Errorf("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, id)
}

func badInName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("()[] ./-'@_", r))
}
