package main

// budgetMutants change how EC2's tokens are shared.
func budgetMutants() []mutant {
	const (
		bucketFile  = "internal/jobs/budget/bucket.go"
		lineFile    = "internal/jobs/budget/line.go"
		learnFile   = "internal/jobs/budget/learn.go"
		grantsFile  = "internal/jobs/grants.go"
		budgetsFile = "internal/aws/budgets/budgets.go"
		itemFile    = "internal/aws/budgets/bucket.go"

		bucketTests = "internal/jobs/budget"
		itemTests   = "internal/aws/budgets"
	)
	return []mutant{
		{
			name:   "grant-reserved-anew-at-each-wake",
			breaks: "1: a job takes another place at each wake, and its turn never comes",
			edits:  []edit{{budgetsFile, `booking.Held(c.bucket, c.resources); ok {`, `booking.Held(c.bucket, c.resources); ok && grant.Requests < 0 {`}},
			tests:  in(itemTests, "TestAPlaceIsKeptUntilItsTurn"),
		},
		{
			name:   "grant-used-again-after-a-death",
			breaks: "a crash doubles a grant",
			edits:  []edit{{stintFile, `		job.Grants = nil // it may have used them`, ``}},
			tests:  in(jobsTests, "TestAGrantIsNotUsedAgainAfterADeliveryThatEndedWithoutASave"),
		},
		{
			name:   "grants-kept-by-a-cancelled-job",
			breaks: "a cancelled launch of thousands blocks the line for an hour",
			edits:  []edit{{grantsFile, `	s.released = append(s.released, s.turn.Job.Grants...)`, ``}},
			tests:  in(jobsTests, "TestACancelGivesBackWhatTheJobWaitedFor"),
		},
		{
			name:   "turn-rounded-to-a-tick",
			breaks: "tokens flow over while their job waits for a common tick",
			edits:  []edit{{grantsFile, `	move.exact = true`, ``}},
			tests:  in(jobsTests, "TestAGrantIsSavedWithTheWaitAndThereAtTheNextDelivery"),
		},
		{
			name:   "low-never-served",
			breaks: "1: low-priority calls starve behind urgent ones",
			edits:  []edit{{lineFile, `{13. / 16, 2. / 16, 1. / 16}`, `{14. / 16, 2. / 16, 1e-9}`}},
			tests:  in(bucketTests, "TestAnUrgentCallPassesALongLineAndTheLineNeverStops"),
		},
		{
			name:   "urgent-waits-in-line",
			breaks: "an urgent launch waits behind ten thousand low ones",
			edits: []edit{{lineFile, `{13. / 16, 2. / 16, 1. / 16}`, `{1. / 16, 2. / 16, 13. / 16}`}, {lineFile, `		if first < 0 {
			first = class
		}`, `		first = class`}},
			tests: in(bucketTests, "TestAnUrgentCallPassesALongLineAndTheLineNeverStops"),
		},
		{
			name:   "each-refusal-moves-the-bucket",
			breaks: "eight workers that meet one empty bucket slow each other to a tenth",
			edits:  []edit{{learnFile, `now.Sub(b.Throttled) < once`, `now.Sub(b.Throttled) < 0`}},
			tests:  in(bucketTests, "TestAThrottleSlowsAllOnceAndIsForgotten"),
		},
		{
			name:   "throttle-never-forgotten",
			breaks: "one refusal slows an account for ever",
			edits:  []edit{{learnFile, `(t.Factor + (1-t.Factor)*x*x)`, `(t.Factor + (1-t.Factor)*x*0)`}},
			tests:  in(bucketTests, "TestAThrottleSlowsAllOnceAndIsForgotten"),
		},
		{
			name:   "stray-throttle-made-room-for",
			breaks: "who takes servers once slows a launch for two hours",
			edits:  []edit{{learnFile, `return granted >= proven*r.Refill*since.Seconds()`, `return granted >= 2*r.Refill*since.Seconds()`}},
			tests:  in(bucketTests, "TestALaunchThatRanAtTheWholeRateIsSlowedForMinutesByAStrayRefusal"),
		},
		{
			name:   "every-throttle-a-stray-one",
			breaks: "a launch beside somebody else is refused again and again",
			edits: []edit{{learnFile, `	if t.Known.IsZero() || since < provenFor {
		return false`, `	if t.Known.IsZero() || since < 1e6*provenFor {
		return true`}},
			tests: in(bucketTests, "TestWhoTakesOfTheBucketAllTheTimeIsNoStray"),
		},
		{
			name:   "bucket-fills-without-end",
			breaks: "after a quiet night more is granted than EC2's bucket holds",
			edits:  []edit{{bucketFile, `		t.Level, t.Known = r.Size, to`, `		t.Known = to`}},
			tests:  in(bucketTests, "TestNobodyWhoWaitsForHisTurnIsRefusedByEC2"),
		},
		{
			name:   "given-back-twice-over",
			breaks: "what is given back unserved is granted to two",
			edits:  []edit{{bucketFile, `	t.Level = min(hand(&t.Lines, t.Level+served), r.Size)`, `	t.Level = min(hand(&t.Lines, t.Level+tokens+0*served), r.Size)`}},
			tests:  in(bucketTests, "TestNobodyWhoWaitsForHisTurnIsRefusedByEC2"),
		},
		{
			name:   "budget-written-over-anothers",
			breaks: "workers drain a bucket behind each other's backs",
			edits:  []edit{{itemFile, `aws.String("ver = :ver")`, `aws.String("ver >= :ver")`}},
			tests:  in(rigTests, "TestManyWorkersNeverDrainABucketBehindEachOthersBacks"),
		},
		{
			name:   "budgets-lost-answer-applied-twice",
			breaks: "a write whose answer was lost takes its tokens twice",
			edits:  []edit{{itemFile, `changes && text(old, "by") == by`, `changes && text(old, "by") == ""`}},
			tests:  in(itemTests, "TestWorkersThatAskTogetherGetWhatIsThereAndNoMore"),
		},
		{
			name:   "grant-never-lapses",
			breaks: "what was served two minutes ago is used beside what the bucket holds now",
			edits:  []edit{{budgetsFile, `now.Sub(grant.Due) > slack(k.limit, grant)`, `now.Sub(grant.Due) > 24*time.Hour`}},
			tests:  in(itemTests, "TestAGrantThatIsUsedLongAfterItsTurnTakesItsTokensAnew"),
		},
	}
}
