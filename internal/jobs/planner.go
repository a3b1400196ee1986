package jobs

import (
	"context"
	"fmt"
)

// Planner is a Program that can tell what it would make. It looks, and changes nothing.
type Planner interface {
	// Plan tells what the job would do now. Before is what earlier documents of the same submission would make: what is
	// not there yet because of them is said, and is no error.
	Plan(ctx context.Context, before Foreseen) (Plan, error)
}

// Plan is what a job would do.
type Plan struct {
	// Lines are for people, in the order of reading.
	Lines []PlanLine
	// Findings are what would keep the job from its end, and warnings.
	Findings []Finding
	// Details are the same for programs; they encode to JSON.
	Details any
}

// Finding is something that a look before anything is made shows to be wrong.
type Finding struct {
	// Field is the path of the spec's field that causes it: "pools", 0, "types". Empty: no single one does.
	Field []any
	// Message says what was expected and what was found, Hint what to do; the hint may be empty.
	Message, Hint string
	// Warning: the job can go on all the same.
	Warning bool
}

func (f Finding) String() string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + " (" + f.Hint + ")"
}

// Gather makes a finding at the field of an error that fails a job for good. Any other error is given back.
func Gather(findings *[]Finding, err error, field ...any) error {
	if !IsClass(err, Fatal, NotFound) {
		return err
	}
	*findings = append(*findings, Finding{Field: field, Message: err.Error()})
	return nil
}

// PlanLine is one thing that a plan tells, and what it is about. A line that goes on with the one before has no about.
type PlanLine struct {
	About string `json:"about"`
	Text  string `json:"text"`
}

// Say adds a line. The about of a line that goes on with the one before is left out.
func (p *Plan) Say(about, format string, args ...any) {
	p.Lines = append(p.Lines, PlanLine{About: about, Text: fmt.Sprintf(format, args...)})
}

// Foreseen names images and fleets that documents before this one would make, each with the document that does.
type Foreseen struct {
	Images, Fleets map[string]string
}
