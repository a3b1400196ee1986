// Package seed is what an account of the embedded endpoint finds already there: the regions with their Availability
// Zones, and the public AMIs of Amazon, Canonical, Debian and Microsoft with the SSM public parameters that name the
// newest of each line. Ids differ per region and are a function of the seed.
package seed

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Owners of the public AMIs.
const (
	Amazon    = "137112412989"
	Canonical = "099720109477"
	Debian    = "136693071363"
	Windows   = "801119661308"
)

// Region is one region with the zone ids of its three Availability Zones a, b and c.
type Region struct {
	Name    string
	ZoneIDs [3]string
}

var regions = []Region{
	{"us-east-1", [3]string{"use1-az1", "use1-az2", "use1-az4"}},
	{"us-west-2", [3]string{"usw2-az1", "usw2-az2", "usw2-az3"}},
	{"eu-west-1", [3]string{"euw1-az1", "euw1-az2", "euw1-az3"}},
	{"eu-central-1", [3]string{"euc1-az2", "euc1-az3", "euc1-az1"}},
}

// Regions are the regions that the endpoint serves.
func Regions() []Region { return slices.Clone(regions) }

// Zones are the names of the region's Availability Zones.
func (r Region) Zones() []string { return []string{r.Name + "a", r.Name + "b", r.Name + "c"} }

// Image is a public AMI.
type Image struct {
	ID, SnapshotID    string
	Line              string // such as al2023-x86_64: what a new base AMI continues
	Owner, OwnerAlias string
	Name, Description string
	Architecture      string
	Platform          string // windows, or empty
	PlatformDetails   string
	UsageOperation    string
	Distribution      string // amazon, ubuntu, debian, windows
	RootDevice        string
	SizeGiB           int32
	BootMode          string
	Created           time.Time
	// Parameters are the SSM public parameters that name the newest image of the line.
	Parameters []string
}

type line struct {
	name, owner, alias, distribution, architecture string
	rootDevice, bootMode                           string
	sizeGiB                                        int32
	description                                    string
	imageName                                      func(created time.Time) string
	parameters                                     []string
	created                                        [2]time.Time
}

func in2026(month time.Month, day int) time.Time {
	return time.Date(2026, month, day, 6, 30, 0, 0, time.UTC)
}

// al2023 names carry AL2023's own version, which counts its releases by date.
func al2023(architecture string) line {
	return line{
		name: "al2023-" + architecture, owner: Amazon, alias: "amazon", distribution: "amazon", architecture: architecture,
		rootDevice: "/dev/xvda", bootMode: bootMode(architecture), sizeGiB: 8,
		description: "Amazon Linux 2023 AMI 2023.9 " + architecture + " HVM kernel-6.1",
		imageName: func(created time.Time) string {
			return "al2023-ami-2023.9." + created.Format("20060102") + ".0-kernel-6.1-" + architecture
		},
		parameters: []string{
			"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-" + architecture,
			"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-" + architecture,
		},
		created: [2]time.Time{in2026(time.October, 6), in2026(time.November, 3)},
	}
}

func ubuntu(architecture, short string) line {
	return line{
		name: "ubuntu-24.04-" + architecture, owner: Canonical, distribution: "ubuntu", architecture: architecture,
		rootDevice: "/dev/sda1", bootMode: bootMode(architecture), sizeGiB: 8,
		description: "Canonical, Ubuntu, 24.04, " + short + " noble image",
		imageName: func(created time.Time) string {
			return "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-" + short + "-server-" + created.Format("20060102")
		},
		parameters: []string{"/aws/service/canonical/ubuntu/server/24.04/stable/current/" + short + "/hvm/ebs-gp3/ami-id"},
		created:    [2]time.Time{in2026(time.September, 23), in2026(time.October, 28)},
	}
}

func debian12(architecture, short, build string) line {
	return line{
		name: "debian-12-" + architecture, owner: Debian, distribution: "debian", architecture: architecture,
		rootDevice: "/dev/xvda", bootMode: bootMode(architecture), sizeGiB: 8,
		description: "Debian 12 (" + build + ")",
		imageName: func(created time.Time) string {
			return "debian-12-" + short + "-" + created.Format("20060102") + "-" + strconv.Itoa(2200+created.YearDay())
		},
		parameters: []string{"/aws/service/debian/release/12/latest/" + short},
		created:    [2]time.Time{in2026(time.August, 31), in2026(time.October, 12)},
	}
}

func windows2022() line {
	return line{
		name: "windows-2022-x86_64", owner: Windows, alias: "amazon", distribution: "windows", architecture: "x86_64",
		rootDevice: "/dev/sda1", bootMode: "uefi", sizeGiB: 30,
		description: "Microsoft Windows Server 2022 Full Locale English AMI provided by Amazon",
		imageName: func(created time.Time) string {
			return "Windows_Server-2022-English-Full-Base-" + created.Format("2006.01.02")
		},
		parameters: []string{"/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-Base"},
		created:    [2]time.Time{in2026(time.October, 14), in2026(time.November, 11)},
	}
}

func bootMode(architecture string) string {
	if architecture == "arm64" {
		return "uefi"
	}
	return "uefi-preferred"
}

func lines() []line {
	return []line{
		al2023("x86_64"), al2023("arm64"), ubuntu("x86_64", "amd64"), ubuntu("arm64", "arm64"),
		debian12("x86_64", "amd64", "bookworm"), debian12("arm64", "arm64", "bookworm"), windows2022(),
	}
}

// Images are the region's public AMIs, older before newer in each line.
func Images(region string, seed int64) []Image {
	var images []Image
	for _, l := range lines() {
		for _, created := range l.created {
			images = append(images, l.image(region, seed, created))
		}
	}
	return images
}

// Newer is a further image of the line, as a vendor's next release; false if there is no such line.
func Newer(region, lineName string, seed int64, created time.Time) (Image, bool) {
	for _, l := range lines() {
		if l.name == lineName {
			return l.image(region, seed, created), true
		}
	}
	return Image{}, false
}

func (l line) image(region string, seed int64, created time.Time) Image {
	name := l.imageName(created)
	image := Image{
		ID: ID("ami", seed, region, name), SnapshotID: ID("snap", seed, region, name),
		Line: l.name, Owner: l.owner, OwnerAlias: l.alias, Name: name, Description: l.description,
		Architecture: l.architecture, PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances",
		Distribution: l.distribution, RootDevice: l.rootDevice, SizeGiB: l.sizeGiB, BootMode: l.bootMode,
		Created: created, Parameters: l.parameters,
	}
	if l.distribution == "windows" {
		image.Platform, image.PlatformDetails, image.UsageOperation = "windows", "Windows", "RunInstances:0002"
	}
	return image
}

// ID is an EC2 id that is a function of the seed and of what it names.
func ID(prefix string, seed int64, parts ...string) string {
	sum := sha256.Sum256(fmt.Append(nil, prefix, seed, parts))
	return prefix + "-0" + hex.EncodeToString(sum[:8])
}
