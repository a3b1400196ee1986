package main

const (
	rolloutTests  = "internal/jobs/rollout"
	rolloutFolder = "internal/jobs/rollout/"
)

// rolloutMutants change how a fleet comes to another image, and back.
func rolloutMutants() []mutant {
	return []mutant{
		{
			name:   "old-terminated-before-passed",
			breaks: "4: the old server of a successor that failed goes all the same",
			edits: []edit{{rolloutFolder + "replace.go", `	c.Passed = common(result.Passed, c.Ordinals)`, `	c.Passed = c.Ordinals`},
				{rolloutFolder + "replaceend.go", `		if second.State == ledger.Leaving {
			old = append(old, second)
		}
	}
	return old, err`, `		if second.State == ledger.Leaving {
			old = append(old, second)
		}
	}
	if len(old) == 0 {
		old, err = r.holders(ctx, r.state.Chunk.Ordinals)
	}
	return old, err`}},
			tests: in(rolloutTests, "TestABadImageNeverDrainsAHealthyFleet"),
		},
		{
			name:   "wave-past-a-failed-gate",
			breaks: "4: a gate that failed is passed over when a person resumes",
			edits: []edit{{rolloutFolder + "obey.go", `	if p.Stage != rolling {
		r.enter(turn, gating)
	}`, `	if p.Stage != rolling {
		r.next(turn)
	}`}},
			tests: in(rolloutTests, "TestAHoldWaitsForAPersonAndAsksTheGateAgain"),
		},
		{
			name:   "wave-of-nobody",
			breaks: "4: a wave of which nothing was rolled passes its gate, and the next one begins",
			edits:  []edit{{rolloutFolder + "progress.go", `	return !wave.Empty() && wave.Minus(p.Failed).Empty()`, `	return false && wave.Empty()`}},
			tests:  in(rolloutTests, "TestAWaveOfWhichNothingWasRolledStopsTheRolloutWithinItsFailureBudgetToo"),
		},
		{
			name:   "floor-rounded-up",
			breaks: "4: the share that may be unavailable is rounded up",
			edits:  []edit{{rolloutFolder + "begin.go", `	p.Spare = r.spec.maxUnavailable().Of(p.Count, false)`, `	p.Spare = r.spec.maxUnavailable().Of(p.Count, true)`}},
			tests:  in(rolloutTests, "TestSharesOfAFleetAreRoundedToTheSafeSide"),
		},
		{
			name:   "rollback-to-unverified",
			breaks: "5: a fleet goes back to a version that is not available any more",
			edits: []edit{{rolloutFolder + "advance.go", `	if reason != "" {
		turn.Warn`, `	if false {
		turn.Warn`}},
			tests: in(rolloutTests, "TestNothingGoesBackToAnImageThatIsNotVerifiedAnyMore"),
		},
		{
			name:   "parked-not-restored",
			breaks: "4: a stopped server whose successor failed stays stopped",
			edits:  []edit{{rolloutFolder + "park.go", `	if len(parked) == 0 {`, `	if len(parked) >= 0 {`}},
			tests:  in(rolloutTests, "TestABadImageNeverDrainsAHealthyFleet"),
		},
		{
			name:   "slot-of-a-third",
			breaks: "2: a successor is launched for an ordinal whose second slot an old server still has",
			edits: []edit{{rolloutFolder + "replace.go", `; !taken.Empty() {`, `; false {`},
				{rolloutFolder + "replaceend.go", `	r.state.Going = r.state.Going.Plus(held(old))`, ``}},
			tests: in(rolloutTests, "TestAFailedGateRollsEverythingBack|TestAFleetIsRolledWaveByWaveAndNeverServesWithFewer"),
		},
		{
			name:   "slot-freed-from-a-living-server",
			breaks: "2: the second slot of a server is freed before EC2 has said that it shuts down",
			edits: []edit{{rolloutFolder + "replaceend.go", `append(ends.over, ends.leaving...)); err`, `append(append(ends.over, ends.leaving...), ends.living...)); err`},
				{rolloutFolder + "replaceend.go", `len(ends.living)), r.terminate(ctx, ends.living)
	}
	return jobs.Done(), nil`, `len(ends.living)), nil
	}
	return jobs.Done(), nil`}},
			tests: in(rolloutTests, "TestACancelLeavesAUsableFleet"),
		},
		{
			name:   "way-back-behind-the-old",
			breaks: "the way back waits until the servers that it follows have ended, minutes in which a bad image serves",
			edits: []edit{{rolloutFolder + "replaceend.go", `append(ends.over, ends.leaving...)); err`, `ends.over); err`},
				{rolloutFolder + "replaceend.go", `	if len(ends.living) > 0 {`, `	if len(ends.living)+len(ends.leaving) > 0 {`}},
			tests: in(rolloutTests, "TestTheWayBackDoesNotWaitForTheEndOfOldServers"),
		},
		{
			name:   "approval-of-another-wave",
			breaks: "4: the approval of one wave lets the next one pass, too",
			edits:  []edit{{rolloutFolder + "obey.go", `	if order.Value == w.Name ||`, `	if order.Value != "" ||`}},
			tests:  in(rolloutTests, "TestAPersonsOrdersAreObeyed"),
		},
	}
}
