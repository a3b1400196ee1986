package main

// countMutants change how many servers a fleet is to have.
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
	}
}
