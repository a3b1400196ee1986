// Package app wires the domain to its adapters: what the worker, the command line, the benchmarks and the simulation
// all run is built here, in one way.
package app

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stampmill/stampmill/internal/aws/autoscaling"
	"github.com/stampmill/stampmill/internal/aws/budgets"
	"github.com/stampmill/stampmill/internal/aws/capacity"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/aws/cloudwatch"
	"github.com/stampmill/stampmill/internal/aws/ec2"
	"github.com/stampmill/stampmill/internal/aws/elbv2"
	"github.com/stampmill/stampmill/internal/aws/estate"
	"github.com/stampmill/stampmill/internal/aws/iam"
	"github.com/stampmill/stampmill/internal/aws/ledger"
	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/aws/quotas"
	"github.com/stampmill/stampmill/internal/aws/s3"
	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/aws/ssm"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/config"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/adopt"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/belongings"
	"github.com/stampmill/stampmill/internal/jobs/budget"
	"github.com/stampmill/stampmill/internal/jobs/launch"
	"github.com/stampmill/stampmill/internal/jobs/notify"
	"github.com/stampmill/stampmill/internal/jobs/ping"
	"github.com/stampmill/stampmill/internal/jobs/preflight"
	"github.com/stampmill/stampmill/internal/jobs/restamp"
	"github.com/stampmill/stampmill/internal/jobs/rollout"
	"github.com/stampmill/stampmill/internal/jobs/terminate"
)

// Options is what an App is made of beside the environment.
type Options struct {
	Common config.Common
	// Clients are the SDK's, built by clients.New.
	Clients *clients.Clients
	// Visibility is the receive's; 0 is 90 s.
	Visibility time.Duration
	// Callback posts completion callbacks; nil where none is ever sent (the command line).
	Callback notify.Callback
	// Clock is the worker's clock; nil: time.Now.
	Clock func() time.Time
	// Limits are what EC2 calls may take of the account's budgets; nil: they go at once, for the command line.
	Limits *budget.Limits
	// Pace divides the first waits for what takes AWS minutes; 0 is 1.
	Pace float64
}

// App is an installation, opened.
type App struct {
	Options
	Account string
	Bucket  string
	Store   *store.Store
	Queue   *queue.Queue
	Ledger  *ledger.Ledger
	// Capacity remembers pools without capacity.
	Capacity *capacity.Memory
	Files    *s3.Bucket
	Estate   *estate.Estate
	EC2      *ec2.Service
	SSM      *ssm.Service
	ELBv2    *elbv2.Service
	Quotas   *quotas.Service
	IAM      *iam.Service
	Groups   *autoscaling.Service
	Alarms   *cloudwatch.Service
	Kinds    jobs.Kinds
	// Budgets are nil without Limits.
	Budgets *budgets.Budgets
}

// Open opens the installation that the environment names. It fails with a hint where there is none.
func Open(ctx context.Context, o Options) (*App, error) {
	a := Build(o)
	if err := a.locate(ctx); err != nil {
		return nil, err
	}
	q, err := queue.Open(ctx, queue.Config{API: a.SQS(), Prefix: o.Common.Prefix, Visibility: o.Visibility})
	if err != nil {
		return nil, err
	}
	a.Queue = q
	a.Wire()
	return a, nil
}

// Build wires what needs no call: enough for Installation.
func Build(o Options) *App {
	return &App{Options: o}
}

// Installation is what setup makes.
func (a *App) Installation(ctx context.Context) (setup.Installation, error) {
	if err := a.locate(ctx); err != nil {
		return setup.Installation{}, err
	}
	own := a.Clients.For(jobs.Target{})
	return setup.Installation{Prefix: a.Common.Prefix, Bucket: a.Bucket, Region: own.Region, SQS: a.SQS(), DynamoDB: a.DynamoDB(), S3: own.S3, Events: own.Events}, nil
}

