package main

// lookMutants change looks that jobs share: what rides along with a call, and whom its answer or its failure serves.
func lookMutants() []mutant {
	const (
		shareFile  = "internal/aws/batch/batch.go"
		habitsFile = "internal/aws/batch/habits.go"
		lendFile   = "internal/jobs/shared.go"
		paceFile   = "internal/jobs/pace.go"
		powerFile  = "internal/aws/ec2/power.go"

		batchTests = "internal/aws/batch"
		ec2Tests   = "internal/aws/ec2"
	)
	return []mutant{
		{
			name:   "look-served-from-long-ago",
			breaks: "a job decides by what was so a minute ago, since another job's call brought it along",
			edits:  []edit{{habitsFile, `		if h.held && now.Sub(h.at) <= min(aheadAtMost, h.every/4) {`, `		if h.held {`}},
			tests:  in(batchTests, "TestAnAnswerAskedForAheadIsYoungAndHandedOutOnce"),
		},
		{
			name:   "look-served-twice",
			breaks: "a job that looks again sees what it saw before",
			edits: []edit{{habitsFile, `	h.drop()
	if gap := now.Sub(h.last); gap >= again {`, `	if gap := now.Sub(h.last); gap >= again {`}},
			tests: in(batchTests, "TestAnAnswerAskedForAheadIsYoungAndHandedOutOnce"),
		},
		{
			name:   "news-served-from-before-it",
			breaks: "an event wakes a job, which then sees what was so before the event, and waits on",
			edits:  []edit{{habitsFile, `	if !fresh {`, `	if !fresh || h.held {`}},
			tests:  in(batchTests, "TestACallerThatKnowsOfNewsAsksItself"),
		},
		{
			name:   "stopped-builder-seen-as-before",
			breaks: "a builder that was just changed is seen as it was before, and the bake acts on that",
			edits: []edit{{powerFile, `	defer r.instances.Forget(ids...)
	return chunked(ids, func(ids []string) error {
		_, err := r.client.StopInstances(`, `	return chunked(ids, func(ids []string) error {
		_, err := r.client.StopInstances(`}},
			tests: in(ec2Tests, "TestWhatWasJustChangedIsNotSeenAsItWasBefore"),
		},
		{
			name:   "forgotten-look-still-served",
			breaks: "what a call brought along is handed out though the thing was changed meanwhile",
			edits: []edit{{habitsFile, `			h.drop()
			h.flight = nil
`, `			h.flight = nil
`}},
			tests: append(in(batchTests, "TestACallerThatKnowsOfNewsAsksItself"), in(ec2Tests, "TestWhatWasJustChangedIsNotSeenAsItWasBefore")...),
		},
		{
			name:   "one-bad-rider-fails-all",
			breaks: "one id that EC2 refuses fails the looks of all jobs that share the call",
			edits:  []edit{{shareFile, `len(keys) > 1 && b.options.Blames != nil && b.options.Blames(err)`, `len(keys) > len(w.keys)+len(keys) && b.options.Blames != nil && b.options.Blames(err)`}},
			tests:  in(batchTests, "TestAKeyThatSpoilsACallFailsItsOwnCallerOnly"),
		},
		{
			name:   "who-leaves-takes-the-call-along",
			breaks: "a job whose claim ends gives up the call that others wait for",
			edits: []edit{{shareFile, `		if w.waiting > 0 {
			continue
		}
`, ``}},
			tests: in(batchTests, "TestACallerThatLeavesBreaksNobodyElse"),
		},
		{
			name:   "urgent-rider-in-the-low-line",
			breaks: "an urgent job's look waits in the line of whoever opened the call",
			edits:  []edit{{lendFile, `ok && lent <= class {`, `ok {`}, {lendFile, "\tclass := LineOf(caller)\n\tif lent,", "\tclass := LineOf(caller)\n\tif _,"}},
			tests:  in(jobsTests, "TestASharedCallStandsInTheLineOfItsMostUrgentCaller"),
		},
		{
			name:   "jobs-look-each-for-itself",
			breaks: "jobs that wait for the same thing look at instants of their own, so that no call is shared",
			edits:  []edit{{paceFile, `	below := until.Add(-phase).Truncate(grid).Add(phase)`, `	below := until`}},
			tests:  in(jobsTests, "TestWhoLooksTogetherOnceGoesOnLookingTogether|TestShortWaitsAreWholeSecondsAndLongOnesEndOnCommonTicks"),
		},
	}
}
