package main

// restampMutants change the order of a patch day, and what a failure in it stops.
func restampMutants() []mutant {
	const renewalFile, lineageTest = "internal/jobs/restamp/renewal.go", "TestAPatchIsOneLayerOnTheImagesOwnVersionAndItsLineageStays"
	return []mutant{
		{
			name:   "child-baked-before-parent",
			breaks: "a child is baked beside its parent, on the old one",
			edits:  []edit{{"internal/jobs/restamp/steps.go", `	images, fleets := w.below(""), w.fleetsOf("")`, `	images, fleets := w.Images, w.fleetsOf("")`}},
			tests:  in(rigTests, lineageTest),
		},
		{
			name:   "slot-leaked",
			breaks: "1: a bake that has ended keeps its slot while what is below it waits for one",
			edits: []edit{{renewalFile, `	if err := p.Ledger.FreeSlot(ctx, turn.Guard(), w.Restamp, turn.Job.ID); err != nil {
		return err
	}
`, ``}},
			tests: in(rigTests, "TestARestampSurvivesADeathAtEveryCall"),
		},
		{
			name:   "failed-bakes-fleets-rolled",
			breaks: "what is below an image whose bake failed is begun all the same",
			edits: []edit{{renewalFile, `o.State != jobs.Succeeded {
		return jobs.Fail(`, `o.State == jobs.Cancelled {
		return jobs.Fail(`}},
			tests: in(rigTests, "TestAFailedBakeStopsWhatIsBelowItAndNothingElse"),
		},
		{
			name:   "patch-as-parent",
			breaks: "a patched version's lineage leads to the version that was patched, not to its base",
			edits:  []edit{{"internal/jobs/bake/source.go", `	if from.Image == b.job.Name && from.Parent != "" {`, `	if from.Image == "" {`}},
			tests:  in(rigTests, lineageTest),
		},
	}
}
