package capacity_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	awscapacity "github.com/stampmill/stampmill/internal/aws/capacity"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/aws/setup"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/capacity"
	"github.com/stampmill/stampmill/internal/jobs/capacity/capacitytest"
	"github.com/stampmill/stampmill/internal/localaws"
	"github.com/stampmill/stampmill/internal/localaws/api"
)

// reads counts the calls that read.
type reads struct {
	mu sync.Mutex
	n  int
}

func (r *reads) count(request *api.Request) localaws.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	if request.Action == "BatchGetItem" {
		r.n++
	}
	return localaws.Fault{}
}

// table is an installation's table on the embedded endpoint; each memory is another worker's.
func table(t *testing.T, r *reads) func() capacity.Memory {
	t.Helper()
	server, err := localaws.New(localaws.Config{Log: slog.New(slog.DiscardHandler), Intercept: r.count})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	all, err := clients.New(clients.Config{Region: "eu-west-1", Endpoint: server.URL(), Transport: server.RoundTripper(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	own := all.For(jobs.Target{})
	in := setup.Installation{Prefix: "test", Bucket: "test-bucket", Region: "eu-west-1", SQS: own.SQS, DynamoDB: own.DynamoDB, S3: own.S3}
	if err := in.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() capacity.Memory { return awscapacity.New(own.DynamoDB, setup.JobsTable("test")) }
}

// both runs a test on the table, where each worker has a memory of its own, and on the kinds' tests' memory.
func both(t *testing.T, test func(t *testing.T, worker func() capacity.Memory)) {
	t.Helper()
	t.Run("table", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { test(t, table(t, &reads{})) })
	})
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			shared := &capacitytest.Memory{}
			test(t, func() capacity.Memory { return shared })
		})
	})
}

var pool = capacity.Pool{Target: jobs.Target{Region: "eu-west-1"}, Type: "m7g.large", Subnet: "subnet-a"}

func asker(m capacity.Memory, job string) capacity.Asker {
	return capacity.Asker{Memory: m, Job: job, Now: time.Now()}
}

// refuse is a call of the job that the pool refuses.
func refuse(t *testing.T, m capacity.Memory, job string) {
	t.Helper()
	_, known, err := asker(m, job).May(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	time.Sleep(time.Second)
	if err := asker(m, job).Refuse(t.Context(), pool, known, begun); err != nil {
		t.Fatal(err)
	}
}

func may(t *testing.T, m capacity.Memory, job string) bool {
	t.Helper()
	ok, _, err := asker(m, job).May(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// freeAfter is how long nobody may ask the pool.
func freeAfter(t *testing.T, m capacity.Memory, job string) time.Duration {
	t.Helper()
	begun := time.Now()
	for !may(t, m, job) {
		if time.Since(begun) > time.Hour {
			t.Fatal("the pool stays refused for more than an hour")
		}
		time.Sleep(time.Second)
	}
	return time.Since(begun).Round(5 * time.Second)
}

func TestARefusalHoldsForAllWorkersAndGrowsFromOneMinuteToTen(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, worker func() capacity.Memory) {
		one, other := worker(), worker()
		if !may(t, one, "a") || !may(t, other, "b") {
			t.Fatal("a pool that nobody asked is refused")
		}
		time.Sleep(10 * time.Second)
		for i, minutes := range []int{1, 2, 4, 8, 10, 10} {
			refuse(t, one, "a")
			if free := freeAfter(t, other, "a"); free != time.Duration(minutes)*time.Minute {
				t.Fatalf("after refusal %d the pool is left alone for %s, want %d minutes", i+1, free, minutes)
			}
		}
	})
}

func TestCallsThatWereUnderWayTogetherAreOneRefusal(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, worker func() capacity.Memory) {
		m, begun := worker(), time.Now()
		time.Sleep(time.Second)
		for range 5 {
			if err := asker(m, "a").Refuse(t.Context(), pool, capacity.Refusal{Times: 3, At: begun, Until: begun}, begun); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got, err := m.Refusals(t.Context(), []string{pool.Key()}); err != nil || got[pool.Key()].Times != 4 {
			t.Errorf("%+v, %v: want the fourth refusal, once", got, err)
		}
	})
}

func TestOneJobTriesAndTheOthersWaitForWhatComesOfIt(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, worker func() capacity.Memory) {
		one, other := worker(), worker()
		refuse(t, one, "a")
		time.Sleep(time.Minute)
		if !may(t, other, "b") || may(t, one, "a") || may(t, one, "c") {
			t.Fatal("want b to try, and nobody else")
		}
		if !may(t, one, "b") {
			t.Fatal("the job that tries may not ask again, on another worker")
		}
		choice, err := asker(one, "c").Choose(t.Context(), []capacity.Pool{pool}, func(int) bool { return false })
		if err != nil || choice.Pool >= 0 || choice.Wait <= 0 || choice.Wait > capacity.Trial {
			t.Fatalf("%+v, %v: want c to wait for b's try", choice, err)
		}
		time.Sleep(capacity.Trial + time.Second) // b never tells
		if !may(t, one, "c") || may(t, other, "b") {
			t.Fatal("want c to try where b did not tell")
		}
	})
}

func TestAGrantForgetsAtOnceAndOnlyWhatCameBeforeIt(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, worker func() capacity.Memory) {
		one, other := worker(), worker()
		begun := time.Now()
		refuse(t, one, "a") // while a call of b is under way
		_, known, err := asker(one, "b").May(t.Context(), pool)
		if err != nil || known.Times != 1 {
			t.Fatal(known, err)
		}
		if err := asker(one, "b").Granted(t.Context(), pool, known, begun); err != nil {
			t.Fatal(err)
		}
		if may(t, other, "c") {
			t.Error("a grant to a call that began before the refusal forgot it")
		}
		time.Sleep(5 * time.Second)
		if err := asker(one, "b").Granted(t.Context(), pool, known, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second) // what a worker has read serves for some seconds
		if !may(t, other, "c") || !may(t, other, "d") {
			t.Error("the pool is still refused after a grant")
		}
		refuse(t, other, "c")
		if free := freeAfter(t, other, "c"); free != time.Minute {
			t.Errorf("a refusal after a grant lasts %s, want a minute again", free)
		}
	})
}

func TestWhatManyJobsAskTogetherIsOneRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reads{}
		m := table(t, r)()
		var ladder []capacity.Pool
		for i := range 30 {
			ladder = append(ladder, capacity.Pool{Subnet: fmt.Sprint("subnet-", i)})
		}
		for range 3 {
			var asking sync.WaitGroup
			for job := range 40 {
				asking.Go(func() {
					choice, err := asker(m, fmt.Sprint(job)).Choose(t.Context(), ladder, func(int) bool { return false })
					if err != nil || choice.Pool != 0 {
						t.Errorf("%+v, %v: want the first pool", choice, err)
					}
				})
			}
			asking.Wait()
			time.Sleep(time.Second)
		}
		if r.n != 1 {
			t.Errorf("120 questions within seconds took %d reads, want 1", r.n)
		}
	})
}

func TestARefusalThatNobodyTriedForHalfAnHourIsForgotten(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, worker func() capacity.Memory) {
		m := worker()
		for range 4 {
			refuse(t, m, "a")
			freeAfter(t, m, "a")
		}
		time.Sleep(capacity.Stale + 10*time.Minute)
		refuse(t, m, "a")
		if free := freeAfter(t, m, "a"); free != time.Minute {
			t.Errorf("the pool is left alone for %s, want a minute as at first", free)
		}
	})
}
