package main

// nightMutants break what people read and type when a patch day has stopped.
func nightMutants() []mutant {
	return []mutant{
		{
			name:   "order-to-a-rollout-in-line",
			breaks: "4: a fleet's name means the rollout that was submitted last, so that a pause misses the one that works",
			edits:  []edit{{"internal/cli/rollouts.go", `	if strings.HasPrefix(fleet.Owner, strings.ToLower(rollout.KindName)+"-") {`, `	if strings.HasPrefix(fleet.Owner, rollout.KindName+"-") {`}},
			tests:  in("./internal/cli", "TestAFleetsNameMeansTheRolloutThatWorksOnItNotOneInLine"),
		},
		{
			name:   "half-rolled-fleet-reported-as-untouched",
			breaks: "4: a fleet whose rollout a cancel cut off is said not to have been begun, though it runs two images",
			edits:  []edit{{"internal/jobs/restamp/report.go", `		if _, told := fleets[fleet.Name]; !told && line.To != "" {`, `		if _, told := fleets[fleet.Name]; told && line.To == "" {`}},
			tests:  in("./internal/jobs/restamp", "TestAReportSaysOfEachFleetHowFarItCame"),
		},
	}
}
