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

// perTransaction is how many servers one transaction writes: DynamoDB takes 100 actions, and one checks the fence.
const perTransaction = 99

// Servers reads all servers of a fleet, in the order of their ordinals.
func (t *Ledger) Servers(ctx context.Context, fleet string) ([]l.Server, error) {
	return all[l.Server](ctx, t, fleetKey(fleet), "s#")
}

// PutServers writes servers, up to 99 a transaction. An ordinal has one holder: a server is written where nothing stands, or
// one of the same incarnation, or the same instance; else the error is of class Duplicate and names the holder. What earlier
// transactions wrote stays: repeat it all.
func (t *Ledger) PutServers(ctx context.Context, g jobs.Guard, servers []l.Server) error {
	return t.putInto(ctx, g, serverKey, servers)
}

func (t *Ledger) putInto(ctx context.Context, g jobs.Guard, slot func(ordinal int) string, servers []l.Server) error {
	for chunk := range slices.Chunk(servers, perTransaction) {
		actions := make([]types.TransactWriteItem, 0, len(chunk))
		for _, s := range chunk {
			it, err := serverItem(s, slot)
			if err != nil {
				return err
			}
			actions = append(actions, t.put(it, holds(s)))
		}
		err := t.write(ctx, g, "fleet "+chunk[0].Fleet, actions...)
		if lost, ok := errors.AsType[*lostRace](err); ok {
			return held(chunk[lost.action], lost.stands)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteServers forgets the holders of the ordinals, which are then free.
func (t *Ledger) DeleteServers(ctx context.Context, g jobs.Guard, fleet string, ordinals []int) error {
	return t.deleteFrom(ctx, g, serverKey, fleet, ordinals)
}

func (t *Ledger) deleteFrom(ctx context.Context, g jobs.Guard, slot func(ordinal int) string, fleet string, ordinals []int) error {
	for chunk := range slices.Chunk(ordinals, perTransaction) {
		actions := make([]types.TransactWriteItem, 0, len(chunk))
		for _, ordinal := range chunk {
			actions = append(actions, t.remove(fleetKey(fleet), slot(ordinal), condition{}))
		}
		if err := t.write(ctx, g, "fleet "+fleet, actions...); err != nil {
			return err
		}
	}
	return nil
}

func serverItem(s l.Server, slot func(ordinal int) string) (item, error) {
	attributes := item{}
	if s.Incarnation != "" {
		attributes["inc"] = text(s.Incarnation)
	}
	if s.InstanceID != "" {
		attributes["instance"] = text(s.InstanceID)
	}
	return document(fleetKey(s.Fleet), slot(s.Ordinal), s, attributes)
}

// holds: nobody else holds the ordinal.
func holds(s l.Server) condition {
	c := absent()
	c.values = item{}
	if s.Incarnation != "" {
		c.expression += " OR inc = :inc"
		c.values[":inc"] = text(s.Incarnation)
	}
	if s.InstanceID != "" {
		c.expression += " OR #instance = :instance"
		c.names, c.values[":instance"] = map[string]string{"#instance": "instance"}, text(s.InstanceID)
	}
	return c
}

// held says who holds the ordinal.
func held(s l.Server, stands item) error {
	var holder l.Server
	message := "another server holds the ordinal"
	if decode(stands, &holder) == nil {
		message = fmt.Sprintf("%s of job %s holds the ordinal", holder.InstanceID, holder.Job)
	}
	return &jobs.Error{Class: jobs.Duplicate, Op: "ledger", Thing: fmt.Sprintf("fleet %s, ordinal %d", s.Fleet, s.Ordinal), Message: message}
}
