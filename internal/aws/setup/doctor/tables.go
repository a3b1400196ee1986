package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/setup"
)

// noTable is DynamoDB's code of a table that is not there.
const noTable = "ResourceNotFoundException"

// tables compares each table, its indexes and its TTL with what setup makes.
func (d *doctor) tables(ctx context.Context) {
	for _, t := range setup.Tables(d.Prefix) {
		out, err := d.own.dynamodb.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.Name})
		if codeIs(err, noTable) {
			d.find("tables", t.Name, Problem, setUp, "there is no such table in %s", d.own.where)
			continue
		}
		if err != nil {
			d.unread("tables", t.Name, err)
			continue
		}
		before := len(d.findings)
		d.table(t, out.Table)
		d.expiry(ctx, t)
		d.recovery(ctx, t)
		if len(d.findings) == before {
			d.ok("tables", t.Name, "as it should be")
		}
	}
}

func (d *doctor) table(t setup.Table, has *types.TableDescription) {
	remake := "a table's keys cannot be changed: is STAMPMILL_PREFIX another program's? Else set up under another prefix"
	if has.TableStatus != types.TableStatusActive && has.TableStatus != types.TableStatusUpdating {
		d.find("tables", t.Name, Problem, "wait until it is ACTIVE; if it stays so, look at it in the DynamoDB console", "it is %s", has.TableStatus)
	}
	if want := keysText(t.Hash, t.Range); keysOf(has.KeySchema) != want {
		d.find("tables", t.Name, Problem, remake, "its keys are %s; expected %s", keysOf(has.KeySchema), want)
	}
	if has.BillingModeSummary == nil || has.BillingModeSummary.BillingMode != types.BillingModePayPerRequest {
		d.find("tables", t.Name, Warning, "switch it to on-demand (PAY_PER_REQUEST)", "it is billed by provisioned capacity: bursts of jobs are throttled")
	}
	for _, index := range t.Indexes {
		name := t.Name + " index " + index.Name
		at := slices.IndexFunc(has.GlobalSecondaryIndexes, func(g types.GlobalSecondaryIndexDescription) bool {
			return aws.ToString(g.IndexName) == index.Name
		})
		if at < 0 {
			d.find("tables", name, Problem,
				"update the stack, or add the index with aws dynamodb update-table as docs/data-model.md has it; never delete the table: it knows which keys were used",
				"the index is missing: long waits are not woken, or jobs not listed")
			continue
		}
		g := has.GlobalSecondaryIndexes[at]
		if g.IndexStatus != types.IndexStatusActive {
			d.find("tables", name, Problem, "wait until it is ACTIVE", "it is %s", g.IndexStatus)
		}
		if want := keysText(index.Hash, &index.Range); keysOf(g.KeySchema) != want {
			d.find("tables", name, Problem,
				"delete the index and add it as docs/data-model.md has it", "its keys are %s; expected %s", keysOf(g.KeySchema), want)
		}
		for _, attribute := range index.Includes {
			if p := g.Projection; p == nil || p.ProjectionType != types.ProjectionTypeAll && !slices.Contains(p.NonKeyAttributes, attribute) {
				d.find("tables", name, Problem, "delete the index and add it as docs/data-model.md has it", "it does not carry the attribute %s", attribute)
			}
		}
	}
}

func (d *doctor) expiry(ctx context.Context, t setup.Table) {
	if t.ExpiresBy == "" {
		return
	}
	out, err := d.own.dynamodb.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.Name})
	if err != nil {
		d.unread("tables", t.Name+" TTL", err)
		return
	}
	ttl := out.TimeToLiveDescription
	on := ttl != nil && (ttl.TimeToLiveStatus == types.TimeToLiveStatusEnabled || ttl.TimeToLiveStatus == types.TimeToLiveStatusEnabling)
	if !on || aws.ToString(ttl.AttributeName) != t.ExpiresBy {
		d.find("tables", t.Name+" TTL", Problem,
			"run `stampmill setup`: it switches it on",
			"time to live by the attribute %s is off: finished jobs are kept, and paid for, for ever", t.ExpiresBy)
	}
}

func (d *doctor) recovery(ctx context.Context, t setup.Table) {
	out, err := d.own.dynamodb.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &t.Name})
	if err != nil {
		d.unread("tables", t.Name+" backups", err)
		return
	}
	b := out.ContinuousBackupsDescription
	if b == nil || b.PointInTimeRecoveryDescription == nil ||
		b.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled {
		d.find("tables", t.Name, Warning,
			"aws dynamodb update-continuous-backups --table-name "+t.Name+" --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
			"point-in-time recovery is off: a table that is lost takes the knowledge of images and fleets along")
	}
}

func keysText(hash setup.Attribute, sort *setup.Attribute) string {
	if sort == nil {
		return hash.Name
	}
	return hash.Name + ", " + sort.Name
}

func keysOf(schema []types.KeySchemaElement) string {
	var hash, sort string
	for _, k := range schema {
		if k.KeyType == types.KeyTypeHash {
			hash = aws.ToString(k.AttributeName)
		} else {
			sort = fmt.Sprint(", ", aws.ToString(k.AttributeName))
		}
	}
	return hash + sort
}
