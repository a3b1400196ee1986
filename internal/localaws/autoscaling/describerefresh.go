package autoscaling

import (
	"slices"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

type poolProgress struct {
	InstancesToUpdate, PercentageComplete int
}

type progressShape struct {
	LivePoolProgress poolProgress
}

type rollbackShape struct {
	RollbackReason               string
	RollbackStartTime            string
	PercentageCompleteOnRollback int
	InstancesToUpdateOnRollback  int
	ProgressDetailsOnRollback    progressShape
}

type refreshShape struct {
	InstanceRefreshID    string `xml:"InstanceRefreshId"`
	AutoScalingGroupName string
	Status               string
	StatusReason         string `xml:",omitempty"`
	StartTime            string `xml:",omitempty"`
	EndTime              string `xml:",omitempty"`
	PercentageComplete   int
	InstancesToUpdate    int
	ProgressDetails      progressShape
	Preferences          preferences
	DesiredConfiguration *desiredShape  `xml:",omitempty"`
	RollbackDetails      *rollbackShape `xml:",omitempty"`
	Strategy             string
}

// percent is how much of the group is new; where there are no instances, all of it.
func (p *phase) percent() int {
	if p.Total == 0 {
		return 100
	}
	return (p.Matching + p.Done) * 100 / (p.Matching + p.Total)
}

func (p *phase) progress() progressShape {
	return progressShape{poolProgress{max(0, p.Total-p.Done), p.percent()}}
}

func (f *refresh) shape(g *group) refreshShape {
	shape := refreshShape{
		InstanceRefreshID: f.ID, AutoScalingGroupName: g.Name, Status: f.Status, StatusReason: f.Reason, EndTime: stamp(f.End),
		PercentageComplete: f.percent(), InstancesToUpdate: max(0, f.Total-f.Done), ProgressDetails: f.progress(),
		Preferences: f.Preferences, DesiredConfiguration: f.Desired, Strategy: "Rolling",
	}
	if f.Status != refreshPending {
		shape.StartTime = stamp(f.Start)
	}
	if f.Rollback != nil {
		shape.RollbackDetails = &rollbackShape{f.RollbackWhy, stamp(f.RollbackStart), f.Rollback.percent(), max(0, f.Rollback.Total-f.Rollback.Done), f.Rollback.progress()}
	}
	return shape
}

type describeRefreshesInput struct {
	pageInput
	Name string   `query:"AutoScalingGroupName"`
	IDs  []string `query:"InstanceRefreshIds.member"`
}

// describeRefreshes lists the newest first.
func (s *Service) describeRefreshes(r *api.Request, in *describeRefreshesInput) (any, error) {
	g, err := s.find(r, in.Name)
	if err != nil {
		return nil, err
	}
	var ids []string
	found := map[string]*refresh{}
	for _, f := range slices.Backward(s.refreshesOf(g)) {
		if len(in.IDs) == 0 || slices.Contains(in.IDs, f.ID) {
			ids, found[f.ID] = append(ids, f.ID), f
		}
	}
	size := 50
	if in.MaxRecords != nil {
		size = *in.MaxRecords
	}
	if size < 1 || size > 100 {
		return nil, invalid("The value specified for MaxRecords is not valid: expected 1 to 100")
	}
	if in.NextToken != "" {
		at := slices.Index(ids, in.NextToken)
		if at < 0 {
			return nil, api.Errorf("InvalidNextToken", "The token '%s' is invalid.", in.NextToken)
		}
		ids = ids[at:]
	}
	var out struct {
		Refreshes []refreshShape `xml:"InstanceRefreshes>member"`
		NextToken string         `xml:",omitempty"`
	}
	if len(ids) > size {
		out.NextToken, ids = ids[size], ids[:size]
	}
	for _, id := range ids {
		out.Refreshes = append(out.Refreshes, found[id].shape(g))
	}
	return out, nil
}
