package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// RestampID names one run of a restamp.
type RestampID struct {
	Job         string `json:"job"`
	Incarnation string `json:"incarnation"`
	Run         int    `json:"run"`
}

func (r RestampID) String() string { return fmt.Sprintf("%s#%d", r.Incarnation, r.Run) }

// Restamp is a restamp that is under way: what it selected.
type Restamp struct {
	RestampID
	Name   string    `json:"name"`
	Begun  time.Time `json:"begun"`
	Images []string  `json:"images,omitempty"`
	Fleets []string  `json:"fleets,omitempty"`
	// Work is the key of the whole selection in the bucket.
	Work string `json:"work"`
}

// Outcome is how far one image or fleet of a restamp has come.
type Outcome struct {
	// Image or Fleet is its name.
	Image string `json:"image,omitempty"`
	Fleet string `json:"fleet,omitempty"`
	// State is open while it is under way.
	State jobs.State `json:"state"`
	// Job does it: the bake, or the rollout.
	Job string `json:"jobID,omitempty"`
	// From and To are versions: web@41, web@42.
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	Failure string `json:"failure,omitempty"`
	// Promoted: the new version became current.
	Promoted bool `json:"promoted,omitempty"`
	// Waited is since when it stood in line, Begun when its job was sent, and Ended when that had ended.
	Waited time.Time `json:"waited,omitzero"`
	Begun  time.Time `json:"begun,omitzero"`
	Ended  time.Time `json:"ended,omitzero"`
	// Budgets are how many seconds the job waited for EC2's budgets, by bucket.
	Budgets map[string]float64 `json:"budgets,omitempty"`
	// Result is what the job told.
	Result json.RawMessage `json:"result,omitempty"`
}
