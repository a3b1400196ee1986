package ec2

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// BenchmarkDescribeByTagAmongTenThousand asks for the 100 instances of one batch.
func BenchmarkDescribeByTagAmongTenThousand(b *testing.B) {
	t := &testing.T{}
	e := start(t, withoutPropagation)
	defer e.service.Close()
	call := func(form url.Values) {
		recorder := httptest.NewRecorder()
		e.service.ServeAWS(recorder, &api.Request{Region: testRegion, Account: api.DefaultAccount, Action: form.Get("Action"), Form: form, ID: "request"})
		if recorder.Code != 200 {
			b.Fatal(recorder.Body.String())
		}
	}
	for batch := range 100 {
		call(url.Values{
			"Action": {"RunInstances"}, "ImageId": {baseImage("al2023-arm64")}, "InstanceType": {"m7g.large"}, "MinCount": {"100"}, "MaxCount": {"100"},
			"TagSpecification.1.ResourceType": {"instance"}, "TagSpecification.1.Tag.1.Key": {"batch"}, "TagSpecification.1.Tag.1.Value": {fmt.Sprint(batch)},
		})
	}
	for b.Loop() {
		call(url.Values{"Action": {"DescribeInstances"}, "Filter.1.Name": {"tag:batch"}, "Filter.1.Value.1": {"50"}})
	}
}
