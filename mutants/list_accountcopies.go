package main

// accountCopyMutants change the copies that other accounts own, and what is lent to them for that.
func accountCopyMutants() []mutant {
	const (
		distributed = "internal/jobs/distribute/"
		loan        = "internal/jobs/copies/loan.go"
		tests       = "internal/jobs/distribute"
	)
	return []mutant{
		{
			name:   "loan-kept",
			breaks: "an account that copied an AMI goes on reading its snapshots and launching from it",
			edits:  []edit{{loan, `ShareSnapshot(ctx, snapshot, nil, []string{l.Account})`, `ShareSnapshot(ctx, snapshot, nil, nil)`}},
			tests:  in(tests, "TestALoanEndsAndWhatWasThereBeforeStays"),
		},
		{
			name:   "undo-takes-what-was-there-before",
			breaks: "an account loses the right to launch that it had before it was lent anything",
			edits:  []edit{{loan, `Image: !slices.Contains(open.Accounts, account)}`, `Image: !slices.Contains(open.OUs, account)}`}},
			tests:  in(tests, "TestALoanEndsAndWhatWasThereBeforeStays"),
		},
		{
			name:   "lent-before-it-is-written-down",
			breaks: "after a death nobody knows what was lent, and it is never taken back",
			edits: []edit{{distributed + "lend.go", `	p.progress.Loans = loans
	return jobs.Done(), err`, `	p.progress.Loans = loans
	if err == nil {
		return p.lend(ctx, turn)
	}
	return jobs.Done(), err`}, {distributed + "lend.go", `loans(ctx context.Context, _ *jobs.Turn)`, `loans(ctx context.Context, turn *jobs.Turn)`}},
			tests: in(tests, "TestALoanEndsAndWhatWasThereBeforeStays"),
		},
		{
			name:   "copies-of-others-unnamed",
			breaks: "3: nobody knows of the copies that other accounts own: they are never retired, and the reaper takes them",
			edits: []edit{{"internal/jobs/ledger/distribution.go", `	for _, place := range slices.Sorted(maps.Keys(v.Accounts)) {`,
				`	for _, place := range slices.Sorted(maps.Keys(v.Accounts))[:0] {`}},
			tests: in(tests, "TestTheRowNamesEveryCopyWithTheRoleThatReachesIt"),
		},
		{
			name:   "role-forgotten",
			breaks: "a copy is looked for in the image's own account, is not found, and is made again or never removed",
			edits:  []edit{{distributed + "distribute.go", `	return jobs.Target{Role: p.progress.Roles[account], Region: region}`, `	return p.job.Target.In(region)`}},
			tests:  in(tests, "TestTheRowNamesEveryCopyWithTheRoleThatReachesIt"),
		},
		{
			name:   "late-user-overlooked",
			breaks: "7: a copy that came into use after the look is deregistered under its servers",
			edits:  []edit{{distributed + "remove.go", `	users, err := p.users(ctx, *v, ami, replaced)`, `	users, err := []string(nil), error(nil)`}},
			tests:  in(tests, "TestACopyThatCameIntoUseMeanwhileIsNotRemoved"),
		},
		{
			name:   "others-copy-closed",
			breaks: "a Distribute revokes what the account that owns a copy opened itself",
			edits: []edit{{distributed + "steps.go", `		if ami.Role != "" {
			continue
		}
		err := p.equal(ctx, turn, ami.Region,`, `		err := p.equal(ctx, turn, ami.Place(),`}},
			tests: in(tests, "TestWhomTheSpecDoesNotNameLosesTheAMIsAndWhoIsNamedKeepsThem"),
		},
	}
}
