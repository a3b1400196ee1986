package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stampmill/stampmill/internal/aws/queue"
	"github.com/stampmill/stampmill/internal/jobs"
)

// letterView is a dead letter as JSON and YAML show it.
type letterView struct {
	ID         string    `json:"id"`
	OriginalID string    `json:"originalId"`
	From       string    `json:"from,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Type       string    `json:"type,omitempty"`
	Kind       string    `json:"kind,omitempty"`
	Name       string    `json:"name,omitempty"`
	Job        string    `json:"job,omitempty"`
	Sent       time.Time `json:"sent"`
	Bytes      int       `json:"bytes"`
	Body       string    `json:"body,omitempty"`
}

// letterOf reads as much of a dead letter as can be read: it may be here because nobody could.
func letterOf(l queue.Letter) letterView {
	v := letterView{ID: l.ID, OriginalID: l.OriginalID, From: string(l.From), Reason: l.Reason, Sent: l.Sent, Bytes: len(l.Body)}
	m := headOf(l.Body)
	v.Type, v.Kind, v.Name = string(m.Type), m.Kind, m.Name
	if m.Type != jobs.Submit {
		v.Job = m.Job
		v.Kind, v.Name = partsOf(m.Job)
	} else if m.Kind != "" && m.Name != "" {
		v.Job = m.JobID(l.OriginalID)
	}
	return v
}

// headOf is what names a message's job, whatever else is wrong with the message.
func headOf(body []byte) jobs.Message {
	var head struct {
		Type     jobs.MessageType `json:"type"`
		Kind     string           `json:"kind"`
		Name     string           `json:"name"`
		Role     string           `json:"role"`
		Region   string           `json:"region"`
		Key      string           `json:"key"`
		Priority jobs.Priority    `json:"priority"`
		Job      string           `json:"job"`
	}
	if json.Unmarshal(body, &head) != nil {
		return jobs.Message{}
	}
	return jobs.Message{Type: head.Type, Kind: head.Kind, Name: head.Name, Role: head.Role, Region: head.Region, Key: head.Key,
		Priority: head.Priority, Job: head.Job}
}

// partsOf takes kind and name out of a job's id.
func partsOf(job string) (kind, name string) {
	if !wholeID.MatchString(job) {
		return "", ""
	}
	kind, rest, _ := strings.Cut(job, "-")
	return kind, rest[:strings.LastIndexByte(rest, '-')]
}

// laneOf is where a redriven letter goes: whence it came, or where its sender should have sent it.
func laneOf(l queue.Letter) jobs.Lane {
	if l.From != "" {
		return l.From
	}
	switch m := headOf(l.Body); m.Type {
	case jobs.Cancel, jobs.Reopen:
		return jobs.LaneHigh
	case jobs.Wake, jobs.Nudge:
		return jobs.LaneWake
	default:
		return jobs.SubmitLane(m.Priority)
	}
}

// letterFilter chooses dead letters.
type letterFilter struct {
	ids          []string
	reason       string
	kind, name   string
	older, newer time.Duration
}

func (f *letterFilter) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.reason, "reason", "", "only those whose reason contains this, in any case")
	cmd.Flags().StringVar(&f.kind, "kind", "", "only those about jobs of this kind")
	cmd.Flags().StringVar(&f.name, "name", "", "only those about jobs of this name")
	cmd.Flags().DurationVar(&f.older, "older", 0, "only those that have been here for longer, such as 24h")
	cmd.Flags().DurationVar(&f.newer, "newer", 0, "only those that have been here for less, such as 1h")
}

func (f *letterFilter) empty() bool {
	return len(f.ids) == 0 && f.reason == "" && f.kind == "" && f.name == "" && f.older == 0 && f.newer == 0
}

func (f *letterFilter) check() error {
	switch {
	case f.older < 0 || f.newer < 0:
		return exitf(ExitUsage, "--older and --newer are ages, such as 24h; expected more than 0s")
	case f.newer > 0 && f.older >= f.newer:
		return exitf(ExitUsage, "--older %s and --newer %s leave nothing between them; expected --older to be the shorter one", f.older, f.newer)
	}
	return nil
}

// chooser gives the filter as of now. An id may be a beginning, and may be the original one.
func (f *letterFilter) chooser(now time.Time) func(queue.Letter) bool {
	return func(l queue.Letter) bool {
		v, age := letterOf(l), now.Sub(l.Sent)
		named := len(f.ids) == 0 || slices.ContainsFunc(f.ids, func(id string) bool {
			return id != "" && (strings.HasPrefix(v.ID, id) || strings.HasPrefix(v.OriginalID, id))
		})
		return named && strings.Contains(strings.ToLower(v.Reason), strings.ToLower(f.reason)) &&
			(f.kind == "" || strings.EqualFold(f.kind, v.Kind)) && (f.name == "" || f.name == v.Name) &&
			(f.older == 0 || age >= f.older) && (f.newer == 0 || age < f.newer)
	}
}
