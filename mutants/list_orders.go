package main

// orderMutants change what becomes of people's orders: those that a queue brings late.
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
	}
}
