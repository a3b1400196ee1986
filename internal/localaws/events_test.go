package localaws

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	events "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// bus is EventBridge with a rule for AMIs that are available, whose target is the queue "jobs".
type bus struct {
	*desk
	rules *eventbridge.Client
}

const (
	queueARN  = "arn:aws:sqs:us-east-1:000000000000:jobs"
	ruleARN   = "arn:aws:events:us-east-1:000000000000:rule/images"
	available = `{"source":["aws.ec2"],"detail-type":[{"prefix":"EC2 AMI"}],"detail":{"State":["available","failed"]}}`
	admission = `{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + queueARN +
		`","Condition":{"ArnEquals":{"aws:SourceArn":["` + ruleARN + `"]}}}]}`
)

func newBus(t *testing.T, policy string) *bus {
	t.Helper()
	d := newDesk(t, nil)
	if policy != "" {
		if _, err := d.client.SetQueueAttributes(background, &sqs.SetQueueAttributesInput{QueueUrl: d.url, Attributes: map[string]string{"Policy": policy}}); err != nil {
			t.Fatal(err)
		}
	}
	return &bus{d, eventbridge.NewFromConfig(sdk(d.server, "AKID"))}
}

func (b *bus) rule(pattern, target string) error {
	if _, err := b.rules.PutRule(background, &eventbridge.PutRuleInput{Name: aws.String("images"), EventPattern: &pattern}); err != nil {
		return err
	}
	_, err := b.rules.PutTargets(background, &eventbridge.PutTargetsInput{Rule: aws.String("images"), Targets: []events.Target{{Id: aws.String("1"), Arn: &target}}})
	return err
}

// hears is how many messages an event in the state makes.
func (b *bus) hears(region, state string) int {
	b.server.env.Emit(api.Event{Account: api.DefaultAccount, Region: region, Source: "aws.ec2", DetailType: "EC2 AMI State Change",
		Detail: map[string]any{"ImageId": "ami-1", "State": state}})
	return len(b.receive(b.url, 0))
}

func TestARuleSendsWhatItsPatternFits(t *testing.T) {
	t.Parallel()
	b := newBus(t, admission)
	if err := b.rule(available, queueARN); err != nil {
		t.Fatal(err)
	}
	for state, want := range map[string]int{"available": 1, "failed": 1, "pending": 0} {
		if got := b.hears("us-east-1", state); got != want {
			t.Errorf("an AMI that is %s sends %d messages, want %d", state, got, want)
		}
	}
	if got := b.hears("eu-west-1", "available"); got != 0 {
		t.Errorf("another region's event comes %d times", got)
	}
	if _, err := b.rules.PutRule(background, &eventbridge.PutRuleInput{Name: aws.String("images"), EventPattern: aws.String(available), State: events.RuleStateDisabled}); err != nil {
		t.Fatal(err)
	}
	if got := b.hears("us-east-1", "available"); got != 0 {
		t.Errorf("a disabled rule sends %d messages", got)
	}
}

func TestAQueueTakesEventsOnlyOfRulesThatItsPolicyNames(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]string{
		"no policy":         "",
		"another rule":      strings.Replace(admission, "rule/images", "rule/others", 1),
		"another queue":     strings.Replace(admission, ":jobs", ":others", 1),
		"another principal": strings.Replace(admission, "events.amazonaws.com", "sns.amazonaws.com", 1),
		"a denial":          strings.Replace(admission, "Allow", "Deny", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t, policy)
			if err := b.rule(available, queueARN); err != nil {
				t.Fatal(err)
			}
			if got := b.hears("us-east-1", "available"); got != 0 {
				t.Errorf("it takes %d messages", got)
			}
		})
	}
}

func TestRulesThatEventBridgeRefusesAreRefused(t *testing.T) {
	t.Parallel()
	b := newBus(t, admission)
	for _, c := range []struct{ pattern, target, want string }{
		{`{"source":"aws.ec2"}`, queueARN, "InvalidEventPattern"},
		{`{"source":[]}`, queueARN, "InvalidEventPattern"},
		{`{"source":[{"suffix":"x"}]}`, queueARN, "InvalidEventPattern"},
		{`[`, queueARN, "InvalidEventPattern"},
		{available, "arn:aws:sqs:eu-west-1:000000000000:jobs", "ValidationException"},
		{available, "jobs", "ValidationException"},
		{available, "arn:aws:events:eu-west-1:000000000000:event-bus/default", "RoleArn is required"},
	} {
		if err := b.rule(c.pattern, c.target); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %s: %v, want %s", c.pattern, c.target, err, c.want)
		}
	}
	if _, err := b.rules.DescribeRule(background, &eventbridge.DescribeRuleInput{Name: aws.String("none")}); err == nil {
		t.Error("a rule that is not there is described")
	}
}

