package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/jobs"
)

// mill is an installation that the CLI made, and its workers, which are processes.
type mill struct {
	*app.App // the test's own sight of queues, tables and servers
	t        *testing.T
	prefix   string
	bucket   string // empty: its name comes from the prefix, the account and the region
	folder   string
	settings []string // what every process has in its environment
	workers  int
}

// bareMill is an installation's name; nothing of it is there yet.
func bareMill(t *testing.T) *mill {
	t.Helper()
	awake(t)
	prefix := "it-" + jobs.NewIncarnation() // an endpoint that goes on may have seen the last run
	return &mill{t: t, prefix: prefix, folder: t.TempDir(), settings: append(environment(), "STAMPMILL_PREFIX="+prefix)}
}

// newMill makes an installation of the test's own: by the CloudFormation template on LocalStack, which deploys all of it
// to where the tests look for it, else by `stampmill setup`.
func newMill(t *testing.T) *mill {
	t.Helper()
	m := bareMill(t)
	if endpointName() != localstack {
		m.bucket = m.prefix // which spares each process the question who it is
		m.settings = append(m.settings, "STAMPMILL_BUCKET="+m.bucket)
		m.do("setup")
	} else if _, err := deploy(t.Context(), m.prefix); err != nil {
		t.Fatal(err)
	}
	return m.open()
}

// open opens the installation for the test itself.
func (m *mill) open() *mill {
	m.t.Helper()
	sdk, err := clients.New(clients.Config{Region: region, Endpoint: endpoint, Timeout: time.Minute, // patient, where a machine is busy
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if err != nil {
		m.t.Fatal(err)
	}
	o := options(m.t, m.prefix)
	o.Clients, o.Common.Bucket = sdk, m.bucket
	a, err := app.Open(m.t.Context(), o)
	if err != nil {
		m.t.Fatal(err)
	}
	m.App = a
	return m
}

// times are those of the suite's workers: short, so that a job whose worker died goes on soon. A call may take a bit less
// than half a lease, and moto answers slowly when it is asked much.
func times() (lease, visibility time.Duration) {
	if endpointName() == embedded {
		return 4 * time.Second, 6 * time.Second
	}
	return 9 * time.Second, 12 * time.Second
}

// work starts a worker; settings (NAME=VALUE) go over the suite's own.
func (m *mill) work(settings ...string) *worker {
	m.t.Helper()
	m.workers++
	lease, visibility := times()
	common := []string{"STAMPMILL_LEASE=" + lease.String(), "STAMPMILL_VISIBILITY=" + visibility.String(), "STAMPMILL_POLL=4s",
		"STAMPMILL_SWEEP_INTERVAL=10s", "STAMPMILL_SLOTS=8", "STAMPMILL_PACE=60", "STAMPMILL_HEALTH=", "STAMPMILL_LOG_LEVEL=debug"}
	return startWorker(m.t, fmt.Sprintf("worker-%d", m.workers), m.folder, slices.Concat(m.settings, common, mended(m.t), settings))
}

// stampmill carries out a command line on this installation.
func (m *mill) stampmill(arguments ...string) answer {
	m.t.Helper()
	return command(m.t, m.settings, arguments...)
}

// do carries out a command line that must succeed, and gives its output.
func (m *mill) do(arguments ...string) string {
	m.t.Helper()
	a := m.stampmill(arguments...)
	if a.code != 0 {
		m.t.Fatalf("stampmill %s: %s", strings.Join(arguments, " "), a)
	}
	return a.out
}

// show reads what a command prints as JSON.
func show[T any](m *mill, arguments ...string) T {
	m.t.Helper()
	var value T
	text := m.do(append(arguments, "-o", "json")...)
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		m.t.Fatalf("stampmill %s: %v\n%s", strings.Join(arguments, " "), err, text)
	}
	return value
}

// file writes a spec file.
func (m *mill) file(document string) string {
	m.t.Helper()
	file, err := os.CreateTemp(m.folder, "*.yaml")
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := file.WriteString(document); err != nil {
		m.t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		m.t.Fatal(err)
	}
	return filepath.Base(file.Name())
}

// submit submits the documents and gives their jobs' ids, in their order.
func (m *mill) submit(documents string, arguments ...string) []string {
	m.t.Helper()
	path := filepath.Join(m.folder, m.file(strings.ReplaceAll(documents, amazonLinux, linux)))
	return strings.Fields(m.do(append([]string{"submit", path}, arguments...)...))
}

// many repeats a document, with its number in the place of %d.
func many(n int, document string) string {
	documents := make([]string, n)
	for i := range documents {
		documents[i] = fmt.Sprintf(document, i)
	}
	return strings.Join(documents, "---\n")
}

// job is what `stampmill job show` and `stampmill wait` tell.
type job struct {
	ID          string          `json:"id"`
	State       jobs.State      `json:"state"`
	Step        string          `json:"step"`
	Run         int             `json:"run"`
	Incarnation string          `json:"incarnation"`
	Failure     string          `json:"failure"`
	Warnings    []string        `json:"warnings"`
	WaitsUntil  time.Time       `json:"waitsUntil"`
	Created     time.Time       `json:"created"`
	Ended       time.Time       `json:"ended"`
	Result      json.RawMessage `json:"result"`
	History     []struct {
		Text string `json:"text"`
	} `json:"history"`
}

func (j job) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s is %s at %s in run %d: %s %s %s\n", j.ID, j.State, j.Step, j.Run, j.Failure, j.Warnings, j.Result)
	for _, line := range j.History {
		fmt.Fprintf(&text, "  %s\n", line.Text)
	}
	return text.String()
}

