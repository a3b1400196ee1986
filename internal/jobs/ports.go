package jobs

import (
	"context"
	"time"
)

// Store keeps jobs. Every method is one conditional write; where the condition fails the row that stands there comes
// back, so that a lost race costs no read.
type Store interface {
	// Create puts the claimed job where nothing stands, or a tombstone if over says so. A nil row: created;
	// an empty one: not, but nothing stands there any more.
	Create(ctx context.Context, job *Job, over bool) (*Row, error)
	// Claim leases and fences an open job whose schema this worker knows. Without ok the row says what stands there; nil: nothing.
	Claim(ctx context.Context, c Claim) (row *Row, ok bool, err error)
	// Flag sets the cancel flag of the open job's run, leased or not.
	Flag(ctx context.Context, id string, run int, incarnation string) (row *Row, ok bool, err error)
	// Order keeps the order for the open job's run, leased or not, unless it has one with the same verb that is as new. Ok is
	// false where it was not kept; the row says what stands there.
	Order(ctx context.Context, id string, run int, incarnation string, verb Verb, o Order) (row *Row, ok bool, err error)
	// Bury leaves a tombstone where nothing stands.
	Bury(ctx context.Context, id string, run int, expires time.Time) (row *Row, ok bool, err error)
	// Save writes the job on condition of its fence, of the seq that it had and of how many saves there were, raises the job's
	// Saves, and gives the cancel flag as it stands now. It answers ErrFenced when the claim has passed on. A save that is already
	// there is done.
	Save(ctx context.Context, job *Job, s Saving) (cancel int, err error)
	// Renew extends a lease; ErrFenced when it has passed on.
	Renew(ctx context.Context, id string, fence int64, until time.Time) error
}

// Claim is the conditional write by which a delivery takes a job.
type Claim struct {
	ID          string
	Incarnation string // empty: any
	// Seq, if HasSeq, is what the job's must equal.
	Seq    int64
	HasSeq bool
	// Run, if not 0, is what the job's must equal.
	Run int
	// Await, if not empty, is the key of a thing that the job must await.
	Await string
	// Reopen, if not 0, is the finished run after which the next one is opened.
	Reopen   int
	Delivery string
	// Now is the instant after which a lease must not reach: the clock less the skew that is allowed.
	Now   time.Time
	Until time.Time
}

// Saving says what goes with a save.
type Saving struct {
	// Seq is what the job's seq was at the claim; the job carries the new one.
	Seq int64
	// Fan is the list of children to store in the same transaction.
	Fan []FanChild
	// Ends: the job became terminal; if it has a parent, the parent's count is raised in the same transaction.
	Ends bool
}

// FanChild is a child with its identity, as the list that is saved before the first one is sent.
type FanChild struct {
	Child
	ID     string `json:"id"`
	Key    string `json:"key"`
	Digest string `json:"digest"`
}

// Families reads what parents need of their children.
type Families interface {
	// FanList is the saved list of the parent's current fan-out.
	FanList(ctx context.Context, parent *Job) ([]FanChild, error)
	// Ended is how many children of the fan-out have ended.
	Ended(ctx context.Context, parent Parent) (int, error)
	// Rows loads rows by id; absent ones are missing in the answer, and one that cannot be read says so itself.
	Rows(ctx context.Context, ids []string) (map[string]*Row, error)
}

// Lane is one of the four queues.
type Lane string

// The lanes, most urgent first. Wakes go before new work, so that what is begun is finished first.
const (
	LaneHigh   Lane = "high"
	LaneWake   Lane = "wake"
	LaneNormal Lane = "normal"
	LaneLow    Lane = "low"
)

// Lanes lists the lanes in the order in which they are served.
var Lanes = []Lane{LaneHigh, LaneWake, LaneNormal, LaneLow}

// SubmitLane is the lane of a submission of the priority.
func SubmitLane(p Priority) Lane {
	switch p {
	case High:
		return LaneHigh
	case Low:
		return LaneLow
	default:
		return LaneNormal
	}
}

// WakeLane is the lane of the wakes of a job of the priority.
func WakeLane(p Priority) Lane {
	if p == High {
		return LaneHigh
	}
	return LaneWake
}

// MaxDelay is the longest delay that a queue gives a message (aws-facts "SQS").
const MaxDelay = 15 * time.Minute

// Received is one message in a worker's hands.
type Received struct {
	Lane Lane
	// ID is the message's id; OriginalID the one that it had before it went through the dead letters, else the same.
	ID, OriginalID string
	Receipt        string
	Body           []byte
	Receives       int
	Sent           time.Time
}

// Sender sends messages. Calls that come together share a request.
type Sender interface {
	Send(ctx context.Context, lane Lane, m *Message, delay time.Duration) error
}

// Queue is the four lanes and the dead letters.
type Queue interface {
	Sender
	// Receive waits up to wait for up to most messages.
	Receive(ctx context.Context, lane Lane, most int, wait time.Duration) ([]Received, error)
	Delete(ctx context.Context, r Received) error
	// Hide sets for how long from now the message stays invisible.
	Hide(ctx context.Context, r Received, d time.Duration) error
	// DeadLetter sends the message to the dead letters with the reason and its original id. The original is still to be deleted.
	DeadLetter(ctx context.Context, r Received, reason string) error
	// Backlog is about how many messages are visible in the lane.
	Backlog(ctx context.Context, lane Lane) (int, error)
}
