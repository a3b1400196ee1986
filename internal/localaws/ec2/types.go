package ec2

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// instanceType is one row of the table of types that the endpoint has.
type instanceType struct {
	name         string
	vcpus        int32
	memoryMiB    int32
	architecture string
	spot         bool
}

// cores and threads follow AWS: one thread a core on Graviton and burstable T2, else two.
func (t instanceType) threads() int32 {
	if t.architecture == "arm64" || t.vcpus == 1 {
		return 1
	}
	return 2
}

func (t instanceType) cores() int32    { return t.vcpus / t.threads() }
func (t instanceType) burstable() bool { return t.name[0] == 't' }
func (t instanceType) metal() bool     { return strings.HasSuffix(t.name, ".metal") }

// instanceTypes are common types of current families.
var instanceTypes = func() map[string]instanceType {
	types := map[string]instanceType{}
	family := func(name, architecture string, memoryPerCPU int32, sizes ...string) {
		for _, size := range sizes {
			vcpus := map[string]int32{"medium": 1, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32}[size]
			types[name+"."+size] = instanceType{name + "." + size, vcpus, vcpus * memoryPerCPU * 1024, architecture, true}
		}
	}
	burstable := func(name, architecture string) {
		for size, memory := range map[string]int32{"nano": 512, "micro": 1024, "small": 2048, "medium": 4096, "large": 8192, "xlarge": 16384, "2xlarge": 32768} {
			vcpus := map[string]int32{"xlarge": 4, "2xlarge": 8}[size]
			types[name+"."+size] = instanceType{name + "." + size, max(2, vcpus), memory, architecture, true}
		}
	}
	burstable("t3", "x86_64")
	burstable("t3a", "x86_64")
	burstable("t4g", "arm64")
	for _, name := range []string{"c5", "c6i", "c7i"} {
		family(name, "x86_64", 2, "large", "xlarge", "2xlarge", "4xlarge")
	}
	for _, name := range []string{"m5", "m6i", "m7i"} {
		family(name, "x86_64", 4, "large", "xlarge", "2xlarge", "4xlarge", "8xlarge")
	}
	for _, name := range []string{"r5", "r6i"} {
		family(name, "x86_64", 8, "large", "xlarge", "2xlarge", "4xlarge")
	}
	for _, name := range []string{"c6g", "c7g", "c8g"} {
		family(name, "arm64", 2, "medium", "large", "xlarge", "2xlarge", "4xlarge")
	}
	for _, name := range []string{"m6g", "m7g", "m8g"} {
		family(name, "arm64", 4, "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge")
	}
	for _, name := range []string{"r6g", "r7g"} {
		family(name, "arm64", 8, "medium", "large", "xlarge", "2xlarge", "4xlarge")
	}
	types["m7g.metal"] = instanceType{"m7g.metal", 64, 256 << 10, "arm64", true}
	types["m1.small"] = instanceType{"m1.small", 1, 1740, "x86_64", false}
	types["t2.micro"] = instanceType{"t2.micro", 1, 1024, "x86_64", true}
	return types
}()

type describeTypesInput struct {
	dryable
	paging
	Types   []string `query:"InstanceType"`
	Filters []filter `query:"Filter"`
}

type describeTypesXML struct {
	Types     list[typeXML] `xml:"instanceTypeSet"`
	NextToken string        `xml:"nextToken,omitempty"`
}

type typeXML struct {
	InstanceType   string       `xml:"instanceType"`
	Current        bool         `xml:"currentGeneration"`
	FreeTier       bool         `xml:"freeTierEligible"`
	UsageClasses   list[string] `xml:"supportedUsageClasses"`
	RootDevices    list[string] `xml:"supportedRootDeviceTypes"`
	Virtualization list[string] `xml:"supportedVirtualizationTypes"`
	BareMetal      bool         `xml:"bareMetal"`
	Hypervisor     string       `xml:"hypervisor,omitempty"`
	Processor      struct {
		Architectures list[string] `xml:"supportedArchitectures"`
	} `xml:"processorInfo"`
	CPU struct {
		VCPUs   int32 `xml:"defaultVCpus"`
		Cores   int32 `xml:"defaultCores"`
		Threads int32 `xml:"defaultThreadsPerCore"`
	} `xml:"vCpuInfo"`
	Memory struct {
		MiB int32 `xml:"sizeInMiB"`
	} `xml:"memoryInfo"`
	Storage bool `xml:"instanceStorageSupported"`
	EBS     struct {
		Optimized  string `xml:"ebsOptimizedSupport"`
		Encryption string `xml:"encryptionSupport"`
		NVMe       string `xml:"nvmeSupport"`
	} `xml:"ebsInfo"`
	Network struct {
		ENA string `xml:"enaSupport"`
	} `xml:"networkInfo"`
	Burstable bool         `xml:"burstablePerformanceSupported"`
	BootModes list[string] `xml:"supportedBootModes"`
}

