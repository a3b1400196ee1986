package ping_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/launch/launchtest"
	"github.com/stampmill/stampmill/internal/jobs/ping"
)

func TestAPingAnswersWithItsTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := launchtest.New(t)
		w.Kinds = jobs.NewKinds(ping.Kind{})
		quick := w.Submit("Ping", "hello", "1", `{"message": "hello"}`)
		slow := w.Submit("Ping", "hello", "2", `{"wait": "90s"}`)
		broken := w.Submit("Ping", "hello", "3", `{"fail": true}`)
		w.Run()
		var result ping.Result
		if err := json.Unmarshal(w.WantState(quick, jobs.Succeeded).Result, &result); err != nil || result.Message != "hello" || result.Answered.Before(result.Created) {
			t.Errorf("the result is %+v, %v", result, err)
		}
		if err := json.Unmarshal(w.WantState(slow, jobs.Succeeded).Result, &result); err != nil {
			t.Fatal(err)
		}
		if took := result.Answered.Sub(result.Created); took < 90*time.Second || took > 2*time.Minute {
			t.Errorf("a wait of 90s took %s", took)
		}
		if job := w.WantState(broken, jobs.Failed); !strings.Contains(job.Failure, "asks it to fail") {
			t.Errorf("the failure is %q", job.Failure)
		}
	})
}

func TestAPingTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"message": "` + strings.Repeat("x", ping.MaxMessage+1) + `"}`: "at most 65536",
		`{"wait": "8d"}`:   "at most 7d",
		`{"wait": "soon"}`: "duration",
	} {
		if err := (ping.Kind{}).Check(json.RawMessage(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v; expected a word about %q", raw, err, want)
		}
	}
}

func TestAPingOfStagesTakesADeliveryForEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := launchtest.New(t)
		w.Kinds = jobs.NewKinds(ping.Kind{})
		id := w.Submit("Ping", "hello", "1", `{"stages": 9}`)
		w.Run()
		if job := w.WantState(id, jobs.Succeeded); job.Seq != 9 {
			t.Errorf("nine stages took %d deliveries", job.Seq)
		}
	})
}
