package catalog

import (
	"github.com/stampmill/stampmill/internal/jobs/lifecycle"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// Register adds the kinds to those that a spec file may have.
func Register(r spec.Registry) {
	r.Register(Promote, PromoteSpec{})
	r.Register(Rollback, RollbackSpec{})
	r.Register(Recall, RecallSpec{})
	r.Register(Restore, RestoreSpec{})
	r.Register(lifecycle.KindName, lifecycle.Spec{})
}

// PromoteSpec says which version becomes current. The document's name is the image's.
type PromoteSpec struct {
	// Version is the number of a later version than the current one, which is verified and available.
	Version int `json:"version,omitempty" required:"true" min:"1" example:"42"`
	// Reason is kept with the move.
	Reason string `json:"reason,omitempty"`
	// Notify is called when the job has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// RollbackSpec says which earlier version becomes current again. The document's name is the image's.
type RollbackSpec struct {
	// To is its number; absent, the newest one before the current version that is verified and available.
	To int `json:"to,omitempty" min:"0" example:"41"`
	// Reason is kept with the move.
	Reason string `json:"reason,omitempty"`
	// Notify is called when the job has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// RecallSpec says which version is taken back: its AMIs are disabled in every region, and nothing is launched from it any more.
// The document's name is the image's.
type RecallSpec struct {
	// Version is the version's number. If it is current, the newest good one before it becomes current.
	Version int `json:"version,omitempty" required:"true" min:"1" example:"41"`
	// Reason is kept with the version, and told to whoever tries to launch from it.
	Reason string `json:"reason,omitempty" example:"CVE-2026-1234"`
	// Notify is called when the job has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}

// RestoreSpec says which version becomes available again that was recalled, or disabled on its way out. It does not become
// current. The document's name is the image's.
type RestoreSpec struct {
	// Version is the version's number.
	Version int `json:"version,omitempty" required:"true" min:"1" example:"41"`
	// Notify is called when the job has ended.
	Notify *notify.Spec `json:"notify,omitempty"`
}
