package rollout

import (
	"context"
	"fmt"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// TagReplaced is on root volumes that were replaced and are kept until their fleet is done: the fleet's name, or rootReturned
// since their servers have them again.
const (
	TagReplaced  = jobs.TagPrefix + "replaced"
	rootReturned = "returned" // no fleet's: the tag's value is compared with TagFleet's
)

// rootChunkSize bounds how many servers are taken out together: their tasks stand in the job's item.
const rootChunkSize = 250

// inPlace replaces the root volumes of running servers, some at a time: those leave their target groups and drain, EC2 gives
// them the image's root, they are tried, and serve again. A server that fails gets its former root volume back. Those volumes
// are kept until the fleet is done, so that the way back is a second replacement, with all that was on them.
//
// While a server is out, the ledger has it as parked, and names the root volume that it ran from.
type inPlace struct {
	*replace
	root *rooting
}

// rooting is what it keeps.
type rooting struct {
	Chunk  *rootChunk `json:"chunk,omitempty"`
	Chunks int        `json:"chunks,omitempty"` // begun so far
}

// rootChunk is servers whose roots are replaced together.
type rootChunk struct {
	chunk
	Image image `json:"image"`
	Back  bool  `json:"back,omitempty"`
	// Tasks are EC2's, by ordinal; of those that were replaced, Done run the new root and Down have none.
	Tasks map[int]string `json:"tasks,omitempty"`
	Done  ordinals.Set   `json:"done,omitzero"`
	Down  ordinals.Set   `json:"down,omitzero"`
	// Plain are to go back by their former image, since their former volume cannot be had.
	Plain ordinals.Set `json:"plain,omitzero"`
	// Returns are servers that failed and get their former root back.
	Returns ordinals.Set `json:"returns,omitzero"`
	// Reasons are why servers failed.
	Reasons map[int]string `json:"reasons,omitempty"`
}

// The stages of such a chunk, in order.
const (
	rootOut    = "out"    // the servers leave the target groups
	rootKeep   = "keep"   // the ledger and a tag name what they run from
	rootStart  = "start"  // EC2 is asked
	rootWait   = "wait"   // until it is done
	rootMend   = "mend"   // servers without a root get their former one
	rootTry    = "try"    // those with a new root are tried
	rootReturn = "return" // those that failed get their former root back
	rootAdmit  = "admit"  // all of them serve
)

func (r *inPlace) busy() bool { return r.root.Chunk != nil }

func (r *inPlace) roll(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error) {
	if r.root.Chunk == nil {
		move, err := r.begin(ctx, turn, lot)
		if err != nil || !move.IsDone() || r.root.Chunk == nil {
			return move, err
		}
	}
	return r.goOn(ctx, turn)
}

func (r *inPlace) goOn(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	stages := map[string]func(context.Context, *jobs.Turn) (jobs.Move, error){
		rootOut: r.takeOut, rootKeep: r.keep, rootStart: r.start, rootWait: r.wait, rootMend: r.mend,
		rootTry: r.tryRoots, rootReturn: r.giveBack, rootAdmit: r.admit,
	}
	for r.root.Chunk != nil {
		move, err := stages[r.root.Chunk.Stage](ctx, turn)
		if err != nil || !move.IsDone() {
			return move, err
		}
	}
	return jobs.Done(), nil
}

func (r *inPlace) enterRoot(turn *jobs.Turn, next string) {
	r.root.Chunk.Stage, r.root.Chunk.Since = next, turn.Now()
}

// begin takes as many servers as may be missing now.
func (r *inPlace) begin(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error) {
	servers, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	todo, _ := among(lot.Ordinals)(append([]ledger.Server(nil), servers...), nil)
	for ordinal := range lot.Ordinals.Minus(held(todo)).All() {
		r.failed(ordinal, "", "it has no server any more")
	}
	if len(todo) == 0 {
		return jobs.Done(), nil
	}
	instances, err := r.instances(ctx, todo)
	if err != nil {
		return jobs.Move{}, err
	}
	var ready []ledger.Server
	for _, server := range todo {
		if state := instances[server.InstanceID].State; state != "running" {
			r.failed(server.Ordinal, server.InstanceID, fmt.Sprintf("it is %s, and only a running server's root volume can be replaced", orGoneState(state)))
			continue
		}
		ready = append(ready, server)
	}
	if len(ready) == 0 {
		return jobs.Done(), nil
	}
	room, move, err := r.room(ctx, turn, servers)
	if err != nil || !move.IsDone() {
		return move, err
	}
	r.root.Chunks++
	r.root.Chunk = &rootChunk{chunk: chunk{Ordinals: held(ready[:min(room, rootChunkSize, len(ready))]), Stage: rootOut, Since: turn.Now()},
		Image: lot.Image, Back: lot.Back}
	return jobs.Done(), turn.Save(ctx)
}

func orGoneState(state string) string {
	if state == "" {
		return "gone"
	}
	return state
}

// takeOut marks the servers as out, and takes them out of their target groups.
func (r *inPlace) takeOut(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	c := r.root.Chunk
	if _, move, err := r.takenOut(ctx, turn, &c.chunk); err != nil || !move.IsDone() {
		return move, err
	}
	r.enterRoot(turn, rootKeep)
	return jobs.Done(), nil
}

// tryRoots asks the servers with a new root what their fleet's spec asks for, and EC2's status checks in any case: a server
// whose root was replaced never stopped running. An undo tries nobody: what has not been tried gets its former root back.
func (r *inPlace) tryRoots(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	c := r.root.Chunk
	switch {
	case c.Done.Empty():
		r.enterRoot(turn, rootAdmit)
		return jobs.Done(), nil
	case turn.Job.Phase == jobs.Undoing && c.Back:
		c.Passed = c.Done
		r.enterRoot(turn, rootAdmit)
		return jobs.Done(), nil
	case turn.Job.Phase == jobs.Undoing:
		c.Returns = c.Done
		r.enterRoot(turn, rootReturn)
		return jobs.Done(), nil
	case turn.OpenChildren() > 0:
		return jobs.Wait(childrenPoll, "%d servers with new root volumes to be healthy", c.Done.Len()), nil
	}
	if children := turn.Children(); children != nil {
		r.takeTrial(children[0])
		turn.TookIn()
		next := rootAdmit
		if !c.Returns.Empty() {
			next = rootReturn
		}
		r.enterRoot(turn, next)
		return jobs.Done(), nil
	}
	fleet, known, err := r.Ledger.GetFleet(ctx, r.fleet())
	if err != nil || !known {
		return jobs.Move{}, orGone(err, r.fleet())
	}
	servers, err := r.holders(ctx, c.Done)
	if err != nil {
		return jobs.Move{}, err
	}
	if err := r.register(ctx, servers); err != nil {
		return jobs.Move{}, err
	}
	child, err := r.trialOf(ctx, fleet, c)
	if err != nil {
		return jobs.Move{}, err
	}
	return jobs.FanOut(child).Beside(), nil
}
