package eventbridge

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// maxEntries and maxEntry bound a PutEvents: how many events it takes, and how large each may be.
const (
	maxEntries = 10
	maxEntry   = 256 << 10
)

// entry is one event that somebody puts.
type entry struct {
	EventBusName, Source, DetailType, Detail string
	Resources                                []string
	Time                                     float64
}

// put is what became of one.
type put struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// putEvents puts events on the default bus of the region. An entry that is refused does not keep the others from being taken.
func (s *Service) putEvents(r *api.Request) (any, error) {
	var in struct{ Entries []entry }
	if err := api.DecodeJSON(r.Body, &in); err != nil {
		return nil, err
	}
	size := 0
	for _, e := range in.Entries {
		size += len(e.Source) + len(e.DetailType) + len(e.Detail)
	}
	switch {
	case len(in.Entries) == 0 || len(in.Entries) > maxEntries:
		return nil, api.Errorf("ValidationException", "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d", maxEntries)
	case size > maxEntry:
		return nil, api.Errorf("ValidationException", "Total size of the entries in the request is over the limit.")
	}
	out := struct {
		FailedEntryCount int
		Entries          []put
	}{}
	for _, e := range in.Entries {
		result := s.putOne(r, e)
		if result.ErrorCode != "" {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, result)
	}
	return out, nil
}

func (s *Service) putOne(r *api.Request, e entry) put {
	var detail map[string]any
	bus := e.EventBusName
	if part := strings.SplitN(bus, "event-bus/", 2); len(part) == 2 {
		if bus = part[1]; part[0] != "arn:aws:events:"+r.Region+":"+r.Account+":" {
			return put{ErrorCode: "NotAuthorizedForSourceException", ErrorMessage: "Not authorized to put events on " + e.EventBusName}
		}
	}
	switch {
	case e.Source == "" || e.DetailType == "" || e.Detail == "":
		return put{ErrorCode: "InvalidArgument", ErrorMessage: "Parameters Source, DetailType and Detail are required. Reason: Source, DetailType and Detail are required arguments."}
	case strings.HasPrefix(e.Source, "aws."):
		return put{ErrorCode: "NotAuthorizedForSource", ErrorMessage: "Not authorized for the source."}
	case json.Unmarshal([]byte(e.Detail), &detail) != nil:
		return put{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}
	case defaultBus(bus) != nil:
		return put{EventID: api.UUID(s.env.Rand("events", "put", r.ID))} // AWS takes events for a bus that is not there, and drops them
	}
	id := api.UUID(s.env.Rand("events", "put", r.ID, e.DetailType, e.Detail))
	at := time.Now()
	if e.Time > 0 {
		at = time.Unix(int64(e.Time), 0)
	}
	resources := []any{}
	for _, one := range e.Resources {
		resources = append(resources, one)
	}
	event := map[string]any{"version": "0", "id": id, "detail-type": e.DetailType, "source": e.Source, "account": r.Account,
		"time": at.UTC().Format(time.RFC3339), "region": r.Region, "resources": resources, "detail": detail}
	if body, err := api.Marshal(event); err == nil {
		s.carry(r.Account, r.Region, event, string(body), true)
	}
	return put{EventID: id}
}
