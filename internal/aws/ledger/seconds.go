package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// swapsPerTransaction is how many ordinals one transaction swaps: each takes two of the 99 actions beside the fence's.
const swapsPerTransaction = 49

// Seconds reads what the second slots of a fleet's ordinals hold, in the order of the ordinals.
func (t *Ledger) Seconds(ctx context.Context, fleet string) ([]l.Server, error) {
	return all[l.Server](ctx, t, fleetKey(fleet), "second#")
}

// PutSeconds writes servers into second slots, under the same conditions as PutServers: an ordinal has at most one second.
func (t *Ledger) PutSeconds(ctx context.Context, g jobs.Guard, servers []l.Server) error {
	return t.putInto(ctx, g, secondKey, servers)
}

// DeleteSeconds empties the second slots of the ordinals.
func (t *Ledger) DeleteSeconds(ctx context.Context, g jobs.Guard, fleet string, ordinals []int) error {
	return t.deleteFrom(ctx, g, secondKey, fleet, ordinals)
}

// Swap makes each successor the holder of its ordinal, and puts the old holder into the second slot, up to 49 ordinals a
// transaction: at every instant the ledger names both. It fails, with class Duplicate, where another server holds the ordinal
// or stands in the second slot by now. A pair that is swapped already stays so.
func (t *Ledger) Swap(ctx context.Context, g jobs.Guard, swaps []l.Swap) error {
	for chunk := range slices.Chunk(swaps, swapsPerTransaction) {
		actions := make([]types.TransactWriteItem, 0, 2*len(chunk))
		for _, s := range chunk {
			holder, err := serverItem(s.New, serverKey)
			if err != nil {
				return err
			}
			second, err := serverItem(s.Old, secondKey)
			if err != nil {
				return err
			}
			actions = append(actions, t.put(holder, either(s.Old, s.New)), t.put(second, either(s.New, s.Old)))
		}
		err := t.write(ctx, g, "fleet "+chunk[0].New.Fleet, actions...)
		if lost, ok := errors.AsType[*lostRace](err); ok {
			return unswapped(chunk[lost.action/2], lost.stands)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// either: the slot holds the one server or, after a swap whose answer was lost, the other.
func either(before, after l.Server) condition {
	return condition{expression: "#instance = :before OR #instance = :after", names: map[string]string{"#instance": "instance"},
		values: item{":before": text(before.InstanceID), ":after": text(after.InstanceID)}}
}

func unswapped(s l.Swap, stands item) error {
	return &jobs.Error{Class: jobs.Duplicate, Op: "ledger", Thing: fmt.Sprintf("fleet %s, ordinal %d", s.New.Fleet, s.New.Ordinal),
		Message: fmt.Sprintf("%s cannot take the place of %s: the ledger has %q there", s.New.InstanceID, s.Old.InstanceID, textOf(stands, "instance"))}
}
