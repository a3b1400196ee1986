// Package dynamodb is the embedded endpoint's DynamoDB.
//
// A table holds its items in a B-tree by place: the hash of the hash key, the hash key, the range key, each encoded so
// that bytes sort as values do. An index is another B-tree to the same rows. One lock guards all tables, so that a
// transaction is nothing more than several writes under it. Attribute values are immutable; an update copies what lies
// along its paths.
//
// Expressions are parsed once by their text. What a request adds, the placeholders, is bound to the parsed form and
// checked at each call, in the order in which AWS finds faults.
//
// Of PartiQL, BatchExecuteStatement serves what writes items one by one, of any table:
//
//	INSERT INTO "table" VALUE {'name': value, …}
//	UPDATE "table" SET path = value REMOVE path … WHERE condition
//
// A value is a parameter (?), a string in single quotes, a number, TRUE, FALSE or NULL; behind SET also a path, and the sum
// or difference of two of these. SET and REMOVE come in any order and number, and SET alone takes a list by commas. The condition
// has =, <>, !=, <, <=, >, >=, IS MISSING, IS NOT MISSING, AND, OR, NOT and parentheses, and demands the whole key by =. Names
// stand bare, or in double quotes where they are PartiQL's keywords. Anything else (SELECT, DELETE, RETURNING, functions, IN,
// BETWEEN, literal lists and maps) is a statement's ValidationError that says what is not served, and where it stands.
package dynamodb

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tidwall/btree"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// Delays are the times that AWS takes for what it does not do at once, already scaled.
type Delays struct {
	// Table passes until a new table is active, Index until a new index is.
	Table, Index time.Duration
	// Expiry passes between the time in an item's TTL attribute and the item's removal.
	Expiry time.Duration
}

// Service is DynamoDB for all accounts and regions.
type Service struct {
	// Delays may be changed before Start.
	Delays Delays

	env     *api.Env
	mu      state.RWMutex
	tables  map[string]*table
	schemas *state.Table[tableSchema]
	items   *state.Table[Item]
	tokens  *state.Table[usedToken]
	// expiries holds a place for each item that has an expiry time, in the order of the times.
	expiries btree.Map[string, expiry]
	sweep    *time.Timer
	due      time.Time
	// forgotten is when old client tokens were last dropped.
	forgotten time.Time
	started   bool
	watchers  []func(Change)
	closed    bool
	sweeping  sync.WaitGroup

	meter sync.Mutex
	units Units

	conditions  cache[*condition]
	updates     cache[*update]
	projections cache[*projection]
	statements  cache[*statement]
}

var protocol = api.JSONProtocol{Version: "1.0", Namespace: "com.amazonaws.dynamodb.v20120810"}

// New loads the service's tables from the environment's store.
func New(env *api.Env) (*Service, error) {
	s := &Service{
		env:         env,
		tables:      map[string]*table{},
		conditions:  cache[*condition]{parse: parseCondition},
		updates:     cache[*update]{parse: parseUpdate},
		projections: cache[*projection]{parse: parseProjection},
		statements:  cache[*statement]{parse: parseStatement},
		Delays: Delays{
			Table:  env.Scale(2 * time.Second),
			Index:  env.Scale(5 * time.Second),
			Expiry: env.Scale(10 * time.Minute),
		},
	}
	s.mu.Keep(env.Store, "dynamodb")
	var err error
	if s.schemas, err = state.NewTable[tableSchema](env.Store, "dynamodb.tables"); err != nil {
		return nil, err
	}
	if s.items, err = state.NewTable[Item](env.Store, "dynamodb.items"); err != nil {
		return nil, err
	}
	if s.tokens, err = state.NewTable[usedToken](env.Store, "dynamodb.tokens"); err != nil {
		return nil, err
	}
	s.load()
	return s, nil
}

func (s *Service) load() {
	for id, schema := range s.schemas.All() {
		s.tables[id] = newTable(schema)
	}
	for key, item := range s.items.All() {
		id, _, _ := strings.Cut(key, "|")
		if t := s.tables[id]; t != nil {
			r := &row{place: t.placeOf(item), item: item, size: item.itemSize()}
			t.replace(nil, r)
			s.noteExpiry(t, nil, r)
		}
	}
}

// Name is the signing name.
func (s *Service) Name() string { return "dynamodb" }

// Start arms the sweeper of expired items.
func (s *Service) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	s.armSweep()
}

// Close stops the sweeper.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	if s.sweep != nil && s.sweep.Stop() {
		s.sweeping.Done()
	}
	s.mu.Unlock()
	s.sweeping.Wait()
}

// call is one request on its way.
type call struct {
	*Service
	request *api.Request
	// reply is the answer's body as far as it is written.
	reply []byte
}

// calls are the operations. Each takes the lock itself, once its input is read and parsed.
var calls = map[string]func(c *call) error{
	"BatchExecuteStatement":     (*call).batchExecuteStatement,
	"BatchGetItem":              (*call).batchGetItem,
	"BatchWriteItem":            (*call).batchWriteItem,
	"CreateTable":               (*call).createTable,
	"DeleteItem":                (*call).deleteItem,
	"DeleteTable":               (*call).deleteTable,
	"DescribeContinuousBackups": (*call).describeContinuousBackups,
	"DescribeTable":             (*call).describeTable,
	"DescribeTimeToLive":        (*call).describeTimeToLive,
	"GetItem":                   (*call).getItem,
	"ListTables":                (*call).listTables,
	"ListTagsOfResource":        (*call).listTagsOfResource,
	"PutItem":                   (*call).putItem,
	"Query":                     (*call).query,
	"Scan":                      (*call).scan,
	"TagResource":               (*call).tagResource,
	"TransactGetItems":          (*call).transactGetItems,
	"TransactWriteItems":        (*call).transactWriteItems,
	"UntagResource":             (*call).untagResource,
	"UpdateContinuousBackups":   (*call).updateContinuousBackups,
	"UpdateItem":                (*call).updateItem,
	"UpdateTable":               (*call).updateTable,
	"UpdateTimeToLive":          (*call).updateTimeToLive,
}

// ServeAWS answers one call.
func (s *Service) ServeAWS(w http.ResponseWriter, r *api.Request) {
	run := calls[r.Action]
	if run == nil {
		protocol.WriteError(w, r, failure("UnknownOperationException", "the operation %q is not known, or this endpoint does not support it", r.Action))
		return
	}
	if !utf8.Valid(r.Body) {
		protocol.WriteError(w, r, failure("SerializationException", "the body is not UTF-8"))
		return
	}
	c := &call{Service: s, request: r}
	if err := run(c); err != nil {
		protocol.WriteError(w, r, err)
		return
	}
	protocol.WriteRaw(w, r, http.StatusOK, slices.Clip(c.reply))
}

// answer makes v the reply.
func (c *call) answer(v any) error {
	body, err := api.Marshal(v)
	c.reply = body
	return err
}

// table finds an active table of the caller. The name may be an ARN.
func (c *call) table(name string) (*table, error) {
	t := c.tables[c.tableID(name)]
	if t == nil || !t.active(time.Now()) {
		return nil, errNotFound
	}
	return t, nil
}
