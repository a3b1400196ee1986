package main

// orderMutants change what becomes of people's orders: those that a queue brings late, and cancels.
func orderMutants() []mutant {
	return []mutant{
		{
			name:   "late-pause-outlives-resume",
			breaks: "1: a pause that comes after the resume that was given later stops the rollout until somebody looks",
			edits:  []edit{{rolloutFolder + "obey.go", `p.Paused = p.Paused || turn.Job.Paused()`, `p.Paused = true`}},
			tests:  in(rolloutTests, "TestWhatWasOrderedLastStandsWhicheverOrderComesFirst"),
		},
		{
			name:   "old-order-over-newer",
			breaks: "an older order that comes later takes the newer one's place",
			edits:  []edit{{storeFile, `w.where(term{absent, name, nil}, term{"<", name, value})`, `w.where(term{absent, name, nil}, term{"<>", name, value})`}},
			tests:  in(storeTests, "TestTheNewestOrderOfAVerbStandsWhicheverComesFirst"),
		},
		{
			name:   "undo-fans-out-for-ever",
			breaks: "1: an undo's children are made again and again, since nobody gathers them",
			edits:  []edit{{familyFile, `if job.Phase == Undoing { // nobody`, `if false { // nobody`}},
			tests:  in(jobsTests, "TestAnUndoHasNoChildrenAndEnds"),
		},
		{
			name:   "cancelled-root-left-untried",
			breaks: "a cancelled rollout in place leaves servers out of service whose new roots nobody tried",
			edits: []edit{{rolloutFolder + "inplace.go", `	case turn.Job.Phase == jobs.Undoing:
`, `	case turn.Job.Phase == jobs.Undoing && c.Since.IsZero():
`}},
			tests: in(rigTests, "TestARolloutInPlaceThatIsCancelledEndsWithEveryServerInOnePiece"),
		},
	}
}
