package cloudwatch

import (
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// settings are an alarm's as PutMetricAlarm gives them and DescribeAlarms tells them.
type settings struct {
	AlarmName               string      `query:"AlarmName"`
	AlarmDescription        string      `query:"AlarmDescription" json:",omitempty" xml:",omitempty"`
	ActionsEnabled          *bool       `query:"ActionsEnabled" json:",omitempty" xml:",omitempty"`
	OKActions               []string    `query:"OKActions.member" xml:"OKActions>member"`
	AlarmActions            []string    `query:"AlarmActions.member" xml:"AlarmActions>member"`
	InsufficientDataActions []string    `query:"InsufficientDataActions.member" xml:"InsufficientDataActions>member"`
	MetricName              string      `query:"MetricName" json:",omitempty" xml:",omitempty"`
	Namespace               string      `query:"Namespace" json:",omitempty" xml:",omitempty"`
	Statistic               string      `query:"Statistic" json:",omitempty" xml:",omitempty"`
	ExtendedStatistic       string      `query:"ExtendedStatistic" json:",omitempty" xml:",omitempty"`
	Dimensions              []dimension `query:"Dimensions.member" xml:"Dimensions>member"`
	Period                  int         `query:"Period" json:",omitempty" xml:",omitempty"`
	Unit                    string      `query:"Unit" json:",omitempty" xml:",omitempty"`
	EvaluationPeriods       int         `query:"EvaluationPeriods"`
	DatapointsToAlarm       int         `query:"DatapointsToAlarm" json:",omitempty" xml:",omitempty"`
	Threshold               *float64    `query:"Threshold" json:",omitempty" xml:",omitempty"`
	ComparisonOperator      string      `query:"ComparisonOperator"`
	TreatMissingData        string      `query:"TreatMissingData" json:",omitempty" xml:",omitempty"`
}

type dimension struct {
	Name  string `query:"Name"`
	Value string `query:"Value"`
}

func (in *settings) check() error {
	required := map[string]bool{
		"AlarmName": in.AlarmName != "", "MetricName": in.MetricName != "", "Namespace": in.Namespace != "",
		"Statistic or ExtendedStatistic": (in.Statistic != "") != (in.ExtendedStatistic != ""), "Threshold": in.Threshold != nil,
	}
	for _, name := range []string{"AlarmName", "MetricName", "Namespace", "Statistic or ExtendedStatistic", "Threshold"} {
		if !required[name] {
			return api.Errorf("ValidationError", "The parameter %s is required", name)
		}
	}
	operators := []string{"GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"}
	switch {
	case len(in.AlarmName) > 255:
		return api.Errorf("ValidationError", "AlarmName has %d characters, expected at most 255", len(in.AlarmName))
	case !slices.Contains(operators, in.ComparisonOperator):
		return api.Errorf("ValidationError", "ComparisonOperator '%s': this endpoint serves %s", in.ComparisonOperator, strings.Join(operators, ", "))
	case in.EvaluationPeriods < 1:
		return api.Errorf("ValidationError", "EvaluationPeriods must be at least 1")
	case in.Period < 10 || in.Period > 30 && in.Period%60 != 0:
		return api.Errorf("ValidationError", "Period %d: expected 10, 20, 30 or a multiple of 60", in.Period)
	}
	return nil
}

func (s *Service) put(r *api.Request, in *settings) (any, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.ActionsEnabled == nil {
		yes := true
		in.ActionsEnabled = &yes
	}
	now := time.Now()
	own := key(r.Account, r.Region, in.AlarmName)
	a, found := s.alarms.Get(own)
	if !found {
		a = &alarm{Account: r.Account, Region: r.Region, State: insufficient, Reason: "Unchecked: Initial alarm creation", Updated: now}
	}
	a.Settings, a.Configured = *in, now
	s.alarms.Put(own, a)
	return nil, nil
}

// shape is an alarm as the API tells it.
type shape struct {
	AlarmName                          string
	AlarmArn                           string
	AlarmDescription                   string `json:",omitempty" xml:",omitempty"`
	AlarmConfigurationUpdatedTimestamp time.Time
	ActionsEnabled                     bool
	OKActions                          []string `xml:"OKActions>member"`
	AlarmActions                       []string `xml:"AlarmActions>member"`
	InsufficientDataActions            []string `xml:"InsufficientDataActions>member"`
	StateValue, StateReason            string
	StateReasonData                    string `json:",omitempty" xml:",omitempty"`
	StateUpdatedTimestamp              time.Time
	StateTransitionedTimestamp         time.Time
	MetricName, Namespace              string
	Statistic                          string      `json:",omitempty" xml:",omitempty"`
	ExtendedStatistic                  string      `json:",omitempty" xml:",omitempty"`
	Dimensions                         []dimension `xml:"Dimensions>member"`
	Period                             int
	Unit                               string `json:",omitempty" xml:",omitempty"`
	EvaluationPeriods                  int
	DatapointsToAlarm                  int `json:",omitempty" xml:",omitempty"`
	Threshold                          float64
	ComparisonOperator                 string
	TreatMissingData                   string `json:",omitempty" xml:",omitempty"`
}

func (a *alarm) shape() shape {
	s := a.Settings
	return shape{
		AlarmName: s.AlarmName, AlarmArn: "arn:aws:cloudwatch:" + a.Region + ":" + a.Account + ":alarm:" + s.AlarmName,
		AlarmDescription: s.AlarmDescription, AlarmConfigurationUpdatedTimestamp: a.Configured.UTC().Truncate(time.Millisecond),
		ActionsEnabled: *s.ActionsEnabled, OKActions: s.OKActions, AlarmActions: s.AlarmActions, InsufficientDataActions: s.InsufficientDataActions,
		StateValue: a.State, StateReason: a.Reason, StateReasonData: a.Data,
		StateUpdatedTimestamp: a.Updated.UTC().Truncate(time.Millisecond), StateTransitionedTimestamp: a.Updated.UTC().Truncate(time.Millisecond),
		MetricName: s.MetricName, Namespace: s.Namespace, Statistic: s.Statistic, ExtendedStatistic: s.ExtendedStatistic,
		Dimensions: s.Dimensions, Period: s.Period, Unit: s.Unit, EvaluationPeriods: s.EvaluationPeriods,
		DatapointsToAlarm: s.DatapointsToAlarm, Threshold: *s.Threshold, ComparisonOperator: s.ComparisonOperator, TreatMissingData: s.TreatMissingData,
	}
}

type describeInput struct {
	AlarmNames      []string `query:"AlarmNames.member"`
	AlarmNamePrefix string   `query:"AlarmNamePrefix"`
	AlarmTypes      []string `query:"AlarmTypes.member"`
	StateValue      string   `query:"StateValue"`
	ActionPrefix    string   `query:"ActionPrefix"`
	MaxRecords      *int     `query:"MaxRecords"`
	NextToken       string   `query:"NextToken"`
}

type describeResult struct {
	MetricAlarms    []shape    `xml:"MetricAlarms>member"`
	CompositeAlarms []struct{} `xml:"CompositeAlarms>member"`
	NextToken       string     `json:",omitempty" xml:",omitempty"`
}

// describe leaves names that are not there out, as AWS does.
func (s *Service) describe(r *api.Request, in *describeInput) (any, error) {
	size := 50
	if in.MaxRecords != nil {
		size = *in.MaxRecords
	}
	switch {
	case size < 1 || size > 100:
		return nil, api.Errorf("ValidationError", "MaxRecords %d: expected 1 to 100", size)
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != "":
		return nil, api.Errorf("ValidationError", "AlarmNames and AlarmNamePrefix cannot both be given")
	case len(in.AlarmNames) > 100:
		return nil, api.Errorf("ValidationError", "%d alarm names are given, expected at most 100", len(in.AlarmNames))
	case in.ActionPrefix != "":
		return nil, api.Errorf("ValidationError", "this endpoint does not serve ActionPrefix")
	}
	out := describeResult{}
	if len(in.AlarmTypes) > 0 && !slices.Contains(in.AlarmTypes, "MetricAlarm") {
		return out, nil
	}
	for _, a := range s.alarms.All() {
		name := a.Settings.AlarmName
		if a.Account != r.Account || a.Region != r.Region || name < in.NextToken || !strings.HasPrefix(name, in.AlarmNamePrefix) ||
			len(in.AlarmNames) > 0 && !slices.Contains(in.AlarmNames, name) || in.StateValue != "" && in.StateValue != a.State {
			continue
		}
		if len(out.MetricAlarms) == size {
			out.NextToken = name
			break
		}
		out.MetricAlarms = append(out.MetricAlarms, a.shape())
	}
	return out, nil
}
