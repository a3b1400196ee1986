package terminate

import (
	"encoding/json"
	"regexp"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// DefaultDrain is how long target groups may take to drain a server.
const DefaultDrain = 10 * time.Minute

// Spec says which servers of a fleet go: exactly one of ordinals, to and all.
type Spec struct {
	// Fleet is the fleet's name.
	Fleet string `json:"fleet,omitempty" required:"true" example:"web-prod"`
	// Ordinals are servers by number: [3, 17-20]. Those that have no server are passed over. The fleet's count
	// goes down by as many as go.
	Ordinals []Span `json:"ordinals,omitempty" example:"[3, 17-20]"`
	// To is how many servers stay; those with the highest ordinals go. The fleet's count becomes this, if it is more.
	To *int `json:"to,omitempty" min:"0" max:"10000" example:"50"`
	// All terminates every server, and forgets the fleet.
	All bool `json:"all,omitempty"`
	// Drain is how long target groups may take to let go of a server's connections before it is terminated all the same.
	Drain spec.Duration `json:"drain,omitempty" default:"10m"`
	// Notify is called when the job has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// Span is one ordinal or a range of them. The short form is 3 or 17-20.
type Span struct {
	// From is the first ordinal.
	From int `json:"from,omitempty" min:"0"`
	// To is the last one.
	To int `json:"to,omitempty" min:"0"`
}

// Shorthand takes an ordinal or a range.
func (*Span) Shorthand(value any) (map[string]any, error) {
	text, ok := value.(string)
	if !ok {
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		text = string(encoded)
	}
	span, err := ordinals.ParseSpan(text)
	if err != nil {
		return nil, err
	}
	return map[string]any{"from": float64(span.First), "to": float64(span.Last)}, nil
}

// ShorthandSchemas describes the short forms.
func (*Span) ShorthandSchemas() []map[string]any {
	return []map[string]any{{"type": "integer", "minimum": 0}, {"type": "string", "pattern": `^\d+(-\d+)?$`}}
}

// CheckSpec refuses a range that is none.
func (s *Span) CheckSpec(p *spec.Problems) {
	if s.To < s.From || s.To > ordinals.MaxOrdinal {
		p.Add("expected an ordinal or a range such as 17-20, found %d-%d", "a range begins with its lower ordinal", s.From, s.To)
	}
}

var fleetPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$`)

// CheckSpec says what the types alone do not.
func (s *Spec) CheckSpec(p *spec.Problems) {
	if s.Fleet != "" && !fleetPattern.MatchString(s.Fleet) {
		p.At("fleet").Add("expected a fleet's name, found %q", "see `stampmill fleet list`", s.Fleet)
	}
	ways := 0
	for _, chosen := range []bool{len(s.Ordinals) > 0, s.To != nil, s.All} {
		if chosen {
			ways++
		}
	}
	if ways != 1 {
		p.Add("expected exactly one of ordinals, to and all", "write to: 50, ordinals: [3, 17-20] or all: true")
	}
	if d := time.Duration(s.Drain); d > 24*time.Hour {
		p.At("drain").Add("expected at most 24h, found %s", "", s.Drain)
	}
}

func (s Spec) ordinals() ordinals.Set {
	var set ordinals.Set
	for _, span := range s.Ordinals {
		set = set.Plus(ordinals.Between(span.From, span.To))
	}
	return set
}
