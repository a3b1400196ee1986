package main

// catalogMutants change what moves current by a person's order, and what takes versions away.
func catalogMutants() []mutant {
	const file = "internal/aws/ledger/catalog.go"
	return []mutant{
		{
			name:   "rollback-to-an-unverified-version",
			breaks: "5: a rollback or a promote makes a version current that was never verified, or that is retiring",
			edits:  []edit{{file, `		case !to.Usable():`, `		case !to.Usable() && to.State == l.Recalled:`}},
			tests:  in(ledgerTests, "TestCurrentMovesByOrderOnlyToWhatIsVerifiedAndAvailable"),
		},
		{
			name:   "current-moved-to-a-recalled-version",
			breaks: "5: a recalled version is promoted",
			edits:  []edit{{file, `		case !to.Usable():`, `		case !to.Usable() && to.State != l.Recalled:`}},
			tests:  in(ledgerTests, "TestARecallMovesCurrentBackToTheNewestGoodVersionInTheSameWrite"),
		},
		{
			name:   "order-repeated-after-a-publish",
			breaks: "5: an order whose answer was lost moves current a second time",
			edits:  []edit{{file, `		if before.Image != "" {`, `		if before.Image == "nobody's" {`}},
			tests:  in(ledgerTests, "TestAnOrderMovesCurrentOnceWhateverHappensSince"),
		},
		{
			name:   "recalled-though-the-last",
			breaks: "5: current points to a recalled version, since there is no other one",
			edits:  []edit{{file, `			if good.Number == 0 {`, `			if good.Number < 0 {`}},
			tests:  in(ledgerTests, "TestTheLastGoodVersionIsNotRecalled"),
		},
	}
}
