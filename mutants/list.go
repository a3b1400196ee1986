package main

import "slices"

// all are the mutants, by what they change.
func all() []mutant {
	return slices.Concat(protocolMutants(), deliveryMutants(), workerMutants(), familyMutants(), storeMutants(), lateMutants(), plazaMutants(), ledgerMutants(), catalogMutants(), distributeMutants(), accountCopyMutants(), recallMutants(), passOnMutants(),
		identityMutants(), bakeMutants(), imageMutants(), launchMutants(), countMutants(), storyMutants(), inPlaceMutants(), outlivingMutants(), nightMutants(), terminateMutants(), errorMutants(), adapterMutants(),
		importMutants(), upkeepMutants(), guestMutants(), budgetMutants(), eventMutants(), capacityMutants(), lookMutants(),
		learningMutants(), policyMutants(), rolloutMutants(), refreshMutants(), restampMutants(), orderMutants(), swapMutants())
}

// in is tests of one package.
func in(pkg, run string) []selection { return []selection{{pkg: pkg, run: run}} }

const (
	jobsTests      = "internal/jobs"
	bakeTests      = "internal/jobs/bake"
	launchTests    = "internal/jobs/launch"
	terminateTests = "internal/jobs/terminate"
	guestTests     = "internal/jobs/guest"
	storeTests     = "internal/aws/store"
	ledgerTests    = "internal/aws/ledger"
	rigTests       = "internal/rig"
)

// The files that several mutants change.
const (
	decideFile     = "internal/jobs/decide.go"
	engineFile     = "internal/jobs/engine.go"
	stintFile      = "internal/jobs/stint.go"
	familyFile     = "internal/jobs/family.go"
	turnFile       = "internal/jobs/turn.go"
	makeFile       = "internal/jobs/make.go"
	workerFile     = "internal/jobs/worker.go"
	heartbeatFile  = "internal/jobs/heartbeat.go"
	sweeperFile    = "internal/jobs/sweeper.go"
	reaperFile     = "internal/jobs/reaper.go"
	storeFile      = "internal/aws/store/store.go"
	saveFile       = "internal/aws/store/save.go"
	changeFile     = "internal/aws/store/change.go"
	togetherFile   = "internal/aws/store/together.go"
	bakeUndoFile   = "internal/jobs/bake/undo.go"
	copiesUndoFile = "internal/jobs/copies/undo.go"
	bakeSteps      = "internal/jobs/bake/program.go"
	retireFile     = "internal/jobs/lifecycle/lifecycle.go"
	batchFile      = "internal/jobs/launch/batch.go"
	terminateSteps = "internal/jobs/terminate/steps.go"
	errorsFile     = "internal/aws/awserr/awserr.go"
)

const anyDeath = "TestAWorkerThatDiesAtAnyCallLosesAndDoublesNothing"
