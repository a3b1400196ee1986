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
	}
}