// Forwarding is how the regions' events come to the event bus; an empty bus is that of the installation, in this account.
func (a *App) Forwarding(ctx context.Context, bus string, regions []string) (setup.Forwarding, error) {
	own := a.Clients.For(jobs.Target{})
	identity, err := own.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return setup.Forwarding{}, fmt.Errorf("ask AWS who this is: %w", err)
	}
	account := aws.ToString(identity.Account)
	if bus == "" {
		_, rest, _ := strings.Cut(aws.ToString(identity.Arn), ":") // arn:PARTITION:…
		partition, _, _ := strings.Cut(rest, ":")
		bus = setup.HomeBus(cmp.Or(partition, "aws"), own.Region, account)
	}
	return setup.Forwarding{Prefix: a.Common.Prefix, Bus: bus, Account: account, Regions: regions, IAM: own.IAM,
		Events: func(region string) *eventbridge.Client { return a.Clients.For(jobs.Target{Region: region}).Events }}, nil
}

// DynamoDB is the client of the jobs table. Its own retries are harmless: every write is conditional and sets absolute values.
func (a *App) DynamoDB() *dynamodb.Client {
	return dynamodb.New(a.Clients.For(jobs.Target{}).DynamoDB.Options(), func(o *dynamodb.Options) { o.Retryer = patient() })
}

// SQS is the client of the queues.
func (a *App) SQS() *sqs.Client {
	return sqs.New(a.Clients.For(jobs.Target{}).SQS.Options(), func(o *sqs.Options) { o.Retryer = patient() })
}

func patient() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.Backoff = 4, retry.BackoffDelayerFunc(pause)
	})
}

// pause is anything up to two seconds before another attempt. The clock's nanoseconds spread the callers, not what all draw
// their ids from: so the simulation's calls wait as long as the last time, whoever draws beside them.
func pause(attempt int, _ error) (time.Duration, error) {
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%d %d", time.Now().UnixNano(), attempt) // a hash never fails to write
	return time.Duration(float64(2*time.Second) * float64(hash.Sum32()) / (1 << 32)), nil
}

// locate finds the bucket's name, which needs the account's id unless it is configured.
func (a *App) locate(ctx context.Context) error {
	if a.Bucket = a.Common.Bucket; a.Bucket != "" {
		return nil
	}
	own := a.Clients.For(jobs.Target{})
	identity, err := own.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("ask AWS who this is: %w (are credentials, region and AWS_ENDPOINT_URL right? STAMPMILL_BUCKET spares the call)", err)
	}
	a.Account = aws.ToString(identity.Account)
	a.Bucket = setup.Bucket(a.Common.Prefix, a.Account, own.Region)
	return nil
}

// Wire makes the adapters that need no call: all but the queue.
func (a *App) Wire() {
	a.Callback = a.carrier()
	prefix := a.Common.Prefix
	a.Store = store.New(a.DynamoDB(), setup.JobsTable(prefix))
	a.Ledger = ledger.New(a.Clients, prefix)
	a.Capacity = capacity.New(a.DynamoDB(), setup.JobsTable(prefix))
	a.Files = s3.New(a.Clients, jobs.Target{}, a.Bucket)
	a.EC2, a.SSM, a.ELBv2 = ec2.New(a.Clients, a.guard()), ssm.New(a.Clients), elbv2.New(a.Clients)
	a.Groups, a.Alarms = autoscaling.New(a.Clients), cloudwatch.New(a.Clients)
	a.Quotas, a.IAM = quotas.New(a.Clients), iam.New(a.Clients)
	a.Estate = estate.New(a.EC2, a.Ledger, a.Common.Installation)
	a.Kinds = a.kinds(a.Files, nil)
}

// guard makes the budgets, if there are limits.
func (a *App) guard() ec2.Guard {
	if a.Limits == nil {
		return nil
	}
	a.Budgets = budgets.New(budgets.Config{API: a.DynamoDB(), Table: setup.JobsTable(a.Common.Prefix), Limits: *a.Limits, Clock: a.Clock})
	return a.Budgets.Guard
}

// Files is what the kinds do with the installation's bucket.
type Files interface {
	bake.Files
	launch.Files
	restamp.Files
}

// Planners are the kinds with other files than the bucket's own, and with the workers' limits: they reckon with the budgets and
// take nothing of them.
func (a *App) Planners(files Files, limits budget.Limits) jobs.Kinds {
	return a.kinds(files, budgets.New(budgets.Config{API: a.DynamoDB(), Table: setup.JobsTable(a.Common.Prefix), Limits: limits, Clock: a.Clock}))
}

