package policy

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
)

// Selections reads which images a Restamp's spec chooses, as the restamp itself will.
type Selections struct{}

// Images implements Restamps.
func (Selections) Images(raw json.RawMessage, all []ledger.Image, current map[string]ledger.Version, now time.Time) ([]string, error) {
	return restamp.Chosen(raw, all, current, now)
}

// Only implements Restamps.
func (Selections) Only(restamp json.RawMessage, images []string) (json.RawMessage, error) {
	return within(restamp, "images", func(chosen json.RawMessage) (json.RawMessage, error) {
		return within(chosen, "select", func(one json.RawMessage) (json.RawMessage, error) { return narrowed(one, images) })
	})
}

// narrowed is the selection, of these images only. In a selection all that is written must hold.
func narrowed(one json.RawMessage, images []string) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(one, &fields); err != nil {
		return nil, err
	}
	if raw, several := fields["any"]; several {
		var all []json.RawMessage
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, err
		}
		var some []json.RawMessage
		for _, one := range all {
			kept, err := narrowed(one, images)
			if err != nil {
				return nil, err
			}
			if kept != nil {
				some = append(some, kept)
			}
		}
		var err error
		fields["any"], err = json.Marshal(some)
		return marshalled(fields, err)
	}
	var written []string
	if raw, named := fields["names"]; named {
		if err := json.Unmarshal(raw, &written); err != nil {
			return nil, err
		}
		images = slices.DeleteFunc(slices.Clone(images), func(name string) bool { return !slices.Contains(written, name) })
		if len(images) == 0 {
			return nil, nil // another of several selections chose them, and nothing of this one has an occasion
		}
	}
	delete(fields, "all")
	var err error
	fields["names"], err = json.Marshal(images)
	return marshalled(fields, err)
}

// within changes one field of an object.
func within(object json.RawMessage, name string, change func(json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(object, &fields); err != nil {
		return nil, err
	}
	value, written := fields[name]
	if !written {
		value = json.RawMessage("{}")
	}
	var err error
	fields[name], err = change(value)
	return marshalled(fields, err)
}

func marshalled(fields map[string]json.RawMessage, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

var _ Restamps = Selections{}
