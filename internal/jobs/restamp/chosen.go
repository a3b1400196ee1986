package restamp

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs/ledger"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Chosen are the names of the images that a Restamp's spec chooses, in their order, as they stand: by name, label, age and
// parent. It is what the restamp itself would come to, and reports no problem: a name that no image has chooses none.
func Chosen(raw json.RawMessage, images []ledger.Image, versions map[string]ledger.Version, now time.Time) ([]string, error) {
	s, err := spec.Read[Spec](raw)
	if err != nil {
		return nil, fmt.Errorf("the restamp's images: %w", err)
	}
	if s.Images == nil {
		return nil, nil
	}
	at := &scene{now: now, images: make(map[string]ledger.Image, len(images)), versions: versions}
	for _, image := range images {
		at.images[image.Name] = image
	}
	return at.chosenImages(s.Images), nil
}
