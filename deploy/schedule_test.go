package deploy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

const scheduleFile = "cloudformation/schedule.yaml"

func TestTheSchedulesMessageIsOneThatWorkersTake(t *testing.T) {
	t.Parallel()
	schedules := typed(t, resourcesOf(t, scheduleFile), "AWS::Scheduler::Schedule")
	if len(schedules) != 1 {
		t.Fatalf("%d schedules", len(schedules))
	}
	body := strings.NewReplacer("${Policy}", "web-monthly", "<aws.scheduler.scheduled-time>", "2026-11-10T02:00:00Z").
		Replace(at[string](t, schedules[0], "Target", "Input"))
	m, err := jobs.ParseMessage([]byte(body))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if m.Type != jobs.Tick || m.Policy != "web-monthly" || !m.At.Equal(time.Date(2026, 11, 10, 2, 0, 0, 0, time.UTC)) {
		t.Errorf("it says %+v", m)
	}
}

func TestTheSchedulerMaySendToTheQueueAndNothingElse(t *testing.T) {
	t.Parallel()
	all := resourcesOf(t, scheduleFile)
	roles := typed(t, all, "AWS::IAM::Role")
	if len(roles) != 1 || len(all) != 2 {
		t.Fatalf("it makes %d things, %d of them roles", len(all), len(roles))
	}
	allowed := at[list](t, roles[0], "Policies", "0", "PolicyDocument", "Statement")
	statement := at[object](t, roles[0], "Policies", "0", "PolicyDocument", "Statement", "0")
	if len(allowed) != 1 || statement["Action"] != "sqs:SendMessage" || statement["Resource"] != "Queue" {
		t.Errorf("it may %v", allowed)
	}
	if who := at[string](t, roles[0], "AssumeRolePolicyDocument", "Statement", "0", "Principal", "Service"); who != "scheduler.amazonaws.com" {
		t.Errorf("%s may be it", who)
	}
}
