package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

// event is a notification as EventBridge writes it.
func event(source, sort, detail string) string {
	return fmt.Sprintf(`{"version":"0","id":"7bf73129-1428-4cd3-a780-95db273d1602","detail-type":%q,"source":%q,"account":"123456789012",`+
		`"time":"2026-11-11T21:29:54Z","region":"us-east-1","resources":[],"detail":%s}`, sort, source, detail)
}

func imageEvent(id, state string) string {
	return event("aws.ec2", "EC2 AMI State Change", fmt.Sprintf(`{"RequestId":"r","ImageId":%q,"State":%q,"ErrorMessage":""}`, id, state))
}

func TestEventsOfEC2AndSSMNameTheirThing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, want string }{
		{event("aws.ec2", "EC2 Instance State-change Notification", `{"instance-id":"i-abcd1111","state":"stopped"}`), "i-abcd1111"},
		{event("aws.ec2", "EC2 Instance State-change Notification", `{"instance-id":"i-0123456789abcdef0","state":"terminated"}`), "i-0123456789abcdef0"},
		{event("aws.ec2", "EC2 Spot Instance Interruption Warning", `{"instance-id":"i-1234567890abcdef0","instance-action":"terminate"}`), "i-1234567890abcdef0"},
		{imageEvent("ami-0123456789example"[:12]+"abc", "available"), "ami-01234567abc"},
		{imageEvent("ami-0123456789abcdef0", "failed"), "ami-0123456789abcdef0"},
		{event("aws.ec2", "EBS Snapshot Notification", `{"event":"createSnapshot","result":"succeeded","cause":"","request-id":"",`+
			`"snapshot_id":"arn:aws:ec2::us-east-1:snapshot/snap-01234567","source":"arn:aws:ec2::us-east-1:volume/vol-01234567"}`), "snap-01234567"},
		{event("aws.ssm", "EC2 Command Invocation Status-change Notification", `{"command-id":"7e9e2b6c-1c4f-4a27-8f6e-3a5d1c0b9d8e",`+
			`"document-name":"AWS-RunShellScript","instance-id":"i-9bb89e2b","requested-date-time":"2026-01-21T18:04:50.000Z","status":"Success"}`),
			"7e9e2b6c-1c4f-4a27-8f6e-3a5d1c0b9d8e"},
	} {
		if !jobs.IsEvent([]byte(c.body)) {
			t.Errorf("it is taken for no event: %s", c.body)
		}
		got, awaited, err := jobs.ParseEvent([]byte(c.body))
		if err != nil || !awaited || got != (jobs.Event{Account: "123456789012", Region: "us-east-1", ID: c.want}) {
			t.Errorf("%s is read as %+v, %v, %v; want %s", c.body, got, awaited, err, c.want)
		}
	}
}

// Each server that anybody launches or ends has states in which nobody waits for it: they cost no look-up.
func TestStatesInWhichNothingStaysAreAwaitedByNobody(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		anEvent,
		event("aws.ec2", "EC2 Instance State-change Notification", `{"instance-id":"i-abcd1111","state":"running"}`),
		event("aws.ec2", "EC2 Instance State-change Notification", `{"instance-id":"i-abcd1111","state":"shutting-down"}`),
		event("aws.ssm", "EC2 Command Invocation Status-change Notification", `{"command-id":"7e9e2b6c-1c4f-4a27-8f6e-3a5d1c0b9d8e","status":"InProgress"}`),
		event("aws.ec2", "EC2 Instance Rebalance Recommendation", `{"instance-id":"i-abcd1111"}`),
		event("aws.health", "AWS Health Event", `{"state":"stopped"}`),
	} {
		if _, awaited, err := jobs.ParseEvent([]byte(body)); awaited || err != nil {
			t.Errorf("it is awaited (%v): %s", err, body)
		}
	}
}

func TestWhatOnlyLooksLikeAnEventIsNone(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"schema":1,"type":"submit","kind":"Ping","name":"web","spec":{"detail-type":"EC2 AMI State Change"}}`,
		`{"schema":1,"detail-type":"EC2 AMI State Change"}`, `{"detail-type":""}`, `{"detail-type":7}`, `["detail-type"]`, `"detail-type"`,
		`{"detail-type":"x"}` + strings.Repeat(" ", jobs.MaxMessage),
	} {
		if jobs.IsEvent([]byte(body)) {
			t.Errorf("it is taken for an event: %.100s", body)
		}
	}
}

func TestAnEventThatCannotBeReadSaysWhatIsWrongInFewWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct{ body, want string }{
		{imageEvent("i-0123456789; drop", "available"), "the id of an instance"},
		{imageEvent("../lease/sweeper", "available"), "the id of an instance"},
		{imageEvent(long, "available"), "the id of an instance"},
		{event("aws.ec2", "EC2 AMI State Change", `[]`), "cannot be read"},
		{event("aws.ec2", "EC2 AMI State Change", `{"ImageId":{},"State":"available"}`), "cannot be read"},
		{strings.Replace(imageEvent("ami-01234567", "available"), "123456789012", "1/2", 1), `"1/2" as its account`},
		{strings.Replace(imageEvent("ami-01234567", "available"), "us-east-1", "us-east-1/x", 1), "as its region"},
	} {
		_, awaited, err := jobs.ParseEvent([]byte(c.body))
		if awaited || err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 1000 {
			t.Errorf("%.200s: awaited %v, %.300v; want %q", c.body, awaited, err, c.want)
		}
	}
}
