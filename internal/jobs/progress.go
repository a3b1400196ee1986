package jobs

import (
	"encoding/json"
	"fmt"
)

// Progress reads what the job keeps of its present run; run gives the field in which a kind notes whose progress it is. A
// retry begins anew: the run before it was undone.
func Progress[P any](job *Job, run func(*P) *int) (P, error) {
	var kept P
	if len(job.Data) > 0 {
		if err := json.Unmarshal(job.Data, &kept); err != nil {
			return kept, fmt.Errorf("read the progress of %s: %w", job.ID, err)
		}
	}
	if *run(&kept) != job.Run {
		kept = *new(P)
		*run(&kept) = job.Run
	}
	return kept, nil
}
