package main

// distributeMutants change where a version is and who may use it.
func distributeMutants() []mutant {
	const (
		look   = "internal/jobs/distribute/look.go"
		steps  = "internal/jobs/distribute/steps.go"
		remove = "internal/jobs/distribute/remove.go"

		stories = "internal/rig"
	)
	return []mutant{
		{
			name:   "revocation-skipped",
			breaks: "an account that the spec no longer names goes on launching from the AMIs",
			edits:  []edit{{steps, `ShareImage(ctx, ami, add, remove)`, `ShareImage(ctx, ami, add, c.Share{})`}},
			tests:  in(stories, "TestDistributesOfOneVersionWaitForOneAnother"),
		},
		{
			name:   "copy-in-use-removed",
			breaks: "a copy is deregistered under the fleet that launches from it",
			edits: []edit{
				{look, `		if len(users) > 0 {`, `		if len(users) < 0 {`},
				{remove, `	if by = some(users); by == "" {`, `	if by = some(users[:0]); by == "" {`},
			},
			tests: in(stories, "TestACopyThatIsInUseIsNotRemoved"),
		},
		{
			name:   "copy-replaced-under-its-servers",
			breaks: "a copy under a former key is deregistered while servers run from it",
			edits:  []edit{{remove, `	if by = some(users); by == "" {`, `	if by = some(users[:0]); by == "" {`}},
			tests:  in(stories, "TestACopyIsReplacedWhereItsKeyIsAnother"),
		},
		{
			name:   "row-not-moved",
			breaks: "the ledger does not name a copy that was made: nobody launches from it, and the reaper takes it",
			edits:  []edit{{steps, `			v.Put(place, places[place].role, l.RegionalCopy{`, `			fmt.Sprint(place, places[place].role, l.RegionalCopy{`}},
			tests:  in(stories, "TestDistributesOfOneVersionWaitForOneAnother"),
		},
		{
			name:   "distributes-mixed",
			breaks: "two documents for one version are carried out at once, and it ends as neither says",
			edits:  []edit{{"internal/aws/ledger/distribution.go", `if err != nil || open[v.Owner] {`, `if err != nil || open[""] {`}},
			tests:  in(stories, "TestDistributesOfOneVersionWaitForOneAnother"),
		},
		{
			name:   "undo-of-what-is-named",
			breaks: "3, 5: a cancel removes a copy that the ledger names already",
			edits:  []edit{{remove, `		keep[ami.AMI] = true`, `		keep[ami.AMI] = false`}},
			tests:  in(stories, "TestACancelledDistributeLeavesNothingUnnamed"),
		},
	}
}
