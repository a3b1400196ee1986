package main

// capacityMutants change what all workers remember of pools without capacity.
func capacityMutants() []mutant {
	const (
		ladderFile = "internal/jobs/capacity/ladder.go"
		rulesFile  = "internal/jobs/capacity/capacity.go"

		memoryTests = "internal/aws/capacity"
	)
	return []mutant{
		{
			name:   "empty-pool-not-remembered",
			breaks: "forty batches ask a pool without capacity forty times",
			edits:  []edit{{ladderFile, `	return a.Memory.Refuse(ctx, pool.Key(), known.Next(a.Now, a.Pace), begun)`, `	return nil`}},
			tests:  in(launchTests, "TestFortyBatchesDoNotAskAnEmptyPoolFortyTimes"),
		},
		{
			name:   "refusal-never-forgotten-by-a-grant",
			breaks: "a pool that has servers again is left alone for minutes",
			edits:  []edit{{ladderFile, `	return a.Memory.Forget(ctx, pool.Key(), begun)`, `	return nil`}},
			tests:  in(memoryTests, "TestAGrantForgetsAtOnceAndOnlyWhatCameBeforeIt"),
		},
		{
			name:   "refusals-do-not-grow",
			breaks: "a pool that is empty for hours is asked each minute",
			edits:  []edit{{rulesFile, `		times = r.Times + 1`, `		times = 1`}},
			tests:  in(memoryTests, "TestARefusalHoldsForAllWorkersAndGrowsFromOneMinuteToTen"),
		},
		{
			name:   "refused-pool-tried-by-all",
			breaks: "when a refusal's time is over all jobs of all workers ask the pool at once",
			edits:  []edit{{ladderFile, `	return won, lookAgain, err`, `	return won || err == nil, lookAgain, err`}},
			tests:  in(rigTests, "TestOneOfManyWorkersTriesARefusedPoolAgain"),
		},
		{
			name:   "two-win-a-trial",
			breaks: "whoever asks the table wins the try of a refused pool, as often as somebody asks",
			edits: []edit{{"internal/aws/capacity/capacity.go", `"#until <= :now AND (attribute_not_exists(trial) OR trial <= :now OR trier = :job)"`,
				`"#until <= :now AND (attribute_not_exists(trial) OR trial <= :now OR trial > :now OR trier = :job)"`}},
			tests: in(rigTests, "TestOneOfManyWorkersTriesARefusedPoolAgain"),
		},
	}
}
