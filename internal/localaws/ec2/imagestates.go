package ec2

import (
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

func (s *Service) armImage(image *imageRecord) {
	if image.State != "pending" {
		return
	}
	s.timers.at(image.Due, func() { s.finishImage(image) })
}

func (s *Service) finishImage(image *imageRecord) {
	images := s.region(image.Region).images
	if held, ok := images.get(image.ID); !ok || held != image || image.State != "pending" {
		return
	}
	image.State = "available"
	if image.FailsWith != "" {
		image.State, image.StateReasonCode = "failed", image.FailsWith
		image.StateReason = image.FailsWith + ": " + imageFailures[image.FailsWith]
	}
	images.put(image)
	s.imageChanged(image)
}

var imageFailures = map[string]string{
	"Client.InternalError": "Internal error while the image was made",
	"Client.InvalidKMSKey": "Given key ID is not accessible",
}

func (s *Service) imageChanged(image *imageRecord) {
	detail := map[string]any{"ImageId": image.ID, "State": image.State, "RequestId": image.ID, "ErrorMessage": image.StateReason}
	s.emit(image.Account, image.Region, "EC2 AMI State Change", []string{imageARN(image)}, detail)
}

func imageARN(image *imageRecord) string {
	return "arn:aws:ec2:" + image.Region + "::image/" + image.ID
}

type imageInput struct {
	dryable
	ImageID string `query:"ImageId"`
}

type deregisterInput struct {
	imageInput
	DeleteSnapshots bool `query:"DeleteAssociatedSnapshots"`
}

type deregisterXML struct {
	Return  bool                     `xml:"return"`
	Results list[deletedSnapshotXML] `xml:"deleteSnapshotResultSet"`
}

type deletedSnapshotXML struct {
	SnapshotID string `xml:"snapshotId"`
	ReturnCode string `xml:"returnCode"`
}

func (s *Service) deregisterImage(c *call, in *deregisterInput) (any, error) {
	image, err := s.ownImage(c, in.ImageID)
	if err != nil {
		return nil, err
	}
	if image.Protected || c.now.Before(image.ProtectedUntil) {
		return nil, api.Errorf("OperationNotPermitted", "The image '%s' is protected from deregistration: %s", image.ID, image.protection(c.now))
	}
	c.shared.images.remove(image)
	s.tables.gone.Put(image.ID, keepOf(image, c.now.Add(s.env.Scale(s.options.NameReserved))))
	image.State = "deregistered"
	s.imageChanged(image)
	answer := deregisterXML{Return: true}
	if !in.DeleteSnapshots {
		return answer, nil
	}
	for _, d := range image.Devices {
		snapshot, ok := c.shared.snapshots.get(d.SnapshotID)
		if !ok || snapshot.Account != c.Account {
			continue
		}
		result := deletedSnapshotXML{snapshot.ID, "success"}
		if c.imageOf(snapshot.ID) != nil {
			result.ReturnCode = "skipped"
		} else {
			s.dropSnapshot(snapshot)
		}
		answer.Results.Items = append(answer.Results.Items, result)
	}
	return answer, nil
}

// imageOf is a registered image that uses the snapshot, or nil.
func (sc *scope) imageOf(snapshotID string) *imageRecord {
	for _, image := range sc.shared.images.order {
		if slices.ContainsFunc(image.Devices, func(d imageDevice) bool { return d.SnapshotID == snapshotID }) {
			return image
		}
	}
	return nil
}

// change applies f to an image of the account.
func (s *Service) change(c *call, id string, f func(*imageRecord) error) (any, error) {
	image, err := s.ownImage(c, id)
	if err != nil {
		return nil, err
	}
	if err := f(image); err != nil {
		return nil, err
	}
	c.shared.images.put(image)
	return done{true}, nil
}

type deprecationInput struct {
	imageInput
	DeprecateAt *time.Time `query:"DeprecateAt"`
}

func (s *Service) enableImageDeprecation(c *call, in *deprecationInput) (any, error) {
	if in.DeprecateAt == nil {
		return nil, missing("DeprecateAt")
	}
	return s.change(c, in.ImageID, func(image *imageRecord) error {
		switch {
		case in.DeprecateAt.Before(c.now):
			return api.Errorf("InvalidParameterValue", "Value (%s) for parameter deprecateAt is invalid. The date is in the past.", stamp(*in.DeprecateAt))
		case in.DeprecateAt.After(c.now.AddDate(10, 0, 0)):
			return api.Errorf("InvalidParameterValue", "Value (%s) for parameter deprecateAt is invalid. The date is more than 10 years away.", stamp(*in.DeprecateAt))
		}
		image.Deprecation = in.DeprecateAt.Round(time.Minute)
		return nil
	})
}

func (s *Service) disableImageDeprecation(c *call, in *imageInput) (any, error) {
	return s.change(c, in.ImageID, func(image *imageRecord) error { image.Deprecation = time.Time{}; return nil })
}

func (s *Service) enableImage(c *call, in *imageInput) (any, error) {
	return s.change(c, in.ImageID, func(image *imageRecord) error {
		if image.State == "disabled" {
			image.State = "available"
			s.imageChanged(image)
		}
		return nil
	})
}

func (s *Service) disableImage(c *call, in *imageInput) (any, error) {
	return s.change(c, in.ImageID, func(image *imageRecord) error {
		if image.State != "available" && image.State != "disabled" {
			return api.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available: it is %s", image.ID, image.State)
		}
		image.State, image.Permissions = "disabled", nil
		s.imageChanged(image)
		return nil
	})
}

type protectionInput struct {
	imageInput
	WithCooldown bool `query:"WithCooldown"`
}

type protectionXML struct {
	Return string `xml:"return"`
}

// protectionCooldown is how long protection with cooldown holds after it was lifted ("Images" in aws-facts.md).
const protectionCooldown = 24 * time.Hour

func (s *Service) enableDeregistrationProtection(c *call, in *protectionInput) (any, error) {
	_, err := s.change(c, in.ImageID, func(image *imageRecord) error {
		image.Protected, image.Cooldown, image.ProtectedUntil = true, in.WithCooldown, time.Time{}
		return nil
	})
	return protectionXML{"true"}, err
}

func (s *Service) disableDeregistrationProtection(c *call, in *imageInput) (any, error) {
	_, err := s.change(c, in.ImageID, func(image *imageRecord) error {
		if image.Protected && image.Cooldown {
			image.ProtectedUntil = c.now.Add(protectionCooldown)
		}
		image.Protected = false
		return nil
	})
	return protectionXML{"true"}, err
}
