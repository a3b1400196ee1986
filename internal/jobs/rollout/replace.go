package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/launch/ordinals"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

const (
	// askings is how often successors that EC2 does not grant are asked for before they count as failed, capacityPause
	// how long after one another.
	askings       = 3
	capacityPause = time.Minute
	// powerPoll is between looks at servers that stop, start or end; firstPolls in the first half a minute, in which most do.
	powerPoll, firstPolls, firstWhile = 10 * time.Second, 6 * time.Second, 30 * time.Second
)

// replace launches successors, and removes the old servers once those have passed: chunk by chunk, as many at a time as
// there may be servers beyond the fleet's count. Without any beyond it, the old ones are stopped first, and started again if
// their successors fail.
type replace struct {
	*rollout
	state *replacing
}

// replacing is what it keeps.
type replacing struct {
	// Stamping is what the successors of this direction are stamped with.
	Stamping launch.Stamping `json:"stamping,omitzero"`
	Chunk    *chunk          `json:"chunk,omitempty"`
	Chunks   int             `json:"chunks,omitempty"` // begun so far
	// Going are old servers that EC2 was asked to terminate and that the ledger still names.
	Going ordinals.Set `json:"going,omitzero"`
	Ended time.Time    `json:"ended,omitzero"` // when the last of them were
	// Asked is how often in a row EC2 did not grant all successors, and Pause until when it is left alone.
	Asked int       `json:"asked,omitempty"`
	Pause time.Time `json:"pause,omitzero"`
	// Tidying is since when what was under way is tidied.
	Tidying time.Time `json:"tidying,omitzero"`
}

// chunk is servers that are replaced together.
type chunk struct {
	Ordinals ordinals.Set `json:"ordinals"`
	Stage    string       `json:"stage"`
	Since    time.Time    `json:"since,omitzero"`
	// Parks: the old servers are stopped before their successors are launched.
	Parks  bool         `json:"parks,omitempty"`
	Passed ordinals.Set `json:"passed,omitzero"`
	// Outliving are the devices whose volumes stay when the successors go.
	Outliving []string `json:"outliving,omitempty"`
	// Estates are what the successors take over from the old servers.
	Estates map[int]launch.Estate `json:"estates,omitempty"`
}

// The stages of a chunk, in order.
const (
	parking   = "park"       // the old servers leave the target groups and stop
	launching = "launch"     // their successors are launched and tried
	swapping  = "swap"       // those that passed become the holders
	unparking = "unpark"     // the old servers of the others serve again
	leaving   = "deregister" // the old servers of those that passed leave the target groups
	draining  = "drain"
	ending    = "terminate"
)

func (r *replace) prepare(ctx context.Context, _ *jobs.Turn, ref string) (image, []jobs.Finding, error) {
	fleet, known, err := r.Ledger.GetFleet(ctx, r.fleet())
	if err != nil || !known {
		return image{}, nil, orGone(err, r.fleet())
	}
	if len(fleet.Spec) == 0 {
		return image{}, nil, jobs.Fatalf("read the fleet's spec", r.fleet(), "no Launch has completed it", "submit its Launch once more")
	}
	stamping, findings, err := r.Launching.Survey(ctx, r.there(), fleet.Spec, ref)
	if err != nil {
		return image{}, nil, err
	}
	if !slices.ContainsFunc(findings, func(f jobs.Finding) bool { return !f.Warning }) {
		r.state.Stamping = stamping // else the way goes on as it was
	}
	unequal, err := r.unequal(ctx, image(stamping.Image))
	return image(stamping.Image), append(findings, unequal...), err
}

// unequal finds imported servers that differ from the fleet's stored spec: a successor that is made of it would not be their
// equal. On the way back, and in place, servers are taken as they are.
func (r *replace) unequal(ctx context.Context, target image) ([]jobs.Finding, error) {
	if r.progress.Planned || r.spec.Strategy == InPlace {
		return nil, nil
	}
	servers, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return nil, err
	}
	var findings []jobs.Finding
	for _, server := range servers {
		if len(server.Differs) > 0 && server.Image != target.Ref {
			findings = append(findings, jobs.Finding{Field: []any{"fleet"},
				Message: fmt.Sprintf("ordinal %d (%s) was imported and differs from the fleet's stored spec: %s; its successor would not be its equal",
					server.Ordinal, server.InstanceID, strings.Join(server.Differs, ", ")),
				Hint: "make it equal and import the fleet again, terminate it, or roll with strategy: inPlace"})
		}
	}
	return findings, nil
}

