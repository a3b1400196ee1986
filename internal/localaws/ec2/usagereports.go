package ec2

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// reportRecord is an image usage report: what accounts did with an image when it was asked for.
type reportRecord struct {
	base
	ImageID  string
	Kinds    []reportedKind
	Accounts []string `json:",omitempty"`
	Created  time.Time
	Due      time.Time // from then on it is available
	Entries  []reportEntry
}

type reportedKind struct {
	Kind  string
	Depth int `json:",omitempty"`
}

type reportEntry struct {
	Kind, Account string
	Count         int64
}

func (r *reportRecord) keys() []string { return nil }

const (
	// reportTakes is how long a report is pending.
	reportTakes = time.Minute
	// reportKept is how long EC2 keeps one.
	reportKept = 30 * 24 * time.Hour
	// reportBlind is what a report may not know yet: instances that were launched within a day before it.
	reportBlind = 24 * time.Hour
	// maxReportIDs is how many images or reports a describe takes.
	maxReportIDs = 200
)

func (r *reportRecord) state(now time.Time) string {
	if now.Before(r.Due) {
		return "pending"
	}
	return "available"
}

type createReportInput struct {
	imageInput
	Kinds          []referenceKind    `query:"ResourceType"`
	AccountIDs     []string           `query:"AccountId"`
	ClientToken    string             `query:"ClientToken"`
	Specifications []tagSpecification `query:"TagSpecification"`
}

type reportIDXML struct {
	ReportID string `xml:"reportId"`
}

// kinds are the resource types of the request, checked.
func (in *createReportInput) kinds() ([]reportedKind, error) {
	if len(in.Kinds) == 0 {
		return nil, missing("ResourceTypes")
	}
	var kinds []reportedKind
	for _, k := range in.Kinds {
		w := wanted{depth: reportedDepth}
		switch k.Kind {
		case usedByInstance:
			if len(k.Options) > 0 {
				return nil, api.Errorf("InvalidParameterValue", "The resource type %s takes no options", k.Kind)
			}
			w.depth = 0
		case usedByTemplate:
			for _, option := range k.Options {
				if err := w.set(k.Kind, option); err != nil {
					return nil, err
				}
			}
		default:
			return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter resourceType is invalid. Expected ec2:Instance or ec2:LaunchTemplate.", k.Kind)
		}
		kinds = append(kinds, reportedKind{k.Kind, w.depth})
	}
	return kinds, nil
}

func (s *Service) createImageUsageReport(c *call, in *createReportInput) (any, error) {
	key, digest := "usage-report/"+c.Account+"/"+c.Region+"/"+in.ClientToken, requestDigest(c.Request)
	if err := checkToken(in.ClientToken); err != nil {
		return nil, err
	}
	if in.ClientToken != "" {
		if known, ok := s.token(key, c.now); ok {
			if known.Digest != digest {
				return nil, mismatch()
			}
			return reportIDXML{known.IDs[0]}, nil
		}
	}
	image, err := s.ownImage(c, in.ImageID)
	if err != nil {
		return nil, err
	}
	kinds, err := in.kinds()
	if err != nil {
		return nil, err
	}
	for _, id := range in.AccountIDs {
		if !accountID(id) {
			return nil, api.Errorf("InvalidParameterValue", "Value (%s) for parameter accountId is invalid.", id)
		}
	}
	tags, err := tagsFor(in.Specifications, "image-usage-report")
	if err != nil {
		return nil, err
	}
	r := &reportRecord{base: s.newBase(c.scope, s.newID("amiur", image.ID, in.ClientToken), tags), ImageID: image.ID, Kinds: kinds,
		Accounts: in.AccountIDs, Created: c.now, Due: c.now.Add(s.env.Scale(reportTakes))}
	for _, k := range kinds {
		r.Entries = append(r.Entries, s.usage(image, k, in.AccountIDs, c.now)...)
	}
	c.reports.put(r)
	s.changed = true
	if in.ClientToken != "" {
		s.tables.tokens.Put(key, &tokenRecord{Digest: digest, IDs: []string{r.ID}, At: c.now})
	}
	return reportIDXML{r.ID}, nil
}

