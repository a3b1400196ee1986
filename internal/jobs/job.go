package jobs

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// SchemaVersion is the version of messages and items that this code writes. A newer one is left to a newer worker.
const SchemaVersion = 1

// HistoryLines is how many history lines a job keeps.
const HistoryLines = 50

// Target says in whose name and where a job works.
type Target struct {
	// Role is the ARN of the role to assume; empty for the worker's own account.
	Role string `json:"role,omitempty"`
	// Region is the AWS region; empty for the worker's own.
	Region string `json:"region,omitempty"`
}

// Account is the account of the role; empty where there is no role, or none that says.
func (t Target) Account() string {
	if match := accountOfRole.FindStringSubmatch(t.Role); match != nil {
		return match[1]
	}
	return ""
}

var accountOfRole = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(\d{12}):`)

// In is the same account in another region.
func (t Target) In(region string) Target { return Target{Role: t.Role, Region: region} }

func (t Target) String() string { return strings.TrimPrefix(t.Role+" "+t.Region, " ") }

// Priority orders jobs: which queue carries them, and who gets tokens first.
type Priority string

// The three priorities. The empty priority is normal.
const (
	High   Priority = "high"
	Normal Priority = "normal"
	Low    Priority = "low"
)

// State is where a job stands. Every state but Open is terminal.
type State string

// The states of a job.
const (
	Open      State = "open"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Phase says which of its kind's step lists an open job carries out.
type Phase string

// The phases of an open job: forward, and the undoing of what it made.
const (
	Forward Phase = ""
	Undoing Phase = "undo"
)

// Parent names the job that fanned this one out.
type Parent struct {
	ID          string   `json:"id"`
	Incarnation string   `json:"inc"`
	Run         int      `json:"run"`
	Fan         int      `json:"fan"`
	Index       int      `json:"index"`
	Of          int      `json:"of"` // how many children the fan-out has
	Priority    Priority `json:"priority,omitempty"`
}

// Job is one request and all that is known of its progress. It is one item of the jobs table.
type Job struct {
	ID     string
	Schema int
	Kind   string
	Name   string
	Target Target
	Key    string
	// Incarnation is random and made with the job: a key that comes back after the job's expiry gives other tokens and names.
	Incarnation string
	// Run counts retries; the first is 1.
	Run      int
	Spec     json.RawMessage
	Digest   string // of the spec, as submitted
	Labels   map[string]string
	Priority Priority
	Parent   *Parent

	State State
	Phase Phase
	// Step is the name of the step to carry out next.
	Step string
	// Attempts counts, a thing, how often a step started over with new parameters; the first attempt is 1.
	Attempts map[string]int
	// Data is the kind's own progress, as its Program encodes it.
	Data json.RawMessage
	// Result is what a finished job tells whoever asks: small, and the kind's.
	Result json.RawMessage

	// Seq is raised by the save at a delivery's end, and carried by the job's own messages.
	Seq int64
	// Fence is raised by every claim and checked by every write.
	Fence int64
	// Lease is when the claim ends; zero when nobody has one.
	Lease time.Time
	// Delivery is the id of the delivery that claimed last.
	Delivery string
	// Saves counts the saves: one that comes late, after others of its own delivery, puts nothing back.
	Saves int64
	// Claims counts claims since the last save, with the one that saved where it went on after it.
	Claims int

	// Cancel is the run that somebody asked to cancel; 0: none.
	Cancel int
	// Orders are the newest that somebody gave this run, by verb. The engine only keeps them: the kind's steps obey.
	Orders map[Verb]Order
	// Failure is why the job failed for good or was cancelled; it is set when undoing begins.
	Failure string
	// End is the terminal state that follows undoing.
	End State
	// Lost is the last instant at which an act may have been sent whose result was not recorded; zero: none.
	Lost time.Time
	// Error is the last error, and Errors how many came in a row at this step.
	Error      string
	Errors     int
	ErrorSince time.Time
	// StepSince is when the step that is next became so.
	StepSince time.Time
	Warnings  []string
	Wait      *Waiting
	// Awaits are the keys of the things whose events end the wait early.
	Awaits []string
	// Grants are its places in the lines of budgets.
	Grants []Grant
	// Waited is how many seconds the run has waited for EC2's budgets, by bucket: of children that ran side by side, the
	// longest wait counts.
	Waited map[string]float64
	Fan    *Fan
	// Fans counts the fan-outs of the run.
	Fans    int
	History []Line

	Created time.Time
	Updated time.Time
	// Ended is when it became terminal.
	Ended time.Time
	// Expires is when a finished job may be forgotten.
	Expires time.Time
	// Rescues counts wakes that the sweeper sent because the job's own seemed lost.
	Rescues int
}

// Waiting says what a job waits for. Until is when it looks again by itself.
type Waiting struct {
	For   string    `json:"for"`
	Until time.Time `json:"until"`
	// Due: the wait has no message; it stands in the index of due jobs.
	Due bool `json:"due,omitempty"`
}

// Line is one line of a job's history.
type Line struct {
	Time    time.Time `json:"t"`
	Run     int       `json:"r,omitempty"`
	Step    string    `json:"s,omitempty"`
	Text    string    `json:"m"`
	Attempt int       `json:"a,omitempty"`
}

// Fan says that a job waits for children that the step fanned out. Their list is an item of its own.
type Fan struct {
	Number int    `json:"n"` // counts the fan-outs of a run
	Step   string `json:"step"`
	Count  int    `json:"count"`
	Sent   bool   `json:"sent,omitempty"`
	Beside bool   `json:"beside,omitempty"` // its step is carried out while the children work
	// Counted: what the children waited for is in the job's own Waited.
	Counted bool `json:"counted,omitempty"`
	// Passed are the orders that the children were told, by their instants; Missing counts the looks for children that were
	// not there to be told.
	Passed  map[Verb]time.Time `json:"passed,omitempty"`
	Missing int                `json:"missing,omitempty"`
}

// Finished reports whether the job is in a terminal state.
func (j *Job) Finished() bool { return j.State != Open }

// StartOver clears what the last run left, for a run that begins. Seq and fence go on.
func (j *Job) StartOver() {
	j.Phase, j.Step, j.Attempts, j.Data, j.Result = Forward, "", nil, nil, nil
	j.Orders = nil
	j.Cancel, j.Failure, j.End, j.Lost = 0, "", "", time.Time{}
	j.Error, j.Errors, j.ErrorSince, j.StepSince = "", 0, time.Time{}, time.Now()
	j.Wait, j.Awaits, j.Fan, j.Fans, j.Warnings, j.Grants = nil, nil, nil, 0, nil, nil
	j.Ended, j.Expires, j.Rescues, j.Waited = time.Time{}, time.Time{}, 0, nil
}

// Leased reports whether a claim holds the job at now.
func (j *Job) Leased(now time.Time) bool { return j.Lease.After(now) }

// Identity gives a job's id: it comes from kind, name, target and key, so that the same submission names the same job.
func Identity(kind, name string, target Target, key string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", kind, name, target.Role, target.Region, key))
	return strings.ToLower(kind) + "-" + name + "-" + lower32(sum[:10])
}

// NewIncarnation is a fresh random id of 16 characters.
func NewIncarnation() string {
	var random [10]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return lower32(random[:])
}

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func lower32(b []byte) string { return encoding.EncodeToString(b) }