func (r *replace) busy() bool { return r.state.Chunk != nil }

func (r *replace) roll(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error) {
	if r.state.Chunk == nil {
		move, err := r.begin(ctx, turn, lot)
		if err != nil || !move.IsDone() || r.state.Chunk == nil {
			return move, err
		}
	}
	for r.state.Chunk != nil {
		move, err := r.stages()[r.state.Chunk.Stage](ctx, turn, lot)
		if err != nil || !move.IsDone() {
			return move, err
		}
	}
	return jobs.Done(), nil
}

// stages are what is done in each stage of a chunk; each names the next one when it is done.
func (r *replace) stages() map[string]func(context.Context, *jobs.Turn, lot) (jobs.Move, error) {
	return map[string]func(context.Context, *jobs.Turn, lot) (jobs.Move, error){
		parking: r.park, launching: r.launch, swapping: r.swap, unparking: r.unpark, leaving: r.deregister, draining: r.drain, ending: r.end,
	}
}

func (r *replace) enterStage(turn *jobs.Turn, next string) {
	r.state.Chunk.Stage, r.state.Chunk.Since = next, turn.Now()
}

// begin chooses the next chunk: servers of one subnet together, as far as that goes.
func (r *replace) begin(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error) {
	if rest := r.state.Pause.Sub(turn.Now()); rest > 0 {
		return jobs.Wait(rest, "capacity for successors"), nil
	}
	if taken := common(lot.Ordinals, r.state.Going); !taken.Empty() { // their second slots are taken still
		seconds, err := r.seconds(ctx, taken)
		if err != nil {
			return jobs.Move{}, err
		}
		if move, err := r.vacate(ctx, turn, seconds, r.state.Ended); err != nil || !move.IsDone() {
			return move, err
		}
		r.state.Going = r.state.Going.Minus(taken)
	}
	servers, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	var todo []ledger.Server
	for _, server := range servers {
		if lot.Ordinals.Has(server.Ordinal) {
			todo = append(todo, server)
		}
	}
	for ordinal := range lot.Ordinals.Minus(held(todo)).All() {
		r.failed(ordinal, "", "it has no server any more")
	}
	slices.SortFunc(todo, func(a, b ledger.Server) int {
		if a.SubnetID != b.SubnetID && a.SubnetID < b.SubnetID {
			return -1
		} else if a.SubnetID != b.SubnetID {
			return 1
		}
		return a.Ordinal - b.Ordinal
	})
	plain := slices.DeleteFunc(slices.Clone(todo), func(s ledger.Server) bool { return r.progress.Stateful.Has(s.Ordinal) })
	stateful := len(plain) == 0 // those come last
	if !stateful {
		todo = plain
	}
	size, parks := r.progress.Surge, r.progress.Surge == 0 || stateful
	if parks {
		var move jobs.Move
		if size, move, err = r.room(ctx, turn, servers); err != nil || !move.IsDone() {
			return move, err
		}
	}
	if size = min(size, len(todo)); size == 0 {
		return jobs.Done(), nil
	}
	r.state.Chunks++
	r.state.Chunk = &chunk{Ordinals: held(todo[:size]), Stage: launching, Since: turn.Now(), Parks: parks}
	if r.state.Chunk.Estates, err = r.estates(ctx, servers, common(held(todo[:size]), r.progress.Stateful)); err != nil {
		r.state.Chunk = nil
		return jobs.Move{}, err
	}
	if parks {
		r.state.Chunk.Stage = parking
		return jobs.Done(), turn.Save(ctx)
	}
	return jobs.Done(), nil
}