// usage counts what accounts have of one sort that names the image. Templates count once, however many versions name it.
func (s *Service) usage(image *imageRecord, k reportedKind, accounts []string, now time.Time) []reportEntry {
	counts := map[string]int64{}
	for key, sc := range s.scopes {
		if key.region != image.Region || len(accounts) > 0 && !slices.Contains(accounts, key.account) {
			continue
		}
		for _, i := range sc.instances.order {
			if k.Kind == usedByInstance && i.ImageID == image.ID && i.Launched.Before(now.Add(-s.env.Scale(reportBlind))) {
				counts[key.account]++
			}
		}
		for _, t := range sc.templates.order {
			if k.Kind == usedByTemplate && t.names(image.ID, k.Depth) {
				counts[key.account]++
			}
		}
	}
	var entries []reportEntry
	for _, account := range sortedNames(counts) {
		entries = append(entries, reportEntry{k.Kind, account, counts[account]})
	}
	return entries
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

type describeReportsInput struct {
	dryable
	paging
	ImageIDs  []string `query:"ImageId"`
	ReportIDs []string `query:"ReportId"`
	Filters   []filter `query:"Filter"`
}

type describeReportsXML struct {
	Reports   list[reportXML] `xml:"imageUsageReportSet"`
	NextToken string          `xml:"nextToken,omitempty"`
}

type reportXML struct {
	ImageID    string                `xml:"imageId"`
	ReportID   string                `xml:"reportId"`
	Kinds      list[reportedKindXML] `xml:"resourceTypeSet"`
	Accounts   list[string]          `xml:"accountIdSet"`
	State      string                `xml:"state"`
	Created    string                `xml:"creationTime"`
	Expiration string                `xml:"expirationTime"`
	Tags       list[Tag]             `xml:"tagSet"`
}

type reportedKindXML struct {
	Kind    string                  `xml:"resourceType"`
	Options list[reportedOptionXML] `xml:"resourceTypeOptionSet"`
}

type reportedOptionXML struct {
	Name   string       `xml:"optionName"`
	Values list[string] `xml:"optionValueSet"`
}

// found are the reports that a describe is about. One that has expired is gone.
func (s *Service) foundReports(c *call, in *describeReportsInput) ([]*reportRecord, error) {
	if len(in.ImageIDs) > maxReportIDs || len(in.ReportIDs) > maxReportIDs {
		return nil, api.Errorf("InvalidParameterValue", "%d images and %d reports are given, expected at most %d", len(in.ImageIDs), len(in.ReportIDs), maxReportIDs)
	}
	var found []*reportRecord
	for _, id := range in.ReportIDs {
		r, ok := c.reports.get(id)
		if !ok || r.expired(c.now) {
			return nil, api.Errorf("InvalidImageUsageReportId.NotFound", "The image usage report '%s' does not exist", id)
		}
	}
	for _, r := range c.reports.order {
		if !r.expired(c.now) && (len(in.ReportIDs) == 0 || slices.Contains(in.ReportIDs, r.ID)) && (len(in.ImageIDs) == 0 || slices.Contains(in.ImageIDs, r.ImageID)) {
			found = append(found, r)
		}
	}
	return found, nil
}

func (r *reportRecord) expired(now time.Time) bool { return now.After(r.Created.Add(reportKept)) }

func (s *Service) describeImageUsageReports(c *call, in *describeReportsInput) (any, error) {
	known := fields[*reportRecord]{
		"state":         func(r *reportRecord) []string { return one(r.state(c.now)) },
		"creation-time": func(r *reportRecord) []string { return one(stamp(r.Created)) },
	}
	if err := known.check(in.Filters); err != nil {
		return nil, err
	}
	found, err := s.foundReports(c, in)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(r *reportRecord) bool { return !known.match(in.Filters, r) })
	found, next, err := page(in.paging, 1, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeReportsXML{NextToken: next}
	for _, r := range found {
		x := reportXML{ImageID: r.ImageID, ReportID: r.ID, State: r.state(c.now), Created: stamp(r.Created), Expiration: stamp(r.Created.Add(reportKept)),
			Accounts: listOf(r.Accounts), Tags: listOf(r.Tags)}
		for _, k := range r.Kinds {
			kind := reportedKindXML{Kind: k.Kind}
			if k.Depth > 0 {
				kind.Options.Items = []reportedOptionXML{{"version-depth", listOf([]string{strconv.Itoa(k.Depth)})}}
			}
			x.Kinds.Items = append(x.Kinds.Items, kind)
		}
		answer.Reports.Items = append(answer.Reports.Items, x)
	}
	return answer, nil
}

type describeEntriesXML struct {
	Entries   list[reportEntryXML] `xml:"imageUsageReportEntrySet"`
	NextToken string               `xml:"nextToken,omitempty"`
}

type reportEntryXML struct {
	Kind     string `xml:"resourceType"`
	ReportID string `xml:"reportId"`
	Count    int64  `xml:"usageCount"`
	Account  string `xml:"accountId"`
	ImageID  string `xml:"imageId"`
	Created  string `xml:"reportCreationTime"`
}

// describeImageUsageReportEntries tells what available reports hold. Pages are of reports, all entries of one together.
func (s *Service) describeImageUsageReportEntries(c *call, in *describeReportsInput) (any, error) {
	known := fields[*reportRecord]{
		"account-id": func(r *reportRecord) (ids []string) {
			for _, e := range r.Entries {
				ids = append(ids, e.Account)
			}
			return ids
		},
		"resource-type": func(r *reportRecord) (kinds []string) {
			for _, e := range r.Entries {
				kinds = append(kinds, e.Kind)
			}
			return kinds
		},
		"creation-time": func(r *reportRecord) []string { return one(stamp(r.Created)) },
	}
	if err := known.check(in.Filters); err != nil {
		return nil, err
	}
	found, err := s.foundReports(c, in)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(r *reportRecord) bool { return r.state(c.now) != "available" || !known.match(in.Filters, r) })
	found, next, err := page(in.paging, 1, 1000, found)
	if err != nil {
		return nil, err
	}
	answer := describeEntriesXML{NextToken: next}
	for _, r := range found {
		for _, e := range r.Entries {
			answer.Entries.Items = append(answer.Entries.Items, reportEntryXML{e.Kind, r.ID, e.Count, e.Account, r.ImageID, stamp(r.Created)})
		}
	}
	return answer, nil
}

type reportInput struct {
	dryable
	ReportID string `query:"ReportId"`
}

func (s *Service) deleteImageUsageReport(c *call, in *reportInput) (any, error) {
	if in.ReportID == "" {
		return nil, missing("ReportId")
	}
	r, ok := c.reports.get(in.ReportID)
	if !ok || r.expired(c.now) {
		return nil, api.Errorf("InvalidImageUsageReportId.NotFound", "The image usage report '%s' does not exist", in.ReportID)
	}
	c.reports.remove(r)
	s.changed = true
	return done{true}, nil
}