var typeFields = catalogFields("instance-type", "processor-info.supported-architecture", "vcpu-info.default-vcpus",
	"memory-info.size-in-mib", "supported-usage-class", "current-generation", "burstable-performance-supported", "bare-metal")

func (t instanceType) usageClasses() []string {
	if t.spot {
		return []string{"on-demand", "spot"}
	}
	return []string{"on-demand"}
}

func (t instanceType) named(sequence int) *named {
	return &named{base: base{ID: t.name, Sequence: uint64(sequence)}, values: map[string][]string{
		"instance-type": {t.name}, "processor-info.supported-architecture": {t.architecture},
		"vcpu-info.default-vcpus": {number(t.vcpus)}, "memory-info.size-in-mib": {number(t.memoryMiB)},
		"supported-usage-class": t.usageClasses(), "current-generation": yesNo(t.name[1] > '2'),
		"burstable-performance-supported": yesNo(t.burstable()), "bare-metal": yesNo(t.metal()),
	}}
}

// allTypes are the types in the order of their names, numbered for pages.
func allTypes() []*named {
	var all []*named
	for n, name := range slices.Sorted(maps.Keys(instanceTypes)) {
		all = append(all, instanceTypes[name].named(n+1))
	}
	return all
}

func (s *Service) describeInstanceTypes(_ *call, in *describeTypesInput) (any, error) {
	if err := typeFields.check(in.Filters); err != nil {
		return nil, err
	}
	var unknown []string
	for _, name := range in.Types {
		if _, ok := instanceTypes[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return nil, api.Errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
	}
	found := slices.DeleteFunc(allTypes(), func(n *named) bool {
		return len(in.Types) > 0 && !slices.Contains(in.Types, n.ID) || !typeFields.match(in.Filters, n)
	})
	found, next, err := page(in.paging, 5, 100, found)
	if err != nil {
		return nil, err
	}
	answer := describeTypesXML{NextToken: next}
	for _, n := range found {
		answer.Types.Items = append(answer.Types.Items, showType(instanceTypes[n.ID]))
	}
	return answer, nil
}

func showType(t instanceType) typeXML {
	x := typeXML{
		InstanceType: t.name, Current: t.name[1] > '2', UsageClasses: listOf(t.usageClasses()), RootDevices: listOf([]string{"ebs"}),
		Virtualization: listOf([]string{"hvm"}), Hypervisor: "nitro", Burstable: t.burstable(), BootModes: listOf([]string{"legacy-bios", "uefi"}),
	}
	if t.metal() {
		x.BareMetal, x.Hypervisor = true, ""
	}
	if t.architecture == "arm64" {
		x.BootModes = listOf([]string{"uefi"})
	}
	x.Processor.Architectures = listOf([]string{t.architecture})
	x.CPU.VCPUs, x.CPU.Cores, x.CPU.Threads = t.vcpus, t.cores(), t.threads()
	x.Memory.MiB = t.memoryMiB
	x.EBS.Optimized, x.EBS.Encryption, x.EBS.NVMe = "default", "supported", "required"
	x.Network.ENA = "required"
	return x
}

type describeOfferingsInput struct {
	dryable
	paging
	LocationType string   `query:"LocationType"`
	Filters      []filter `query:"Filter"`
}

type describeOfferingsXML struct {
	Offerings list[offeringXML] `xml:"instanceTypeOfferingSet"`
	NextToken string            `xml:"nextToken,omitempty"`
}

type offeringXML struct {
	InstanceType string `xml:"instanceType"`
	LocationType string `xml:"locationType"`
	Location     string `xml:"location"`
}

var offeringFields = catalogFields("instance-type", "location")

func (s *Service) describeInstanceTypeOfferings(c *call, in *describeOfferingsInput) (any, error) {
	if err := offeringFields.check(in.Filters); err != nil {
		return nil, err
	}
	kind := cmp.Or(in.LocationType, "region")
	locations := map[string][]string{"region": {c.Region}, "availability-zone": c.zones, "availability-zone-id": c.zoneIDs}[kind]
	if locations == nil {
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter locationType is invalid.", kind)
	}
	var found []*named
	for _, t := range allTypes() {
		for _, location := range locations {
			n := &named{base: base{ID: t.ID, Sequence: uint64(len(found) + 1)}, values: map[string][]string{"instance-type": {t.ID}, "location": {location}}}
			if offeringFields.match(in.Filters, n) {
				found = append(found, n)
			}
		}
	}
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeOfferingsXML{NextToken: next}
	for _, n := range found {
		answer.Offerings.Items = append(answer.Offerings.Items, offeringXML{n.ID, kind, n.values["location"][0]})
	}
	return answer, nil
}
