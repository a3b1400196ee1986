package jobs_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestARunKeepsItsOwnProgressAndNoneOfTheRunBeforeIt(t *testing.T) {
	t.Parallel()
	type progress struct {
		Run  int
		Made string
	}
	for name, c := range map[string]struct {
		data, made, wrong string
	}{
		"none yet":         {"", "", ""},
		"this run's":       {`{"Run": 2, "Made": "i-1"}`, "i-1", ""},
		"an earlier run's": {`{"Run": 1, "Made": "i-1"}`, "", ""},
		"broken":           {`{"Run"`, "", "progress of bake-web"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := jobs.Progress(&jobs.Job{ID: "bake-web", Run: 2, Data: json.RawMessage(c.data)}, func(p *progress) *int { return &p.Run })
			switch {
			case c.wrong != "":
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("the error is %v", err)
				}
			case err != nil:
				t.Error(err)
			case got != progress{2, c.made}:
				t.Errorf("it goes on from %+v", got)
			}
		})
	}
}
