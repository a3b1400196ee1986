package ec2

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

// endpoint answers EC2's query protocol from a function and remembers what it was asked.
type endpoint struct {
	mu     sync.Mutex
	asked  []url.Values
	answer func(q url.Values) (status int, xml string)
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	q, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.asked = append(e.asked, q)
	status, xml := e.answer(q)
	e.mu.Unlock()
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(xml)), ContentLength: int64(len(xml)), Request: r}, nil
}

func region(t *testing.T, answer func(q url.Values) (int, string)) (*Region, *endpoint) {
	t.Helper()
	e := &endpoint{answer: answer}
	cs, err := clients.New(clients.Config{
		Region: "eu-west-1", Endpoint: "http://aws.test", Transport: e, Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(cs, nil).For(jobs.Target{}), e
}

func refusal(code, message string) (int, string) {
	return 400, "<Response><Errors><Error><Code>" + code + "</Code><Message>" + message + "</Message></Error></Errors><RequestID>1</RequestID></Response>"
}

// listed are the values of Name.1, Name.2, ….
func listed(q url.Values, name string) []string {
	var values []string
	for i := 1; q.Has(fmt.Sprintf("%s.%d", name, i)); i++ {
		values = append(values, q.Get(fmt.Sprintf("%s.%d", name, i)))
	}
	return values
}

// known answers DescribeInstances for ids that end in an even digit.
func known(q url.Values) (int, string) {
	ids := append(listed(q, "Filter.1.Value"), listed(q, "InstanceId")...)
	xml := ""
	for _, id := range ids {
		if strings.Contains("02468", id[len(id)-1:]) {
			xml += "<item><instancesSet><item><instanceId>" + id + "</instanceId><instanceState><name>running</name></instanceState></item></instancesSet></item>"
		} else if q.Has("InstanceId.1") {
			return refusal("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
		}
	}
	return 200, "<DescribeInstancesResponse><reservationSet>" + xml + "</reservationSet></DescribeInstancesResponse>"
}

func TestDescribesByIDShareCallsAndAnUnknownIDIsAbsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, e := region(t, known)
		var callers sync.WaitGroup
		for i := range 150 {
			callers.Go(func() {
				got, err := r.Instances(t.Context(), fmt.Sprintf("i-%d", i))
				if err != nil || len(got) != (i+1)%2 {
					t.Errorf("i-%d gave %v, %v", i, got, err)
				}
			})
		}
		callers.Wait()
		if len(e.asked) != 1 || e.asked[0].Get("Filter.1.Name") != "instance-id" {
			t.Errorf("%d calls for 150 callers, the first %v", len(e.asked), e.asked[0])
		}
	})
}

func TestManyIDsTakeOneCallUnlessOneIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, e := region(t, known)
		ids := make([]string, 1000)
		for i := range ids {
			ids[i] = fmt.Sprintf("i-%d", 2*i)
		}
		got, err := r.Instances(t.Context(), ids...)
		if err != nil || len(got) != 1000 || got[999].ID != ids[999] || len(e.asked) != 1 {
			t.Errorf("%d instances by %d calls, %v", len(got), len(e.asked), err)
		}
		e.asked = nil
		ids[500] = "i-1"
		got, err = r.Instances(t.Context(), ids...)
		if err != nil || len(got) != 999 || len(e.asked) != 6 {
			t.Errorf("with an unknown one %d instances by %d calls, %v; expected 999 by 1 + 5", len(got), len(e.asked), err)
		}
	})
}

func TestTerminateSplitsUnknownIDsOffOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ids    []string
		answer func(q url.Values) (int, string)
		calls  int
		class  jobs.Class
		fails  bool
	}{
		"all known": {[]string{"i-2", "i-4"}, func(url.Values) (int, string) { return 200, "<TerminateInstancesResponse/>" }, 1, "", false},
		"two unknown": {[]string{"i-1", "i-2", "i-3"}, func(q url.Values) (int, string) {
			if slices.Contains(listed(q, "InstanceId"), "i-1") {
				return refusal("InvalidInstanceID.NotFound", "The instance IDs 'i-1, i-3' do not exist")
			}
			return 200, "<TerminateInstancesResponse/>"
		}, 2, "", false},
		"all unknown": {[]string{"i-1"}, func(url.Values) (int, string) {
			return refusal("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist")
		}, 1, "", false},
		"never enough": {[]string{"i-1", "i-2", "i-3"}, func(q url.Values) (int, string) {
			return refusal("InvalidInstanceID.NotFound", "The instance ID '"+listed(q, "InstanceId")[0]+"' does not exist")
		}, 2, jobs.Propagating, true},
		"protected": {[]string{"i-2"}, func(url.Values) (int, string) { return refusal("OperationNotPermitted", "protected") }, 1, jobs.Fatal, true},
		"nothing":   {nil, nil, 0, "", false},
	} {
		r, e := region(t, tc.answer)
		err := r.Terminate(t.Context(), tc.ids...)
		if len(e.asked) != tc.calls || (err != nil) != tc.fails || jobs.ClassOf(err) != tc.class {
			t.Errorf("%s: %d calls, %v (%s)", name, len(e.asked), err, jobs.ClassOf(err))
		}
	}
}

