package policy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Selections reads which images a Restamp's spec chooses, as far as names and labels tell. What else a selection asks for, such as
// a parent, stays in it, and holds when the restamp looks.
type Selections struct{}

// selection is the part of a Restamp's selection that is looked at here.
type selection struct {
	Names  []string          `json:"names"`
	Labels map[string]string `json:"labels"`
	Any    []selection       `json:"any"`
}

// Images implements Restamps.
func (Selections) Images(restamp json.RawMessage, all []ledger.Image) ([]string, error) {
	var s struct {
		Images struct {
			Select  selection `json:"select"`
			Exclude []string  `json:"exclude"`
		} `json:"images"`
	}
	if err := json.Unmarshal(restamp, &s); err != nil {
		return nil, fmt.Errorf("the restamp's images: %w", err)
	}
	var names []string
	for _, image := range all {
		if s.Images.Select.chooses(image) && !slices.Contains(s.Images.Exclude, image.Name) {
			names = append(names, image.Name)
		}
	}
	return names, nil
}

func (s selection) chooses(image ledger.Image) bool {
	if len(s.Any) > 0 {
		return slices.ContainsFunc(s.Any, func(one selection) bool { return one.chooses(image) })
	}
	if len(s.Names) > 0 && !slices.Contains(s.Names, image.Name) {
		return false
	}
	for name, value := range s.Labels {
		if image.Labels[name] != value {
			return false
		}
	}
	return true
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
