package main

// ledgerMutants change the writes of fleets and images.
func ledgerMutants() []mutant {
	return []mutant{
		{
			name:   "ledger-without-fence",
			breaks: "6: a worker whose claim has passed on changes fleets and images",
			edits:  []edit{{"internal/aws/ledger/write.go", `"inc = :inc AND fence = :fence AND #state = :open"`, `"inc = :inc AND fence >= :fence AND #state = :open"`}},
			tests:  in(ledgerTests, "TestAWorkerWhoseClaimHasPassedOnChangesNothing"),
		},
		{
			name:   "ordinal-given-twice",
			breaks: "2: an ordinal that another launch's server holds is given to a second one",
			edits:  []edit{{"internal/aws/ledger/servers.go", `actions = append(actions, t.put(it, holds(s)))`, `actions = append(actions, t.put(it, condition{}))`}},
			tests:  in(ledgerTests, "TestAnOrdinalHasOneHolder"),
		},
		{
			name:   "fleet-with-two-owners",
			breaks: "2: two operations own a fleet at a time",
			edits:  []edit{{"internal/aws/ledger/fleets.go", `	case fleet.Owner == "" && (`, `	case fleet.Owner != job && (`}},
			tests:  in(ledgerTests, "TestAFleetHasOneOwnerAndALineFirstComeFirst"),
		},
		{
			name:   "current-moves-back",
			breaks: "5: a bake that ends late moves current back to its older version",
			edits:  []edit{{"internal/aws/ledger/publish.go", `		if v.Number > image.Current && !v.Held {`, `		if v.Number != image.Current && !v.Held {`}},
			tests:  in(ledgerTests, "TestCurrentNeverMovesBackwards"),
		},
		{
			name:   "publish-undoes-a-rollback",
			breaks: "5: a publish that is repeated moves current forward again after an explicit rollback",
			edits: []edit{{"internal/aws/ledger/publish.go", `		case l.Available, l.Retiring, l.Retired, l.Recalled:
			return nil // it has committed already`, `		case l.Available, l.Retiring, l.Retired, l.Recalled:`}},
			tests: in(ledgerTests, "TestARepeatedPublishDoesNotUndoARollback"),
		},
		{
			name:   "current-retired",
			breaks: "5: the current version may retire",
			edits: []edit{
				{"internal/aws/ledger/publish.go", `		if readMeta != nil && meta.Current == number {`, `		if readMeta != nil && meta.Current == -number {`},
				{"internal/aws/ledger/publish.go", `expression: "#current <> :number"`, `expression: "#current >= :number OR #current < :number"`},
			},
			tests: in(ledgerTests, "TestAVersionTakesNoStepBack|TestTheCurrentVersionNeverRetires"),
		},
		{
			name:   "version-reserved-twice",
			breaks: "3: a bake whose reservation's answer was lost reserves another version",
			edits:  []edit{{"internal/aws/ledger/images.go", `		if reservation != nil {`, `		if reservation != nil && intOf(reservation, "n") == 0 {`}},
			tests:  in(ledgerTests, "TestABakeReservesOneVersionHoweverOftenItAsks"),
		},
		{
			name:   "current-moved-at-reservation",
			breaks: "5: current moves before anything is verified",
			edits:  []edit{{"internal/aws/ledger/images.go", `		meta.Next, meta.Updated = v.Number+1, time.Now().UTC()`, `		meta.Next, meta.Updated, meta.Current = v.Number+1, time.Now().UTC(), v.Number`}},
			tests:  in(ledgerTests, "TestABakeReservesOneVersionHoweverOftenItAsks"),
		},
	}
}
