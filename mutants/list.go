package main

import "slices"

// all are the mutants, by what they change.
func all() []mutant {
	return slices.Concat(protocolMutants(), deliveryMutants())
}

// in is tests of one package.
func in(pkg, run string) []selection { return []selection{{pkg: pkg, run: run}} }

const (
	jobsTests   = "internal/jobs"
	bakeTests   = "internal/jobs/bake"
	launchTests = "internal/jobs/launch"
	rigTests    = "internal/rig"
)

// The files that more than one mutant changes.
const (
	decideFile = "internal/jobs/decide.go"
	stintFile  = "internal/jobs/stint.go"
)
