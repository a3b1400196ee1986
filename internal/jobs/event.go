package jobs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Event is what an EventBridge notification tells of one thing: that it came to a state in which it stays, or from which
// somebody should know. Events are hints, and anybody who may send can forge one: an event wakes the job that awaits the
// thing, and the job looks for itself.
type Event struct {
	Account, Region string
	// ID is the thing's: an instance's, an AMI's, a snapshot's or an SSM command's.
	ID string
}

// key names the thing among all accounts and regions.
func (e Event) key() string { return awaitKey(e.Account, e.Region, e.ID) }

// IsEvent reports whether a message is an EventBridge notification. It is cheap for what is none.
func IsEvent(body []byte) bool {
	if len(body) > MaxMessage || !bytes.Contains(body, []byte(`"detail-type"`)) {
		return false
	}
	var head struct {
		Schema int    `json:"schema"`
		Event  string `json:"detail-type"`
	}
	return json.Unmarshal(body, &head) == nil && head.Schema == 0 && head.Event != ""
}

// notification is the part of EventBridge's JSON that is read. Whatever else stands there, now or later, is of no account.
type notification struct {
	Type    string          `json:"detail-type"`
	Account string          `json:"account"`
	Region  string          `json:"region"`
	Detail  json.RawMessage `json:"detail"`
}

// eventSort is one detail-type: what of its detail names the thing and its state, and in which states somebody may await it.
type eventSort struct {
	read func(detail []byte) (id, state string, err error)
	// ends are the states that are waited for. The others (pending, running, InProgress) are dropped without a look-up: each
	// server that anybody in the account launches or ends has several of them.
	ends []string
}

var eventSorts = map[string]eventSort{
	"EC2 Instance State-change Notification": {ends: []string{"stopped", "terminated"}, read: func(detail []byte) (string, string, error) {
		var d struct {
			ID    string `json:"instance-id"`
			State string `json:"state"`
		}
		err := json.Unmarshal(detail, &d)
		return d.ID, d.State, err
	}},
	"EC2 Spot Instance Interruption Warning": {ends: []string{"stop", "terminate", "hibernate"}, read: func(detail []byte) (string, string, error) {
		var d struct {
			ID     string `json:"instance-id"`
			Action string `json:"instance-action"`
		}
		err := json.Unmarshal(detail, &d)
		return d.ID, d.Action, err
	}},
	"EC2 AMI State Change": {ends: []string{"available", "failed", "error", "invalid", "deregistered", "disabled"}, read: func(detail []byte) (string, string, error) {
		var d struct {
			ID    string `json:"ImageId"`
			State string `json:"State"`
		}
		err := json.Unmarshal(detail, &d)
		return d.ID, d.State, err
	}},
	"EBS Snapshot Notification": {ends: []string{"succeeded", "failed"}, read: func(detail []byte) (string, string, error) {
		var d struct {
			ARN    string `json:"snapshot_id"`
			Result string `json:"result"`
		}
		err := json.Unmarshal(detail, &d)
		return d.ARN[strings.LastIndexByte(d.ARN, '/')+1:], d.Result, err
	}},
	"EC2 Command Invocation Status-change Notification": {ends: []string{"Success", "Failed", "TimedOut", "Cancelled", "Undeliverable", "Terminated"},
		read: func(detail []byte) (string, string, error) {
			var d struct {
				ID     string `json:"command-id"`
				Status string `json:"status"`
			}
			err := json.Unmarshal(detail, &d)
			return d.ID, d.Status, err
		}},
}

var (
	accountPattern = regexp.MustCompile(`^\d{12}$`)
	thingPattern   = regexp.MustCompile(`^((i|ami|snap)-[0-9a-f]{8,32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)
)

// ParseEvent reads an EventBridge notification. Awaited: its state is one that a job may wait for. A rule may send more than
// is acted upon, so that an unknown detail-type is no error; one that is known but cannot be read is.
func ParseEvent(body []byte) (event Event, awaited bool, err error) {
	var n notification
	if err := json.Unmarshal(body, &n); err != nil {
		return event, false, fmt.Errorf("the EventBridge event cannot be read: %s", Clip(err.Error(), maxQuoted))
	}
	sort, known := eventSorts[n.Type]
	if !known {
		return event, false, nil
	}
	id, state, err := sort.read(n.Detail)
	if err != nil {
		return event, false, fmt.Errorf("the detail of the event %q cannot be read: %s", n.Type, Clip(err.Error(), maxQuoted))
	}
	event = Event{Account: n.Account, Region: n.Region, ID: id}
	if !slices.Contains(sort.ends, state) {
		return event, false, nil
	}
	for _, c := range []struct {
		field, value, expected string
		pattern                *regexp.Regexp
	}{
		{"account", n.Account, "twelve digits", accountPattern},
		{"region", n.Region, "a region, such as eu-west-1", regionPattern},
		{"detail", id, "the id of an instance, an AMI, a snapshot or a command", thingPattern},
	} {
		if !c.pattern.MatchString(c.value) {
			return event, false, fmt.Errorf("the event %q has %q as its %s; expected %s", n.Type, clip(c.value), c.field, c.expected)
		}
	}
	return event, true, nil
}
