package main

// countMutants change how many servers a fleet is to have, and how what is under way ends.
func countMutants() []mutant {
	return []mutant{
		{
			name:   "a-launch-shrinks-a-fleet",
			breaks: "2: a launch of fewer servers, while some are gone, takes back how many the fleet was promised",
			edits:  []edit{{"internal/jobs/launch/settle.go", `max(l.spec.Count, fleet.Count, l.progress.Existing.Len())`, `max(l.spec.Count, l.progress.Existing.Len())`}},
			tests:  in(launchTests, "TestALaunchNeverTakesBackHowManyServersAFleetWasPromised"),
		},
		{
			name:   "a-heal-brings-back-what-was-terminated",
			breaks: "2: servers that a person terminated by their ordinals stay wanted",
			edits:  []edit{{"internal/jobs/terminate/steps.go", `max(t.progress.Wanted-t.progress.Chosen.Len(), 0)`, `t.progress.Wanted`}},
			tests:  in(terminateTests, "TestWhatAPersonTerminatesIsNotWantedAnyMoreAndWhatEC2EndedIs"),
		},
		{
			name:   "an-undo-forgets-its-children",
			breaks: "1: an undo that has servers tried sends its children again and again, and never ends",
			edits:  []edit{{"internal/jobs/family.go", `	if job.Fan == nil || job.Fan.Step`, `	if job.Fan == nil || job.Phase == Undoing || job.Fan.Step`}},
			tests:  in(jobsTests, "TestAnUndoMayFanOutAndIsGivenItsChildrensEndsOnceWhateverDies"),
		},
	}
}
