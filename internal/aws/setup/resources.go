// Package setup makes what an installation consists of: four queues and the dead letters, two tables, a bucket,
// and the rules by which events wake jobs. It is the same set that the CloudFormation template makes, for accounts where that is not wanted. Making it again changes nothing.
package setup

import (
	"time"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
)

// Retention of the queues. Finished jobs are kept longer than both together (30 days).
const (
	QueueRetention = 4 * 24 * time.Hour
	DeadRetention  = 14 * 24 * time.Hour
	// Visibility is the queues' own; a worker sets its own with each receive.
	Visibility = 90 * time.Second
	// LongPoll is the queues' own wait of a receive.
	LongPoll = 20 * time.Second
	// Redrive is after how many receives SQS itself gives a message up: the last resort behind the workers' own judgement.
	Redrive = 100
)

// Queue is one SQS queue.
type Queue struct {
	Name        string
	Retention   time.Duration
	DeadLetters string // the queue's name; empty: none
}

// Queues lists the queues, the dead letters first.
func Queues(prefix string) []Queue {
	dead := queue.Name(prefix, queue.DeadLetters)
	queues := []Queue{{Name: dead, Retention: DeadRetention}}
	for _, lane := range jobs.Lanes {
		queues = append(queues, Queue{Name: queue.Name(prefix, lane), Retention: QueueRetention, DeadLetters: dead})
	}
	return queues
}

// Table is one DynamoDB table, billed by request.
type Table struct {
	Name      string
	Hash      Attribute
	Range     *Attribute
	Indexes   []Index
	ExpiresBy string // TTL attribute; empty: none
}

// Attribute is a key attribute with its type: S or N.
type Attribute struct{ Name, Type string }

// Index is a global secondary index.
type Index struct {
	Name        string
	Hash, Range Attribute
	// Includes are the attributes that it carries beside the keys.
	Includes []string
}

// JobsTable and LedgerTable give the tables' names.
func JobsTable(prefix string) string { return prefix + "-jobs" }

// LedgerTable is the name of the table of images and fleets.
func LedgerTable(prefix string) string { return prefix + "-ledger" }

// Tables lists the tables.
func Tables(prefix string) []Table {
	return []Table{
		{
			Name: JobsTable(prefix), Hash: Attribute{"id", "S"}, ExpiresBy: "exp",
			Indexes: []Index{
				{Name: store.IndexDue, Hash: Attribute{"ds", "S"}, Range: Attribute{"due", "N"}, Includes: []string{"inc", "run", "seq", "lane"}},
				{Name: store.IndexList, Hash: Attribute{"ls", "S"}, Range: Attribute{"at", "N"}},
			},
		},
		{Name: LedgerTable(prefix), Hash: Attribute{"pk", "S"}, Range: &Attribute{"sk", "S"}},
	}
}

// Bucket is the default name of the installation's bucket: bucket names are global.
func Bucket(prefix, account, region string) string { return prefix + "-" + account + "-" + region }

// LogDays is how long the bucket keeps scripts' output, FileDays the files of specs, and LaunchDays what batches and their
// servers are told: settings, for longer than a message can come back from the dead letters.
const (
	LogDays    = 90
	FileDays   = 400
	LaunchDays = 30
)
