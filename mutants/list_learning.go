package main

// learningMutants change what is learned: how long things take, and how much of a bucket is left by others.
func learningMutants() []mutant {
	const (
		looksFile   = "internal/jobs/copies/looks.go"
		usualFile   = "internal/jobs/ledger/usual.go"
		imagesFile  = "internal/aws/ledger/images.go"
		publishFile = "internal/aws/ledger/publish.go"
		learnFile   = "internal/jobs/budget/learn.go"

		budgetTests = "internal/jobs/budget"
		usualTests  = "internal/jobs/ledger"
	)
	return []mutant{
		{
			name:   "small-image-waited-for-as-before",
			breaks: "an image that took an hour once is not looked at for most of an hour, however small it became",
			edits:  []edit{{looksFile, `return last.Add(min(rest, k.Pace(LongestLook)))`, `return last.Add(rest)`}},
			tests:  in(bakeTests, "TestAnImageThatBecameSmallIsNotWaitedForAsLongAsBefore"),
		},
		{
			name:   "copies-learn-from-the-capture",
			breaks: "a region's copy is looked at when the capture would be done, again and again",
			edits:  []edit{{looksFile, `	return "copy " + region`, `	return "capture " + region`}},
			tests:  in(bakeTests, "TestCopiesAreLookedAtWhenTheyAreDue"),
		},
		{
			name:   "learnt-and-not-handed-on",
			breaks: "each version is looked at as the first one: no bake ever knows how long its image takes",
			edits:  []edit{{imagesFile, `max(meta.Next, 1), l.Candidate, meta.Usual`, `max(meta.Next, 1), l.Candidate, nil`}},
			tests:  in(ledgerTests, "TestWhatABakeTookIsLearntOnceAndHandedToTheNext"),
		},
		{
			name:   "learnt-again-by-each-publish",
			breaks: "a publish whose answer was lost is learned twice, and moves current back",
			edits:  []edit{{publishFile, "		case l.Available, l.Retiring, l.Retired, l.Recalled:\n			return nil // it has committed already", "		case l.Retiring, l.Retired:\n			return nil\n		case l.Available:"}},
			tests:  in(ledgerTests, "TestWhatABakeTookIsLearntOnceAndHandedToTheNext"),
		},
		{
			name:   "one-slow-day-is-usual",
			breaks: "one image that took an hour makes the next ones be noticed late",
			edits:  []edit{{usualFile, `newest*(math.Abs(off)-u.Deviation)`, `0*math.Abs(off)`}, {usualFile, "	newest         = 0.25", "	newest         = 1"}},
			tests:  in(usualTests, "TestWhatIsUsualIsLearntFromAFewAndFollowsWhatChanges"),
		},
		{
			name:   "refusal-blamed-on-both",
			breaks: "a bucket of requests that was short empties the servers' bucket too",
			edits:  []edit{{learnFile, `	if !requests || single {`, `	if !requests || single || requests {`}, {learnFile, "	} else { // EC2 took none", "	} else if false { // EC2 took none"}},
			tests:  in(budgetTests, "TestARefusalSlowsWhatIsShort"),
		},
		{
			name:   "grants-ahead-of-the-learned-rate",
			breaks: "grants come due faster than the rate that throttles taught, so that EC2 refuses again",
			edits:  []edit{{learnFile, `	if t.Factor == 0 || seconds <= 0 {`, `	if t.Factor >= 0 || seconds <= 0 {`}},
			tests:  in(budgetTests, "TestAThrottleSlowsAllOnceAndIsForgotten"),
		},
	}
}