// Exit codes of the CLI, as its help lists them.
const (
	exitFailure   = 1
	exitInvalid   = 3
	exitJobFailed = 4
	exitCancelled = 5
	exitTimeout   = 6
	exitNotFound  = 7
	exitDrift     = 8
)

// ended waits by `stampmill wait` until the jobs have ended, with that exit code.
func (m *mill) ended(code int, ids ...string) []job {
	m.t.Helper()
	a := m.stampmill(append([]string{"wait", "--timeout", "75s", "-o", "json"}, ids...)...)
	var list []job
	if a.code != code {
		for _, id := range ids {
			m.t.Log(m.stampmill("job", "show", id))
		}
		m.t.Fatalf("stampmill wait: %s\nexpected exit code %d", a, code)
	}
	if err := json.Unmarshal([]byte(a.out), &list); err != nil || len(list) != len(ids) {
		m.t.Fatalf("stampmill wait: %v\n%s", err, a)
	}
	return list
}

// job shows a job.
func (m *mill) job(id string) job {
	m.t.Helper()
	return show[job](m, "job", "show", id)
}

func (m *mill) until(what string, is func() bool) {
	m.t.Helper()
	until(m.t, what, is)
}

// row is a job as the table has it; nil: it is not there.
func (m *mill) row(id string) *jobs.Row {
	m.t.Helper()
	row, err := m.Store.Load(m.t.Context(), id)
	if err != nil {
		m.t.Fatal(err)
	}
	return row
}

// waits waits until the job waits at a step.
func (m *mill) waits(id, step string) {
	m.t.Helper()
	m.until(id+" to wait at "+step, func() bool {
		row := m.row(id)
		return row != nil && row.Job != nil && row.Job.Step == step && row.Job.Wait != nil
	})
}

// dead takes the dead letters, each with its reason as the first line.
func (m *mill) dead() []string {
	m.t.Helper()
	url := m.Queue.URL(queue.DeadLetters)
	out, err := m.SQS().ReceiveMessage(m.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10,
		WaitTimeSeconds: 2, MessageAttributeNames: []string{"All"}})
	if err != nil {
		m.t.Fatal(err)
	}
	var list []string
	for _, message := range out.Messages {
		list = append(list, *message.MessageAttributes[queue.AttributeReason].StringValue+"\n"+*message.Body)
	}
	return list
}

// quiet waits until no message is left on any lane, but those that are delayed: a wake that an event, a cancel or a finished
// child overtook dies by itself when it comes.
func (m *mill) quiet() {
	m.t.Helper()
	m.until("quiet queues", func() bool { return m.messages(visible, inFlight) == 0 })
}

// How SQS counts messages.
const (
	visible  = types.QueueAttributeNameApproximateNumberOfMessages
	inFlight = types.QueueAttributeNameApproximateNumberOfMessagesNotVisible
	delayed  = types.QueueAttributeNameApproximateNumberOfMessagesDelayed
)

// messages counts the messages of all lanes as SQS itself does.
func (m *mill) messages(states ...types.QueueAttributeName) int {
	m.t.Helper()
	n := 0
	for _, lane := range jobs.Lanes {
		url := m.Queue.URL(lane)
		out, err := m.SQS().GetQueueAttributes(m.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: states})
		if err != nil {
			m.t.Fatal(err)
		}
		for _, state := range states {
			count, err := strconv.Atoi(out.Attributes[string(state)])
			if err != nil {
				m.t.Fatalf("%s of %s: %v", state, lane, err)
			}
			n += count
		}
	}
	return n
}
