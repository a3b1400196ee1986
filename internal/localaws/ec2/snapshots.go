package ec2

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type snapshotXML struct {
	SnapshotID  string    `xml:"snapshotId"`
	VolumeID    string    `xml:"volumeId"`
	Status      string    `xml:"status"`
	Message     string    `xml:"statusMessage,omitempty"`
	StartTime   string    `xml:"startTime"`
	Progress    string    `xml:"progress"`
	OwnerID     string    `xml:"ownerId"`
	VolumeSize  int32     `xml:"volumeSize"`
	Description string    `xml:"description"`
	Tags        list[Tag] `xml:"tagSet"`
	Encrypted   bool      `xml:"encrypted"`
	KMSKeyID    string    `xml:"kmsKeyId,omitempty"`
	Tier        string    `xml:"storageTier"`
	Completed   string    `xml:"completionTime,omitempty"`
}

func showSnapshot(c *call, r *snapshotRecord) snapshotXML {
	x := snapshotXML{
		SnapshotID: r.ID, VolumeID: r.VolumeID, Status: r.State, Message: r.Problem, StartTime: stamp(r.Started), Progress: "100%",
		OwnerID: r.Account, VolumeSize: r.SizeGiB, Description: r.Description, Encrypted: r.Encrypted, KMSKeyID: r.KMSKeyID,
		Tier: "standard",
	}
	if r.Account == c.Account {
		x.Tags = listOf(r.Tags)
	}
	switch {
	case r.State == "completed":
		x.Completed = stamp(r.Due)
	case r.Due.After(r.Started):
		share := 100 * c.now.Sub(r.Started) / r.Due.Sub(r.Started)
		x.Progress = strconv.Itoa(int(max(0, min(99, share)))) + "%"
	}
	return x
}

var snapshotFields = fields[*snapshotRecord]{
	"snapshot-id": func(r *snapshotRecord) []string { return one(r.ID) },
	"volume-id":   func(r *snapshotRecord) []string { return one(r.VolumeID) },
	"volume-size": func(r *snapshotRecord) []string { return one(strconv.Itoa(int(r.SizeGiB))) },
	"status":      func(r *snapshotRecord) []string { return one(r.State) },
	"description": func(r *snapshotRecord) []string { return one(r.Description) },
	"owner-id":    func(r *snapshotRecord) []string { return one(r.Account) },
	"encrypted":   func(r *snapshotRecord) []string { return yesNo(r.Encrypted) },
	"start-time":  func(r *snapshotRecord) []string { return one(stamp(r.Started)) },
}

type describeSnapshotsInput struct {
	dryable
	paging
	IDs          []string `query:"SnapshotId"`
	Owners       []string `query:"Owner"`
	RestorableBy []string `query:"RestorableBy"`
	Filters      []filter `query:"Filter"`
}

type describeSnapshotsXML struct {
	Snapshots list[snapshotXML] `xml:"snapshotSet"`
	NextToken string            `xml:"nextToken,omitempty"`
}

