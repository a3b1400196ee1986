package ec2

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// States of a root volume replacement task.
const (
	taskPending        = "pending"
	taskInProgress     = "in-progress"
	taskFailing        = "failing"
	taskFailed         = "failed"
	taskFailedDetached = "failed-detached"
	taskSucceeded      = "succeeded"
)

// rootTaskRecord is one replacement of an instance's root volume.
type rootTaskRecord struct {
	base
	InstanceID string
	ImageID    string `json:",omitempty"`
	SnapshotID string `json:",omitempty"`
	VolumeID   string // the new root volume
	Made       bool   `json:",omitempty"` // the task made it
	OldVolume  string
	DeleteOld  bool `json:",omitempty"`
	State      string
	EndsAs     string `json:",omitempty"` // a fault: failed or failed-detached
	Started    time.Time
	Completed  time.Time `json:",omitzero"`
	Next       time.Time // when the state that it is in ends
	Visible    time.Time
}

func (t *rootTaskRecord) keys() []string { return []string{"instance-id=" + t.InstanceID} }

// ended says that nothing more happens to the task.
func (t *rootTaskRecord) ended() bool {
	return t.State == taskSucceeded || t.State == taskFailed || t.State == taskFailedDetached
}

type rootTaskXML struct {
	ID         string    `xml:"replaceRootVolumeTaskId"`
	InstanceID string    `xml:"instanceId"`
	State      string    `xml:"taskState"`
	StartTime  string    `xml:"startTime"`
	Completed  string    `xml:"completeTime,omitempty"`
	Tags       list[Tag] `xml:"tagSet"`
	ImageID    string    `xml:"imageId,omitempty"`
	SnapshotID string    `xml:"snapshotId,omitempty"`
	DeleteOld  bool      `xml:"deleteReplacedRootVolume"`
}

func showRootTask(t *rootTaskRecord) rootTaskXML {
	return rootTaskXML{t.ID, t.InstanceID, t.State, stamp(t.Started), stamp(t.Completed), listOf(t.Tags), t.ImageID, t.SnapshotID, t.DeleteOld}
}

