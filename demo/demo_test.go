package main

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// whole is an estate in which everything holds, with its settings' rows.
func whole() (*estate, map[string]map[string]string) {
	e := &estate{current: "ami-1", parameter: "ami-1", newest: "ami-1", others: map[string]bool{"i-other": true}}
	rows := map[string]map[string]string{}
	instance := func(id string, state types.InstanceStateName) types.Instance {
		return types.Instance{InstanceId: &id, ImageId: aws.String("ami-1"), State: &types.InstanceState{Name: state}}
	}
	for n := range servers {
		id := fmt.Sprintf("i-%d", n)
		e.instances = append(e.instances, instance(id, types.InstanceStateNameRunning))
		e.ledger = append(e.ledger, ledger.Server{Ordinal: n, InstanceID: id})
		e.told = append(e.told, answer{instance: id, hostname: name(n), page: name(n), settings: map[string]any{"cluster": "blue", "seat": n}})
		rows[strconv.Itoa(n)] = map[string]string{"seat": strconv.Itoa(n)}
	}
	e.instances = append(e.instances, instance("i-builder", types.InstanceStateNameTerminated))
	e.instances = append(e.instances, instance("i-other", types.InstanceStateNameRunning))
	*e.instances[servers+1].ImageId = "ami-9"
	for n := range amis {
		snapshot := fmt.Sprintf("snap-%d", n)
		e.images = append(e.images, types.Image{ImageId: aws.String(fmt.Sprintf("ami-%d", n)), State: types.ImageStateAvailable,
			BlockDeviceMappings: []types.BlockDeviceMapping{{Ebs: &types.EbsBlockDevice{SnapshotId: &snapshot}}}})
		e.snapshots = append(e.snapshots, types.Snapshot{SnapshotId: &snapshot})
	}
	e.truth = map[string]map[string]int{"instances": {"running": servers + 1, "terminated": 1}, "images": {"available": amis},
		"snapshots": {"completed": amis}, "volumes": {"in-use": servers + 1}}
	return e, rows
}

func TestEachFlawFailsItsCheck(t *testing.T) {
	t.Parallel()
	checks := map[string]func(*estate, map[string]map[string]string) string{
		"servers":  func(e *estate, _ map[string]map[string]string) string { return e.servers() },
		"holders":  func(e *estate, _ map[string]map[string]string) string { return e.holders() },
		"image":    func(e *estate, _ map[string]map[string]string) string { return e.image() },
		"versions": func(e *estate, _ map[string]map[string]string) string { return e.versions() },
		"books":    func(e *estate, _ map[string]map[string]string) string { return e.books() },
		"names":    func(e *estate, _ map[string]map[string]string) string { return e.names() },
		"pages":    func(e *estate, _ map[string]map[string]string) string { return e.pages() },
		"settings": func(e *estate, rows map[string]map[string]string) string { return e.settings(rows) },
	}
	for name, check := range checks {
		if wrong := check(whole()); wrong != "" {
			t.Errorf("%s: a whole estate is said to be wrong: %s", name, wrong)
		}
	}
	for _, c := range []struct {
		flaw, check string
		make        func(e *estate)
	}{
		{"a server too few", "servers", func(e *estate) { e.instances = e.instances[1:] }},
		{"a builder that is left", "servers", func(e *estate) { e.instances[servers].State.Name = types.InstanceStateNameStopped }},
		{"two ordinals of one server", "holders", func(e *estate) { e.ledger[7].InstanceID = "i-8" }},
		{"a server without an ordinal", "holders", func(e *estate) { e.instances[servers].State.Name = types.InstanceStateNameRunning }},
		{"an ordinal twice", "holders", func(e *estate) { e.ledger[7].Ordinal = 8 }},
		{"an AMI too many", "image", func(e *estate) { e.images = append(e.images, e.images[0]) }},
		{"a snapshot of no AMI", "image", func(e *estate) { e.snapshots = append(e.snapshots, types.Snapshot{SnapshotId: aws.String("snap-9")}) }},
		{"an AMI that failed", "image", func(e *estate) { e.images[2].State = types.ImageStateFailed }},
		{"a server of no fleet", "servers", func(e *estate) { e.others = nil }},
		{"current names another AMI", "versions", func(e *estate) { e.current = "ami-2" }},
		{"a server of another AMI", "versions", func(e *estate) { e.instances[3].ImageId = aws.String("ami-2") }},
		{"a volume that nobody has", "books", func(e *estate) { e.truth["volumes"]["available"] = 1 }},
		{"two servers of one name", "names", func(e *estate) { e.told[3].hostname = name(4) }},
		{"a server that did not answer", "names", func(e *estate) { e.told = e.told[1:] }},
		{"another server's page", "pages", func(e *estate) { e.told[3].page, e.told[4].page = e.told[4].page, e.told[3].page }},
		{"another row's settings", "settings", func(e *estate) { e.told[3].settings["seat"] = 1000 }},
	} {
		e, rows := whole()
		c.make(e)
		if checks[c.check](e, rows) == "" {
			t.Errorf("%s: not found by %s", c.flaw, c.check)
		}
	}
}
