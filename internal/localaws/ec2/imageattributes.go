package ec2

import (
	"slices"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type imageAttributeInput struct {
	imageInput
	Attribute string `query:"Attribute"`
}

type imageAttributeXML struct {
	ImageID     string                  `xml:"imageId"`
	Permissions *list[launchPermission] `xml:"launchPermission"`
	Description *textXML                `xml:"description"`
	BootMode    *textXML                `xml:"bootMode"`
	IMDS        *textXML                `xml:"imdsSupport"`
	Launched    *textXML                `xml:"lastLaunchedTime"`
	Protection  *textXML                `xml:"deregistrationProtection"`
	Devices     *list[imageDeviceXML]   `xml:"blockDeviceMapping"`
	Products    *list[struct{}]         `xml:"productCodes"`
}

func (s *Service) describeImageAttribute(c *call, in *imageAttributeInput) (any, error) {
	image, err := s.ownImage(c, in.ImageID)
	if err != nil {
		return nil, err
	}
	x := imageAttributeXML{ImageID: image.ID}
	switch in.Attribute {
	case "launchPermission":
		x.Permissions = &list[launchPermission]{image.Permissions}
	case "description":
		x.Description = &textXML{image.Description}
	case "bootMode":
		x.BootMode = &textXML{image.BootMode}
	case "imdsSupport":
		x.IMDS = &textXML{image.IMDSSupport}
	case "lastLaunchedTime":
		x.Launched = &textXML{stamp(image.LastLaunched)}
	case "deregistrationProtection":
		x.Protection = &textXML{image.protection(c.now)}
	case "blockDeviceMapping":
		devices := showImage(c, image).Devices
		x.Devices = &devices
	case "productCodes":
		x.Products = &list[struct{}]{}
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
	}
	return x, nil
}

type modifyImageInput struct {
	imageInput
	Attribute     string   `query:"Attribute"`
	Operation     string   `query:"OperationType"`
	Value         string   `query:"Value"`
	UserIDs       []string `query:"UserId"`
	Groups        []string `query:"UserGroup"`
	Organizations []string `query:"OrganizationArn"`
	Units         []string `query:"OrganizationalUnitArn"`
	Description   *textXML `query:"Description"`
	IMDS          *textXML `query:"ImdsSupport"`
	Permission    *struct {
		Add    []launchPermission `query:"Add"`
		Remove []launchPermission `query:"Remove"`
	} `query:"LaunchPermission"`
}

// permissions are what to add and to remove, from both ways in which the call takes them.
func (in *modifyImageInput) permissions() (add, remove []launchPermission, err error) {
	if in.Permission != nil {
		add, remove = in.Permission.Add, in.Permission.Remove
	}
	var flat []launchPermission
	for _, id := range in.UserIDs {
		flat = append(flat, launchPermission{UserID: id})
	}
	for _, group := range in.Groups {
		flat = append(flat, launchPermission{Group: group})
	}
	for _, arn := range in.Organizations {
		flat = append(flat, launchPermission{OrganizationARN: arn})
	}
	for _, arn := range in.Units {
		flat = append(flat, launchPermission{OrganizationalUnitARN: arn})
	}
	switch {
	case len(flat) == 0:
	case in.Operation == "add":
		add = append(add, flat...)
	case in.Operation == "remove":
		remove = append(remove, flat...)
	default:
		return nil, nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter operationType is invalid. Expected add or remove.", in.Operation)
	}
	return add, remove, nil
}

func (s *Service) modifyImageAttribute(c *call, in *modifyImageInput) (any, error) {
	add, remove, err := in.permissions()
	if err != nil {
		return nil, err
	}
	return s.change(c, in.ImageID, func(image *imageRecord) error {
		if in.Attribute == "description" {
			in.Description = &textXML{in.Value}
		}
		for _, p := range add {
			if err := s.shareable(c, image, p); err != nil {
				return err
			}
		}
		permissions := slices.Clone(image.Permissions)
		for _, p := range add {
			if !slices.Contains(permissions, p) {
				permissions = append(permissions, p)
			}
		}
		image.Permissions = slices.DeleteFunc(permissions, func(p launchPermission) bool { return slices.Contains(remove, p) })
		if in.Description != nil {
			image.Description = in.Description.Value
		}
		if in.IMDS != nil {
			if in.IMDS.Value != "v2.0" {
				return api.Errorf("InvalidParameterValue", "Value (%s) for parameter imdsSupport is invalid. Expected v2.0.", in.IMDS.Value)
			}
			image.IMDSSupport = in.IMDS.Value
		}
		return nil
	})
}

// shareable refuses what EC2 does not let be shared.
func (s *Service) shareable(c *call, image *imageRecord, p launchPermission) error {
	if p.Group != "" && p.Group != "all" {
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter group is invalid. Expected all.", p.Group)
	}
	if p.UserID != "" && !accountID(p.UserID) {
		return api.Errorf("InvalidAMIAttributeItemValue", "Invalid attribute item value \"%s\" for userId item type.", p.UserID)
	}
	if p == (launchPermission{}) {
		return api.Errorf("InvalidParameterValue", "A launch permission names nobody")
	}
	if image.State == "disabled" {
		return api.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is disabled and cannot be shared", image.ID)
	}
	for _, d := range image.Devices {
		snapshot, ok := c.shared.snapshots.get(d.SnapshotID)
		if !ok || !snapshot.Encrypted {
			continue
		}
		if managed(snapshot.KMSKeyID) {
			return api.Errorf("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.")
		}
		if p.Group == "all" {
			return api.Errorf("InvalidParameter", "The image '%s' has encrypted snapshots and cannot be made public", image.ID)
		}
	}
	if p.Group == "all" && s.publicAccessBlock(c) == blockNewSharing {
		return api.Errorf("OperationNotPermitted", "You can't publicly share this image because block public access for AMIs is enabled for this account. To allow public sharing, disable block public access and try again.")
	}
	return nil
}

func managed(key string) bool {
	return len(key) >= len(managedKey) && key[len(key)-len(managedKey):] == managedKey
}

func accountID(text string) bool {
	return len(text) == 12 && !slices.ContainsFunc([]byte(text), func(b byte) bool { return b < '0' || b > '9' })
}

func (s *Service) resetImageAttribute(c *call, in *imageAttributeInput) (any, error) {
	if in.Attribute != "launchPermission" {
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Expected launchPermission.", in.Attribute)
	}
	return s.change(c, in.ImageID, func(image *imageRecord) error { image.Permissions = nil; return nil })
}

// The states of an account's block of public AMIs. AWS blocks in accounts that have none.
const (
	blockNewSharing = "block-new-sharing"
	unblocked       = "unblocked"
)

type noInput struct{ dryable }

type blockInput struct {
	dryable
	State string `query:"ImageBlockPublicAccessState"`
}

type blockXML struct {
	State     string `xml:"imageBlockPublicAccessState"`
	ManagedBy string `xml:"managedBy,omitempty"`
}

func (s *Service) publicAccessBlock(c *call) string {
	if set, ok := s.tables.settings.Get("block-public-access/" + c.Account + "/" + c.Region); ok {
		return set
	}
	return blockNewSharing
}

func (s *Service) setPublicAccessBlock(c *call, state string) {
	s.tables.settings.Put("block-public-access/"+c.Account+"/"+c.Region, state)
}

func (s *Service) getImageBlockPublicAccess(c *call, _ *noInput) (any, error) {
	return blockXML{s.publicAccessBlock(c), "account"}, nil
}

func (s *Service) enableImageBlockPublicAccess(c *call, in *blockInput) (any, error) {
	if in.State != blockNewSharing {
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter imageBlockPublicAccessState is invalid. Expected %s.", in.State, blockNewSharing)
	}
	s.setPublicAccessBlock(c, in.State)
	return blockXML{State: in.State}, nil
}

func (s *Service) disableImageBlockPublicAccess(c *call, _ *noInput) (any, error) {
	s.setPublicAccessBlock(c, unblocked)
	return blockXML{State: unblocked}, nil
}

type allowedImagesXML struct {
	State     string         `xml:"state"`
	Criteria  list[struct{}] `xml:"imageCriterionSet"`
	ManagedBy string         `xml:"managedBy"`
}

func (s *Service) getAllowedImagesSettings(*call, *noInput) (any, error) {
	return allowedImagesXML{State: "disabled", ManagedBy: "account"}, nil
}
