package rig_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/rig"
)

func TestAPingGoesThroughQueueTableAndWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := rig.New(rig.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}()
		if _, err := r.Start(nil); err != nil {
			t.Fatal(err)
		}
		ids, err := r.Submit(t.Context(), "kind: Ping\nname: hello\nspec: {message: hi, wait: 30s}\n", ".", "k", nil)
		if err != nil {
			t.Fatal(err)
		}
		ended, err := r.Wait(t.Context(), 10*time.Minute, ids...)
		if err != nil {
			t.Fatal(err)
		}
		if job := ended[ids[0]]; job.State != jobs.Succeeded {
			t.Fatalf("%s: %s", job.State, job.Failure)
		}
	})
}
