package ec2

import (
	"encoding/base64"
	"slices"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type instanceAttributeInput struct {
	dryable
	InstanceID string `query:"InstanceId"`
	Attribute  string `query:"Attribute"`
}

type boolXML struct {
	Value bool `xml:"value" query:"Value"`
}

type textXML struct {
	Value string `xml:"value,omitempty" query:"Value"`
}

type instanceAttributeXML struct {
	InstanceID    string           `xml:"instanceId"`
	NoTermination *boolXML         `xml:"disableApiTermination"`
	NoStop        *boolXML         `xml:"disableApiStop"`
	EBSOptimized  *boolXML         `xml:"ebsOptimized"`
	SourceDest    *boolXML         `xml:"sourceDestCheck"`
	ENASupport    *boolXML         `xml:"enaSupport"`
	Shutdown      *textXML         `xml:"instanceInitiatedShutdownBehavior"`
	Type          *textXML         `xml:"instanceType"`
	RootDevice    *textXML         `xml:"rootDeviceName"`
	UserData      *textXML         `xml:"userData"`
	Kernel        *textXML         `xml:"kernel"`
	Ramdisk       *textXML         `xml:"ramdisk"`
	Groups        *list[groupName] `xml:"groupSet"`
	Devices       *list[deviceXML] `xml:"blockDeviceMapping"`
}

func (s *Service) describeInstanceAttribute(c *call, in *instanceAttributeInput) (any, error) {
	i, err := c.instance(in.InstanceID, c.now)
	if err != nil {
		return nil, err
	}
	x := instanceAttributeXML{InstanceID: i.ID}
	switch in.Attribute {
	case "disableApiTermination":
		x.NoTermination = &boolXML{i.NoTermination}
	case "disableApiStop":
		x.NoStop = &boolXML{i.NoStop}
	case "ebsOptimized":
		x.EBSOptimized = &boolXML{i.EBSOptimized}
	case "sourceDestCheck":
		x.SourceDest = &boolXML{!i.NoSourceDest}
	case "enaSupport":
		x.ENASupport = &boolXML{true}
	case "instanceInitiatedShutdownBehavior":
		x.Shutdown = &textXML{i.ShutdownBehavior}
	case "instanceType":
		x.Type = &textXML{i.Type}
	case "rootDeviceName":
		x.RootDevice = &textXML{i.RootDevice}
	case "userData":
		x.UserData = &textXML{base64.StdEncoding.EncodeToString(i.UserData)}
	case "kernel":
		x.Kernel = &textXML{}
	case "ramdisk":
		x.Ramdisk = &textXML{}
	case "groupSet":
		x.Groups = &list[groupName]{i.Groups}
	case "blockDeviceMapping":
		devices := showInstance(i).Devices
		x.Devices = &devices
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
	}
	return x, nil
}

type modifyInstanceInput struct {
	dryable
	InstanceID    string           `query:"InstanceId"`
	Attribute     string           `query:"Attribute"`
	Value         string           `query:"Value"`
	NoTermination *boolXML         `query:"DisableApiTermination"`
	NoStop        *boolXML         `query:"DisableApiStop"`
	EBSOptimized  *boolXML         `query:"EbsOptimized"`
	SourceDest    *boolXML         `query:"SourceDestCheck"`
	Shutdown      *textXML         `query:"InstanceInitiatedShutdownBehavior"`
	Type          *textXML         `query:"InstanceType"`
	UserData      *textXML         `query:"UserData"`
	Groups        []string         `query:"GroupId"`
	Devices       []modifiedDevice `query:"BlockDeviceMapping"`
}

type modifiedDevice struct {
	Device string `query:"DeviceName"`
	EBS    struct {
		VolumeID            string `query:"VolumeId"`
		DeleteOnTermination *bool  `query:"DeleteOnTermination"`
	} `query:"Ebs"`
}

// byName turns Attribute and Value, as the CLI sends them, into the attribute's own parameter.
func (in *modifyInstanceInput) byName() error {
	flag := &boolXML{in.Value == "true"}
	text := &textXML{in.Value}
	switch in.Attribute {
	case "":
	case "disableApiTermination":
		in.NoTermination = flag
	case "disableApiStop":
		in.NoStop = flag
	case "ebsOptimized":
		in.EBSOptimized = flag
	case "sourceDestCheck":
		in.SourceDest = flag
	case "instanceInitiatedShutdownBehavior":
		in.Shutdown = text
	case "instanceType":
		in.Type = text
	case "userData":
		in.UserData = text
	default:
		return api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
	}
	return nil
}

func (s *Service) modifyInstanceAttribute(c *call, in *modifyInstanceInput) (any, error) {
	i, err := c.instance(in.InstanceID, c.now)
	if err != nil {
		return nil, err
	}
	if err := in.byName(); err != nil {
		return nil, err
	}
	if (in.Type != nil || in.UserData != nil || in.EBSOptimized != nil) && i.State != stateStopped {
		return nil, api.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
	}
	if err := s.modifyStopped(c, i, in); err != nil {
		return nil, err
	}
	if in.Shutdown != nil {
		if in.Shutdown.Value != "stop" && in.Shutdown.Value != "terminate" {
			return nil, api.Errorf("InvalidParameterValue", "Value (%s) for instanceInitiatedShutdownBehavior is invalid. Expected stop or terminate.", in.Shutdown.Value)
		}
		i.ShutdownBehavior = in.Shutdown.Value
	}
	if in.NoTermination != nil {
		i.NoTermination = in.NoTermination.Value
	}
	if in.NoStop != nil {
		i.NoStop = in.NoStop.Value
	}
	if in.SourceDest != nil {
		i.NoSourceDest = !in.SourceDest.Value
	}
	if len(in.Groups) > 0 {
		groups, err := c.groupsFor(in.Groups, nil)
		if err != nil {
			return nil, err
		}
		i.Groups = groups
	}
	volumes := slices.Clone(i.Volumes)
	for _, d := range in.Devices {
		at := slices.IndexFunc(volumes, func(v attachedVolume) bool { return v.Device == d.Device })
		if at < 0 {
			return nil, api.Errorf("InvalidInstanceAttributeValue", "No device is currently mapped at %s", d.Device)
		}
		if d.EBS.DeleteOnTermination != nil {
			volumes[at].DeleteOnTermination = *d.EBS.DeleteOnTermination
		}
	}
	i.Volumes = volumes
	s.saveInstance(i)
	return done{true}, nil
}

// modifyStopped changes what can be changed only while the instance is stopped.
func (s *Service) modifyStopped(_ *call, i *instanceRecord, in *modifyInstanceInput) error {
	if in.UserData != nil {
		raw, err := base64.StdEncoding.DecodeString(in.UserData.Value)
		if err != nil {
			return api.Errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
		}
		if len(raw) > maxUserData {
			return api.Errorf("InvalidParameterValue", "User data is limited to %d bytes", maxUserData)
		}
		i.UserData = raw
	}
	if in.Type != nil {
		kind, ok := instanceTypes[in.Type.Value]
		if !ok || kind.architecture != i.Architecture {
			return api.Errorf("InvalidInstanceAttributeValue", "The instance type '%s' is not one for architecture %s", in.Type.Value, i.Architecture)
		}
		i.Type = kind.name
	}
	if in.EBSOptimized != nil {
		i.EBSOptimized = in.EBSOptimized.Value
	}
	return nil
}

type modifyMetadataInput struct {
	dryable
	metadataOptions
	InstanceID string `query:"InstanceId"`
}

type modifyMetadataXML struct {
	InstanceID string          `xml:"instanceId"`
	Options    metadataOptions `xml:"instanceMetadataOptions"`
}

// modifyInstanceMetadataOptions takes effect at once for tags and at the next boot for the endpoint itself.
func (s *Service) modifyInstanceMetadataOptions(c *call, in *modifyMetadataInput) (any, error) {
	i, err := c.instance(in.InstanceID, c.now)
	if err != nil {
		return nil, err
	}
	if err := checkMetadata(in.metadataOptions); err != nil {
		return nil, err
	}
	merged := *overMetadata(&i.Metadata, &in.metadataOptions)
	if err := checkMetadataTags(merged, i.Tags); err != nil {
		return nil, err
	}
	i.Metadata = merged
	s.saveInstance(i)
	pending := merged
	pending.State = "pending"
	return modifyMetadataXML{i.ID, pending}, nil
}

type consoleInput struct {
	dryable
	InstanceID string `query:"InstanceId"`
	Latest     bool   `query:"Latest"`
}

type consoleXML struct {
	InstanceID string `xml:"instanceId"`
	Timestamp  string `xml:"timestamp"`
	Output     string `xml:"output,omitempty"`
}

func (s *Service) getConsoleOutput(c *call, in *consoleInput) (any, error) {
	i, err := c.instance(in.InstanceID, c.now)
	if err != nil {
		return nil, err
	}
	output, at := i.Console, i.ConsoleAt
	if m := s.machineOf(i.ID); m != nil {
		output, at = m.Console(), c.now
	}
	if at.IsZero() {
		at = i.Launched
	}
	return consoleXML{i.ID, stamp(at), base64.StdEncoding.EncodeToString(output)}, nil
}
