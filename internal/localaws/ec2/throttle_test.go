package ec2

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// until counts the calls that pass before one is throttled.
func until(t *testing.T, call func() error) int {
	t.Helper()
	for n := 0; ; n++ {
		if err := call(); err != nil {
			wantCode(t, err, "RequestLimitExceeded")
			return n
		}
	}
}

func TestRequestBucketsHoldAWSsNumbers(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		filtered := []types.Filter{{Name: aws.String("tag:x"), Values: []string{"y"}}}
		vpc := must(b.DescribeVpcs(ctx, &sdk.DescribeVpcsInput{}))(t).Vpcs[0].VpcId
		time.Sleep(time.Minute)
		cases := []struct {
			name         string
			size, refill int
			call         func() error
		}{
			{"RunInstances", 5, 2, func() error { _, err := b.tryRun(1); return err }},
			{"CreateTags", 100, 10, func() error {
				_, err := b.CreateTags(ctx, &sdk.CreateTagsInput{Resources: []string{*vpc}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
				return err
			}},
			{"CreateSecurityGroup", 50, 5, func() error {
				_, err := b.CreateSecurityGroup(ctx, &sdk.CreateSecurityGroupInput{GroupName: aws.String(fmt.Sprint(time.Now().UnixNano(), b.service.sequence)), Description: aws.String("x")})
				return err
			}},
			{"DescribeInstances unfiltered", 50, 10, func() error { _, err := b.DescribeInstances(ctx, &sdk.DescribeInstancesInput{}); return err }},
			{"DescribeInstances filtered", 100, 20, func() error {
				_, err := b.DescribeInstances(ctx, &sdk.DescribeInstancesInput{Filters: filtered})
				return err
			}},
			{"DescribeSnapshots paginated", 100, 20, func() error {
				_, err := b.DescribeSnapshots(ctx, &sdk.DescribeSnapshotsInput{MaxResults: aws.Int32(5)})
				return err
			}},
		}
		for _, c := range cases {
			if n := until(t, c.call); n != c.size {
				t.Errorf("%s: %d calls pass at once, want %d", c.name, n, c.size)
			}
			time.Sleep(2 * time.Second)
			if n := until(t, c.call); n != 2*c.refill {
				t.Errorf("%s: %d calls pass after 2 s, want %d", c.name, n, 2*c.refill)
			}
		}
		if n := b.service.Throttled(); n != int64(2*len(cases)) {
			t.Errorf("%d throttled answers are counted, want %d", n, 2*len(cases))
		}
	}, withBuckets)
}

func TestTheResourceBucketCountsInstances(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		for range 4 {
			b.run(t, 250)
		}
		_, err := b.tryRun(1)
		wantCode(t, err, "RequestLimitExceeded")
		time.Sleep(10 * time.Second)
		if n := len(b.run(t, 20).Instances); n != 20 {
			t.Errorf("10 s refill %d instances", n)
		}
		_, err = b.tryRun(1)
		wantCode(t, err, "RequestLimitExceeded")
		other := b.client("us-west-2", "000000000000")
		if _, err := other.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{}); err != nil {
			t.Errorf("another region's bucket is empty too: %v", err)
		}
	}, withBuckets)
}

func TestWhatSomebodyElseTakesIsGone(t *testing.T) {
	t.Parallel()
	virtual(t, func(t *testing.T, b *bundle) {
		if n := b.service.Drain(api.DefaultAccount, testRegion, "RunInstances", 991); n != 991 {
			t.Fatalf("%d tokens were taken of a full bucket, want 991", n)
		}
		must(b.tryRun(9))(t)
		_, err := b.tryRun(1)
		wantCode(t, err, "RequestLimitExceeded")
		time.Sleep(2 * time.Second)
		if n := b.service.Drain(api.DefaultAccount, testRegion, "RunInstances", 10); n != 4 {
			t.Errorf("%d tokens were taken after 2 s, want the 4 that are there", n)
		}
		if n := b.service.Drain(api.DefaultAccount, testRegion, "DescribeInstances", 1); n != 0 {
			t.Errorf("%d tokens were taken of an action that has no resource bucket", n)
		}
	}, withBuckets)
}
