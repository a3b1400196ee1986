package dynamodb

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/btree"
)

// reading is a query or a scan on its way: which places it covers and what it does with the items.
type reading struct {
	in     *input
	name   string // Query, Scan
	keys   []keyCondition
	filter *bound
	paths  []path
	table  *table
	index  *index
	rows   *btree.Map[string, *row]
	span   span
	// from is the place behind which the page begins; empty: at the span's start.
	from     string
	consumed consumed
}

func (c *call) query() error { return c.read("Query") }

func (c *call) scan() error { return c.read("Scan") }

func (c *call) read(name string) error {
	in, err := decode(c.request.Body, name)
	if err != nil {
		return err
	}
	q := &reading{in: in, name: name}
	if err := c.prepareReading(q); err != nil {
		return err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if q.table, err = c.table(in.TableName); err != nil {
		return err
	}
	if err := q.resolve(); err != nil {
		return err
	}
	return c.page(q)
}

// prepareReading checks what can be checked without the table.
func (c *call) prepareReading(q *reading) error {
	in := q.in
	if err := checkTableName(in.TableName); err != nil {
		return err
	}
	if in.Limit != nil && *in.Limit < 1 {
		return constraint(NumberOf(int64(*in.Limit)).String(), "limit", "Member must have value greater than or equal to 1")
	}
	if err := in.checkSegments(); err != nil {
		return err
	}
	if q.name == "Query" && !in.keyCondition.given {
		return invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	var filterMentions, projectionMentions *mentions
	var err error
	if q.filter, filterMentions, err = c.conditionOn(in, in.filter, "FilterExpression"); err != nil {
		return err
	}
	if q.paths, projectionMentions, err = c.projectionOn(in); err != nil {
		return err
	}
	key, keyMentions, err := c.conditionOn(in, in.keyCondition, "KeyConditionExpression")
	if err != nil {
		return err
	}
	which := "FilterExpression"
	if q.name == "Query" {
		which = "KeyConditionExpression and FilterExpression"
	}
	if err := in.checkPlaceholders(which, keyMentions, filterMentions, projectionMentions); err != nil {
		return err
	}
	if err := in.checkSelect(); err != nil {
		return err
	}
	if key == nil {
		return nil
	}
	if q.keys, err = keyConditions(*key); err == nil && len(q.keys) > 2 {
		err = invalid("Conditions can be of length 1 or 2 only")
	}
	return err
}

func (in *input) checkSegments() error {
	segment, total := in.Segment, in.TotalSegments
	switch {
	case segment == nil && total == nil:
		return nil
	case total == nil:
		return invalid("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case segment == nil:
		return invalid("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case *total < 1 || *total > 1000000:
		return constraint(NumberOf(int64(*total)).String(), "totalSegments", "Member must have value between 1 and 1000000")
	case *segment < 0 || *segment >= *total:
		return invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *segment, *total)
	}
	return nil
}

func (in *input) checkSelect() error {
	projected := in.projection.given
	switch in.Select {
	case "SPECIFIC_ATTRIBUTES":
		if !projected {
			return invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
		}
	case "COUNT":
		if projected {
			return invalid("Cannot specify the ProjectionExpression when choosing to get only the Count")
		}
	case "ALL_ATTRIBUTES":
		if projected {
			return invalid("Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES")
		}
	case "ALL_PROJECTED_ATTRIBUTES":
		if in.IndexName == "" {
			return invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
		}
		if projected {
			return invalid("Cannot specify the ProjectionExpression when choosing to get ALL_PROJECTED_ATTRIBUTES")
		}
	}
	return nil
}

// resolve finds the tree to read and the places that the conditions cover.
func (q *reading) resolve() error {
	key := q.table.Key
	paths := q.paths
	if q.filter != nil {
		paths = q.filter.paths(slices.Clip(paths))
	}
	if err := q.table.checkKeyPaths(paths); err != nil {
		return err
	}
	q.rows = &q.table.rows
	q.consumed = consumed{table: q.table.Name}
	if q.in.IndexName != "" {
		if err := q.resolveIndex(); err != nil {
			return err
		}
		key, q.rows = q.index.Key, &q.index.entries
	}
	if q.filter != nil && q.name == "Query" {
		if err := q.filter.avoids(key.attributes()); err != nil {
			return err
		}
	}
	if q.name == "Scan" {
		q.cover()
	} else if err := q.coverConditions(key); err != nil {
		return err
	}
	return q.resume(key)
}

// avoids refuses a query's filter on the key that it reads by.
func (b bound) avoids(keys []string) error {
	if b.node.kind == nodePath && slices.Contains(keys, b.path[0].name) {
		return invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", b.path[0].name)
	}
	for _, argument := range b.arguments {
		if err := argument.avoids(keys); err != nil {
			return err
		}
	}
	return nil
}

func (q *reading) resolveIndex() error {
	x := q.table.index(q.in.IndexName)
	if x == nil {
		return invalid("The table does not have the specified index: %s", q.in.IndexName)
	}
	if q.in.ConsistentRead {
		return invalid("Consistent reads are not supported on global secondary indexes")
	}
	if q.backfilling(x) {
		return invalid("Cannot read from backfilling global secondary index: %s", x.Name)
	}
	if q.in.Select == "ALL_ATTRIBUTES" && x.Projection != "ALL" {
		return parameter("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", x.Name)
	}
	var missing []string
	for _, p := range q.paths {
		if !q.table.projects(x.indexSchema, p[0].name) {
			missing = append(missing, p[0].name)
		}
	}
	if missing != nil {
		return parameter("Global secondary index %s does not project [%s]", x.Name, strings.Join(missing, ", "))
	}
	if q.filter != nil && q.name == "Query" {
		unknown := map[string]bool{}
		for _, p := range q.filter.paths(nil) {
			if !q.table.projects(x.indexSchema, p[0].name) {
				unknown[p[0].name] = true
			}
		}
		if len(unknown) > 0 {
			return parameter("Secondary index %s does not project one or more filter attributes: [%s]", x.Name, strings.Join(slices.Sorted(maps.Keys(unknown)), ", "))
		}
	}
	q.index = x
	return nil
}
