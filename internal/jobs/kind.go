package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Kind is a sort of job: a package that knows its spec and lists its steps.
type Kind interface {
	// Name is the kind's name as specs and messages write it: Bake.
	Name() string
	// Check says what is wrong with a spec, before anything is made. A queue is hostile: the worker calls it too.
	Check(spec json.RawMessage) error
	// Program opens a job: it decodes the spec and the progress in Data. The steps that it lists work on what it decoded.
	Program(job *Job) (Program, error)
}

// Program is a job opened for one delivery.
type Program interface {
	// Steps are the forward steps in order. The list depends on the spec only, never on progress or time.
	Steps() []Step
	// Undo are the steps that take back what a failed or cancelled job made, in order. They must succeed even where
	// nothing was made, and look for what was made but not recorded until Turn.LookUntil.
	Undo() []Step
	// Committed reports whether the job is past its commit point: from then on a cancel or a failure undoes nothing.
	Committed() bool
	// Data is the progress to keep. It must encode to JSON, and holds no secrets.
	Data() any
	// Result is what a finished job tells; it may be nil.
	Result() any
}

// Resumer is a Program that may learn, in one of its undo steps, that it committed after all: the worker died between the
// commit and its own save. The job then goes on forward with the step that Resume names.
type Resumer interface {
	Resume() (step string)
}

// Step is one idempotent action with a name.
type Step struct {
	Name string
	// Looks marks a step that makes and changes nothing: its save may be shared with the next step's.
	Looks bool
	// Do carries the step out. It never sleeps and never loops on an API. An error of class Retry is a wait; see Error.
	Do func(ctx context.Context, turn *Turn) (Move, error)
}

// Kinds are the kinds that a worker or a producer knows, by name.
type Kinds map[string]Kind

// NewKinds indexes the kinds by name.
func NewKinds(kinds ...Kind) Kinds {
	all := Kinds{}
	for _, kind := range kinds {
		all[kind.Name()] = kind
	}
	return all
}

// Names lists the kinds in alphabetical order.
func (k Kinds) Names() []string {
	names := make([]string, 0, len(k))
	for name := range k {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func stepIndex(steps []Step, name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	at := slices.IndexFunc(steps, func(s Step) bool { return s.Name == name })
	if at < 0 {
		return 0, fmt.Errorf("this worker knows no step %q of this kind; a newer worker may have begun the job", name)
	}
	return at, nil
}