// launch has the successors launched and tried, and takes in what became of them.
func (r *replace) launch(ctx context.Context, turn *jobs.Turn, lot lot) (jobs.Move, error) {
	c := r.state.Chunk
	if turn.OpenChildren() > 0 {
		return jobs.Wait(childrenPoll, "successors for %s", c.Ordinals), nil
	}
	if children := turn.Children(); children != nil {
		r.takeIn(turn, lot, children[0])
		turn.TookIn()
		r.enterStage(turn, swapping)
		return jobs.Done(), nil
	}
	fleet, known, err := r.Ledger.GetFleet(ctx, r.fleet())
	if err != nil || !known {
		return jobs.Move{}, orGone(err, r.fleet())
	}
	servers, err := r.holders(ctx, c.Ordinals)
	if err != nil {
		return jobs.Move{}, err
	}
	d := launch.Description{Launch: fleet.Spec, Stamping: r.state.Stamping, Places: places(servers), Estates: c.Estates}
	child, err := r.Launching.Succession(ctx, r.there(), fmt.Sprintf("succession-%d", r.state.Chunks), c.Ordinals, d)
	if err != nil {
		return jobs.Move{}, err
	}
	return jobs.FanOut(child).Beside(), nil
}

// places are the subnets that servers stand in.
func places(servers []ledger.Server) []launch.Place {
	bySubnet := map[string][]ledger.Server{}
	for _, server := range servers {
		if server.SubnetID != "" {
			bySubnet[server.SubnetID] = append(bySubnet[server.SubnetID], server)
		}
	}
	var all []launch.Place
	for _, subnet := range slices.Sorted(maps.Keys(bySubnet)) {
		all = append(all, launch.Place{Subnet: subnet, Ordinals: held(bySubnet[subnet])})
	}
	return all
}

// takeIn notes which successors passed and which failed. Those that EC2 did not grant stay to be rolled, a few times.
func (r *replace) takeIn(turn *jobs.Turn, lot lot, child jobs.ChildResult) {
	c := r.state.Chunk
	var result launch.HeirResult
	if err := json.Unmarshal(child.Result, &result); child.State != jobs.Succeeded || err != nil {
		for ordinal := range c.Ordinals.All() {
			r.failed(ordinal, "", fmt.Sprintf("%s %s: %s", child.ID, child.State, child.Failure))
		}
		return
	}
	c.Passed = common(result.Passed, c.Ordinals)
	c.Outliving = result.Outliving
	reasons := map[int]launch.Failure{}
	for _, failure := range result.Failures {
		reasons[failure.Ordinal] = failure
	}
	for ordinal := range common(result.Failed, c.Ordinals).All() {
		r.failed(ordinal, reasons[ordinal].InstanceID, reasons[ordinal].Reason)
	}
	missing := c.Ordinals.Minus(c.Passed).Minus(result.Failed)
	if missing.Empty() {
		r.state.Asked = 0
		return
	}
	turn.Note("no successors for %s of %s: %s", missing, lot.Image.Ref, result.Shortage)
	if r.state.Asked++; r.state.Asked < askings {
		r.state.Pause = turn.Now().Add(capacityPause)
		return
	}
	r.state.Asked = 0
	for ordinal := range missing.All() {
		reason := result.Shortage
		if failure, died := reasons[ordinal]; died {
			reason = failure.Reason
		}
		r.failed(ordinal, reasons[ordinal].InstanceID, "no successor was granted: "+reason)
	}
}

// holders are the servers of the ordinals.
func (r *replace) holders(ctx context.Context, set ordinals.Set) ([]ledger.Server, error) {
	return among(set)(r.Ledger.Servers(ctx, r.fleet()))
}

// seconds are what the second slots of the ordinals hold.
func (r *replace) seconds(ctx context.Context, set ordinals.Set) ([]ledger.Server, error) {
	return among(set)(r.Ledger.Seconds(ctx, r.fleet()))
}

func among(set ordinals.Set) func([]ledger.Server, error) ([]ledger.Server, error) {
	return func(all []ledger.Server, err error) ([]ledger.Server, error) {
		return slices.DeleteFunc(all, func(s ledger.Server) bool { return !set.Has(s.Ordinal) }), err
	}
}