type createRootTaskInput struct {
	dryable
	InstanceID        string             `query:"InstanceId"`
	ImageID           string             `query:"ImageId"`
	SnapshotID        string             `query:"SnapshotId"`
	VolumeID          string             `query:"VolumeId"`
	ClientToken       string             `query:"ClientToken"`
	DeleteReplaced    bool               `query:"DeleteReplacedRootVolume"`
	Rate              int64              `query:"VolumeInitializationRate"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

type createRootTaskXML struct {
	Task rootTaskXML `xml:"replaceRootVolumeTask"`
}

// createReplaceRootVolumeTask begins to give a running instance another root volume: of an AMI, of a snapshot of one of its
// root volumes, of the snapshot that it was launched from, or a volume that is there.
func (s *Service) createReplaceRootVolumeTask(c *call, in *createRootTaskInput) (any, error) {
	if err := checkToken(in.ClientToken); err != nil {
		return nil, err
	}
	key, digest := "root-volume/"+c.Account+"/"+c.Region+"/"+in.ClientToken, requestDigest(c.Request)
	if known, ok := s.token(key, c.now); ok && in.ClientToken != "" {
		task, there := c.rootTasks.get(known.IDs[0])
		if known.Digest != digest || !there {
			return nil, mismatch()
		}
		return createRootTaskXML{showRootTask(task)}, nil
	}
	i, err := s.replaceable(c, in)
	if err != nil {
		return nil, err
	}
	tags, err := tagsFor(in.TagSpecifications, "replace-root-volume-task")
	if err != nil {
		return nil, err
	}
	old, err := c.volume(i.rootVolume(), c.now)
	if err != nil {
		return nil, err
	}
	task := &rootTaskRecord{InstanceID: i.ID, OldVolume: old.ID, DeleteOld: in.DeleteReplaced, State: taskPending, Started: c.now}
	replacement, err := s.replacementRoot(c, in, i, old)
	if err != nil {
		return nil, err
	}
	id := s.newID("replacevol", c.Account, c.Region, i.ID, in.ClientToken, old.ID)
	task.base, task.Visible = s.newBase(c.scope, id, tags), s.visibleAt(c.now, id)
	task.ImageID, task.SnapshotID, task.VolumeID = in.ImageID, replacement.SnapshotID, replacement.ID
	task.Made = in.VolumeID == ""
	task.Next = c.now.Add(s.between(s.options.RootPending, 2*s.options.RootPending, "root-pending", id))
	task.EndsAs = s.takeRootFault(i)
	c.rootTasks.put(task)
	s.armRootTask(task)
	if in.ClientToken != "" {
		s.tables.tokens.Put(key, &tokenRecord{Digest: digest, IDs: []string{id}, At: c.now})
	}
	return createRootTaskXML{showRootTask(task)}, nil
}

// replaceable finds the instance and refuses what AWS does ("Replace the root volume" in the EC2 User Guide).
func (s *Service) replaceable(c *call, in *createRootTaskInput) (*instanceRecord, error) {
	i, err := c.instance(in.InstanceID, c.now)
	if err != nil {
		return nil, err
	}
	sources := 0
	for _, source := range []string{in.ImageID, in.SnapshotID, in.VolumeID} {
		if source != "" {
			sources++
		}
	}
	switch {
	case sources > 1:
		return nil, api.Errorf("InvalidParameterCombination", "Only one of ImageId, SnapshotId and VolumeId may be specified")
	case in.Rate != 0 && (in.Rate < 100 || in.Rate > 300):
		return nil, api.Errorf("InvalidParameterValue", "Value (%d) for parameter volumeInitializationRate is invalid. Expected 100 to 300.", in.Rate)
	case i.State != stateRunning:
		return nil, api.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'running' state.", i.ID)
	case instanceTypes[i.Type].metal():
		return nil, api.Errorf("UnsupportedOperation", "Root volume replacement is not supported for instance type '%s'", i.Type)
	case i.rootVolume() == "":
		return nil, api.Errorf("IncorrectState", "The instance '%s' has no root volume attached.", i.ID)
	}
	for _, task := range c.rootTasks.candidates([]filter{{Name: "instance-id", Values: []string{i.ID}}}) {
		if !task.ended() {
			return nil, api.Errorf("IncorrectState", "The instance '%s' has a root volume replacement task in progress: %s", i.ID, task.ID)
		}
	}
	return i, nil
}

// rootVolume is the volume that the instance boots from.
func (i *instanceRecord) rootVolume() string {
	for _, v := range i.Volumes {
		if v.Device == i.RootDevice {
			return v.VolumeID
		}
	}
	return ""
}

type describeRootTasksInput struct {
	dryable
	paging
	IDs     []string `query:"ReplaceRootVolumeTaskId"`
	Filters []filter `query:"Filter"`
}

type describeRootTasksXML struct {
	Tasks     list[rootTaskXML] `xml:"replaceRootVolumeTaskSet"`
	NextToken string            `xml:"nextToken,omitempty"`
}

var rootTaskFields = fields[*rootTaskRecord]{
	"instance-id": func(t *rootTaskRecord) []string { return one(t.InstanceID) },
}

// maxRootTasksPage is the largest page of the call's model.
const maxRootTasksPage = 50

func (s *Service) describeReplaceRootVolumeTasks(c *call, in *describeRootTasksInput) (any, error) {
	if len(in.IDs) > 0 && in.MaxResults != nil {
		return nil, api.Errorf("InvalidParameterCombination", "The parameter replaceRootVolumeTaskIds cannot be used with the parameter maxResults")
	}
	for _, id := range in.IDs {
		task, ok := c.rootTasks.get(id)
		switch {
		case !strings.HasPrefix(id, "replacevol-"):
			return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter replaceRootVolumeTaskId is invalid. Expected: 'replacevol-...'.", id)
		case !ok || c.now.Before(task.Visible):
			return nil, rootTaskNotFound(id)
		}
	}
	found, err := pick(c.rootTasks, rootTaskFields, in.IDs, in.Filters, rootTaskNotFound)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(slices.Clone(found), func(t *rootTaskRecord) bool { return c.now.Before(t.Visible) })
	found, next, err := page(in.paging, 1, maxRootTasksPage, found)
	if err != nil {
		return nil, err
	}
	answer := describeRootTasksXML{NextToken: next}
	for _, t := range found {
		answer.Tasks.Items = append(answer.Tasks.Items, showRootTask(t))
	}
	return answer, nil
}

func rootTaskNotFound(id string) error {
	return api.Errorf("InvalidReplaceRootVolumeTaskId.NotFound", "The replace root volume task '%s' does not exist", id)
}

// rootFault lets the next Count replacements, of one instance or of any, end as failed or failed-detached.
type rootFault struct {
	Instance string `json:"instance,omitempty"`
	Count    int    `json:"count"`
	State    string `json:"state"`
}

func (f rootFault) check() error {
	if f.State != taskFailed && f.State != taskFailedDetached {
		return &api.Error{Code: "ValidationError", Message: "root-volume-failures: the state is " + strconv.Quote(f.State) + ", expected failed or failed-detached"}
	}
	return nil
}

func (s *Service) takeRootFault(i *instanceRecord) string {
	for n := range s.faults.RootFailures {
		fault := &s.faults.RootFailures[n]
		if fault.Count > 0 && (fault.Instance == "" || fault.Instance == i.ID) {
			fault.Count--
			s.saveFaults()
			return fault.State
		}
	}
	return ""
}
