package dynamodb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// engineURL is DynamoDB Local's address: AWS's own engine, to be compared with. Without it the test is skipped.
func engineURL(t *testing.T) string {
	t.Helper()
	url := cmp.Or(os.Getenv("STAMPMILL_DYNAMODB_LOCAL"), os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	if url == "" {
		t.Skip("no DynamoDB Local to compare with: start one (scripts/endpoints/run.sh independent go test …) or set STAMPMILL_DYNAMODB_LOCAL=http://127.0.0.1:8000")
	}
	return url
}

// number is an environment variable's number.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%s: expected a number", name, text)
	}
	return n
}

const (
	callsPerSeed = 1000
	// mostDifferences end the run: they probably have one cause.
	mostDifferences = 12
)

// TestDifferentialRandomCallsEndAsOnDynamoDBLocal makes the same random calls here and on AWS's own engine and compares the
// answers. STAMPMILL_DIFFERENTIAL_CALLS sets how many calls, STAMPMILL_DIFFERENTIAL_SEED the first seed.
func TestDifferentialRandomCallsEndAsOnDynamoDBLocal(t *testing.T) {
	t.Parallel()
	compareRandom(t, 100_000, (*caller).operation)
}

// compareRandom makes that many calls, unless told otherwise, as draw draws them.
func compareRandom(t *testing.T, calls int, draw func(*caller) operation) {
	t.Helper()
	url := engineURL(t)
	calls, first := number(t, "STAMPMILL_DIFFERENTIAL_CALLS", calls), number(t, "STAMPMILL_DIFFERENTIAL_SEED", 1)
	var next, operations, found, excused atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for found.Load() < mostDifferences {
				seed := int(next.Add(1)) - 1
				if seed*callsPerSeed >= calls {
					return
				}
				r := &run{T: t, url: url, seed: first + seed, draw: draw, name: strings.ToLower(t.Name()[len("TestDifferential"):][:6])}
				r.compare(callsPerSeed)
				operations.Add(int64(r.operations))
				excused.Add(int64(r.excused))
				if r.difference != "" {
					found.Add(1)
					t.Error(r.difference)
				}
			}
		})
	}
	all.Wait()
	// The count is for the reader of a log too, so it is not only in verbose runs.
	fmt.Printf("dynamodb: %s: operations=%d differences=%d listed=%d\n", t.Name(), operations.Load(), found.Load(), excused.Load())
}

// run is one seed's calls on both sides, up to their first difference.
type run struct {
	*testing.T
	url        string
	name       string
	seed       int
	draw       func(*caller) operation
	replays    int
	operations int
	excused    int
	difference string
}

// operation is one call; its text names the tables @main and @side.
type operation struct {
	action, text string
	// pages asks for all pages of a query or scan, one after another.
	pages bool
}

// sides are both engines with fresh tables.
type sides struct {
	*run
	ours   *Service
	suffix string
}

func (r *run) sides() *sides {
	s := &sides{run: r, ours: newService(r.T, ""), suffix: fmt.Sprintf("%s-%d-%d-%d", r.name, os.Getpid(), r.seed, r.replays)}
	r.replays++
	for _, definition := range []string{mainDefinition, sideDefinition} {
		text := s.named(definition)
		must(r.T, s.ours, "CreateTable", text)
		if status, answer := postTo(r.T, r.url, "CreateTable", text); status != 200 {
			r.Fatalf("CreateTable: %s", answer)
		}
	}
	return s
}

func (s *sides) named(text string) string {
	return strings.NewReplacer("@main", "main-"+s.suffix, "@side", "side-"+s.suffix, "@token", "token-"+s.suffix).Replace(text)
}

func (s *sides) drop() {
	for _, table := range []string{"@main", "@side"} {
		if status, answer := postTo(s.T, s.url, "DeleteTable", s.named(`{"TableName":"`+table+`"}`)); status != 200 {
			s.Errorf("DeleteTable: %s", answer)
		}
	}
}

