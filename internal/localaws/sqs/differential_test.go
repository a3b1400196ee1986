package sqs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// A lane works in phases of a fixed period, and all its timeouts are chosen so that they end between two phases. What it does in
	// a phase has to be done within the window, else its outcome would depend on the clock and the lane is given up.
	period = 4 * time.Second
	window = 1700 * time.Millisecond
	// lanes work at a time, each on queues of its own.
	lanes           = 40
	phasesPerLane   = 8
	callsPerPhase   = 12
	mostDifferences = 12
)

// timeouts are delays and visibility timeouts in seconds that end between two phases.
var timeouts = []int{2, 6}

// TestDifferentialRandomCallsEndAsOnElasticMQ makes the same random calls here and on ElasticMQ, in real time, and compares which
// messages came, how often they have come, what the counters say and which errors were answered. STAMPMILL_DIFFERENTIAL_CALLS sets
// how many calls at least, STAMPMILL_DIFFERENTIAL_SEED the first seed.
func TestDifferentialRandomCallsEndAsOnElasticMQ(t *testing.T) {
	t.Parallel()
	url := cmp.Or(os.Getenv("STAMPMILL_ELASTICMQ"), os.Getenv("AWS_ENDPOINT_URL_SQS"))
	if url == "" {
		t.Skip("no ElasticMQ to compare with: start one (scripts/endpoints/run.sh independent go test …) or set STAMPMILL_ELASTICMQ=http://127.0.0.1:9324")
	}
	calls, first := number(t, "STAMPMILL_DIFFERENTIAL_CALLS", 6000), number(t, "STAMPMILL_DIFFERENTIAL_SEED", 1)
	ours := newService(t, "", Options{})
	var next, operations, found, excused, givenUp, unrepeated atomic.Int64
	var all sync.WaitGroup
	until := time.Now().Add(4 * time.Minute)
	for i := range lanes {
		all.Go(func() {
			// The lanes' phases begin at different times, so that the load is even.
			pause(period * time.Duration(i) / lanes)
			for operations.Load() < int64(calls) && found.Load() < mostDifferences && time.Now().Before(until) {
				seed := int(next.Add(1)) + first - 1
				l := newLane(t, seed, 0, &local{t, ours}, &remote{t, url})
				l.run()
				operations.Add(int64(l.operations))
				excused.Add(int64(l.excused))
				if l.late {
					givenUp.Add(1)
					pause(period)
				}
				if l.difference != "" {
					// What the same seed does not do again was the clock's or a thread's doing.
					if !repeats(t, seed, &local{t, ours}, &remote{t, url}) {
						unrepeated.Add(1)
						continue
					}
					found.Add(1)
					t.Error(l.difference)
				}
			}
		})
	}
	all.Wait()
	fmt.Printf("sqs: operations=%d differences=%d listed=%d unrepeated=%d late=%d\n", operations.Load(), found.Load(), excused.Load(), unrepeated.Load(), givenUp.Load())
	if operations.Load() < int64(calls) && found.Load() == 0 {
		t.Errorf("%d operations of %d: %d lanes could not keep to their phases; the machine is too busy", operations.Load(), calls, givenUp.Load())
	}
}

// repeats plays the seed twice more. A run that was late on a busy machine says nothing, and counts for neither.
func repeats(t *testing.T, seed int, ours, theirs side) bool {
	differs := false
	for variant := 1; variant <= 2; variant++ {
		again := newLane(t, seed, variant, ours, theirs)
		again.run()
		if !again.late && again.difference == "" {
			return false
		}
		differs = differs || !again.late
	}
	return differs
}

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

// pause waits: what is compared here is real time on both sides.
func pause(d time.Duration) { <-time.After(d) }

// side is one of the two services.
type side interface {
	// call gives the status and the decoded answer.
	call(action string, in map[string]any) (int, map[string]any)
	// queue is the address of a queue, arn its ARN.
	queue(name string) string
	arn(name string) string
}

// local is the service of this package.
type local struct {
	*testing.T
	*Service
}

func (l *local) queue(name string) string { return "http://sqs.test/000000000000/" + name }
func (l *local) arn(name string) string   { return "arn:aws:sqs:us-east-1:000000000000:" + name }

func (l *local) call(action string, in map[string]any) (int, map[string]any) {
	body, err := json.Marshal(in)
	if err != nil {
		l.Error(err)
	}
	status, answer := post(l.Service, action, string(body))
	return status, fields(l.T, answer)
}

// remote is ElasticMQ.
type remote struct {
	*testing.T
	url string
}

var poster = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4 * lanes}}

func (r *remote) queue(name string) string { return r.url + "/000000000000/" + name }
func (r *remote) arn(name string) string   { return "arn:aws:sqs:elasticmq:000000000000:" + name }

func (r *remote) call(action string, in map[string]any) (int, map[string]any) {
	body, err := json.Marshal(in)
	if err != nil {
		r.Error(err)
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		r.Error(err)
		return 0, nil
	}
	request.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	response, err := poster.Do(request)
	if err != nil {
		r.Error(err)
		return 0, nil
	}
	answer, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err != nil || closeErr != nil {
		r.Error(err, closeErr)
	}
	return response.StatusCode, fields(r.T, string(answer))
}

func fields(t *testing.T, answer string) map[string]any {
	t.Helper()
	decoded := map[string]any{}
	if strings.TrimSpace(answer) == "" {
		return decoded
	}
	if err := json.Unmarshal([]byte(answer), &decoded); err != nil {
		t.Errorf("%s: %v", answer, err)
	}
	return decoded
}

// same says whether two outcomes are equal.
func same(got, want any) bool { return reflect.DeepEqual(got, want) }
