package ledger

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws/api"
	embeddeddb "github.com/stampmill/stampmill/internal/localaws/dynamodb"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

// bundle is a ledger of its own on the embedded endpoint in process, or on the DynamoDB that STAMPMILL_TEST_DYNAMODB names.
type bundle struct {
	*Ledger
	t    *testing.T
	wire *wire
}

var bundles atomic.Int64

func setup(t *testing.T) *bundle {
	t.Helper()
	config := clients.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")}
	w := &wire{next: http.DefaultTransport}
	if config.Endpoint = os.Getenv("STAMPMILL_TEST_DYNAMODB"); config.Endpoint == "" {
		w.next, config.Endpoint = embedded(t), "http://aws.test"
	}
	config.Transport = w
	c, err := clients.New(config)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{Ledger: New(c, fmt.Sprintf("t%d-%d", os.Getpid(), bundles.Add(1))), t: t, wire: w}
	b.makeTable(b.jobs, "id")
	b.makeTable(b.table, "pk", "sk")
	return b
}

// embedded is the endpoint's DynamoDB alone, in process.
func embedded(t *testing.T) http.RoundTripper {
	t.Helper()
	store, err := state.Open("")
	if err != nil {
		t.Fatal(err)
	}
	service, err := embeddeddb.New(&api.Env{Store: store, Speed: 1e6, Seed: 1, Unlimited: true})
	if err != nil {
		t.Fatal(err)
	}
	service.Start()
	t.Cleanup(service.Close)
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		answer := httptest.NewRecorder()
		service.ServeAWS(answer, &api.Request{
			HTTP: r, Body: body, Service: "dynamodb", Region: "us-east-1", Account: api.DefaultAccount, Action: action, ID: "request",
		})
		return answer.Result(), nil
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (b *bundle) makeTable(name string, keys ...string) {
	b.t.Helper()
	in := &dynamodb.CreateTableInput{TableName: aws.String(name), BillingMode: types.BillingModePayPerRequest}
	for i, key := range keys {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(key), AttributeType: types.ScalarAttributeTypeS})
		in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: aws.String(key), KeyType: []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]})
	}
	if _, err := b.client.CreateTable(b.t.Context(), in); err != nil {
		b.t.Fatal(err)
	}
	waiter := dynamodb.NewTableExistsWaiter(b.client, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 10*time.Millisecond
	})
	if err := waiter.Wait(b.t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(name)}, time.Minute); err != nil {
		b.t.Fatal(err)
	}
}

// claim puts an open job into the jobs table as if a delivery had just claimed it.
func (b *bundle) claim(job string) jobs.Guard {
	b.t.Helper()
	return b.job(jobs.Guard{Job: job, Incarnation: "inc-" + job, Fence: 7}, jobs.Open)
}

func (b *bundle) job(g jobs.Guard, state jobs.State) jobs.Guard {
	b.t.Helper()
	_, err := b.client.PutItem(b.t.Context(), &dynamodb.PutItemInput{TableName: aws.String(b.jobs), Item: item{
		"id": text(g.Job), "inc": text(g.Incarnation), "state": text(string(state)),
		"fence": &types.AttributeValueMemberN{Value: strconv.FormatInt(g.Fence, 10)},
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	return g
}

// everything is what the ledger's table holds, in one text.
func (b *bundle) everything() string {
	b.t.Helper()
	out, err := b.client.Scan(b.t.Context(), &dynamodb.ScanInput{TableName: aws.String(b.table), ConsistentRead: aws.Bool(true)})
	if err != nil {
		b.t.Fatal(err)
	}
	var lines []string
	for _, it := range out.Items {
		line := ""
		for _, attribute := range slices.Sorted(maps.Keys(it)) {
			switch v := it[attribute].(type) {
			case *types.AttributeValueMemberB:
				line += attribute + "=" + string(v.Value) + " "
			case *types.AttributeValueMemberS:
				line += attribute + "=" + v.Value + " "
			case *types.AttributeValueMemberN:
				line += attribute + "=" + v.Value + " "
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// wire counts calls and loses answers.
type wire struct {
	next  http.RoundTripper
	mu    sync.Mutex
	calls map[string]int
	lose  int // so many answers to transactions are lost after they took effect
	// cancels are the reasons for which each transaction is cancelled, by its actions.
	cancels []string
}

// cancelled answers a transaction that DynamoDB cancelled for those reasons.
func cancelled(r *http.Request, reasons []string) *http.Response {
	body := `{"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "Transaction cancelled", "CancellationReasons": [{"Code": "` +
		strings.Join(reasons, `"}, {"Code": "`) + `"}]}`
	return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	cancels := w.cancels
	w.mu.Unlock()
	if action == "TransactWriteItems" && len(cancels) > 0 {
		return cancelled(r, cancels), nil
	}
	response, err := w.next.RoundTrip(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = map[string]int{}
	}
	w.calls[action]++
	if action == "TransactWriteItems" && w.lose > 0 && err == nil {
		w.lose--
		if err := response.Body.Close(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("connection reset by peer")
	}
	return response, err
}
