package main

import (
	"fmt"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
)

// class is what is wrong.
type class string

// The classes of findings.
const (
	lost     class = "lost"     // a job that was accepted and did not end
	doubled  class = "doubled"  // something that exists twice
	orphaned class = "orphaned" // something that belongs to nothing that should live
	wrong    class = "wrong"    // the world contradicts what ended jobs say
)

// finding is one thing that is wrong, and the job that it is about, if any.
type finding struct {
	class class
	what  string
	job   string
}

func (f finding) String() string {
	if f.job == "" {
		return fmt.Sprintf("%s: %s", f.class, f.what)
	}
	return fmt.Sprintf("%s: %s [%s]", f.class, f.what, f.job)
}

// history tells a job's life in lines.
func history(job *jobs.Job) string {
	if job == nil {
		return "    it is not in the jobs table"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "    run %d, %s, phase %q, step %q, fence %d, seq %d, claims %d, lease until %s; failure: %q; error: %q",
		job.Run, job.State, job.Phase, job.Step, job.Fence, job.Seq, job.Claims, job.Lease.Format("15:04:05.000"), job.Failure, job.Error)
	for _, line := range job.History {
		fmt.Fprintf(&text, "\n    %s r%d %-14s %s", line.Time.Format("15:04:05.000"), line.Run, line.Step, line.Text)
	}
	return text.String()
}
