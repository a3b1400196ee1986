package ec2

import (
	"github.com/stampmill/stampmill/internal/localaws/api"
)

type actionClass int

const (
	mutates actionClass = iota
	describes
)

// action is one call of the API: how its parameters are read and what it does under the service's lock.
type action struct {
	class  actionClass
	decode func(*Service, *api.Request) (in any, dry bool, err error)
	run    func(s *Service, c *call, in any) (any, error)
}

// dryable is embedded by requests that only have to be well-formed to pass a dry run.
type dryable struct {
	DryRun bool `query:"DryRun"`
}

func (d dryable) dry() bool { return d.DryRun }

// preparer is a request that has to look something up before the service is locked.
type preparer interface {
	prepare(s *Service, r *api.Request) error
}

func on[In any](class actionClass, run func(*Service, *call, *In) (any, error)) action {
	return action{
		class: class,
		decode: func(s *Service, r *api.Request) (any, bool, error) {
			in := new(In)
			if err := api.DecodeQuery(r.Form, in); err != nil {
				return nil, false, err
			}
			if p, ok := any(in).(preparer); ok {
				if err := p.prepare(s, r); err != nil {
					return nil, false, err
				}
			}
			d, ok := any(in).(interface{ dry() bool })
			return in, ok && d.dry(), nil
		},
		run: func(s *Service, c *call, in any) (any, error) { return run(s, c, in.(*In)) },
	}
}

var actions map[string]action

