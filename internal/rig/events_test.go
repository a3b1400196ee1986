package rig_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestABakeGoesOnWithinTwoSecondsOfItsAMI(t *testing.T) {
	t.Parallel()
	story := plainBake()
	installed(t, story.Config, func(b *bubble) {
		b.worker(nil)
		job := b.ends(b.submit("k", story.Spec), jobs.Succeeded)
		made, published := told(job, "made image"), told(job, "published")
		if made.IsZero() || published.IsZero() {
			t.Fatalf("the history tells nothing of the AMI: %v", job.History)
		}
		if late := published.Sub(made) - story.Config.Endpoint.EC2.ImageMax; late < 0 || late > 2*time.Second {
			t.Errorf("it was published %s after the AMI was available", late)
		}
	})
}

// told is when the job's history first said so.
func told(job *jobs.Job, text string) time.Time {
	for _, line := range job.History {
		if strings.Contains(line.Text, text) {
			return line.Time
		}
	}
	return time.Time{}
}

func TestABakeThatHearsOfNothingSurvivesADeathAtEveryCall(t *testing.T) {
	t.Parallel()
	story := plainBake()
	story.Config.NoEvents = true
	everyCall(t, story, 3, deaths...)
}
