package sns

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
	embedded "github.com/stampmill/stampmill/internal/localaws/sns"
)

// setup gives the adapter of a worker in eu-west-1, the endpoint, and the ARN of a topic in another region.
func setup(t *testing.T) (*Service, *localaws.Server, string) {
	t.Helper()
	endpoint, err := localaws.New(localaws.Config{Seed: 1, Unlimited: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := endpoint.Close(); err != nil {
			t.Error(err)
		}
	})
	sdk, err := clients.New(clients.Config{Region: "eu-west-1", Endpoint: endpoint.URL(), Transport: endpoint.RoundTripper(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := sdk.For(jobs.Target{Region: "us-east-1"}).SNS.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("patch")})
	if err != nil {
		t.Fatal(err)
	}
	return New(sdk), endpoint, *topic.TopicArn
}

func TestAMessageGoesToTheTopicsOwnRegionWithItsDelivery(t *testing.T) {
	t.Parallel()
	s, endpoint, topic := setup(t)
	if err := s.Publish(t.Context(), topic, "restamp-day/1", "done", `{"images": 2}`); err != nil {
		t.Fatal(err)
	}
	service, ok := endpoint.Service("sns").(*embedded.Service)
	if !ok {
		t.Fatal("the endpoint has no SNS")
	}
	all := service.Published()
	if len(all) != 1 || all[0].Topic != topic || all[0].Subject != "done" || all[0].Text != `{"images": 2}` || all[0].Attributes["delivery"] != "restamp-day/1" {
		t.Errorf("published is %+v", all)
	}
}

func TestAPublicationThatCannotWorkFailsForGoodAndOthersAreTriedAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		topic string // empty: the one that is there
		rule  *localaws.Rule
		class jobs.Class
	}{
		"no ARN":              {topic: "patch", class: jobs.Fatal},
		"a topic that is not": {topic: "arn:aws:sns:us-east-1:123456789012:nobody", class: jobs.NotFound},
		"throttled":           {rule: &localaws.Rule{Code: "Throttled", Status: 429}, class: jobs.Retry},
		"denied":              {rule: &localaws.Rule{Code: "AuthorizationError", Status: 403}, class: jobs.Fatal},
		"its answer is lost":  {rule: &localaws.Rule{Drop: true}, class: jobs.Retry},
	} {
		s, endpoint, topic := setup(t)
		if tc.topic != "" {
			topic = tc.topic
		}
		if tc.rule != nil {
			tc.rule.Service, tc.rule.Action = "sns", "Publish"
			if _, err := endpoint.AddFault(*tc.rule); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Publish(t.Context(), topic, "1", "done", "{}"); err == nil || jobs.ClassOf(err) != tc.class {
			t.Errorf("%s: %v, want an error of class %v", name, err, tc.class)
		}
	}
}

func TestADenialSaysWhatTheRoleMustAllow(t *testing.T) {
	t.Parallel()
	s, endpoint, topic := setup(t)
	if _, err := endpoint.AddFault(localaws.Rule{Service: "sns", Code: "AuthorizationError", Status: 403}); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), topic, "1", "done", "{}"); err == nil || !strings.Contains(err.Error(), "sns:Publish") {
		t.Errorf("%v, want one that names sns:Publish", err)
	}
}
