package deploy_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stampmill/stampmill/internal/aws/setup"
)

func TestTheForwardingTemplateForwardsWhatSetupDoesAndMayNothingElse(t *testing.T) {
	t.Parallel()
	all := resourcesOf(t, forwardFile)
	var got, expected []string
	for _, rule := range typed(t, all, "AWS::Events::Rule") {
		got = append(got, printed(t, plain(t, at[object](t, rule, "EventPattern"))))
		target := at[object](t, rule, "Targets", "0")
		if len(at[list](t, rule, "Targets")) != 1 || target["Arn"] != "HomeBus" || target["RoleArn"] != "Forwarder.Arn" {
			t.Errorf("it sends to %v", rule["Targets"])
		}
	}
	for _, rule := range setup.ForwardRules(prefix) {
		expected = append(expected, printed(t, plain(t, rule.Pattern)))
	}
	slices.Sort(got)
	slices.Sort(expected)
	if !slices.Equal(got, expected) {
		t.Errorf("it forwards\n%v\nexpected\n%v", got, expected)
	}
	roles := typed(t, all, "AWS::IAM::Role")
	if len(roles) != 1 || len(all) != len(got)+1 {
		t.Fatalf("it makes %d things, %d of them roles", len(all), len(roles))
	}
	for what, want := range map[string][]string{
		"AssumeRolePolicyDocument": {"events.amazonaws.com", "sts:AssumeRole"},
		"Policies":                 {"HomeBus", "events:PutEvents"},
	} {
		document := at[any](t, roles[0], what)
		if what == "Policies" {
			document = at[any](t, document, "0", "PolicyDocument")
		}
		statement := at[object](t, document, "Statement", "0")
		whom := statement["Resource"]
		if what != "Policies" {
			whom = at[any](t, statement, "Principal", "Service")
		}
		if len(at[list](t, document, "Statement")) != 1 || fmt.Sprint(whom) != want[0] || fmt.Sprint(statement["Action"]) != want[1] {
			t.Errorf("%s: %v, want %v", what, document, want)
		}
	}
}

func TestTheBusTakesEventsOfTheNamedAccountsOnly(t *testing.T) {
	t.Parallel()
	policies := ofType(t, "AWS::Events::EventBusPolicy")
	if len(policies) != 1 {
		t.Fatalf("%d policies", len(policies))
	}
	statement := at[object](t, policies[0], "Statement")
	if at[string](t, statement, "Principal", "AWS") != "EventAccounts" || statement["Action"] != "events:PutEvents" || statement["Effect"] != "Allow" {
		t.Errorf("the bus admits %v", statement)
	}
}
