package policy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// Selections reads which images a Restamp's spec chooses, as far as the catalog alone tells.
type Selections struct{}

// selection is the part of a Restamp's spec that says which images.
type selection struct {
	Names  []string          `json:"names"`
	Labels map[string]string `json:"labels"`
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
		chosen := len(s.Images.Select.Names) == 0 || slices.Contains(s.Images.Select.Names, image.Name)
		for name, value := range s.Images.Select.Labels {
			chosen = chosen && image.Labels[name] == value
		}
		if chosen && !slices.Contains(s.Images.Exclude, image.Name) {
			names = append(names, image.Name)
		}
	}
	return names, nil
}

// Only implements Restamps.
func (Selections) Only(restamp json.RawMessage, images []string) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(restamp, &fields); err != nil {
		return nil, err
	}
	chosen := map[string]json.RawMessage{}
	if raw, ok := fields["images"]; ok {
		if err := json.Unmarshal(raw, &chosen); err != nil {
			return nil, err
		}
	}
	names, err := json.Marshal(map[string][]string{"names": images})
	if err != nil {
		return nil, err
	}
	chosen["select"] = names
	if fields["images"], err = json.Marshal(chosen); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

var _ Restamps = Selections{}
