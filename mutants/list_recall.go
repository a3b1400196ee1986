package main

// recallMutants change what a recall and a restore do that meet, what prune picks, and what a diff tells.
func recallMutants() []mutant {
	const (
		recall      = "internal/jobs/catalog/recall.go"
		life        = "internal/jobs/lifecycle/"
		recallTests = "internal/jobs/catalog"
		pruneTests  = "internal/jobs/lifecycle"
	)
	return []mutant{
		{
			name:   "recall-goes-on-after-a-restore",
			breaks: "5: a recall disables AMIs of a version that was restored meanwhile: nobody can launch what the ledger calls available",
			edits:  []edit{{recall, `	if v.State != l.Recalled {`, `	if v.State == l.Retired {`}},
			tests:  in(recallTests, "TestARecallDisablesNothingMoreOnceItsVersionIsRestored"),
		},
		{
			name:   "restore-never-looks-again",
			breaks: "5: what a recall disabled while the version was restored stays disabled",
			edits:  []edit{{recall, `	if v, err := p.version(ctx); err != nil || v.State != l.Available {`, `	if v, err := p.version(ctx); err != nil || v.State == l.Available {`}},
			tests:  in(recallTests, "TestARestoreLooksAgainAtWhatARecallDisabledMeanwhile"),
		},
		{
			name:   "restore-fights-a-newer-recall",
			breaks: "5: a restore enables the AMIs of a version that was recalled again",
			edits:  []edit{{recall, `	if v, err := p.version(ctx); err != nil || v.State != l.Available {`, `	if v, err := p.version(ctx); err != nil || v.Number == 0 {`}},
			tests:  in(recallTests, "TestARestoreLeavesAloneWhatWasRecalledAgain"),
		},
		{
			name:   "restore-remembers-what-was-done",
			breaks: "5: the look after a restore takes every AMI for available, since it saw it so before",
			edits:  []edit{{recall, `	p.progress.Restored, p.progress.Done = true, nil`, `	p.progress.Restored = true`}},
			tests:  in(recallTests, "TestARestoreLooksAgainAtWhatARecallDisabledMeanwhile"),
		},
		{
			name:   "prune-picks-current",
			breaks: "5: the current version is retired where it is an old one",
			edits:  []edit{{life + "lifecycle.go", `		case v.Number == current, v.Number == own,`, `		case v.Number == own,`}},
			tests:  in(pruneTests, "TestWhatIsBeyondWhatIsKeptIsPickedOldestFirst"),
		},
		{
			name:   "prune-by-age-alone",
			breaks: "versions among the newest that are to be kept are retired for their age",
			edits:  []edit{{life + "lifecycle.go", `kept < keep.Versions, young:`, `kept < keep.Versions && (young || keep.Age == 0), young:`}},
			tests:  in(pruneTests, "TestWhatIsBeyondWhatIsKeptIsPickedOldestFirst"),
		},
		{
			name:   "users-of-one-account",
			breaks: "7: a copy that another account owns is removed under that account's servers",
			edits:  []edit{{life + "lifecycle.go", `r.EC2(at.role, at.region).ImageUsers`, `r.EC2("", at.region).ImageUsers`}},
			tests:  in(pruneTests, "TestWhatAnythingUsesAnywhereStays"),
		},
		{
			name:   "report-of-one-region",
			breaks: "7: a version goes whose copy in another region another account's servers run",
			edits: []edit{{life + "shared.go", `		if by != "" {
			waits = by
		}`, `		waits = by
		if by == "" {
			break
		}`}},
			tests: in(pruneTests, "TestWhatOtherAccountsUseIsAskedInEveryRegion"),
		},
	}
}