func TestALaunchIsSafeByDefault(t *testing.T) {
	t.Parallel()
	r, e := region(t, func(url.Values) (int, string) {
		return 200, `<RunInstancesResponse><instancesSet><item><instanceId>i-2</instanceId><amiLaunchIndex>1</amiLaunchIndex>` +
			`<placement><availabilityZone>eu-west-1a</availabilityZone></placement><instanceState><name>pending</name></instanceState></item></instancesSet></RunInstancesResponse>`
	})
	tags := map[string]string{"stampmill:job": "launch-x", "a": "b"}
	got, err := r.Launch(t.Context(), c.LaunchRequest{
		Token: "tok", ImageID: "ami-1", Type: "t3.small", SubnetID: "subnet-1", Min: 1, Max: 30, UserData: []byte("#!/bin/sh"), InstanceTags: tags, MetadataTags: true,
		InstanceProfile: "web", SecurityGroupIDs: []string{"sg-1"}, LaunchTemplate: &c.LaunchTemplate{Name: "base", Version: "3"},
		Volumes: []c.Volume{{Device: "/dev/xvda", Size: 20, KMSKey: "key"}, {Device: "/dev/sdb", Exclude: true}},
	})
	if err != nil || len(got) != 1 || got[0].LaunchIndex != 1 || got[0].Zone != "eu-west-1a" || got[0].State != "pending" {
		t.Fatalf("got %+v, %v", got, err)
	}
	q := e.asked[0]
	for name, expected := range map[string]string{
		"ClientToken": "tok", "MinCount": "1", "MaxCount": "30", "SubnetId": "subnet-1", "SecurityGroupId.1": "sg-1", "MetadataOptions.HttpTokens": "required",
		"MetadataOptions.InstanceMetadataTags": "enabled", "UserData": base64.StdEncoding.EncodeToString([]byte("#!/bin/sh")), "IamInstanceProfile.Name": "web",
		"LaunchTemplate.LaunchTemplateName": "base", "LaunchTemplate.Version": "3", "BlockDeviceMapping.1.Ebs.Encrypted": "true",
		"BlockDeviceMapping.1.Ebs.VolumeSize": "20", "TagSpecification.1.ResourceType": "instance", "TagSpecification.2.ResourceType": "volume",
		"TagSpecification.3.ResourceType": "network-interface", "TagSpecification.1.Tag.2.Key": "stampmill:job",
	} {
		if q.Get(name) != expected {
			t.Errorf("%s is %q, expected %q", name, q.Get(name), expected)
		}
	}
	for _, name := range []string{"TagSpecification.4.ResourceType", "NetworkInterface.1.AssociatePublicIpAddress", "InstanceMarketOptions.MarketType"} {
		if q.Has(name) {
			t.Errorf("%s is %q though nobody asked", name, q.Get(name))
		}
	}
	if !q.Has("BlockDeviceMapping.2.NoDevice") {
		t.Error("an excluded device stays")
	}
}