func init() {
	actions = map[string]action{
		"RunInstances":                  on(mutates, (*Service).runInstances),
		"DescribeInstances":             on(describes, (*Service).describeInstances),
		"DescribeInstanceStatus":        on(describes, (*Service).describeInstanceStatus),
		"DescribeInstanceAttribute":     on(describes, (*Service).describeInstanceAttribute),
		"DescribeInstanceImageMetadata": on(describes, (*Service).describeImageMetadata),
		"ModifyInstanceAttribute":       on(mutates, (*Service).modifyInstanceAttribute),
		"ModifyInstanceMetadataOptions": on(mutates, (*Service).modifyInstanceMetadataOptions),
		"StartInstances":                on(mutates, (*Service).startInstances),
		"StopInstances":                 on(mutates, (*Service).stopInstances),
		"RebootInstances":               on(mutates, (*Service).rebootInstances),
		"TerminateInstances":            on(mutates, (*Service).terminateInstances),
		"GetConsoleOutput":              on(describes, (*Service).getConsoleOutput),

		"CreateImage":                          on(mutates, (*Service).createImage),
		"CopyImage":                            on(mutates, (*Service).copyImage),
		"DeregisterImage":                      on(mutates, (*Service).deregisterImage),
		"DescribeImages":                       on(describes, (*Service).describeImages),
		"DescribeImageAttribute":               on(describes, (*Service).describeImageAttribute),
		"ModifyImageAttribute":                 on(mutates, (*Service).modifyImageAttribute),
		"ResetImageAttribute":                  on(mutates, (*Service).resetImageAttribute),
		"EnableImageDeprecation":               on(mutates, (*Service).enableImageDeprecation),
		"DisableImageDeprecation":              on(mutates, (*Service).disableImageDeprecation),
		"EnableImage":                          on(mutates, (*Service).enableImage),
		"DisableImage":                         on(mutates, (*Service).disableImage),
		"EnableImageDeregistrationProtection":  on(mutates, (*Service).enableDeregistrationProtection),
		"DisableImageDeregistrationProtection": on(mutates, (*Service).disableDeregistrationProtection),
		"GetImageBlockPublicAccessState":       on(describes, (*Service).getImageBlockPublicAccess),
		"EnableImageBlockPublicAccess":         on(mutates, (*Service).enableImageBlockPublicAccess),
		"DisableImageBlockPublicAccess":        on(mutates, (*Service).disableImageBlockPublicAccess),
		"GetAllowedImagesSettings":             on(describes, (*Service).getAllowedImagesSettings),
		"DescribeImageReferences":              on(describes, (*Service).describeImageReferences),
		"GetImageAncestry":                     on(describes, (*Service).getImageAncestry),
		"CreateImageUsageReport":               on(mutates, (*Service).createImageUsageReport),
		"DescribeImageUsageReports":            on(describes, (*Service).describeImageUsageReports),
		"DescribeImageUsageReportEntries":      on(describes, (*Service).describeImageUsageReportEntries),
		"DeleteImageUsageReport":               on(mutates, (*Service).deleteImageUsageReport),

		"DescribeSnapshots":         on(describes, (*Service).describeSnapshots),
		"CreateSnapshot":            on(mutates, (*Service).createSnapshot),
		"DeleteSnapshot":            on(mutates, (*Service).deleteSnapshot),
		"ModifySnapshotAttribute":   on(mutates, (*Service).modifySnapshotAttribute),
		"DescribeSnapshotAttribute": on(describes, (*Service).describeSnapshotAttribute),
		"DescribeVolumes":           on(describes, (*Service).describeVolumes),
		"CreateVolume":              on(mutates, (*Service).createVolume),
		"DeleteVolume":              on(mutates, (*Service).deleteVolume),
		"AttachVolume":              on(mutates, (*Service).attachVolume),
		"DetachVolume":              on(mutates, (*Service).detachVolume),

		"CreateReplaceRootVolumeTask":    on(mutates, (*Service).createReplaceRootVolumeTask),
		"DescribeReplaceRootVolumeTasks": on(describes, (*Service).describeReplaceRootVolumeTasks),

		"CreateNetworkInterface":          on(mutates, (*Service).createNetworkInterface),
		"DescribeNetworkInterfaces":       on(describes, (*Service).describeNetworkInterfaces),
		"AttachNetworkInterface":          on(mutates, (*Service).attachNetworkInterface),
		"DetachNetworkInterface":          on(mutates, (*Service).detachNetworkInterface),
		"ModifyNetworkInterfaceAttribute": on(mutates, (*Service).modifyNetworkInterfaceAttribute),
		"DeleteNetworkInterface":          on(mutates, (*Service).deleteNetworkInterface),
		"AllocateAddress":                 on(mutates, (*Service).allocateAddress),
		"DescribeAddresses":               on(describes, (*Service).describeAddresses),
		"AssociateAddress":                on(mutates, (*Service).associateAddress),
		"DisassociateAddress":             on(mutates, (*Service).disassociateAddress),
		"ReleaseAddress":                  on(mutates, (*Service).releaseAddress),

		"CreateTags":   on(mutates, (*Service).createTags),
		"DeleteTags":   on(mutates, (*Service).deleteTags),
		"DescribeTags": on(describes, (*Service).describeTags),

		"DescribeVpcs":                  on(describes, (*Service).describeVPCs),
		"DescribeSubnets":               on(describes, (*Service).describeSubnets),
		"DescribeRouteTables":           on(describes, (*Service).describeRouteTables),
		"DescribeVpcEndpoints":          on(describes, (*Service).describeVPCEndpoints),
		"DescribeSecurityGroups":        on(describes, (*Service).describeSecurityGroups),
		"CreateSecurityGroup":           on(mutates, (*Service).createSecurityGroup),
		"DeleteSecurityGroup":           on(mutates, (*Service).deleteSecurityGroup),
		"AuthorizeSecurityGroupIngress": on(mutates, (*Service).authorizeIngress),
		"DescribeAvailabilityZones":     on(describes, (*Service).describeAvailabilityZones),
		"DescribeRegions":               on(describes, (*Service).describeRegions),
		"DescribeInstanceTypes":         on(describes, (*Service).describeInstanceTypes),
		"DescribeInstanceTypeOfferings": on(describes, (*Service).describeInstanceTypeOfferings),
		"DescribeKeyPairs":              on(describes, (*Service).describeKeyPairs),
		"CreateKeyPair":                 on(mutates, (*Service).createKeyPair),
		"ImportKeyPair":                 on(mutates, (*Service).importKeyPair),
		"DeleteKeyPair":                 on(mutates, (*Service).deleteKeyPair),

		"CreateLaunchTemplate":           on(mutates, (*Service).createLaunchTemplate),
		"CreateLaunchTemplateVersion":    on(mutates, (*Service).createLaunchTemplateVersion),
		"DescribeLaunchTemplates":        on(describes, (*Service).describeLaunchTemplates),
		"DescribeLaunchTemplateVersions": on(describes, (*Service).describeLaunchTemplateVersions),
		"ModifyLaunchTemplate":           on(mutates, (*Service).modifyLaunchTemplate),
		"DeleteLaunchTemplate":           on(mutates, (*Service).deleteLaunchTemplate),
		"DeleteLaunchTemplateVersions":   on(mutates, (*Service).deleteLaunchTemplateVersions),

		"DescribeSpotInstanceRequests": on(describes, (*Service).describeSpotInstanceRequests),
		"CancelSpotInstanceRequests":   on(mutates, (*Service).cancelSpotInstanceRequests),
	}
}

// list is a set of items that is written even when it is empty, as AWS does.
type list[T any] struct {
	Items []T `xml:"item"`
}

func listOf[T any](items []T) list[T] { return list[T]{items} }

// done is the answer of calls that only succeed.
type done struct {
	Return bool `xml:"return"`
}
