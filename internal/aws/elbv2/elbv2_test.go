package elbv2

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

type answer func(q url.Values) (status int, xml string)

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	q, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	status, xml := a(q)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(xml)), ContentLength: int64(len(xml)), Request: r}, nil
}

func region(t *testing.T, a answer) *Region {
	t.Helper()
	cs, err := clients.New(clients.Config{
		Region: "eu-west-1", Endpoint: "http://aws.test", Transport: a, Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(cs).For(jobs.Target{})
}

func refusal(code string) (int, string) {
	return 400, "<ErrorResponse><Error><Code>" + code + "</Code><Message>words</Message></Error></ErrorResponse>"
}

func TestATargetGroupThatCannotHoldServersFailsForGood(t *testing.T) {
	t.Parallel()
	group := func(kind string) string {
		return "<DescribeTargetGroupsResponse><DescribeTargetGroupsResult><TargetGroups><member><TargetGroupArn>arn:tg</TargetGroupArn><TargetType>" + kind +
			"</TargetType></member></TargetGroups></DescribeTargetGroupsResult></DescribeTargetGroupsResponse>"
	}
	for name, tc := range map[string]struct {
		answer answer
		class  jobs.Class
	}{
		"instances": {func(q url.Values) (int, string) { return 200, group("instance") }, jobs.Unknown},
		"addresses": {func(url.Values) (int, string) { return 200, group("ip") }, jobs.Fatal},
		"unknown":   {func(url.Values) (int, string) { return refusal("TargetGroupNotFound") }, jobs.Fatal},
		"throttled": {func(url.Values) (int, string) { return refusal("Throttling") }, jobs.Retry},
	} {
		arn, err := region(t, tc.answer).TargetGroup(t.Context(), "web")
		if jobs.ClassOf(err) != tc.class || (err == nil) != (arn == "arn:tg") {
			t.Errorf("%s: %q, %v", name, arn, err)
		}
	}
}

func TestDeregisteringFromAGroupThatIsGoneIsDone(t *testing.T) {
	t.Parallel()
	r := region(t, func(url.Values) (int, string) { return refusal("TargetGroupNotFound") })
	if err := r.Deregister(t.Context(), "arn:tg", "i-1"); err != nil {
		t.Error(err)
	}
	if err := r.Register(t.Context(), "arn:tg", "i-1"); !jobs.IsClass(err, jobs.NotFound) {
		t.Errorf("registering there: %v", err)
	}
}

func TestEveryServersHealthIsAskedForInParts(t *testing.T) {
	t.Parallel()
	calls := 0
	r := region(t, func(q url.Values) (int, string) {
		calls++
		return 200, "<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions><member><Target><Id>" + q.Get("Targets.member.1.Id") +
			"</Id></Target><TargetHealth><State>healthy</State></TargetHealth></member></TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>"
	})
	ids := make([]string, 250)
	for i := range ids {
		ids[i] = "i-" + strings.Repeat("a", i%100+1)
	}
	got, err := r.Health(t.Context(), "arn:tg", ids...)
	if err != nil || calls != 3 || len(got) != 3 || got[0].InstanceID != "i-a" || got[0].State != "healthy" {
		t.Errorf("%v by %d calls, %v", got, calls, err)
	}
}

func TestAServerThatTheGroupRefusesKeepsNoOtherInIt(t *testing.T) {
	t.Parallel()
	out := map[string]bool{}
	r := region(t, func(q url.Values) (int, string) {
		var ids []string
		for i := 1; q.Get(fmt.Sprintf("Targets.member.%d.Id", i)) != ""; i++ {
			ids = append(ids, q.Get(fmt.Sprintf("Targets.member.%d.Id", i)))
		}
		if slices.Contains(ids, "i-bad") {
			return refusal("InvalidTarget")
		}
		if q.Get("Action") == "DescribeTargetHealth" {
			const member = "<member><Target><Id>%s</Id></Target><TargetHealth><State>draining</State></TargetHealth></member>"
			return 200, "<DescribeTargetHealthResponse><DescribeTargetHealthResult><TargetHealthDescriptions>" + fmt.Sprintf(member, "i-1") +
				fmt.Sprintf(member, "i-somebody") + "</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>"
		}
		for _, id := range ids {
			out[id] = true
		}
		return 200, "<DeregisterTargetsResponse><DeregisterTargetsResult/></DeregisterTargetsResponse>"
	})
	if err := r.Deregister(t.Context(), "arn:tg", "i-1", "i-2", "i-bad", "i-3", "i-4"); err != nil || len(out) != 4 {
		t.Errorf("deregistered %v, %v", out, err)
	}
	if got, err := r.Health(t.Context(), "arn:tg", "i-1", "i-bad"); err != nil || len(got) != 1 || got[0].InstanceID != "i-1" {
		t.Errorf("%v, %v", got, err)
	}
}