// kinds are built over files; what EC2's budgets hold is for plans only, and may be nil.
func (a *App) kinds(files Files, now preflight.Budgets) jobs.Kinds {
	region := a.Clients.Region()
	launching := launch.Config{
		EC2:          func(t jobs.Target) launch.EC2 { return a.EC2.For(t) },
		TargetGroups: func(t jobs.Target) launch.TargetGroups { return a.ELBv2.For(t) },
		Parameters:   func(t jobs.Target) launch.Parameters { return a.SSM.For(t) },
		Commands:     func(t jobs.Target) launch.Commands { return a.SSM.For(t) },
		Quotas:       func(t jobs.Target) launch.Quotas { return a.Quotas.For(t) },
		Profiles:     func(t jobs.Target) preflight.Profiles { return a.IAM.For(t) },
		Budgets:      now,
		Handing:      func(t jobs.Target) launch.Handing { return belongings.New(a.EC2.For(t), a.Common.Installation) },
		Ledger:       a.Ledger, Capacity: a.Capacity, Files: files, Callback: a.Callback, Region: region, Pace: a.Pace,
	}
	all := jobs.NewKinds(append(a.catalogKinds(region),
		ping.Kind{},
		bake.New(bake.Config{
			EC2:      func(t jobs.Target) bake.EC2 { return a.EC2.For(t) },
			SSM:      func(t jobs.Target) bake.SSM { return a.SSM.For(t) },
			Profiles: func(t jobs.Target) preflight.Profiles { return a.IAM.For(t) }, Budgets: now,
			Catalog: a.Ledger, Capacity: a.Capacity, Files: files, Callback: a.Callback, Region: region, Pace: a.Pace,
		}),
		launch.New(launching), launch.NewBatch(launching), launch.NewSuccession(launching), launch.NewTrial(launching),
		adopt.New(adopt.Config{
			EC2:          func(t jobs.Target) adopt.EC2 { return a.EC2.For(t) },
			TargetGroups: func(t jobs.Target) adopt.TargetGroups { return a.ELBv2.For(t) },
			Groups:       func(t jobs.Target) adopt.Groups { return groups{a.Groups.For(t)} },
			Ledger:       a.Ledger, Files: files, Installation: a.Common.Installation, Region: region,
		}),
		rollout.New(rollout.Config{
			EC2:          func(t jobs.Target) rollout.Servers { return a.EC2.For(t) },
			TargetGroups: func(t jobs.Target) rollout.TargetGroups { return a.ELBv2.For(t) },
			Belongings:   func(t jobs.Target) rollout.Belongings { return belongings.New(a.EC2.For(t), a.Common.Installation) },
			Roots:        func(t jobs.Target) rollout.Roots { return a.EC2.For(t) },
			Alarms:       func(t jobs.Target) rollout.Alarms { return a.Alarms.For(t) },
			Groups:       func(t jobs.Target) rollout.Groups { return a.Groups.For(t) },
			Templates:    func(t jobs.Target) rollout.Templates { return a.EC2.For(t) },
			Ledger:       a.Ledger, Launching: launching, Callback: a.Callback,
		}),
		terminate.New(terminate.Config{
			EC2:          func(t jobs.Target) terminate.Servers { return a.EC2.For(t) },
			TargetGroups: func(t jobs.Target) terminate.TargetGroups { return a.ELBv2.For(t) },
			Ledger:       a.Ledger, Callback: a.Callback, Budgets: now, Region: region,
		}),
	)...)
	a.addRestamps(all, files, now)
	return all
}

// Engine makes the engine that carries deliveries.
func (a *App) Engine(times jobs.Times, retention time.Duration, log *slog.Logger) *jobs.Engine {
	a.Store.LogTo(log)
	times.Clock = a.Clock
	config := jobs.EngineConfig{Store: a.Store, Families: a.Store, Sender: a.Queue, Kinds: a.Kinds,
		Awaits: a.Store, Account: a.Queue.Account(), Region: a.Clients.Region(),
		Installation: a.Common.Installation, Times: times, Retention: retention, Log: log,
		Ticker: a.Policies("", 0, log)}
	if a.Budgets != nil {
		config.Budgets = a.Budgets
	}
	return jobs.NewEngine(config)
}
