package integration

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
)

// Known faults of other people's endpoints, as reasons for unserved.
const (
	noTokens          = "EC2 ignores client tokens: the same token launches again, and there is no client-token filter"
	noAgent           = "no server has an agent: DescribeInstanceInformation is missing, and SendCommand succeeds without running anything"
	noServers         = "its servers are records: nothing runs on them, and they have no console"
	noMaxCount        = "RunInstances launches MinCount servers and never more, so that each is the first of its call"
	noReferences      = "EC2 has no DescribeImageReferences, which says what still uses an AMI"
	noTargetGroups    = "there is no Elastic Load Balancing in the edition that runs without a token"
	noGroups          = "there is no EC2 Auto Scaling in the edition that runs without a token"
	noRefreshes       = "EC2 Auto Scaling has no instance refreshes"
	noCBOR            = "CloudWatch answers the older protocols only, the SDK speaks RPC v2 CBOR"
	noImageMetadata   = "EC2 has no DescribeInstanceImageMetadata, which drift looks with"
	noRootReplacement = "EC2 has no CreateReplaceRootVolumeTask"
	noDisabling       = "EC2 has no DisableImage, by which an AMI is recalled"
	noSnapshotTags    = "CreateImage refuses the snapshots' tags, and DeregisterImage leaves snapshots behind"
)

// everyFault is a fault that both moto and LocalStack, whose EC2 is moto's, have.
func everyFault(fault string) map[string]string {
	return map[string]string{localstack: fault, independent: fault}
}

// amazonLinux stands in documents for an AMI of the endpoint's.
const amazonLinux = "AMAZON_LINUX"

// own is the suite's own account and region.
func (m *mill) own() jobs.Target { return jobs.Target{} }

func (m *mill) aws() *clients.Regional { return m.Clients.For(m.own()) }

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}

// mine asks for what carries this installation's tag.
func (m *mill) mine() types.Filter { return filter("tag:"+jobs.TagInstallation, m.prefix) }

// servers are this installation's that EC2 has, with all of the filters; without a filter for the state those that live.
func (m *mill) servers(filters ...types.Filter) []types.Instance {
	m.t.Helper()
	filters = append(filters, m.mine())
	if !slices.ContainsFunc(filters, func(f types.Filter) bool { return *f.Name == "instance-state-name" }) {
		filters = append(filters, filter("instance-state-name", "pending", "running", "stopping", "stopped", "shutting-down"))
	}
	out, err := m.aws().EC2.DescribeInstances(m.t.Context(), &ec2.DescribeInstancesInput{Filters: filters})
	if err != nil {
		m.t.Fatal(err)
	}
	var list []types.Instance
	for _, reservation := range out.Reservations {
		list = append(list, reservation.Instances...)
	}
	return list
}

// everLaunched are all servers of this installation, those that ended too.
func (m *mill) everLaunched() []types.Instance {
	m.t.Helper()
	return m.servers(filter("instance-state-name", "pending", "running", "stopping", "stopped", "shutting-down", "terminated"))
}

// fleet are the living servers of a fleet.
func (m *mill) fleet(name string) []types.Instance {
	m.t.Helper()
	return m.servers(filter("tag:"+launch.TagFleet, name))
}

func ids(instances []types.Instance) []string {
	var list []string
	for _, i := range instances {
		list = append(list, aws.ToString(i.InstanceId))
	}
	slices.Sort(list)
	return list
}

func tag(tags []types.Tag, name string) string {
	for _, t := range tags {
		if aws.ToString(t.Key) == name {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

// images are the AMIs of this installation in a region.
func (m *mill) images(region string) []types.Image {
	m.t.Helper()
	out, err := m.Clients.For(jobs.Target{Region: region}).EC2.DescribeImages(m.t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}, Filters: []types.Filter{m.mine()}})
	if err != nil {
		m.t.Fatal(err)
	}
	return out.Images
}

func (m *mill) snapshots(region string) []types.Snapshot {
	m.t.Helper()
	out, err := m.Clients.For(jobs.Target{Region: region}).EC2.DescribeSnapshots(m.t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{m.mine()}})
	if err != nil {
		m.t.Fatal(err)
	}
	return out.Snapshots
}

func (m *mill) volumes() []types.Volume {
	m.t.Helper()
	out, err := m.aws().EC2.DescribeVolumes(m.t.Context(), &ec2.DescribeVolumesInput{Filters: []types.Filter{m.mine()}})
	if err != nil {
		m.t.Fatal(err)
	}
	return out.Volumes
}

// leaves waits until exactly so much of this installation is left in EC2.
func (m *mill) leaves(servers, images int) {
	m.t.Helper()
	var found string
	defer func() {
		if m.t.Failed() {
			m.t.Log("EC2 has", found)
		}
	}()
	m.until(fmt.Sprintf("the end with %d servers and %d images", servers, images), func() bool {
		s, i, v := m.servers(), m.images(region), m.volumes()
		found = fmt.Sprintf("%d servers, %d images, %d volumes", len(s), len(i), len(v))
		return len(s) == servers && len(i) == images && len(v) == servers
	})
}

// playBuilder is the builder that has set itself up and stops itself. Only the embedded endpoint has servers that do.
func (m *mill) playBuilder(id string) {
	m.t.Helper()
	if endpointName() == embedded {
		return
	}
	m.until("the builder of "+id, func() bool {
		found := m.servers(filter("tag:"+jobs.TagJob, id), filter("tag:"+jobs.TagThing, "builder"), filter("instance-state-name", "running"))
		if len(found) == 0 {
			return false
		}
		_, err := m.aws().EC2.StopInstances(m.t.Context(), &ec2.StopInstancesInput{InstanceIds: ids(found)})
		if err != nil {
			m.t.Fatal(err)
		}
		return true
	})
}
