package iam_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/aws/iam"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/localaws"
)

const account = "111122223333"

// opened gives an account's IAM at an endpoint that has the profiles; none: it has every one.
func opened(t *testing.T, profiles string) (*iam.Account, *localaws.Server) {
	t.Helper()
	endpoint, err := localaws.New(localaws.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = endpoint.Close() })
	if profiles != "" {
		if _, err := endpoint.Control("instance-profiles", json.RawMessage(`{"account":"`+account+`","profiles":`+profiles+`}`)); err != nil {
			t.Fatal(err)
		}
	}
	sdk, err := clients.New(clients.Config{Region: "eu-west-1", Endpoint: endpoint.URL(), Transport: endpoint.RoundTripper(),
		Credentials: credentials.NewStaticCredentialsProvider(account, "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	return iam.New(sdk).For(jobs.Target{}), endpoint
}

func TestAnInstanceProfileIsFoundByItsNameWhateverItsPath(t *testing.T) {
	t.Parallel()
	const some = `[{"name":"web"},{"name":"api","path":"/apps/","role":"servers"},{"name":"bare","role":""}]`
	const arn = "arn:aws:iam::" + account + ":instance-profile/"
	for asked, want := range map[string]struct {
		arn    string
		roles  []string
		exists bool
	}{
		"web":                {arn + "web", []string{"web"}, true},
		"api":                {arn + "apps/api", []string{"servers"}, true},
		arn + "apps/api":     {arn + "apps/api", []string{"servers"}, true},
		arn + "api":          {arn + "apps/api", []string{"servers"}, true}, // the caller sees that it is another one
		"bare":               {arn + "bare", nil, true},
		"wbe":                {},
		arn + "apps/new/wbe": {},
	} {
		a, _ := opened(t, some)
		profile, exists, err := a.InstanceProfile(t.Context(), asked)
		if err != nil || exists != want.exists || profile.ARN != want.arn || !slices.Equal(profile.Roles, want.roles) {
			t.Errorf("%s: %+v, %t, %v; want %+v", asked, profile, exists, err, want)
		}
	}
}

// An emulator without IAM, a policy without the action and an overloaded IAM say nothing about the profile.
func TestWhatCannotBeAskedIsAnErrorAndNoMissingProfile(t *testing.T) {
	t.Parallel()
	for code, status := range map[string]int{"AccessDenied": 403, "UnknownService": 404, "NotFound": 404, "InvalidAction": 400, "Throttling": 400, "InternalFailure": 501} {
		a, endpoint := opened(t, `[{"name":"web"}]`)
		if _, err := endpoint.AddFault(localaws.Rule{Service: "iam", Code: code, Status: status}); err != nil {
			t.Fatal(err)
		}
		profile, exists, err := a.InstanceProfile(t.Context(), "web")
		if err == nil || exists || profile.Name != "" {
			t.Errorf("%s: %+v, %t, %v; want an error", code, profile, exists, err)
		}
		if code == "AccessDenied" && !strings.Contains(err.Error(), "must allow iam:GetInstanceProfile") {
			t.Errorf("the error does not say what to allow: %v", err)
		}
	}
}

func TestAnAccountThatSaysNothingHasEveryProfile(t *testing.T) {
	t.Parallel()
	a, _ := opened(t, "")
	want := cloud.InstanceProfile{Name: "builder", ARN: "arn:aws:iam::" + account + ":instance-profile/builder"}
	if profile, exists, err := a.InstanceProfile(t.Context(), "builder"); err != nil || !exists || profile.Name != want.Name || profile.ARN != want.ARN || len(profile.Roles) != 1 {
		t.Errorf("%+v, %t, %v", profile, exists, err)
	}
}