func (s *Service) describeSnapshots(c *call, in *describeSnapshotsInput) (any, error) {
	if err := snapshotFields.check(in.Filters); err != nil {
		return nil, err
	}
	if len(in.IDs) > 0 && in.MaxResults != nil {
		return nil, api.Errorf("InvalidParameterCombination", "The parameter snapshotSet cannot be used with the parameter maxResults")
	}
	var candidates []*snapshotRecord
	for _, id := range in.IDs {
		snapshot, err := s.usableSnapshot(c, id)
		if err != nil {
			return nil, err
		}
		candidates = append(candidates, snapshot)
	}
	slices.SortFunc(candidates, bySequence)
	if len(in.IDs) == 0 {
		filters := in.Filters
		if owners := ownerIDs(c, in.Owners); owners != nil {
			filters = append([]filter{{Name: "owner-id", Values: owners}}, filters...)
		}
		candidates = c.shared.snapshots.candidates(filters)
	}
	var found []*snapshotRecord
	for _, r := range slices.Compact(candidates) {
		owned := len(in.Owners) == 0 || slices.ContainsFunc(in.Owners, func(owner string) bool {
			return owner == r.Account || owner == "self" && r.Account == c.Account
		})
		if owned && r.visibleTo(c) && (len(in.RestorableBy) == 0 || r.restorableBy(c, in.RestorableBy)) && snapshotFields.match(in.Filters, r) {
			found = append(found, r)
		}
	}
	found, next, err := page(in.paging, 5, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeSnapshotsXML{NextToken: next}
	for _, r := range found {
		answer.Snapshots.Items = append(answer.Snapshots.Items, showSnapshot(c, r))
	}
	return answer, nil
}

func (s *snapshotRecord) visibleTo(c *call) bool {
	return !c.now.Before(s.Visible) && (s.Account == c.Account || slices.Contains(s.Users, "all") || slices.Contains(s.Users, c.Account))
}

func (s *snapshotRecord) restorableBy(c *call, users []string) bool {
	return slices.ContainsFunc(users, func(user string) bool {
		if user == "self" {
			user = c.Account
		}
		return slices.Contains(s.Users, user)
	})
}

// usableSnapshot is a snapshot that the account can see.
func (s *Service) usableSnapshot(c *call, id string) (*snapshotRecord, error) {
	if !strings.HasPrefix(id, "snap-") {
		return nil, api.Errorf("InvalidSnapshotID.Malformed", "Invalid id: \"%s\" (expecting \"snap-...\")", id)
	}
	snapshot, ok := c.shared.snapshots.get(id)
	if !ok || !snapshot.visibleTo(c) {
		return nil, api.Errorf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	}
	return snapshot, nil
}

func (s *Service) ownSnapshot(c *call, id string) (*snapshotRecord, error) {
	if id == "" {
		return nil, missing("SnapshotId")
	}
	snapshot, err := s.usableSnapshot(c, id)
	if err == nil && snapshot.Account != c.Account {
		return nil, api.Errorf("AuthFailure", "Not authorized for snapshot:%s", id)
	}
	return snapshot, err
}

// newSnapshot begins a snapshot of the volume; its content is still to be captured.
func (s *Service) newSnapshot(c *call, volume *volumeRecord, id string, tags []Tag, due time.Time) *snapshotRecord {
	return &snapshotRecord{
		base: s.newBase(c.scope, id, tags), VolumeID: volume.ID, SizeGiB: volume.SizeGiB, Encrypted: volume.Encrypted,
		KMSKeyID: volume.KMSKeyID, Started: c.now, Due: due, State: "pending",
	}
}

type createSnapshotInput struct {
	dryable
	VolumeID          string             `query:"VolumeId"`
	Description       string             `query:"Description"`
	TagSpecifications []tagSpecification `query:"TagSpecification"`
}

func (s *Service) createSnapshot(c *call, in *createSnapshotInput) (any, error) {
	volume, err := c.volume(in.VolumeID, c.now)
	if err != nil {
		return nil, err
	}
	tags, err := tagsFor(in.TagSpecifications, "snapshot")
	if err != nil {
		return nil, err
	}
	due := c.now.Add(s.between(s.options.ImageMin, s.options.ImageMax, "snapshot", volume.ID))
	snapshot := s.newSnapshot(c, volume, s.newID("snap", c.Account, c.Region, volume.ID), tags, due)
	snapshot.Description, snapshot.Visible = in.Description, s.visibleAt(c.now, snapshot.ID)
	if i, ok := c.instances.get(volume.InstanceID); ok {
		if m := s.machineOf(i.ID); m != nil {
			s.keepDisks(i, m.Disks())
		}
	}
	c.shared.snapshots.put(snapshot)
	s.captured(snapshot)
	s.armSnapshot(snapshot)
	return showSnapshot(c, snapshot), nil
}

func (s *Service) armSnapshot(r *snapshotRecord) {
	if r.State != "pending" {
		return
	}
	if !r.Captured && s.machineRecordOf(r) == nil {
		// The endpoint was killed between the call and the shutdown that the image waits for.
		s.captured(r)
	}
	s.timers.at(r.Due, func() { s.finishSnapshot(r) })
}

// machineRecordOf is the power of the instance whose volume is being captured, if it has one.
func (s *Service) machineRecordOf(r *snapshotRecord) *power {
	volume, ok := s.scopeOf(&r.base).volumes.get(r.VolumeID)
	if !ok {
		return nil
	}
	return s.powers[volume.InstanceID]
}

func (s *Service) finishSnapshot(r *snapshotRecord) {
	snapshots := s.region(r.Region).snapshots
	if held, ok := snapshots.get(r.ID); !ok || held != r || r.State != "pending" {
		return
	}
	result := "succeeded"
	r.State = "completed"
	if r.FailsWith != "" {
		r.State, r.Problem, result = "error", r.FailsWith, "failed"
	}
	snapshots.put(r)
	arn := "arn:aws:ec2::" + r.Region + ":snapshot/" + r.ID
	s.emit(r.Account, r.Region, "EBS Snapshot Notification", []string{arn}, map[string]any{
		"event": "createSnapshot", "result": result, "cause": r.Problem, "snapshot_id": arn,
		"source": "arn:aws:ec2::" + r.Region + ":volume/" + r.VolumeID, "startTime": stamp(r.Started), "endTime": stamp(r.Due),
	})
}

type snapshotInput struct {
	dryable
	SnapshotID string `query:"SnapshotId"`
}

func (s *Service) deleteSnapshot(c *call, in *snapshotInput) (any, error) {
	snapshot, err := s.ownSnapshot(c, in.SnapshotID)
	if err != nil {
		return nil, err
	}
	if image := c.imageOf(snapshot.ID); image != nil {
		return nil, api.Errorf("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", snapshot.ID, image.ID)
	}
	s.dropSnapshot(snapshot)
	return done{true}, nil
}

func (s *Service) dropSnapshot(r *snapshotRecord) {
	s.region(r.Region).snapshots.remove(r)
	s.tables.contents.Delete(r.ID)
	s.changed = true
}

type snapshotAttributeInput struct {
	snapshotInput
	Attribute string `query:"Attribute"`
}

type snapshotAttributeXML struct {
	SnapshotID  string              `xml:"snapshotId"`
	Permissions *list[snapshotUser] `xml:"createVolumePermission"`
	Products    *list[struct{}]     `xml:"productCodes"`
}

type snapshotUser struct {
	UserID string `query:"UserId" xml:"userId,omitempty"`
	Group  string `query:"Group" xml:"group,omitempty"`
}

func (s *Service) describeSnapshotAttribute(c *call, in *snapshotAttributeInput) (any, error) {
	snapshot, err := s.ownSnapshot(c, in.SnapshotID)
	if err != nil {
		return nil, err
	}
	x := snapshotAttributeXML{SnapshotID: snapshot.ID}
	switch in.Attribute {
	case "createVolumePermission":
		x.Permissions = &list[snapshotUser]{}
		for _, user := range snapshot.Users {
			shown := snapshotUser{UserID: user}
			if user == "all" {
				shown = snapshotUser{Group: user}
			}
			x.Permissions.Items = append(x.Permissions.Items, shown)
		}
	case "productCodes":
		x.Products = &list[struct{}]{}
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
	}
	return x, nil
}

type modifySnapshotInput struct {
	snapshotAttributeInput
	Operation  string   `query:"OperationType"`
	UserIDs    []string `query:"UserId"`
	Groups     []string `query:"UserGroup"`
	Permission *struct {
		Add    []snapshotUser `query:"Add"`
		Remove []snapshotUser `query:"Remove"`
	} `query:"CreateVolumePermission"`
}

func (s *Service) modifySnapshotAttribute(c *call, in *modifySnapshotInput) (any, error) {
	snapshot, err := s.ownSnapshot(c, in.SnapshotID)
	if err != nil {
		return nil, err
	}
	var add, remove []string
	names := func(users []snapshotUser) (all []string) {
		for _, u := range users {
			all = append(all, u.UserID+u.Group)
		}
		return all
	}
	if in.Permission != nil {
		add, remove = names(in.Permission.Add), names(in.Permission.Remove)
	}
	switch flat := append(slices.Clone(in.UserIDs), in.Groups...); {
	case len(flat) == 0:
	case in.Operation == "add":
		add = append(add, flat...)
	case in.Operation == "remove":
		remove = append(remove, flat...)
	default:
		return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter operationType is invalid. Expected add or remove.", in.Operation)
	}
	users := slices.Clone(snapshot.Users)
	for _, user := range add {
		switch {
		case user != "all" && !accountID(user):
			return nil, api.Errorf("InvalidParameterValue", "Value (%s) is no account id", user)
		case snapshot.Encrypted && managed(snapshot.KMSKeyID):
			return nil, api.Errorf("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
		case snapshot.Encrypted && user == "all":
			return nil, api.Errorf("OperationNotPermitted", "Encrypted snapshots cannot be made public")
		case !slices.Contains(users, user):
			users = append(users, user)
		}
	}
	snapshot.Users = slices.DeleteFunc(users, func(user string) bool { return slices.Contains(remove, user) })
	c.shared.snapshots.put(snapshot)
	return done{true}, nil
}