// away is a region that forwards, and abroad an account that does.
const (
	away    = "eu-west-1"
	abroad  = "222222222222"
	homeBus = "arn:aws:events:us-east-1:000000000000:event-bus/default"
)

// role makes the role "forward" of the caller's account, trusted by the service and allowed to put events on the bus.
func (b *bus) role(accessKey, service, bus string) error {
	roles := iam.NewFromConfig(sdk(b.server, accessKey))
	trust := `{"Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`
	if _, err := roles.CreateRole(background, &iam.CreateRoleInput{RoleName: aws.String("forward"), AssumeRolePolicyDocument: &trust}); err != nil {
		return err
	}
	right := `{"Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":"` + bus + `"}]}`
	_, err := roles.PutRolePolicy(background, &iam.PutRolePolicyInput{RoleName: aws.String("forward"), PolicyName: aws.String("bus"), PolicyDocument: &right})
	return err
}

// forward makes a rule of the caller's account in the region away, with the home bus as its target.
func (b *bus) forward(accessKey, account string) error {
	rules := eventbridge.NewFromConfig(sdk(b.server, accessKey), func(o *eventbridge.Options) { o.Region = away })
	if _, err := rules.PutRule(background, &eventbridge.PutRuleInput{Name: aws.String("forward"), EventPattern: aws.String(available)}); err != nil {
		return err
	}
	_, err := rules.PutTargets(background, &eventbridge.PutTargetsInput{Rule: aws.String("forward"), Targets: []events.Target{{Id: aws.String("home"),
		Arn: aws.String(homeBus), RoleArn: aws.String("arn:aws:iam::" + account + ":role/forward")}}})
	return err
}

func TestABusTakesFromOtherRegionsAndAccountsWhatRoleAndPermissionAllow(t *testing.T) {
	t.Parallel()
	permitted := func(b *bus) error {
		_, err := b.rules.PutPermission(background, &eventbridge.PutPermissionInput{Action: aws.String("events:PutEvents"),
			Principal: aws.String(abroad), StatementId: aws.String("abroad")})
		return err
	}
	for name, c := range map[string]struct {
		account, bus string
		then         func(*bus) error
		want         int
	}{
		"another region":                         {api.DefaultAccount, homeBus, nil, 1},
		"a right to another bus":                 {api.DefaultAccount, strings.Replace(homeBus, "us-east-1", "us-west-2", 1), nil, 0},
		"another account":                        {abroad, homeBus, permitted, 1},
		"another account, without permission":    {abroad, homeBus, nil, 0},
		"another account, permission taken back": {abroad, homeBus, func(b *bus) error { return errors.Join(permitted(b), b.takeBack()) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t, admission)
			err := errors.Join(b.rule(available, queueARN), b.role(c.account, "events.amazonaws.com", c.bus), b.forward(c.account, c.account))
			if c.then != nil {
				err = errors.Join(err, c.then(b))
			}
			if err != nil {
				t.Fatal(err)
			}
			b.server.env.Emit(api.Event{Account: c.account, Region: away, Source: "aws.ec2", DetailType: "EC2 AMI State Change",
				Detail: map[string]any{"ImageId": "ami-1", "State": "available"}})
			if got := len(b.receive(b.url, 0)); got != c.want {
				t.Errorf("%d messages, want %d", got, c.want)
			}
		})
	}
}

func (b *bus) takeBack() error {
	_, err := b.rules.RemovePermission(background, &eventbridge.RemovePermissionInput{StatementId: aws.String("abroad")})
	return err
}

func TestARuleForwardsAsARoleOfItsAccountThatTrustsEventBridgeOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ made, service, named string }{
		"no role":                   {"", "", api.DefaultAccount},
		"another service's":         {api.DefaultAccount, "ec2.amazonaws.com", api.DefaultAccount},
		"a role of another account": {abroad, "events.amazonaws.com", abroad},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t, admission)
			if c.made != "" {
				if err := b.role(c.made, c.service, homeBus); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.forward("AKID", c.named); err == nil || !strings.Contains(err.Error(), "cannot be assumed") {
				t.Errorf("the rule is made: %v", err)
			}
		})
	}
}