func TestWhatIsAskedForSpotAndPublicAddressesIsSaid(t *testing.T) {
	t.Parallel()
	r, e := region(t, func(url.Values) (int, string) { return 200, "<RunInstancesResponse/>" })
	private := false
	if _, err := r.Launch(t.Context(), c.LaunchRequest{ImageID: "ami-1", Spot: true, PublicIP: &private, SubnetID: "subnet-1", SecurityGroupIDs: []string{"sg-1"}, InstanceTags: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	q := e.asked[0]
	for name, expected := range map[string]string{
		"InstanceMarketOptions.MarketType": "spot", "TagSpecification.4.ResourceType": "spot-instances-request", "SubnetId": "", "SecurityGroupId.1": "",
		"NetworkInterface.1.AssociatePublicIpAddress": "false", "NetworkInterface.1.SubnetId": "subnet-1", "NetworkInterface.1.SecurityGroupId.1": "sg-1", "NetworkInterface.1.DeviceIndex": "0",
	} {
		if q.Get(name) != expected {
			t.Errorf("%s is %q, expected %q", name, q.Get(name), expected)
		}
	}
}

func TestDeregisteringWhatIsGoneIsDone(t *testing.T) {
	t.Parallel()
	left := "<DescribeImagesResponse><imagesSet><item><imageId>ami-1</imageId><imageState>pending</imageState></item></imagesSet></DescribeImagesResponse>"
	for name, tc := range map[string]struct {
		code, describe string
		fails          bool
	}{
		"unknown":              {"InvalidAMIID.NotFound", "", false},
		"deregistered already": {"InvalidAMIID.Unavailable", "<DescribeImagesResponse><imagesSet/></DescribeImagesResponse>", false},
		"not ready for it":     {"InvalidAMIID.Unavailable", left, true},
	} {
		r, _ := region(t, func(q url.Values) (int, string) {
			if q.Get("Action") == "DescribeImages" {
				if q.Get("IncludeDisabled") != "true" {
					t.Error("disabled images are hidden")
				}
				return 200, tc.describe
			}
			return refusal(tc.code, "words")
		})
		if err := r.Deregister(t.Context(), "ami-1", true); (err != nil) != tc.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSnapshotsThatTheDeregistrationLeftAreDeleted(t *testing.T) {
	t.Parallel()
	r, e := region(t, func(q url.Values) (int, string) {
		if q.Get("Action") == "DeregisterImage" {
			return 200, `<DeregisterImageResponse><return>true</return><deleteSnapshotResultSet>` +
				`<item><snapshotId>snap-1</snapshotId><returnCode>success</returnCode></item>` +
				`<item><snapshotId>snap-2</snapshotId><returnCode>internal-error</returnCode></item></deleteSnapshotResultSet></DeregisterImageResponse>`
		}
		return 200, "<DeleteSnapshotResponse/>"
	})
	if err := r.Deregister(t.Context(), "ami-1", true); err != nil || len(e.asked) != 2 || e.asked[1].Get("SnapshotId") != "snap-2" {
		t.Errorf("%v, asked %v", err, e.asked)
	}
}

func TestAnUnknownSecurityGroupIsNamed(t *testing.T) {
	t.Parallel()
	r, e := region(t, func(url.Values) (int, string) {
		return 200, `<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupName>web</groupName><groupId>sg-9</groupId></item></securityGroupInfo></DescribeSecurityGroupsResponse>`
	})
	got, err := r.SecurityGroups(t.Context(), []string{"sg-1", "web"}, "vpc-1")
	if err != nil || !slices.Equal(got, []string{"sg-1", "sg-9"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := r.SecurityGroups(t.Context(), []string{"wbe"}, "vpc-1"); !jobs.IsClass(err, jobs.Fatal) || !strings.Contains(err.Error(), "wbe") {
		t.Errorf("got %v", err)
	}
	if got, err := r.SecurityGroups(t.Context(), []string{"sg-1"}, ""); err != nil || len(got) != 1 || len(e.asked) != 2 {
		t.Errorf("ids alone took a call: %v, %v", got, err)
	}
}

func TestEveryPageIsRead(t *testing.T) {
	t.Parallel()
	r, e := region(t, func(q url.Values) (int, string) {
		token, id := "<nextToken>two</nextToken>", "ami-1"
		if q.Get("NextToken") == "two" {
			token, id = "", "ami-2"
		}
		return 200, "<DescribeImagesResponse><imagesSet><item><imageId>" + id + "</imageId><creationDate>2026-01-0" + id[4:] + "T00:00:00.000Z</creationDate></item></imagesSet>" + token + "</DescribeImagesResponse>"
	})
	newest, ok, err := r.NewestImage(t.Context(), "amazon", "al2023-*", "arm64")
	if err != nil || !ok || newest.ID != "ami-2" || len(e.asked) != 2 {
		t.Errorf("newest %v %v by %d calls, %v", newest.ID, ok, len(e.asked), err)
	}
}
