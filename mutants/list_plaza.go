package main

// plazaMutants change what becomes of versions and their copies while others use them, as only a whole schedule shows.
func plazaMutants() []mutant {
	const lifecycle = "internal/jobs/lifecycle/lifecycle.go"
	return []mutant{
		{
			name:   "a-version-goes-under-its-fleet",
			breaks: "5: a version is retired that a fleet's servers run",
			edits:  []edit{{lifecycle, `		by := users[v.Ref()]`, `		by := users[""]`}},
			tests:  story("distribute", "20"),
		},
		{
			name:   "a-revoked-share-stays-where-a-copy-is",
			breaks: "a Distribute closes a version's AMI in its home region only",
			edits: []edit{{"internal/jobs/distribute/steps.go", `		err := p.equal(ctx, turn, ami.Region, ami.AMI, p.spec.want(), !p.progress.Change.goes(ami))`,
				`		if ami.Region != p.progress.Change.Home {
			continue
		}
		err := p.equal(ctx, turn, ami.Region, ami.AMI, p.spec.want(), !p.progress.Change.goes(ami))`}},
			tests: story("distribute", "40"),
		},
		{
			name:   "an-imported-image-keeps-its-tags",
			breaks: "7: an AMI that an import gave back still carries its tags",
			edits: []edit{{"internal/jobs/adopt/undo.go", `Untag(ctx, []string{regional.AMI}, tags)`,
				`Untag(ctx, []string{regional.AMI}, map[string]string{"none": tags[""]})`}},
			tests: story("distribute", "20"),
		},
	}
}
