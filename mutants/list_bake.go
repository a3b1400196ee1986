package main

// bakeMutants change the order of a bake's steps, its commit point and its undo.
func bakeMutants() []mutant {
	return []mutant{
		{
			name:   "published-before-verified",
			breaks: "5: current moves to a version whose boot test is still to come",
			edits: []edit{
				{bakeSteps, `	if s.bootTests() {
		steps = append(steps, b.testSteps()...)
	}
	if len(s.CopyTo) > 0 {`, `	if len(s.CopyTo) > 0 {`},
				{bakeSteps, `	steps = append(steps, jobs.Step{Name: "publish", Do: b.publish})`, `	steps = append(steps, jobs.Step{Name: "publish", Do: b.publish})
	if s.bootTests() {
		steps = append(steps, b.testSteps()...)
	}`},
			},
			tests: in(bakeTests, "TestABakeWhoseVerifyFailsLeavesNothing"),
		},
		{
			name:   "shared-before-verified",
			breaks: "5: others may launch an image that nobody has verified",
			edits: []edit{
				{bakeSteps, `	if s.bootTests() {
		steps = append(steps, b.testSteps()...)
	}
	if len(s.CopyTo) > 0 {
		steps = append(steps, jobs.Step{Name: "copies", Do: b.copies})
	}
	if s.Share != nil && !s.Share.isZero() {
		steps = append(steps, jobs.Step{Name: "share", Do: b.share})
	}`, `	if len(s.CopyTo) > 0 {
		steps = append(steps, jobs.Step{Name: "copies", Do: b.copies})
	}
	if s.Share != nil && !s.Share.isZero() {
		steps = append(steps, jobs.Step{Name: "share", Do: b.share})
	}
	if s.bootTests() {
		steps = append(steps, b.testSteps()...)
	}`},
			},
			tests: in(bakeTests, "TestNothingIsSharedBeforeItIsVerifiedAndTagged"),
		},
		{
			name:   "shared-before-tagged",
			breaks: "3: an AMI is made without our tags, so that a crash leaves what nobody finds, and shared so",
			edits: []edit{{"internal/jobs/bake/capture.go", `ImageTags: tags, SnapshotTags: tags,
		})`, `SnapshotTags: tags,
		})`}},
			tests: in(bakeTests, "TestNothingIsSharedBeforeItIsVerifiedAndTagged"),
		},
		{
			name:   "parameter-before-publish",
			breaks: "5: the parameter names a version that is not published yet",
			edits: []edit{
				{bakeSteps, `	if b.spec.Publish.Parameter != "" {
		steps = append(steps, bounded(jobs.Step{Name: "parameter", Do: b.parameter}))
	}`, ``},
				{bakeSteps, `	steps = append(steps, jobs.Step{Name: "publish", Do: b.publish})`, `	if b.spec.Publish.Parameter != "" {
		steps = append(steps, bounded(jobs.Step{Name: "parameter", Do: b.parameter}))
	}
	steps = append(steps, jobs.Step{Name: "publish", Do: b.publish})`},
			},
			tests: in(bakeTests, "TestTheParameterFollowsThePublish"),
		},
		{
			name:   "undo-after-publish",
			breaks: "5: a cancel after the commit point takes the published version back",
			edits:  []edit{{bakeSteps, `return !b.progress.Committed.IsZero() }`, `return !b.progress.Committed.IsZero() && b.progress.Ending }`}},
			tests:  in(bakeTests, "TestACancelBeforePublishUndoesEverythingAndOneAfterItNothing"),
		},
		{
			name:   "undo-without-asking-the-catalog",
			breaks: "5: a worker that died between the catalog's write and its own save has its published version undone",
			edits:  []edit{{bakeUndoFile, `	if b.progress.Version == 0 || b.Committed() {`, `	if b.progress.Version >= 0 || b.Committed() {`}},
			tests:  in(bakeTests, "TestABakeThatDiesOfItsCommitStaysWholeThoughItIsCancelled"),
		},
		{
			name:   "undo-forgets-snapshots",
			breaks: "3: the snapshots of an AMI that failed are left",
			edits: []edit{{copiesUndoFile, `	snapshots, err := u.EC2.SnapshotsTagged(ctx, OwnTags(turn))
	if err != nil {`, `	snapshots, err := u.EC2.SnapshotsTagged(ctx, OwnTags(turn))
	if snapshots = nil; err != nil {`}},
			tests: in(bakeTests, "TestAnAMIOrACopyThatEC2GaveUpIsBegunAnewAlone"),
		},
		{
			name:   "undo-forgets-other-regions",
			breaks: "3: copies, and their snapshots, are left in the other regions",
			edits:  []edit{{bakeUndoFile, `return b.publishedRegions()`, `return []string{b.region}`}},
			tests:  in(bakeTests, "TestACancelBeforePublishUndoesEverythingAndOneAfterItNothing"),
		},
		{
			name:   "undo-trusts-describe",
			breaks: "3: an AMI that EC2 does not show yet is taken for gone",
			edits:  []edit{{copiesUndoFile, `	if u.hides(turn, images) || !gone {`, `	if !gone {`}},
			tests:  in(bakeTests, "TestAnUndoWaitsForWhatEC2DoesNotShowYet"),
		},
		{
			name:   "undo-trusts-describe-of-servers",
			breaks: "3: a builder that EC2 does not show yet is taken for gone",
			edits:  []edit{{bakeUndoFile, `if s.ID != "" && !shown[s.ID] && turn.Now().Sub(s.Since)`, `if s.ID == "" && !shown[s.ID] && turn.Now().Sub(s.Since)`}},
			tests:  in(bakeTests, "TestAnUndoWaitsForWhatEC2DoesNotShowYet"),
		},
		{
			name:   "undo-forgets-the-test-server",
			breaks: "3: the boot test's server is left",
			edits:  []edit{{bakeSteps, `		jobs.Step{Name: "undo-servers", Do: b.undoServers},`, ``}},
			tests:  in(bakeTests, "TestABakeWhoseVerifyFailsLeavesNothing"),
		},
		{
			name:   "callback-before-the-end",
			breaks: "5: whoever is notified hears of a version whose servers still run, and that may yet fail",
			edits: []edit{{bakeSteps, `	var steps []jobs.Step
	if b.spec.Publish.Parameter`, `	steps := b.notify()
	if b.spec.Publish.Parameter`}, {bakeSteps, `		steps = append(steps, bounded(jobs.Step{Name: "source-gone", Do: b.sourceGone}))
	}
	return append(steps, b.notify()...)`, `		steps = append(steps, bounded(jobs.Step{Name: "source-gone", Do: b.sourceGone}))
	}
	return steps`}},
			tests: in(bakeTests, "TestACallbackIsTheLastCallBeforeTheEnd"),
		},
		{
			name:   "callback-under-another-id",
			breaks: "1: a notification that is repeated has another id, and its receiver acts twice",
			edits:  []edit{{"internal/jobs/notify/notify.go", `	m.ID = fmt.Sprintf("%s-%s-r%d-%s", job.ID, job.Incarnation, job.Run, m.State)`, `	m.ID = fmt.Sprintf("%s-%s-r%d-%s-%d", job.ID, job.Incarnation, job.Run, m.State, n.state.Tries)`}},
			tests:  in("internal/jobs/notify", "TestADeliveryIsRepeatedUnderOneIDUntilItIsTaken"),
		},
		{
			name:   "kept-builder-not-named",
			breaks: "3: a builder that the spec asks to keep is not named in the ledger, and reaped",
			edits: []edit{{bakeUndoFile, `	if err := b.kind.Catalog.PutKept(ctx, turn.Guard(), id, b.progress.Kept); err != nil {
		return jobs.Move{}, err
	}`, ``}},
			tests: in(bakeTests, "TestTheBuilderOfAFailedBakeIsKeptWhereTheSpecAsksForIt"),
		},
	}
}

