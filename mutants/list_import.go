package main

// importMutants change how what was there before is taken over and given back.
func importMutants() []mutant {
	return []mutant{
		{
			name:   "import-numbers-as-described",
			breaks: "ordinals of imported servers follow EC2's order, not their launch times",
			edits: []edit{{"internal/jobs/adopt/roll.go", `		return cmp.Or(a.Launched.Compare(b.Launched), strings.Compare(a.ID, b.ID))`,
				`		return cmp.Or(strings.Compare(a.ID, b.ID), a.Launched.Compare(b.Launched))`}},
			tests: in(rigTests, "TestAnImportSurvivesADeathAtEveryCall"),
		},
		{
			name:   "undo-takes-foreign-tags",
			breaks: "7: giving back takes a tag that the server carried before",
			edits:  []edit{{"internal/jobs/adopt/fleet.go", `call(ctx, ids, without(tags, before[key]))`, `call(ctx, ids, tags)`}},
			tests:  in(rigTests, "TestAnImportThatIsCancelledLeavesEverythingAsItWas|TestGivingAFleetBackSurvivesADeathAtEveryCall"),
		},
		{
			name:   "reaper-takes-adopted",
			breaks: "7: the reaper removes what was imported once the ledger has lost it",
			edits:  []edit{{reaperFile, `	if thing.Tags[TagAdopted] != "" {`, `	if thing.Tags[TagAdopted] == "never" {`}},
			tests:  in(rigTests, "TestNoReaperTakesAdoptedServersThatTheLedgerHasLost"),
		},
		{
			name:   "import-marks-more-than-it-names",
			breaks: "7: an import changes a server: it takes every tag of the installation's form for its own",
			edits: []edit{{"internal/jobs/adopt/fleet.go", `		gone, err := a.each(ctx, chunk, tags, a.ec2().Tag)`,
				`		tags["app"] = a.job.Name + "-imported"
		gone, err := a.each(ctx, chunk, tags, a.ec2().Tag)`}},
			tests: in(rigTests, "TestAnImportThatIsCancelledLeavesEverythingAsItWas|TestGivingAFleetBackSurvivesADeathAtEveryCall"),
		},
	}
}