func (r *run) compare(calls int) {
	random := &caller{Rand: rand.New(rand.NewPCG(uint64(r.seed), 7))}
	s := r.sides()
	defer func() { s.drop() }()
	var history []operation
	for i := range calls {
		o := r.draw(random)
		got, want := s.make(o)
		r.operations++
		if statementsHalfRun(o, want) {
			s.drop()
			s, history, random.tokens = r.sides(), nil, nil
			if same(got, want) {
				continue
			}
		}
		if same(got, want) {
			if got.status == 200 && !strings.Contains(o.action, "Get") && o.action != "Query" && o.action != "Scan" {
				history = append(history, o)
			}
			continue
		}
		if listed(o, got, want) {
			r.excused++
			if (got.status == 200) != (want.status == 200) || o.action == "BatchExecuteStatement" {
				// From here on the two would hold different items.
				s.drop()
				s, history, random.tokens = r.sides(), nil, nil
			}
			continue
		}
		history = r.minimal(history, o)
		r.difference = fmt.Sprintf("seed %d, call %d:\n%s%s %s\n got %s\nwant %s", r.seed, i, told(history), o.action, short(o.text), short(got.text), short(want.text))
		return
	}
}

// make makes the call on both sides.
func (s *sides) make(o operation) (got, want outcome) {
	named := s.named(o.text)
	got = s.outcome(o, named, func(action, text string) (int, string) { return post(s.ours, action, text) })
	want = s.outcome(o, named, func(action, text string) (int, string) { return postTo(s.T, s.url, action, text) })
	return got, want
}

// minimal is the part of the history that the difference needs.
func (r *run) minimal(history []operation, last operation) []operation {
	differs := func(history []operation) bool {
		s := r.sides()
		defer s.drop()
		for _, o := range history {
			s.make(o)
		}
		got, want := s.make(last)
		return !same(got, want) && !listed(last, got, want)
	}
	before := r.replays
	for size := len(history); size > 0; size /= 2 {
		for at := 0; at+size <= len(history); {
			shorter := append(append([]operation(nil), history[:at]...), history[at+size:]...)
			if r.replays-before < 60 && differs(shorter) {
				history = shorter
			} else {
				at += size
			}
		}
	}
	return history
}

func told(history []operation) string {
	var b strings.Builder
	if len(history) > 8 {
		b.WriteString("(more before)\n")
		history = history[len(history)-8:]
	}
	for _, o := range history {
		fmt.Fprintf(&b, "after %s %s\n", o.action, short(o.text))
	}
	return b.String()
}

// short leaves out most of a very long text.
func short(text string) string {
	if len(text) > 4000 {
		return text[:3000] + " … " + text[len(text)-900:]
	}
	return text
}

// outcome is an answer, whole and without what may differ.
type outcome struct {
	status  int
	text    string
	essence any
}

func (s *sides) outcome(o operation, text string, post func(action, text string) (int, string)) outcome {
	status, answer := post(o.action, text)
	out := outcome{status: status, text: answer}
	essence := decoded(s.T, answer)
	if status != 200 {
		out.essence = errorEssence(essence)
		return out
	}
	if o.pages {
		essence = s.allPages(text, essence, func(text string) map[string]any {
			_, answer := post(o.action, text)
			return decoded(s.T, answer)
		})
	}
	out.essence = normal(o, essence)
	return out
}

func decoded(t *testing.T, answer string) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(answer), &fields); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return fields
}

// allPages puts all pages together, and counts them.
func (s *sides) allPages(text string, page map[string]any, post func(text string) map[string]any) map[string]any {
	whole, pages := page, 1
	for page["LastEvaluatedKey"] != nil {
		key, err := json.Marshal(page["LastEvaluatedKey"])
		if err != nil {
			s.Fatal(err)
		}
		page = post(strings.TrimSuffix(text, "}") + `,"ExclusiveStartKey":` + string(key) + "}")
		if page["__type"] != nil {
			return page
		}
		items, ok := page["Items"].([]any)
		if ok {
			whole["Items"] = append(whole["Items"].([]any), items...)
		}
		for _, count := range []string{"Count", "ScannedCount"} {
			whole[count] = whole[count].(float64) + page[count].(float64)
		}
		if pages++; pages > 100 {
			s.Fatalf("%s: no end after %d pages", text, pages)
		}
	}
	delete(whole, "LastEvaluatedKey")
	return whole
}