// imageMutants change which images are removed and whom they are opened to.
func imageMutants() []mutant {
	return []mutant{
		{
			name:   "retired-though-a-fleet-uses-it",
			breaks: "5: an image that a fleet in the ledger uses is removed",
			edits:  []edit{{retireFile, `			used[s.Image], used[s.AMI] = text, text`, `			_ = s`}, {retireFile, `		used[fleet.Image], used[fleet.Previous] = text, text`, `		_ = text`}},
			tests:  in(bakeTests, "TestVersionsInUseAreNotRetired"),
		},
		{
			name:   "retired-though-a-server-runs-it",
			breaks: "7: an image that servers in EC2 were launched from is removed",
			edits:  []edit{{retireFile, `			if len(by) > 0 {`, `			if len(by) > 9 {`}},
			tests:  in(bakeTests, "TestAVersionWithUsersInEC2IsNotRetired"),
		},
		{
			name:   "retired-in-one-region",
			breaks: "3: the copies of a version that retires are left in the other regions",
			edits: []edit{{retireFile, `	for _, ami := range v.AMIs() {
		if err := r.Remove(`, `	for _, ami := range v.AMIs()[:1] {
		if err := r.Remove(`}},
			tests: in(bakeTests, "TestAVersionRetiresInEveryRegionWithItsSnapshots"),
		},
		{
			name:   "retired-without-our-tag",
			breaks: "7: an AMI that is not ours is removed because the catalog names it",
			edits:  []edit{{retireFile, `	if found[0].Tags[jobs.TagInstallation] != turn.Installation {`, `	if found[0].Tags[jobs.TagInstallation] == "nobody's" {`}},
			tests:  in(bakeTests, "TestAnAMIThatIsNotOursIsNotRetired"),
		},
		{
			name:   "own-version-retired",
			breaks: "5: a bake retires the version that is current",
			edits:  []edit{{retireFile, `		case v.Number == current, v.Number == own, kept < keep.Versions, young:`, `		case kept < keep.Versions, young:`}},
			tests:  in(bakeTests, "TestARollbacksVersionIsNotRetired"),
		},
		{
			name:   "public-without-confirmation",
			breaks: "7: one field makes an image everybody's",
			edits:  []edit{{"internal/jobs/bake/check.go", `	if s.Public != s.PublicConfirmed {`, `	if s.PublicConfirmed && !s.Public {`}},
			tests:  in(bakeTests, "TestBadSpecsAreToldAtTheirPlace"),
		},
		{
			name:   "parameter-of-an-older-version",
			breaks: "5: the bake that writes last decides what the parameter names, not what is current",
			edits:  []edit{{"internal/jobs/release/release.go", `	if number == 0 || number == r.Own.Number {`, `	if number >= 0 {`}},
			tests:  in(bakeTests, "TestTheParameterNamesWhatIsCurrent"),
		},
	}
}
